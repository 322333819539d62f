"""Whom a look asks where a region has clusters that Vultr didn't make."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.cluster.existing import ClusterSeen
from components.errors import NoCredential
from components.server_side.api import Unreachable
from infra.fleet.reading import load
from ops.expected import RegionExpected, chosen
from ops.live import given, looking
from ops.live.asking import Unasked, known
from ops.live.facts import GivenFacts
from ops.live.looking import look
from ops.live.seen import RegionSeen, Wanted
from tests.ops.live import healthy
from tests.projects import copy_project, write_stack

ADDRESSES = {f"m{n}": {"ipv4": f"45.76.200.{n}", "ipv6": f"2001:19f0:ff::{n}"} for n in (1, 2)}
OFFLINE = Wanted(outside=False, edge=False, state=False)
READY = {"conditions": [{"type": "Ready", "status": "True"}]}
NODES = [{"metadata": {"name": name}, "status": READY} for name in ADDRESSES]
OUTPUTS = {"clusterId": "uid-1", "kubeconfig": "of the last up"}


@pytest.fixture
def metal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RegionExpected:
    """Alone in its region, with a kubeconfig; and nobody asks Vultr."""
    key = tmp_path / "key"
    key.write_text("the key")
    project = copy_project(tmp_path / "project")
    said = {"kubeconfig": str(key), "addresses": ADDRESSES}
    write_stack(
        project,
        "fra",
        {
            "region": "fra",
            "coordinates": {"latitude": 50, "longitude": 8},
            "cluster": {"existing": said},
            "firewall": {"adminCidrs": ["198.51.100.0/24"], "nodeNetworks": ["10.9.0.0/16"]},
        },
    )
    ((found,), _) = chosen(load(project), ["fra"])

    def nobody() -> Any:
        raise AssertionError("nobody asks Vultr")

    def no_credential() -> Any:
        raise NoCredential("no token")

    monkeypatch.setattr(looking, "vultr_api", nobody)
    monkeypatch.setattr(looking, "cloudflare_api", no_credential)
    monkeypatch.setattr(looking, "read_outputs", lambda *_: OUTPUTS)
    return found


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], ClusterSeen]], None]:
    """Answers as a cluster does; its facts are those of a healthy one."""
    facts = known(healthy.metal().cluster)

    def answers(ask: Callable[[], ClusterSeen]) -> None:
        def seen(kubeconfig: str) -> ClusterSeen:
            assert kubeconfig == "the key"
            return ask()

        monkeypatch.setattr(given, "ask_api_server", seen)
        monkeypatch.setattr(looking, "read_cluster", lambda *_, **__: facts)

    return answers


def looked(region: RegionExpected, wanted: Wanted = OFFLINE) -> RegionSeen:
    (seen,) = look(Path(), [region], [], wanted).regions
    return seen


def test_the_file_that_the_stack_file_names_opens_it(metal: RegionExpected, cluster: Any):
    cluster(lambda: ClusterSeen("uid-1", "v1.36.2", NODES))
    for wanted in (OFFLINE, replace(OFFLINE, outputs=False)):
        seen = looked(metal, wanted)
        assert seen.vultr is None
        assert isinstance(seen.given, GivenFacts)
        assert not seen.given.other
        assert seen.addresses == seen.due == {a for n in ADDRESSES.values() for a in n.values()}
        assert not isinstance(seen.cluster, Unasked)


@pytest.mark.parametrize(
    ("found", "cause"),
    [
        (ClusterSeen("uid-2", "v1.36.2", NODES), "opens another cluster (uid-2, by the UID of"),
        (Unreachable("the API server does not answer"), "the API server does not answer"),
    ],
)
def test_what_is_not_its_own_is_not_looked_at(
    metal: RegionExpected, cluster: Any, found: Any, cause: str
):
    def answer() -> ClusterSeen:
        if isinstance(found, Exception):
            raise found
        return found

    cluster(answer)
    seen = looked(metal)
    assert isinstance(seen.cluster, Unasked)
    assert cause in seen.cluster.cause
    assert (seen.addresses, seen.due) == (None, None)
    assert seen.unlisted.startswith("fra: ")


def test_a_cluster_of_no_state_yet_is_looked_at(
    metal: RegionExpected, cluster: Any, monkeypatch: pytest.MonkeyPatch
):
    def no_outputs(*_: object) -> Mapping[str, Any]:
        return {}

    monkeypatch.setattr(looking, "read_outputs", no_outputs)
    cluster(lambda: ClusterSeen("uid-2", "v1.36.2", NODES))
    assert not isinstance(looked(metal).cluster, Unasked)


def test_nodes_that_are_apart_or_down_have_addresses_and_are_due_none(
    metal: RegionExpected, cluster: Any
):
    down = {"metadata": {"name": "m1"}, "status": {}}
    cluster(lambda: ClusterSeen("uid-1", "v1.36.2", [down, NODES[1]]))
    seen = looked(metal)
    assert seen.addresses
    assert len(seen.addresses) == 4
    assert seen.due == {*ADDRESSES["m2"].values()}


def test_a_mistyped_address_is_told(metal: RegionExpected, cluster: Any):
    cluster(lambda: ClusterSeen("uid-1", "v1.36.2", NODES[:1]))
    seen = looked(metal)
    assert isinstance(seen.given, GivenFacts)
    assert seen.given.mistake == "m2: the cluster has no such node; it has m1"
    assert seen.addresses is None
