"""Objects of our own: the emulated kubernetes provider on a real API server."""

import copy
import threading
from collections.abc import Callable
from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2 as pb

from sandbox.providers.base.values import UNKNOWN, Secret, has_secret, reveal
from sandbox.providers.kubernetes.client import ApiError, Cluster
from tests.kubernetes_harness import CONFIG_MAP, Engine, Failed, config_map, named

pytest_plugins = ("tests.kubernetes_harness",)


# Objects of our own.


def test_an_object_is_created_and_settles(engine: Engine, cluster: Cluster, namespace: str):
    resource = engine.resource(CONFIG_MAP, "cm")
    state = resource.create(config_map(namespace, a="1"))
    assert resource.id == f"{namespace}/cm"
    assert state["metadata"]["uid"]
    assert state["__fieldManager"].startswith("pulumi-kubernetes-")
    assert resource.changes(config_map(namespace, a="1")) == {}
    assert resource.refresh()
    assert resource.changes(config_map(namespace, a="1")) == {}
    assert cluster.get(named("v1", "ConfigMap", "cm", namespace))["data"] == {"a": "1"}


def test_creating_what_exists_fails(engine: Engine, cluster: Cluster, namespace: str):
    cluster.create(config_map(namespace, a="0"), "someone")
    resource = engine.resource(CONFIG_MAP, "cm")
    with pytest.raises(Failed, match='configmaps "cm" already exists') as failure:
        resource.create(config_map(namespace, a="1"))
    assert "was not successfully created by the Kubernetes API server" in str(failure.value)
    assert failure.value.state is None
    assert cluster.get(named("v1", "ConfigMap", "cm", namespace))["data"] == {"a": "0"}


def test_a_preview_of_creating_what_exists_passes(engine: Engine, cluster: Cluster, namespace: str):
    cluster.create(config_map(namespace, a="0"), "someone")
    resource = engine.resource(CONFIG_MAP, "cm")
    assert resource.create(config_map(namespace, a="1"), preview=True)["data"] == {"a": "1"}


def test_upsert_takes_what_exists(connect: Callable[..., Engine], cluster: Cluster, namespace: str):
    cluster.create(config_map(namespace, b="0"), "someone")
    resource = connect(upsertExistingObjects="true").resource(CONFIG_MAP, "cm")
    assert resource.create(config_map(namespace, a="1"))["data"] == {"a": "1", "b": "0"}


def test_a_config_map_with_other_data_is_replaced(engine: Engine, namespace: str):
    resource = engine.resource(CONFIG_MAP, "cm")
    resource.create(config_map(namespace, a="1"))
    diff = resource.diff(config_map(namespace, a="2"))
    assert diff.deleteBeforeReplace
    assert resource.changes(config_map(namespace, a="2")) == {"data.a": "UPDATE_REPLACE"}


def test_mutable_config_maps_are_updated(
    connect: Callable[..., Engine], cluster: Cluster, namespace: str
):
    resource = connect(enableConfigMapMutable="true").resource(CONFIG_MAP, "cm")
    resource.create(config_map(namespace, a="1", b="2"))
    assert resource.changes(config_map(namespace, a="2")) == {
        "data.a": "UPDATE",
        "data.b": "DELETE",
    }
    resource.update(config_map(namespace, a="2"), preview=True)
    assert cluster.get(named("v1", "ConfigMap", "cm", namespace))["data"] == {"a": "1", "b": "2"}
    # The fields were created client-side: the update takes them over, and so can drop one.
    resource.update(config_map(namespace, a="2"))
    assert cluster.get(named("v1", "ConfigMap", "cm", namespace))["data"] == {"a": "2"}


def test_ignored_changes_are_no_changes(engine: Engine, namespace: str):
    resource = engine.resource(CONFIG_MAP, "cm")
    resource.create(config_map(namespace, a="1"))
    diff = resource.diff(config_map(namespace, a="2"), ignore=("data",))
    assert diff.changes == pb.DiffResponse.DIFF_NONE


def test_a_nameless_object_is_named_once(engine: Engine, namespace: str):
    resource = engine.resource(CONFIG_MAP, "settings")
    news = {"metadata": {"namespace": namespace}, "data": {"a": "1"}}
    state = resource.create(news)
    name = state["metadata"]["name"]
    assert name.startswith("settings-")
    assert len(name) == len("settings-") + 8
    assert state["metadata"]["annotations"]["pulumi.com/autonamed"] == "true"
    assert resource.changes(news) == {}
    changed = resource.diff({**news, "data": {"a": "2"}})
    assert changed.replaces
    assert not changed.deleteBeforeReplace


def test_the_default_namespace_is_filled_in_for_namespaced_kinds_only(engine: Engine):
    assert engine.resource(CONFIG_MAP, "cm").check(named("v1", "ConfigMap", "x"))["metadata"] == {
        "name": "x", "namespace": "default",
    }  # fmt: skip
    role = engine.resource("kubernetes:rbac.authorization.k8s.io/v1:ClusterRole", "r")
    assert "namespace" not in role.check({"metadata": {"name": "r"}})["metadata"]


