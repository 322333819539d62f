"""The pure parts of patching an object that somebody else owns."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from components.server_side.fields import body, handed_back, leaves, live, owners
from components.server_side.patch import _Provider
from components.server_side.plan import Before, before, conflict_message, mistakes, restoration
from components.server_side.rollout import rolled_out, unready

NODE = {
    "apiVersion": "apps/v1",
    "kind": "DaemonSet",
    "metadata": {"namespace": "kube-system", "name": "calico-node"},
}
TARGET = {"kind": "DaemonSet", "namespace": "kube-system", "object_name": "calico-node"}
NAMES = st.text("ABCDEF_", min_size=1, max_size=8)
ENVIRONMENTS = st.dictionaries(NAMES, st.text(max_size=5), max_size=5)
US = ("edgefleet", "Apply")


def daemonset(**containers: dict[str, Any]) -> dict[str, Any]:
    listed = [{"name": name, **fields} for name, fields in containers.items()]
    return {"metadata": {}, "spec": {"template": {"spec": {"containers": listed}}}}


def env(**values: str) -> dict[str, Any]:
    return {"containers": {"node": {"env": values}}}


def owned(obj: dict[str, Any], *entries: tuple[str, str, dict[str, Any]]) -> dict[str, Any]:
    """`obj` with managers, each by the properties of a patch that would own the same."""
    managed = []
    for manager, operation, props in entries:
        tree: dict[str, Any] = {}
        for leaf in leaves(props):
            here = tree
            for step in leaf.path:
                if isinstance(step, tuple):
                    here = here.setdefault(f'k:{{"name":"{step[1]}"}}', {".": {}, "f:name": {}})
                else:
                    here = here.setdefault(f"f:{step}", {})
        managed.append({"manager": manager, "operation": operation, "fieldsV1": tree})
    return {**obj, "metadata": {"managedFields": managed}}


def test_the_body_names_our_fields_and_nothing_else():
    wanted = {
        "containers": {"calico-node": {"env": {"B": "2", "A": "1"}, "image": "calico/node:v3"}},
        "init_containers": {"install-cni": {"image": "calico/cni:v3"}},
        "tolerations": [{"operator": "Exists"}],
        "node_selector": {"non-calico": "true"},
        "template_annotations": {"edgefleet.dev/mtu": "1450"},
    }
    container = {
        "name": "calico-node",
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        "image": "calico/node:v3",
    }
    assert body(NODE, leaves(wanted)) == {
        **NODE,
        "spec": {
            "template": {
                "metadata": {"annotations": {"edgefleet.dev/mtu": "1450"}},
                "spec": {
                    "containers": [container],
                    "initContainers": [{"name": "install-cni", "image": "calico/cni:v3"}],
                    "tolerations": [{"operator": "Exists"}],
                    "nodeSelector": {"non-calico": "true"},
                },
            }
        },
    }


def test_other_kinds_are_patched_by_their_own_tree():
    wanted = leaves({"fields": {"spec": {"vxlanMode": "Always", "mtu": 1450.0, "on": True}}})
    assert body({"kind": "IPPool"}, wanted) == {
        "kind": "IPPool",
        "spec": {"vxlanMode": "Always", "mtu": 1450, "on": True},
    }


def test_the_body_keeps_the_order_of_the_object():
    wanted = leaves({"init_containers": {name: {"image": "i"} for name in "abz"}})
    listed = [{"name": "z"}, {"name": "a"}]
    present = {"spec": {"template": {"spec": {"initContainers": listed}}}}
    made = body(NODE, wanted, present)["spec"]["template"]["spec"]["initContainers"]
    assert [item["name"] for item in made] == ["z", "a", "b"]


def test_giving_up_names_no_field():
    assert body(NODE, []) == NODE


@given(ENVIRONMENTS, ENVIRONMENTS)
def test_what_lives_is_compared_by_name_not_by_position(
    ours: dict[str, str], theirs: dict[str, str]
):
    values = [{"name": name, "value": value} for name, value in {**theirs, **ours}.items()]
    for listed in (values, values[::-1]):
        found = live(env(**ours), daemonset(other={}, node={"env": listed}))
        assert found == (env(**ours) if ours else {})


def test_drift_shows_as_it_is():
    wanted = {"containers": {"node": {"env": {"A": "1", "B": "2"}, "image": "i:1"}}}
    obj = daemonset(node={"env": [{"name": "A", "value": "9"}], "image": "i:2"})
    assert live(wanted, obj) == {"containers": {"node": {"env": {"A": "9"}, "image": "i:2"}}}
    assert live(wanted, daemonset(other={})) == {}


def test_a_variable_from_elsewhere_has_no_value_and_cannot_get_one():
    source = {"configMapKeyRef": {"name": "calico-config", "key": "veth_mtu"}}
    obj = daemonset(node={"env": [{"name": "A", "valueFrom": source}]})
    assert live(env(A="1"), obj) == env(A="")
    assert mistakes(obj, leaves(env(A="1"))) == [
        "containers.node.env.A takes its value from a configMapKeyRef (key veth_mtu, name "
        "calico-config), and a variable can't have a plain value too: set it there"
    ]


def test_a_container_that_is_not_there_is_a_mistake():
    wanted = {"init_containers": {"mount-bpffs": {"image": "i"}}, **env(A="1")}
    assert mistakes(daemonset(node={}), leaves(wanted)) == [
        "there is no 'mount-bpffs' among its initContainers: none"
    ]
    assert mistakes(daemonset(node={}), leaves(env(A="1"))) == []


def test_a_conflict_names_field_value_and_manager():
    obj = owned(
        daemonset(node={"env": [{"name": "A", "value": "0"}, {"name": "B", "value": "2"}]}),
        ("vke", "Apply", env(A="0", B="2")),
        ("kubectl-edit", "Update", env(A="0")),
    )
    assert conflict_message({**TARGET, **env(A="1", B="2")}, obj, {}, "edgefleet") == (
        "DaemonSet kube-system/calico-node: somebody else manages what this stack wants to set: "
        'containers.node.env.A is "0", set by kubectl-edit and vke; wanted is "1". Let them give '
        "it up, or take it over with `force: true`"
    )


def test_a_conflict_that_only_the_server_sees_is_told_in_its_words():
    causes = [{"field": ".spec.a", "message": 'conflict with "vke" using apps/v1'}]
    answer = {"details": {"causes": causes}}
    told = conflict_message(TARGET, {"metadata": {}}, answer, "edgefleet")
    assert '.spec.a (conflict with "vke" using apps/v1)' in told


def test_what_was_there_is_remembered_once():
    obj = owned(
        daemonset(node={"env": [{"name": "A", "value": "0"}]}), ("vke", "Apply", env(A="0"))
    )
    first = before(obj, leaves(env(A="1", B="1")), None, "edgefleet")
    at = ("containers", "node", "env", "A")
    assert (first.values, first.former) == ({at: "0"}, {at: [("vke", "Apply")]})
    assert Before.of(first.outputs()) == first
    ours = owned(daemonset(node={"env": [{"name": "A", "value": "1"}]}), (*US, env(A="1", B="1")))
    assert before(ours, leaves(env(A="2", B="1")), first, "edgefleet") == first
    lost = owned(
        daemonset(node={"env": [{"name": "A", "value": "7"}]}), ("vke", "Apply", env(A="7"))
    )
    assert before(lost, leaves(env(A="2")), first, "edgefleet").values == {at: "7"}


def test_only_what_is_ours_alone_is_set_back():
    obj = daemonset(node={"env": [{"name": n, "value": "1"} for n in "ABCD"], "image": "i:1"})
    wanted = {"containers": {"node": {"env": dict.fromkeys("ABCD", "1"), "image": "i:1"}}}
    shared = owned(obj, (*US, wanted), ("vke", "Apply", env(B="1")))
    lost = owned(obj, (*US, env(A="1", B="1", D="1")), ("vke", "Apply", env(B="1", C="1")))
    known = Before({("containers", "node", "env", n): "0" for n in "ABC"}, {})
    back = restoration(shared, leaves(wanted), known, "edgefleet")
    assert {leaf.label: leaf.value for leaf in back.fields} == {
        "containers.node.env.A": "0",
        "containers.node.env.C": "0",
        # A container can't be without one, and nothing is known of it.
        "containers.node.image": "i:1",
    }
    back = restoration(lost, leaves(wanted), known, "edgefleet")
    assert [leaf.label for leaf in back.fields] == ["containers.node.env.A"]


def test_fields_go_back_to_the_owner_they_had():
    theirs, both = env(B="1"), env(A="1", B="1")
    obj = owned(daemonset(), (*US, env(A="1")), ("vke", "Apply", theirs))
    (leaf,) = leaves(env(A="1"))
    managed = obj["metadata"]["managedFields"]
    (entry,) = handed_back(managed, "edgefleet", {leaf.path: [("vke", "Apply")]})
    assert entry["manager"] == "vke"
    after = {"metadata": {"managedFields": [entry]}}
    assert [owners(after, leaf.path) for leaf in leaves(both)] == [[("vke", "Apply")]] * 2
    assert handed_back(managed, "edgefleet", {leaf.path: [("gone", "Apply")]}) == managed[1:]


def test_an_empty_section_is_no_change():
    old = {"kubeconfig": "k", **TARGET, **env(A="1"), "force": False}
    new = {**old, "init_containers": {}}
    found = _Provider().diff("id", old, new)
    assert (found.changes, found.replaces) == (False, [])
    found = _Provider().diff("id", old, {**new, **env(A="2")})
    assert (found.changes, found.replaces) == (True, [])
    found = _Provider().diff("id", old, {**new, "object_name": "other"})
    assert found.replaces == ["object_name"]
    assert _Provider().diff("id", old, {**new, "kubeconfig": "rotated"}).changes


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
            pod("d", "False", initContainerStatuses=crashing),
            {"spec": {}, "status": {"phase": "Pending"}},
        ]
    ) == [
        "b (CrashLoopBackOff)",
        "c (ContainersNotReady)",
        "d (CrashLoopBackOff)",
        "no node (Pending)",
    ]


def test_a_rollout_ends_when_every_node_runs_the_new_pod():
    def daemon(generation: int, updated: int, available: int) -> dict[str, Any]:
        status = {
            "observedGeneration": generation,
            "desiredNumberScheduled": 3,
            "updatedNumberScheduled": updated,
            "numberAvailable": available,
        }
        return {"metadata": {"generation": 2}, "spec": {}, "status": status}

    assert rolled_out(daemon(2, 3, 3))
    assert not rolled_out(daemon(1, 3, 3))
    assert not rolled_out(daemon(2, 2, 3))
    assert not rolled_out(daemon(2, 3, 2))
    by_hand = daemon(2, 0, 3)
    by_hand["spec"] = {"updateStrategy": {"type": "OnDelete"}}
    assert rolled_out(by_hand)
    deployment = {"metadata": {"generation": 1}, "spec": {"replicas": 2}}
    status = {"observedGeneration": 1, "updatedReplicas": 2, "availableReplicas": 2}
    assert rolled_out({**deployment, "status": status})
    assert not rolled_out({**deployment, "status": {**status, "availableReplicas": 1}})
