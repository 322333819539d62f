"""Changes that are refused before anything is registered."""

from pathlib import Path
from typing import Any

import pytest

from infra.state.checkpoint import StackState
from infra.state.region_refusals import region_refusals
from infra.state.resource_types import CALICO, CLUSTER, DAEMON_SET, POOL, VPC
from tests.projects import CLUSTER as WANTED
from tests.projects import copy_project, region, region_stack, write_stack

MADE = {
    "label": "edgefleet-us",
    "region": "ewr",
    "haControlplanes": False,
    "nodePools": {"label": "edge", "plan": "vc2-2c-4gb", "nodes": [{}, {}, {}]},
}


def state(**resources: tuple[str, dict[str, Any]]) -> StackState:
    return StackState(
        {
            f"urn:pulumi:us::edgefleet::edgefleet:index:VkeCluster${kind}::{name}": outputs
            for name, (kind, outputs) in resources.items()
        }
    )


def refused(tmp_path: Path, made: StackState, **changes: Any) -> list[str]:
    project = copy_project(tmp_path)
    write_stack(project, "us", region(**changes))
    return list(region_refusals(region_stack(project), made))


WITH_CLUSTER = state(**{"us-cluster": (CLUSTER, MADE)})


def test_nothing_is_refused_while_nothing_is_made(tmp_path: Path):
    assert refused(tmp_path, StackState({}), location="ord") == []


def test_nothing_is_refused_when_nothing_changes(tmp_path: Path):
    assert refused(tmp_path, WITH_CLUSTER) == []


@pytest.mark.parametrize(
    ("key", "value", "change"),
    [("location", "ord", "'ewr' → 'ord'"), ("highAvailability", True, "False → True")],
)
def test_replacing_the_cluster_needs_consent_by_name(
    tmp_path: Path, key: str, value: Any, change: str
):
    (sentence,) = refused(tmp_path, WITH_CLUSTER, **{key: value})
    assert sentence == (
        f"Pulumi.us.yaml: edgefleet:cluster.{key}: {change} would delete cluster edgefleet-us with "
        "its 3 nodes and everything in it, and make another. Put it back, or make a new cluster "
        "beside it (a new stack file with the same region). If you mean it: "
        f"`replace: [{key}]` and `protect: false`"
    )
    assert refused(tmp_path, WITH_CLUSTER, **{key: value}, replace=[key]) == []
    other = ({"location", "highAvailability"} - {key}).pop()
    assert refused(tmp_path, WITH_CLUSTER, **{key: value}, replace=[other]) != []


def test_a_plan_that_vultr_would_ignore(tmp_path: Path):
    pools = [{**WANTED["pools"][0], "plan": "vc2-4c-8gb"}]
    (sentence,) = refused(tmp_path, WITH_CLUSTER, pools=pools)
    assert sentence == (
        "Pulumi.us.yaml: edgefleet:cluster.pools[0].plan: 'vc2-2c-4gb' → 'vc2-4c-8gb': Vultr "
        "ignores a new plan for a pool that exists. Add a pool with another label and plan "
        "'vc2-4c-8gb', `pulumi up`, then shrink 'edge' to `nodes: 1`: the pool that a cluster was "
        "made with stays (docs/operations.md)"
    )


def test_a_label_that_vultr_would_ignore(tmp_path: Path):
    pools = [{**WANTED["pools"][0], "label": "web"}]
    (sentence,) = refused(tmp_path, WITH_CLUSTER, pools=pools)
    assert "pools[0].label: 'edge' → 'web'" in sentence


def test_a_further_pools_plan(tmp_path: Path):
    made = state(
        **{"us-cluster": (CLUSTER, MADE), "us-pool-big": (POOL, {"label": "big", "plan": "a"})}
    )
    pools = [*WANTED["pools"], {"label": "big", "plan": "b", "nodes": 1}]
    (sentence,) = refused(tmp_path, made, pools=pools)
    assert "pools[1].plan: 'a' → 'b'" in sentence
    assert "take 'big' out of the file: `pulumi up` drains its nodes first" in sentence
    pools[1]["plan"] = "a"
    assert refused(tmp_path, made, pools=pools) == []


def test_a_cluster_keeps_its_vpc(tmp_path: Path):
    (sentence,) = refused(tmp_path, WITH_CLUSTER, vpc={"cidr": "10.20.0.0/20"})
    assert "cluster.vpc: none → 10.20.0.0/20: a cluster keeps the VPC" in sentence
    made = state(
        **{
            "us-cluster": (CLUSTER, MADE),
            "us-vpc": (VPC, {"v4Subnet": "10.20.0.0", "v4SubnetMask": 20}),
        }
    )
    assert refused(tmp_path, made, vpc={"cidr": "10.20.0.0/20"}) == []
    assert refused(tmp_path, made) != []


