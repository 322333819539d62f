"""The field report, with a real felix: a node's requests to services hang, and what it takes.

Two nodes, VXLAN, the service's pod on the other node, no kube-proxy. `make test THOROUGH=1`
has each of the five variables alone and left out: docs/dataplane.md has the table.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.dataplane.felix_words import fell_back
from tests.felix import field_report
from tests.felix.field_report import BASELINE, VARIANTS, seen
from tests.felix.world import Pod, World, until

THOROUGH = bool(os.environ.get("THOROUGH"))
EVERYBODY = [True] * 5
# Without felix in eBPF nobody serves services; with it, in whatever variant, everybody is served.
MEASURED = {
    name: [environment.get("FELIX_BPFENABLED") == "true"] * 5
    for name, environment in VARIANTS.items()
}


@pytest.fixture(scope="module")
def client(world: World) -> Pod:
    return field_report.furnish(world)[1]


@pytest.fixture
def fallen_back(world: World, tmp_path: Path) -> Iterator[None]:
    field_report.start_fallen_back(world, BASELINE, tmp_path)
    yield
    field_report.give_kernel_back(world)


def told(world: World) -> set[tuple[bool | None, ...]]:
    """What each node's felix says by log, metrics and readiness: whether it gave eBPF up."""
    every = [host.felix for host in world.nodes]
    return {
        (
            fell_back(log=felix.log),
            fell_back(metrics=felix.metrics()),
            fell_back(readiness=felix.readiness()),
        )
        for felix in every
    }


def test_fallen_back_silently_it_hangs(world: World, client: Pod, fallen_back: None) -> None:
    """felix says that it is ready, and nobody serves the service; its pod itself is reached."""
    one = world.nodes[0]
    assert one.felix.ready()
    pod = world.nodes[1].pods.replace("0/24", "10")
    assert one.curl(f"http://{pod}/", 10) == (0, f"web {one.tunnel}")
    assert one.curl(f"http://{field_report.SERVICE}/")[0] == field_report.TIMED_OUT
    assert seen(world, client).row() == [False] * 5
    assert told(world) == {(True, True, True)}


def test_the_baseline_serves_everybody(world: World, client: Pod) -> None:
    """Also where a kube-proxy was stopped whose rules lead nowhere: felix removes them."""
    for host in world.nodes:
        field_report.leave_rules(host)
    world.start(BASELINE)
    for host in world.nodes:
        until(lambda host=host: not field_report.rules_left(host), "kube-proxy's rules go")
    answers = seen(world, client)
    assert answers.row() == EVERYBODY
    assert (answers.node, answers.pod) == (world.nodes[0].tunnel, client.addresses[0])
    assert told(world) == {(None, False, False)}


@pytest.mark.parametrize("variant", list(VARIANTS) if THOROUGH else ["none"])
def test_each_variable_alone_and_left_out(world: World, client: Pod, variant: str) -> None:
    world.start(VARIANTS[variant])
    assert seen(world, client).row() == MEASURED[variant]
