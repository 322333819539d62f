"""`fleet render --diff` says what `pulumi preview` does, whatever changes in the files.

A run takes a few changes by its seed, which pytest's header names: EDGEFLEET_SEED=… repeats it.
THOROUGH=1 takes two hundred, of a fleet with more in its files.
"""

import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from ops.render.resources import Rendering
from tests.fleet.fleet import ZONE, Fleet
from tests.fleet.mutations import IMAGES, RANGES, SHARED, Files, mutated
from tests.fleet.truth import disagreement, promised, read, rendered, restore, write
from tests.projects import ROOT, git

THOROUGH = bool(os.environ.get("THOROUGH"))
AT_ONCE = 3
"""Changes in one go: each costs the engine's seconds once for every stack that it touches."""
ROUNDS = range(70 if THOROUGH else 4)

POOLS: list[dict[str, Any]] = [
    {"label": "edge", "plan": "vc2-2c-4gb", "nodes": 2},
    {"label": "batch", "plan": "vc2-2c-4gb", "nodes": 1, "serves": False, "labels": {"for": "b"}},
]
EXTRA: dict[str, Any] = {
    "port": 51820, "protocol": "udp", "sources": ["192.0.2.0/24"], "reason": "WireGuard"
}  # fmt: skip
MORE: dict[str, dict[str, Any]] = {
    "us": {
        "calico": {"force": True},
        "firewall": {"adminCidrs": ["198.51.100.0/24"], "extraRules": [EXTRA]},
        "ingress": {
            "canary": {"image": "nginx/nginx-ingress:5.6.0", "nodeSelector": {"for": "canary"}}
        },
        "networkPolicy": {"namespaces": ["default"]},
        "originHeader": "observe",
        "routing": {"countries": ["US"]},
    },
    "edge": {
        "edge": {
            "script": "edgefleet",
            "blockForeignWorkers": True,
            "zoneSettings": {"ssl": "strict"},
            "hosts": {"api.example.com": {"hedgeAfterMs": 0}},
        },
        "originHeader": "observe",
    },
}


@dataclass(frozen=True)
class Base:
    """A fleet that is up as its committed files say, and those files rendered."""

    fleet: Fleet
    files: Files
    before: dict[str, Rendering]


@pytest.fixture(scope="module")
def base(request: pytest.FixtureRequest) -> Iterator[Base]:
    fleet: Fleet = request.getfixturevalue("with_more" if THOROUGH else "running")
    (fleet.project / "page.html").write_text("<p>a page")
    yield Base(fleet, read(fleet.project), rendered(fleet.project)[0])
    (fleet.project / "page.html").unlink()


@pytest.fixture(scope="module")
def with_more(tmp_path_factory: pytest.TempPathFactory, ends_with_group: ExitStack) -> Fleet:
    """A fleet of its own, with more in its files, up."""
    fleet = Fleet.make(tmp_path_factory.mktemp("truth"))
    ends_with_group.callback(fleet.stop)
    files = read(fleet.project)
    for stack, values in MORE.items():
        files[stack] |= values
    files["us"]["cluster"]["pools"] = POOLS
    files["eu"]["cluster"]["protect"] = False
    write(fleet.project, files)
    command = [str(ROOT / ".venv/bin/fleet"), "ca", "init"]
    subprocess.run(command, cwd=fleet.project, env=fleet.environment, check=True)
    for stack, key, secret in (
        ("us", "originSecret", "0123456789abcdef" * 2),
        ("edge", "originSecret", "0123456789abcdef" * 2),
        ("edge", "statusToken", "s" * 40),
    ):
        fleet.pulumi(stack, "config", "set", "--secret", key, secret).require()
    git(fleet.project, "add", ".")
    git(fleet.project, "commit", "-q", "-m", "more")
    for ran in fleet.up("us", "eu", "edge"):
        ran.require()
    return fleet


@pytest.fixture
def fleet(base: Base) -> Iterator[Fleet]:
    """Files as they were committed, and no stack that a test made."""
    yield base.fleet
    made = [name for name in read(base.fleet.project) if name not in base.files]
    for name in made:
        base.fleet.pulumi(name, "stack", "rm", "--yes", "--preserve-config").require()
    restore(base.fleet.project)


def touched(seed: str, base: Base, files: Files, stacks: set[str]) -> list[str]:
    """The stacks to preview: those whose files changed, all where all may, and at times one of
    which nothing is expected. What isn't up has nothing to hold against."""
    new = files.keys() - base.files.keys()
    up = [name for name in ("us", "eu", "edge") if name in files]
    if stacks & {SHARED, RANGES, IMAGES}:
        return [*up, *new]
    chosen = {*stacks, random.Random(seed).choice(["edge", "edge", "us", "eu"])}
    return sorted([name for name in up if name in chosen] + list(new))


@pytest.mark.parametrize("turn", ROUNDS)
def test_the_diff_is_what_a_preview_does(fleet: Fleet, base: Base, turn: int):
    seed = f"{os.environ['EDGEFLEET_SEED']}/{turn}"
    files, changes = mutated(seed, base.files, AT_ONCE)
    write(fleet.project, files)
    promise = promised(fleet.project, base.before)
    if files.keys() - base.files.keys():
        fleet.reload()
    wrong = {
        stack: found
        for stack in touched(seed, base, files, {change.stack for change in changes})
        if (found := disagreement(fleet, stack, promise, records(fleet, stack)))
    }
    listed = "\n".join(map(str, changes))
    told = "\n".join(f"{stack}: {found}" for stack, found in wrong.items())
    assert not wrong, f"EDGEFLEET_SEED={seed.rpartition('/')[0]}, turn {turn}:\n{listed}\n{told}"


def records(fleet: Fleet, stack: str) -> int:
    """How many records of its own nodes a stack has."""
    found = fleet.cloudflare("GET", f"/zones/{ZONE}/dns_records?per_page=500")["result"]
    mark = f"edgefleet {stack} node "
    return sum((record.get("comment") or "").startswith(mark) for record in found)