@pytest.mark.parametrize(
    ("mode", "firewall", "refused"),
    [
        ("enforce", {"hostProtection": "calico"}, True),
        ("enforce", {"hostProtection": "calico", "node": "remove"}, False),
        ("enforce", {"hostProtection": "both"}, False),
        ("enforce", {"hostProtection": "calico", "node": "off"}, True),
        ("enforce", {"node": "off"}, True),
        ("remove", {"node": "off"}, False),
        ("observe", {"node": "off"}, False),
        ("enforce", {"node": "observe"}, False),
        ("enforce", {}, False),
        ("remove", {"hostProtection": "calico"}, False),
        ("observe", {"hostProtection": "calico"}, False),
    ],
)
def test_rules_of_ufw_are_not_left_behind(
    tmp_path: Path, mode: str, firewall: dict[str, str], refused: bool
):
    spec = {"template": {"spec": {"containers": [{"args": [mode, "60"]}]}}}
    made = state(
        **{
            "us-cluster": (CLUSTER, MADE),
            "us-node-firewall-daemon-set": (DAEMON_SET, {"spec": spec}),
        }
    )
    project = copy_project(tmp_path)
    write_stack(project, "us", {**region(), "firewall": firewall})
    told = list(region_refusals(region_stack(project), made))
    if not refused:
        assert told == []
        return
    (sentence,) = told
    if "node" in firewall:
        assert sentence.startswith("Pulumi.us.yaml: edgefleet:firewall.node: 'off': ")
        assert "Say `node: remove` first" in sentence
        return
    assert sentence.startswith("Pulumi.us.yaml: edgefleet:firewall.hostProtection: 'calico': ")
    assert "say `node: remove` beside hostProtection: calico" in sentence


@pytest.mark.parametrize(
    ("had", "wants", "change"),
    [
        ([], [{"key": "gpu", "effect": "NoSchedule"}], "none → gpu=:NoSchedule"),
        ([{"key": "gpu", "value": "a", "effect": "NoExecute"}], [], "gpu=a:NoExecute → none"),
    ],
)
def test_taints_that_vultr_would_not_take_away(
    tmp_path: Path, had: list[Any], wants: list[Any], change: str
):
    made = {**MADE, "nodePools": {**MADE["nodePools"], "taints": had}}
    pools = [{**WANTED["pools"][0], "taints": wants}]
    (sentence,) = refused(tmp_path, state(**{"us-cluster": (CLUSTER, made)}), pools=pools)
    assert sentence.startswith(
        f"Pulumi.us.yaml: edgefleet:cluster.pools[0].taints: {change}: a pool"
    )
    further = {**WANTED["pools"][0], "label": "batch", "taints": wants}
    known = {"label": "batch", "plan": further["plan"], "taints": had}
    both = {"us-cluster": (CLUSTER, MADE), "us-pool-batch": (POOL, known)}
    pools = [WANTED["pools"][0], further]
    (sentence,) = refused(tmp_path / "b", state(**both), pools=pools)
    assert sentence.startswith(
        f"Pulumi.us.yaml: edgefleet:cluster.pools[1].taints: {change}: a pool"
    )


def test_taints_as_they_were_made(tmp_path: Path):
    taint = {"key": "gpu", "value": "a", "effect": "NoExecute"}
    made = {**MADE, "nodePools": {**MADE["nodePools"], "taints": [taint]}}
    pools = [{**WANTED["pools"][0], "taints": [taint]}]
    assert refused(tmp_path, state(**{"us-cluster": (CLUSTER, made)}), pools=pools) == []


def test_a_control_plane_of_several_stays(tmp_path: Path):
    made = state(**{"us-cluster": (CLUSTER, {**MADE, "haControlplanes": True})})
    assert refused(tmp_path / "a", made, highAvailability=True) == []
    (sentence,) = refused(tmp_path / "b", made)
    assert "edgefleet:cluster.highAvailability: True → False would delete" in sentence


def with_calico(version: str) -> StackState:
    images = (
        {"calico-node": f"registry.example.com:5000/calico/node:{version}@sha256:{'0' * 64}"}
        if version
        else {}
    )
    outputs = {f"urn:pulumi:us::edgefleet::{CALICO}::us-calico": {"expected": {"images": images}}}
    return StackState({**WITH_CLUSTER.outputs, **outputs})


def calico_change(tmp_path: Path, old: str, calico: dict[str, Any], **more: Any) -> list[str]:
    project = copy_project(tmp_path)
    write_stack(project, "us", {**region(), "calico": calico, **more})
    return list(region_refusals(region_stack(project), with_calico(old)))


def test_a_state_without_calico(tmp_path: Path):
    project = copy_project(tmp_path)
    write_stack(project, "us", {**region(), "calico": {"version": "v3.31.0"}})
    assert list(region_refusals(region_stack(project), WITH_CLUSTER)) == []


@pytest.mark.parametrize(
    ("old", "new"), [("v3.30.3", "v3.31.0"), ("v3.29.1", "v3.32.1"), ("v3.31.3", "v3.30.7")]
)
def test_two_calicos_that_do_not_get_on_meet_in_a_drained_region_only(
    tmp_path: Path, old: str, new: str
):
    (sentence,) = calico_change(tmp_path / "a", old, {"version": new})
    assert sentence.startswith(
        f"Pulumi.us.yaml: edgefleet:calico.version: '{old}' → '{new}': while"
    )
    assert "projectcalico/calico#11910" in sentence
    assert "`pulumi config set drain true -s us`" in sentence
    assert calico_change(tmp_path / "b", old, {"version": new}, drain=True) == []
    assert calico_change(tmp_path / "c", old, {"version": new, "encapsulation": "none"}) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [("v3.31.0", "v3.32.1"), ("v3.29.1", "v3.30.7"), ("", "v3.32.1"), ("v3.30.3", None)],
)
def test_other_versions_may_follow_each_other(tmp_path: Path, old: str, new: str | None):
    assert calico_change(tmp_path, old, {"version": new} if new else {}) == []
