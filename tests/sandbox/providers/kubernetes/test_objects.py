"""The rules of the emulated kubernetes provider that need no cluster."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.providers.base.diff import ADD, DELETE, UPDATE
from sandbox.providers.base.values import UNKNOWN
from sandbox.providers.kubernetes.apply import field_manager, take_over
from sandbox.providers.kubernetes.awaiting import (
    daemon_set,
    deployment,
    job,
    pod_problem,
    stateful_set,
)
from sandbox.providers.kubernetes.diff import compare, force_new, prune, restore_empty
from sandbox.providers.kubernetes.objects import assign_name, normalize, parse_id, to_kubernetes
from sandbox.providers.kubernetes.types import known_cluster_scoped, parse_type

Json = dict[str, Any]

json_values = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)
objects = st.dictionaries(st.text(max_size=3), json_values, max_size=4)


@given(objects)
def test_an_object_is_its_own_shape(obj: Json):
    assert prune(obj, obj) == obj
    assert compare(obj, obj, []).changes == {}


@given(objects, objects)
def test_equal_means_no_change_and_unequal_a_change(one: Json, other: Json):
    same = repr(one) == repr(other) or (one == other and _bools(one) == _bools(other))
    assert (compare(one, other, []).changes == {}) == same


def _bools(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _bools(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_bools(item) for item in value]
    return isinstance(value, bool)


@given(objects)
def test_empty_values_that_the_server_drops_come_back(inputs: Json):
    live = {key: value for key, value in inputs.items() if value not in (False, 0, "", [], {})}
    assert compare(restore_empty(prune(live, inputs), inputs), inputs, []).changes == {}


def test_lists_are_pruned_by_position():
    live = {"env": [{"name": "DATASTORE_TYPE", "value": "k"}, {"name": "FELIX", "value": "1"}]}
    inputs = {"env": [{"name": "FELIX", "value": "1"}]}
    old = prune(live, inputs)
    assert old == {"env": [{"name": "DATASTORE_TYPE", "value": "k"}]}
    assert compare(old, inputs, []).changes == {"env[0].name": UPDATE, "env[0].value": UPDATE}


def test_changes_name_their_path_and_kind():
    old = {"a": 1, "gone": 1, "labels": {"x.io/y": "1"}, "list": [1, 2]}
    new = {"a": 2, "labels": {"x.io/y": "2", "z": "1"}, "list": [1]}
    assert compare(old, new, []).changes == {
        "a": UPDATE,
        "gone": DELETE,
        'labels["x.io/y"]': UPDATE,
        "labels.z": ADD,
        "list[1]": DELETE,
    }


def test_an_unknown_value_is_a_change():
    assert compare({"a": 1}, {"a": UNKNOWN, "b": UNKNOWN}, []).changes == {"a": UPDATE, "b": ADD}


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [("1", "1000m", True), ("1Gi", "1024Mi", True), ("1", 1, True), ("1", "2", False)],
)
def test_resource_amounts_are_compared_as_amounts(old: Any, new: Any, same: bool):
    changes = compare({"limits": {"cpu": old}}, {"limits": {"cpu": new}}, []).changes
    assert (changes == {}) == same
    assert compare({"data": {"cpu": "1"}}, {"data": {"cpu": "1000m"}}, []).changes


@pytest.mark.parametrize(
    ("api_version", "kind", "old", "new", "replaced"),
    [
        ("v1", "ConfigMap", {"data": {"a": "1"}}, {"data": {"a": "2"}}, {"data.a"}),
        ("v1", "Secret", {"data": {"a": "1"}}, {}, {"data"}),
        ("apps/v1", "DaemonSet", {"spec": {"selector": {"a": 1}}}, {"spec": {}}, {"spec.selector"}),
        ("apps/v1", "DaemonSet", {"spec": {"template": 1}}, {"spec": {"template": 2}}, set()),
        ("rbac.authorization.k8s.io/v1", "RoleBinding", {"roleRef": {"name": "a"}},
         {"roleRef": {"name": "b"}}, {"roleRef.name"}),
        ("v1", "Pod", {"spec": {"containers": [{"image": "a"}]}},
         {"spec": {"containers": [{"image": "b"}]}}, {"spec.containers[0].image"}),
        ("v1", "Node", {"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}, {"metadata.name"}),
        ("v1", "Node", {"metadata": {"labels": {"name": "a"}}},
         {"metadata": {"labels": {"name": "b"}}}, set()),
    ],
)  # fmt: skip
def test_what_replaces(api_version: str, kind: str, old: Json, new: Json, replaced: set[str]):
    rules = force_new({"apiVersion": api_version, "kind": kind})
    assert compare(old, new, rules).replaces == replaced


def test_immutable_config_maps_replace_even_where_others_are_updated():
    config_map = {"apiVersion": "v1", "kind": "ConfigMap"}
    assert ".data" not in force_new(config_map, mutable_config_maps=True)
    assert ".data" in force_new({**config_map, "immutable": True}, mutable_config_maps=True)


@pytest.mark.parametrize(
    ("token", "kind", "expected"),
    [
        ("kubernetes:core/v1:ConfigMap", None, ("v1", "ConfigMap", False)),
        ("kubernetes:apps/v1:DaemonSetPatch", "DaemonSet", ("apps/v1", "DaemonSet", True)),
        ("kubernetes:a.io/v1:ThingPatch", "ThingPatch", ("a.io/v1", "ThingPatch", False)),
    ],
)
def test_types_are_taken_apart(token: str, kind: str | None, expected: tuple[str, str, bool]):
    found = parse_type(token, kind)
    assert (found.api_version, found.kind, found.patch) == expected


def test_a_token_without_version_is_refused():
    with pytest.raises(ValueError, match="isn't a resource type"):
        parse_type("kubernetes:core:ConfigMap")


def test_known_scopes():
    assert known_cluster_scoped("rbac.authorization.k8s.io/v1", "ClusterRole")
    assert known_cluster_scoped("v1", "Namespace")
    assert not known_cluster_scoped("apps/v1", "DaemonSet")
    assert not known_cluster_scoped("example.com/v1", "Node")


def test_a_secret_has_one_form():
    plain = {"apiVersion": "v1", "kind": "Secret", "stringData": {"a": "x"}, "data": {"b": "eQ=="}}
    before = copy.deepcopy(plain)
    assert normalize(plain) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "data": {"a": "eA==", "b": "eQ=="},
    }
    assert plain == before
    assert normalize({**plain, "stringData": {"a": UNKNOWN}})["stringData"] == {"a": UNKNOWN}


def test_schema_keywords_are_spelled_for_kubernetes():
    assert to_kubernetes({"s": [{"x_kubernetes_list_type": "map", "x_y": 1}]}) == {
        "s": [{"x-kubernetes-list-type": "map", "x_y": 1}]
    }


def test_names_are_kept_or_made():
    named: Json = {"metadata": {"name": "a"}}
    assign_name(named, "res", {})
    assert named == {"metadata": {"name": "a"}}
    made: Json = {"metadata": {}}
    assign_name(made, "res", {})
    again: Json = {"metadata": {}}
    assign_name(again, "res", made)
    assert again == made
    unknown: Json = {"metadata": {"name": UNKNOWN}}
    assign_name(unknown, "res", {})
    assert unknown["metadata"]["name"] is UNKNOWN


def test_ids():
    assert parse_id("ns/name") == ("ns", "name")
    assert parse_id("name") == ("", "name")


def test_the_field_manager_is_the_annotations_the_states_or_new():
    annotated = {"metadata": {"annotations": {"pulumi.com/patchFieldManager": "mine"}}}
    assert field_manager(annotated, {"__fieldManager": "old"}) == "mine"
    assert field_manager({}, {"__fieldManager": "old"}) == "old"
    assert field_manager({}, {}) != field_manager({}, {})


def test_an_update_takes_over_what_was_written_client_side():
    ours = {"manager": "p-1", "operation": "Apply", "fieldsV1": {"f:data": {"f:a": {}}}}
    kubectl = {
        "manager": "kubectl-edit",
        "operation": "Update",
        "fieldsV1": {"f:data": {"f:b": {}}},
    }
    status = {**kubectl, "subresource": "status"}
    other = {"manager": "vke", "operation": "Apply", "fieldsV1": {"f:data": {"f:c": {}}}}
    assert take_over([ours, kubectl, status, other], "p-1") == [
        status,
        other,
        {**ours, "fieldsV1": {"f:data": {"f:a": {}, "f:b": {}}}},
    ]
    assert take_over([ours, other], "p-1") is None


def workload(kind: str, status: Json, generation: int = 2, **spec: Any) -> Json:
    meta = {"name": "x", "generation": generation}
    return {"kind": kind, "metadata": meta, "spec": spec, "status": status}


def counts(desired: int, current: int, updated: int, available: int, ready: int) -> Json:
    return {
        "observedGeneration": 2,
        "desiredNumberScheduled": desired,
        "currentNumberScheduled": current,
        "updatedNumberScheduled": updated,
        "numberAvailable": available,
        "numberReady": ready,
    }


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ({}, "DaemonSet generation is 2, but latest observed generation is -1"),
        (
            {"observedGeneration": 1},
            "DaemonSet generation is 2, but latest observed generation is 1",
        ),
        ({"observedGeneration": 2}, "Missing .status.desiredNumberScheduled"),
        (counts(3, 2, 2, 2, 2), "Current: 2/3"),
        (counts(3, 3, 1, 3, 3), "Updated: 1/3"),
        (counts(3, 3, 3, 2, 3), "Available: 2/3"),
        (counts(3, 3, 3, 3, 2), "Ready: 2/3"),
    ],
)
def test_a_daemon_set_in_progress(status: Json, message: str):
    assert daemon_set(workload("DaemonSet", status)).message == message
    assert not daemon_set(workload("DaemonSet", status)).ready


@pytest.mark.parametrize("nodes", [0, 3])
def test_a_daemon_set_is_ready_when_all_its_pods_are(nodes: int):
    assert daemon_set(workload("DaemonSet", counts(nodes, nodes, nodes, nodes, nodes))).ready


def conditions(**states: tuple[str, str]) -> list[Json]:
    return [{"type": k, "status": s, "reason": r, "message": r} for k, (s, r) in states.items()]


def test_a_deployment_is_ready_when_rolled_out_and_available():
    rolled = {
        "observedGeneration": 2,
        "updatedReplicas": 2,
        "conditions": conditions(
            Progressing=("True", "NewReplicaSetAvailable"), Available=("True", "")
        ),
    }
    assert deployment(workload("Deployment", rolled, replicas=2)).ready
    assert not deployment(workload("Deployment", rolled, replicas=3)).ready
    rolling = {**rolled, "conditions": conditions(Progressing=("True", "ReplicaSetUpdated"))}
    assert not deployment(workload("Deployment", rolling, replicas=2)).ready
    unavailable = {
        **rolled,
        "conditions": conditions(
            Progressing=("True", "NewReplicaSetAvailable"), Available=("False", "")
        ),
    }
    assert not deployment(workload("Deployment", unavailable, replicas=2)).ready
    stuck = {**rolled, "conditions": conditions(Progressing=("False", "ProgressDeadlineExceeded"))}
    assert "ProgressDeadlineExceeded" in deployment(workload("Deployment", stuck)).message


def test_a_stateful_set_is_ready_when_every_pod_has_the_new_revision():
    status = {"observedGeneration": 2, "currentRevision": "b", "updateRevision": "b"}
    assert stateful_set(workload("StatefulSet", {**status, "readyReplicas": 3}, replicas=3)).ready
    assert not stateful_set(
        workload("StatefulSet", {**status, "readyReplicas": 2}, replicas=3)
    ).ready
    old = {**status, "currentRevision": "a", "readyReplicas": 3}
    assert not stateful_set(workload("StatefulSet", old, replicas=3)).ready


def test_a_job_is_ready_when_complete():
    assert job({"status": {"conditions": conditions(Complete=("True", ""))}}).ready
    assert not job({"status": {}}).ready
    assert (
        "Deadline"
        in job({"status": {"conditions": conditions(Failed=("True", "Deadline"))}}).message
    )


def test_a_pod_says_what_keeps_it():
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    status = {"containerStatuses": [{"name": "main", "state": waiting}]}
    assert pod_problem({"status": status}) == "container 'main': [ImagePullBackOff] no such image"
    unscheduled = conditions(PodScheduled=("False", "0/3 nodes are available"))
    assert pod_problem({"status": {"conditions": unscheduled}}) == "0/3 nodes are available"
    assert pod_problem({"status": {"conditions": conditions(Ready=("True", ""))}}) == ""
    assert pod_problem({"status": {"phase": "Pending"}}) == "phase Pending, not ready"
