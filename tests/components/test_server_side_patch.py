"""The pure parts of patching an object that somebody else owns."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from components.server_side_patch import apply_body, conflict_message, live_containers, unready

TARGET = {"kind": "DaemonSet", "namespace": "kube-system", "object_name": "calico-node"}
NAMES = st.text("ABCDEF_", min_size=1, max_size=8)
ENVIRONMENTS = st.dictionaries(NAMES, st.text(max_size=5), max_size=5)


def daemonset(**containers: dict[str, Any]) -> dict[str, Any]:
    listed = [{"name": name, **fields} for name, fields in containers.items()]
    return {"spec": {"template": {"spec": {"containers": listed}}}}


def test_the_body_names_our_fields_and_nothing_else():
    wanted = {"calico-node": {"env": {"B": "2", "A": "1"}, "image": "calico/node:v3"}}
    assert apply_body(TARGET, wanted) == {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"namespace": "kube-system", "name": "calico-node"},
        "spec": {
            "template": {
                "spec": {
                    "containers": [
                        {
                            "name": "calico-node",
                            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                            "image": "calico/node:v3",
                        }
                    ]
                }
            }
        },
    }


def test_giving_up_names_no_field():
    assert "spec" not in apply_body(TARGET, {})


@given(ENVIRONMENTS, ENVIRONMENTS)
def test_what_lives_is_compared_by_name_not_by_position(
    ours: dict[str, str], theirs: dict[str, str]
):
    live = {**theirs, **ours}
    env = [{"name": name, "value": value} for name, value in live.items()]
    obj = daemonset(other={}, node={"env": env})
    assert live_containers(obj, {"node": {"env": ours}}) == {"node": {"env": ours}}
    obj = daemonset(other={}, node={"env": env[::-1]})
    assert live_containers(obj, {"node": {"env": ours}}) == {"node": {"env": ours}}


def test_drift_shows_as_it_is():
    wanted = {"node": {"env": {"A": "1", "B": "2"}, "image": "i:1"}}
    obj = daemonset(node={"env": [{"name": "A", "value": "9"}], "image": "i:2"})
    assert live_containers(obj, wanted) == {"node": {"env": {"A": "9"}, "image": "i:2"}}
    assert live_containers(daemonset(other={}), wanted) == {}


def test_a_variable_from_elsewhere_has_no_value():
    obj = daemonset(node={"env": [{"name": "A", "valueFrom": {"fieldRef": {}}}]})
    assert live_containers(obj, {"node": {"env": {"A": "1"}}}) == {"node": {"env": {"A": ""}}}


def test_a_conflict_names_field_and_manager():
    answer = {
        "message": "Apply failed with 1 conflict",
        "details": {
            "causes": [{"field": ".spec.a", "message": 'conflict with "vke" using apps/v1'}]
        },
    }
    assert conflict_message("DaemonSet kube-system/calico-node", answer) == (
        "DaemonSet kube-system/calico-node: somebody else manages what this stack wants to set: "
        '.spec.a (conflict with "vke" using apps/v1). Let them give it up, or take it over with '
        "`force: true`."
    )


def test_nodes_that_are_not_ready_are_named_with_the_reason():
    def pod(node: str, ready: str, **status: Any) -> dict[str, Any]:
        conditions = [{"type": "Ready", "status": ready, "reason": "ContainersNotReady"}]
        return {"spec": {"nodeName": node}, "status": {"conditions": conditions, **status}}

    crashing = [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]
    assert unready(
        [
            pod("a", "True"),
            pod("b", "False", containerStatuses=crashing),
            pod("c", "False"),
            {"spec": {}, "status": {"phase": "Pending"}},
        ]
    ) == ["b (CrashLoopBackOff)", "c (ContainersNotReady)", "no node (Pending)"]