def test_an_unknown_field_is_refused(engine: Engine):
    resource = engine.resource(CONFIG_MAP, "cm")
    with pytest.raises(ValueError, match="has no field 'dtaa'"):
        resource.check({"metadata": {"name": "x"}, "dtaa": {}})


def test_a_preview_shows_what_the_api_server_refuses(engine: Engine, namespace: str):
    bad = config_map(namespace, "Not_A_Name", a="1")
    with pytest.raises(Failed, match="RFC 1123"):
        engine.resource(CONFIG_MAP, "cm").create(bad, preview=True)


def test_unknown_values_preview_as_they_are(engine: Engine, namespace: str):
    resource = engine.resource(CONFIG_MAP, "cm")
    state = resource.create(config_map(namespace, a=UNKNOWN), preview=True)
    assert state["data"]["a"] is UNKNOWN
    resource.create(config_map(namespace, a="1"))
    assert resource.changes(config_map(namespace, a=UNKNOWN)) == {"data.a": "UPDATE_REPLACE"}


@pytest.mark.parametrize(
    "metadata",
    [
        UNKNOWN,
        {"name": UNKNOWN},
        {"name": "cm", "namespace": UNKNOWN},
        {"name": "cm", "labels": UNKNOWN},
    ],
    ids=["all", "name", "namespace", "labels"],
)
def test_unknown_metadata_previews_too(engine: Engine, namespace: str, metadata: Any):
    resource = engine.resource(CONFIG_MAP, "cm")
    news = {"metadata": metadata, "data": {"a": "1"}}
    assert resource.create(news, preview=True)["data"] == {"a": "1"}
    resource.create(config_map(namespace, a="1"))
    assert resource.changes(news)


@pytest.mark.parametrize("field", ["data", "stringData"])
def test_a_secrets_data_is_secret_everywhere(engine: Engine, namespace: str, field: str):
    value = "aHVudGVyMg==" if field == "data" else "hunter2"
    resource = engine.resource("kubernetes:core/v1:Secret", "s")
    name = f"s-{field.lower()}"
    news = {**named("v1", "Secret", name, namespace), field: {"password": value}}
    state = resource.create(news)
    assert isinstance(state["data"], Secret)
    assert reveal(state["data"]) == {"password": "aHVudGVyMg=="}
    assert isinstance(resource.inputs["data"], Secret)
    assert resource.changes(news) == {}
    resource.refresh()
    assert isinstance(resource.state["data"], Secret)
    assert "aHVudGVyMg==" not in str(resource.state)
    assert "aHVudGVyMg==" not in str(resource.inputs)
    assert resource.changes(news) == {}


def test_secrets_of_other_kinds_stay_secret_in_the_state(engine: Engine, namespace: str):
    resource = engine.resource(CONFIG_MAP, "cm")
    state = resource.create(config_map(namespace, a=Secret("hunter2")))
    assert has_secret(state["data"]["a"])
    assert "hunter2" not in str(state)
    resource.refresh()
    assert "hunter2" not in str(resource.state)


def test_roles_accounts_and_ingress_classes_come_and_go(engine: Engine, namespace: str):
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    rbac, cluster_role = "rbac.authorization.k8s.io/v1", {"kind": "ClusterRole", "name": "kt-role"}
    subject = {"kind": "ServiceAccount", "name": "sa", "namespace": namespace}
    wanted = [
        ("core/v1", named("v1", "ServiceAccount", "sa", namespace), {}),
        (rbac, named(rbac, "ClusterRole", "kt-role"), {"rules": rules}),
        (
            rbac,
            named(rbac, "ClusterRoleBinding", "kt-binding"),
            {
                "roleRef": {**cluster_role, "apiGroup": "rbac.authorization.k8s.io"},
                "subjects": [subject],
            },
        ),
        (
            "networking.k8s.io/v1",
            named("networking.k8s.io/v1", "IngressClass", "kt-nginx"),
            {"spec": {"controller": "nginx.org/ingress-controller"}},
        ),
    ]
    for module, ref, rest in wanted:
        resource = engine.resource(f"kubernetes:{module}:{ref['kind']}", "x")
        resource.create({**ref, **rest})
        assert resource.changes({**ref, **rest}) == {}
        resource.delete()
        assert not resource.refresh()


def test_a_namespace_is_awaited_until_it_is_gone(engine: Engine, cluster: Cluster):
    resource = engine.resource("kubernetes:core/v1:Namespace", "ns")
    resource.create(named("v1", "Namespace", "kt-short-lived"))
    cluster.create(config_map("kt-short-lived", a="1"), "someone")
    resource.delete()
    with pytest.raises(ApiError, match="not found"):
        cluster.get(named("v1", "Namespace", "kt-short-lived"))


def test_a_namespace_that_may_not_go_is_given_up(connect: Callable[..., Engine], cluster: Cluster):
    news = named("v1", "Namespace", "kube-public")
    news["metadata"]["labels"] = {"ours": "yes"}
    resource = connect(upsertExistingObjects="true").resource("kubernetes:core/v1:Namespace", "ns")
    resource.create(news)
    resource.delete()
    assert "ours" not in cluster.get(news)["metadata"]["labels"]


