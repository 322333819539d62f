"""Patches of objects that others own: docs/facts/real-providers.md, Kubernetes 1 to 6."""

import pytest

from sandbox.providers.kubernetes.client import Cluster
from tests.kubernetes_harness import Engine, Failed, Json, daemon_set, named, until

pytest_plugins = ("tests.kubernetes_harness",)


@pytest.fixture
def calico(cluster: Cluster, namespace: str) -> Json:
    """A DaemonSet that somebody else applied."""
    owned = daemon_set(namespace, "calico-node")
    cluster.apply(owned, "vke")
    return owned


def patch(namespace: str, **annotations: str) -> Json:
    ref = named("apps/v1", "DaemonSet", "calico-node", namespace)
    ref["metadata"]["annotations"] = {f"pulumi.com/{k}": v for k, v in annotations.items()}
    return ref


def with_env(obj: Json, **env: str) -> Json:
    entries = [{"name": key, "value": value} for key, value in env.items()]
    spec = {"containers": [{"name": "main", "env": entries}]}
    return {**obj, "spec": {"template": {"spec": spec}}}


def env_of(cluster: Cluster, obj: Json) -> dict[str, str]:
    container = cluster.get(obj)["spec"]["template"]["spec"]["containers"][0]
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


def test_a_patch_of_a_shared_list_never_settles(engine: Engine, cluster: Cluster, calico: Json):
    # docs/facts/real-providers.md, Kubernetes 1
    news = with_env(patch(calico["metadata"]["namespace"], skipAwait="true"), FELIX="true")
    resource = engine.resource("kubernetes:apps/v1:DaemonSetPatch", "p")
    resource.create(news)
    assert env_of(cluster, calico) == {"A": "1", "FELIX": "true"}
    path = "spec.template.spec.containers[0].env[0]"
    assert resource.changes(news) == {f"{path}.name": "UPDATE", f"{path}.value": "UPDATE"}


def test_a_patch_of_a_map_settles_and_goes(engine: Engine, cluster: Cluster, calico: Json):
    # docs/facts/real-providers.md, Kubernetes 2, 5, 6
    news = patch(calico["metadata"]["namespace"], skipAwait="true", patchFieldManager="edgefleet")
    news["spec"] = {"template": {"metadata": {"annotations": {"hash": "1"}}}}
    resource = engine.resource("kubernetes:apps/v1:DaemonSetPatch", "p")
    state = resource.create(news)
    assert state["__fieldManager"] == "edgefleet"
    assert resource.changes(news) == {}
    live = cluster.get(calico)
    assert live["metadata"]["annotations"]["pulumi.com/patchFieldManager"] == "edgefleet"
    assert live["spec"]["template"]["metadata"]["annotations"] == {"hash": "1"}
    resource.delete()
    live = cluster.get(calico)
    assert "pulumi.com/patchFieldManager" not in live["metadata"].get("annotations", {})
    assert "annotations" not in live["spec"]["template"]["metadata"]


def test_destroying_a_patch_leaves_what_others_own(engine: Engine, cluster: Cluster, calico: Json):
    news = with_env(patch(calico["metadata"]["namespace"], skipAwait="true"), FELIX="true")
    resource = engine.resource("kubernetes:apps/v1:DaemonSetPatch", "p")
    resource.create(news)
    resource.delete()
    assert env_of(cluster, calico) == {"A": "1"}


def test_a_conflict_names_field_and_manager(engine: Engine, cluster: Cluster, calico: Json):
    # docs/facts/real-providers.md, Kubernetes 3
    namespace = calico["metadata"]["namespace"]
    resource = engine.resource("kubernetes:apps/v1:DaemonSetPatch", "p")
    with pytest.raises(Failed, match=r'(?s)field conflict.*"vke".*env\[name="A"\]\.value'):
        resource.create(with_env(patch(namespace, skipAwait="true"), A="2"))
    resource.create(with_env(patch(namespace, skipAwait="true", patchForce="true"), A="2"))
    assert env_of(cluster, calico) == {"A": "2"}
    resource.delete()
    # The entry stays with its owner; the value that we had taken over has none any more.
    assert env_of(cluster, calico) == {"A": ""}


def test_a_patch_with_another_manager_gives_up_the_old_ones_fields(
    engine: Engine, cluster: Cluster, calico: Json
):
    namespace = calico["metadata"]["namespace"]
    resource = engine.resource("kubernetes:apps/v1:DaemonSetPatch", "p")
    one = with_env(patch(namespace, skipAwait="true", patchFieldManager="one"), X="1")
    two = with_env(patch(namespace, skipAwait="true", patchFieldManager="two", patchForce="true"))
    two["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "Y", "value": "1"}]
    resource.create(one)
    resource.update(two)
    assert env_of(cluster, calico) == {"A": "1", "Y": "1"}


def test_a_patch_needs_a_name(engine: Engine):
    resource = engine.resource("kubernetes:apps/v1:DaemonSetPatch", "p")
    with pytest.raises(Failed, match=r"require the `.metadata.name` field"):
        resource.check({"metadata": {"labels": {"a": "b"}}})


def test_a_custom_resource_is_patched(engine: Engine, cluster: Cluster):
    api = "apiextensions.k8s.io/v1"
    fields = {"bpfEnabled": {"type": "boolean"}, "mtu": {"type": "integer"}}
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": fields}},
    }
    names = {"kind": "FelixConfiguration", "plural": "felixconfigurations"}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    spec = {"group": "kt2.example.com", "names": names, "scope": "Cluster", "versions": [version]}
    definition = {
        **named(api, "CustomResourceDefinition", "felixconfigurations.kt2.example.com"),
        "spec": spec,
    }
    cluster.create(definition, "vke")
    felix = named("kt2.example.com/v1", "FelixConfiguration", "default")
    cluster.forget_kinds()

    def applied() -> Json:
        cluster.forget_kinds()
        return cluster.apply({**felix, "spec": {"mtu": 1450}}, "vke")

    until(applied, "a served kind")
    resource = engine.resource("kubernetes:kt2.example.com/v1:FelixConfigurationPatch", "p")
    news = {**felix, "spec": {"bpfEnabled": True}}
    resource.create(news)
    assert resource.id == "default"
    assert cluster.get(felix)["spec"] == {"bpfEnabled": True, "mtu": 1450}
    assert resource.changes(news) == {}
    resource.delete()
    assert cluster.get(felix)["spec"] == {"mtu": 1450}


def test_a_patch_that_owns_a_required_field_cannot_go(
    engine: Engine, cluster: Cluster, calico: Json
):
    news = patch(calico["metadata"]["namespace"], skipAwait="true", patchForce="true")
    container = {"name": "main", "image": "nginx:2"}
    news["spec"] = {"template": {"spec": {"containers": [container]}}}
    resource = engine.resource("kubernetes:apps/v1:DaemonSetPatch", "p")
    resource.create(news)
    assert resource.changes(news) == {}
    with pytest.raises(Failed, match=r"managing a required field.*containers\[0\]\.image"):
        resource.delete()
    cluster.apply(calico, "vke", force=True)
    resource.delete()


def test_destroying_a_patch_of_what_is_gone_is_fine(engine: Engine, cluster: Cluster, calico: Json):
    news = with_env(patch(calico["metadata"]["namespace"], skipAwait="true"), FELIX="true")
    resource = engine.resource("kubernetes:apps/v1:DaemonSetPatch", "p")
    resource.create(news)
    cluster.delete(calico, "Background")
    resource.delete()
