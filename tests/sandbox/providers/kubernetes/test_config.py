"""The arguments of the emulated kubernetes provider."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2 as pb

from sandbox.providers.base.values import UNKNOWN, marshal
from sandbox.vendors.ca import CertificateAuthority
from sandbox.vendors.proxy import serve_proxy
from tests.kubernetes_harness import (
    CONFIG_MAP,
    Engine,
    Failed,
    Json,
    config_map,
    free_port,
    kubeconfig_text,
)

pytest_plugins = ("tests.kubernetes_harness",)


def diff_config(engine: Engine, old: Json, new: Json) -> pb.DiffResponse:
    urn = "urn:pulumi:us::edgefleet::pulumi:providers:kubernetes::k8s"
    request = pb.DiffRequest(urn=urn, olds=marshal(old), old_inputs=marshal(old), news=marshal(new))
    return engine.stub.DiffConfig(request)


def test_another_cluster_replaces_the_provider(engine: Engine):
    one = {"kubeconfig": kubeconfig_text("https://a:6443")}
    renewed = {"kubeconfig": kubeconfig_text("https://a:6443", token="2")}
    other = {"kubeconfig": kubeconfig_text("https://b:6443")}
    assert not diff_config(engine, one, renewed).replaces
    assert diff_config(engine, one, renewed).changes == pb.DiffResponse.DIFF_SOME
    assert list(diff_config(engine, one, other).replaces) == ["kubeconfig"]
    assert list(diff_config(engine, one, {"kubeconfig": UNKNOWN}).replaces) == ["kubeconfig"]


def test_a_cluster_identifier_decides_alone(engine: Engine):
    one = {"kubeconfig": kubeconfig_text("https://a:6443"), "clusterIdentifier": "a"}
    other = {**one, "kubeconfig": kubeconfig_text("https://b:6443")}
    assert not diff_config(engine, one, other).replaces
    assert not diff_config(engine, one, {**one, "kubeconfig": UNKNOWN}).replaces
    changed = diff_config(engine, one, {**one, "clusterIdentifier": "b"})
    assert list(changed.replaces) == ["clusterIdentifier"]


def test_an_unreachable_cluster_previews_but_fails_to_act(connect: Callable[..., Engine]):
    dead = kubeconfig_text(f"https://127.0.0.1:{free_port()}")
    resource = connect(kubeconfig=dead).resource(CONFIG_MAP, "cm")
    assert resource.create(config_map("default", a="1"), preview=True)["data"] == {"a": "1"}
    with pytest.raises(Failed, match="cluster is unreachable"):
        resource.create(config_map("default", a="1"))
    resource.id, resource.state = "default/cm", config_map("default", a="1")
    with pytest.raises(Failed, match="unreachable cluster"):
        resource.refresh()
    with pytest.raises(Failed, match="set the provider's deleteUnreachable"):
        resource.delete()
    resource.stub = connect(kubeconfig=dead, deleteUnreachable="true").stub
    resource.delete()
    assert not resource.refresh()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the provider has no kubeconfig"),
        ("hello", "neither a file nor a YAML mapping"),
        ("a: b: SECRET", "valid YAML"),
        ("apiVersion: v1\nkind: Config\n", "unable to load Kubernetes client configuration"),
    ],
)
def test_a_kubeconfig_that_says_nothing(connect: Callable[..., Engine], text: str, reason: str):
    resource = connect(kubeconfig=text).resource(CONFIG_MAP, "cm")
    with pytest.raises(Failed, match=reason) as failure:
        resource.create(config_map("default", a="1"))
    assert "SECRET" not in str(failure.value)


def test_a_kubeconfig_may_be_a_path(
    connect: Callable[..., Engine], kubeconfig: str, tmp_path: Path, namespace: str
):
    path = tmp_path / "config"
    path.write_text(kubeconfig)
    resource = connect(kubeconfig=str(path)).resource(CONFIG_MAP, "cm")
    resource.create(config_map(namespace, a="1"))


def test_two_configurations_are_served_at_once(connect: Callable[..., Engine], namespace: str):
    dead = kubeconfig_text(f"https://127.0.0.1:{free_port()}")
    one, two = connect(), connect(kubeconfig=dead)
    with pytest.raises(Failed, match="unreachable"):
        two.resource(CONFIG_MAP, "cm").create(config_map(namespace, a="1"))
    one.resource(CONFIG_MAP, "cm").create(config_map(namespace, a="1"))


def test_what_is_not_emulated_is_refused(connect: Callable[..., Engine], engine: Engine):
    with pytest.raises(Failed, match="enableServerSideApply"):
        connect(enableServerSideApply="false")
    with pytest.raises(Failed, match="needs the real plugin"):
        engine.resource("kubernetes:helm.sh/v3:Release", "r").check({})
    with pytest.raises(Failed, match="list resources"):
        engine.resource("kubernetes:core/v1:ConfigMapList", "l").check({})
    with pytest.raises(grpc.RpcError, match="kubernetes:helm:template"):
        engine.stub.Invoke(pb.InvokeRequest(tok="kubernetes:helm:template"))


def test_a_cluster_is_reached_by_its_name_through_the_proxy(
    connect: Callable[..., Engine],
    kubeconfig: str,
    namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    config = json.loads(kubeconfig)
    server = config["clusters"][0]["cluster"]
    address = ("127.0.0.1", int(server["server"].rsplit(":", 1)[1]))
    server["server"], server["tls-server-name"] = "https://abc.vultr-k8s.com:6443", "127.0.0.1"
    asked: list[str] = []

    def resolve(host: str) -> tuple[str, int] | None:
        asked.append(host)
        return address

    authority = CertificateAuthority(tmp_path, "test")
    certificate = authority.write_server_certificate(tmp_path / "server.pem", ["unused.invalid"])
    with contextlib.closing(serve_proxy({}, certificate, resolve)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        engine = connect(kubeconfig=json.dumps(config))
        engine.resource(CONFIG_MAP, "cm").create(config_map(namespace, a="1"))
    assert set(asked) == {"abc.vultr-k8s.com"}


def test_skip_update_unreachable_keeps_the_state(connect: Callable[..., Engine], namespace: str):
    resource = connect().resource(CONFIG_MAP, "cm")
    resource.create(config_map(namespace, a="1"))
    before = (resource.inputs, resource.state)
    dead = kubeconfig_text(f"https://127.0.0.1:{free_port()}")
    resource.stub = connect(kubeconfig=dead, skipUpdateUnreachable="true").stub
    assert resource.refresh()
    assert (resource.inputs, resource.state) == before
    assert resource.changes(config_map(namespace, a="2")) == {}
