"""A node and the world around it, and the rule tables that nodes are given."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from components.firewall.node import render_table
from components.firewall.rule_table import node_rules
from tests.packets import netns

World = tuple[netns.Node, netns.Outside]

ADMIN, ADMIN6 = "198.51.100.7", "2001:db8:5::7"
OUTSIDER, OUTSIDER6 = "192.0.2.66", "2001:db8:bad::66"
IN_VPC = "10.20.3.4"
# Every rule is a run of ufw: the tests have as few as they can.
SMALL = ("104.16.0.0/13", "173.245.48.0/20", "2606:4700::/32")
SMALLEST = ("104.16.0.0/13", "2606:4700::/32")


def table_of(*cloudflare: str, **overrides: object) -> str:
    """The table of a usual cluster as the node gets it, with these ranges as Cloudflare's."""
    settings = {
        "ssh_sources": ["198.51.100.0/24"],
        "node_networks": ["10.20.0.0/20"],
        "pod_networks": [],
        **overrides,
    }
    extra: Any = settings.pop("extra", [])
    rules = node_rules(**settings)  # pyright: ignore[reportArgumentType]
    return render_table([*rules, *extra], cloudflare)


def linked() -> Iterator[World]:
    """A node and the world around it. Port 7 was opened by hand: a rule that isn't ours."""
    with netns.Node() as node, netns.Outside() as outside:
        assert isinstance(node, netns.Node)
        assert isinstance(outside, netns.Outside)
        outside.link(node)
        node.ufw("allow", "7/tcp", "comment", "opened by hand")
        yield node, outside


def made() -> Iterator[World]:
    """A node that answers on every port that matters, and the world around it."""
    for node, outside in linked():
        netns.serve(node)
        yield node, outside


def eventually(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