def test_deleting_what_is_gone_is_fine(engine: Engine, cluster: Cluster, namespace: str):
    resource = engine.resource(CONFIG_MAP, "cm")
    resource.create(config_map(namespace, a="1"))
    cluster.delete(config_map(namespace), "Background")
    resource.delete()


def test_a_deletion_that_is_held_up_times_out(engine: Engine, cluster: Cluster, namespace: str):
    news = config_map(namespace, a="1")
    news["metadata"]["finalizers"] = ["example.com/wait"]
    resource = engine.resource(CONFIG_MAP, "cm")
    resource.create(news)
    waited = "Timed out waiting for deletion.*finalizers left: example.com/wait"
    with pytest.raises(Failed, match=waited):
        resource.delete(timeout=0.5)
    remove = [{"op": "remove", "path": "/metadata/finalizers"}]
    cluster.patch_json(news, remove)


def test_an_import_reads_inputs_from_the_cluster(engine: Engine, cluster: Cluster, namespace: str):
    cluster.create(config_map(namespace, a="1"), "someone")
    resource = engine.resource(CONFIG_MAP, "cm")
    resource.id = f"{namespace}/cm"
    assert resource.refresh()
    assert resource.inputs == config_map(namespace, a="1")
    assert resource.changes(config_map(namespace, a="1")) == {}
    resource.id = f"{namespace}/other"
    assert not resource.refresh()


def test_drift_shows_after_a_refresh_and_conflicts(
    connect: Callable[..., Engine], cluster: Cluster, namespace: str
):
    engine = connect(enableConfigMapMutable="true")
    resource = engine.resource(CONFIG_MAP, "cm")
    resource.create(config_map(namespace, a="1"))
    cluster.apply(config_map(namespace, a="9"), "someone", force=True)
    assert resource.changes(config_map(namespace, a="1")) == {}
    resource.refresh()
    assert resource.changes(config_map(namespace, a="1")) == {"data.a": "UPDATE"}
    with pytest.raises(Failed, match=r"(?s)conflict with \"someone\".*\.data\.a") as failure:
        resource.update(config_map(namespace, a="1"))
    assert failure.value.state is not None
    force = connect(enableConfigMapMutable="true", enablePatchForce="true")
    resource.stub = force.stub
    assert resource.update(config_map(namespace, a="1"))["data"] == {"a": "1"}


def test_a_missing_namespace_is_waited_for(engine: Engine, cluster: Cluster):
    later = threading.Timer(0.5, lambda: cluster.create(named("v1", "Namespace", "kt-late"), "t"))
    later.start()
    resource = engine.resource(CONFIG_MAP, "cm")
    resource.create(config_map("kt-late", a="1"))
    assert any('namespaces "kt-late" not found' in line for line in engine.log.messages)


def test_custom_resources_wait_for_their_definition(engine: Engine):
    schema = {"type": "object", "x_kubernetes_preserve_unknown_fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"}
    spec = {"group": "kt.example.com", "names": names, "scope": "Cluster", "versions": [version]}
    api = "apiextensions.k8s.io/v1"
    definition = {
        **named(api, "CustomResourceDefinition", "widgets.kt.example.com"),
        "spec": spec,
    }
    crd = engine.resource(f"kubernetes:{api}:CustomResourceDefinition", "crd")
    widget = engine.resource("kubernetes:kt.example.com/v1:Widget", "w")
    news = {**named("kt.example.com/v1", "Widget", "w"), "spec": {"size": 1, "off": False}}
    # The garbage collector looks for new kinds every 30 s: a foreground deletion waits for that.
    news["metadata"]["annotations"] = {"pulumi.com/deletionPropagationPolicy": "background"}
    assert widget.create(copy.deepcopy(news), preview=True)["spec"] == {"size": 1, "off": False}
    crd.create(definition)
    assert crd.changes(definition) == {}
    widget.create(news)
    assert widget.id == "w"
    assert widget.changes(news) == {}
    assert widget.changes({**news, "spec": {"size": 2, "off": True}}) == {
        "spec.size": "UPDATE", "spec.off": "UPDATE",
    }  # fmt: skip
    widget.update({**news, "spec": {"size": 2, "off": True}})
    wider = copy.deepcopy(definition)
    wider["spec"]["names"]["shortNames"] = ["wi"]
    crd.update(wider)
    assert crd.changes(wider) == {}
    widget.delete()
    crd.delete()
    assert not widget.refresh()


def test_updating_what_is_gone_fails(engine: Engine, cluster: Cluster, namespace: str):
    account = named("v1", "ServiceAccount", "sa", namespace)
    resource = engine.resource("kubernetes:core/v1:ServiceAccount", "sa")
    resource.create(account)
    cluster.delete(account, "Background")
    account["metadata"]["labels"] = {"a": "b"}
    with pytest.raises(
        Failed, match=r'update of resource ".*" failed: serviceaccounts "sa" not found'
    ):
        resource.update(account)
