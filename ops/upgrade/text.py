"""A plan as text, and as a document."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

from ops.guided.steps import Step, lines
from ops.live.ends import end_of
from ops.upgrade.plan import World


def text(world: World, steps: Sequence[Step], ipv6: bool) -> str:
    """What is known before it begins, then the steps."""
    return "\n".join([*preface(world, ipv6), "", *lines(steps)])


def preface(world: World, ipv6: bool) -> list[str]:
    """The versions and when they end, what moves, and who carries visitors."""
    if world.live == world.to:
        told = [f"{world.stack} has {world.to} at Vultr already. What is left:"]
    else:
        kinds, each = ("A and AAAA", 2) if ipv6 else ("A", 1)
        told = [
            f"{world.stack}: {world.live} ({_ends(world.live)}) → {world.to} ({_ends(world.to)})",
            f"Its {world.nodes} nodes are made anew, with other addresses: {world.nodes * each} "
            f"records of {world.hostname} move ({kinds}).",
            "VKE brings the new version's own Calico; what is ours there is put back.",
        ]
    if world.way == "none" and world.live != world.to:
        told.append(_nobody(world))
    return told


def _nobody(world: World) -> str:
    if world.drained:
        return f"{world.stack} drains already, and goes on doing so afterwards."
    return (
        "NOBODY carries its visitors: there is no other cluster and no other region behind an "
        "edge. While none of its nodes is ready, the site is off the air."
    )


def _ends(version: str) -> str:
    end: date | None = end_of(version)
    return f"ends on {end}" if end else "its end isn't known here"


def document(world: World, steps: Sequence[Step]) -> dict[str, Any]:
    """The plan for a program."""
    return {
        "stack": world.stack,
        "from": world.live,
        "to": world.to,
        "carried": world.way,
        "steps": [asdict(step) for step in steps],
    }
