"""A real API server, and an engine's side of the gRPC protocol, for test_kubernetes_*.py.

Loaded as a pytest plugin, so that one control plane serves all the modules that name it in
``pytest_plugins``. PYTEST_DONT_REWRITE: it holds no assertions, and is imported too.
"""

import contextlib
import json
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2_grpc, plugin_pb2, status_pb2
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import provider_pb2_grpc as rpc

from sandbox.providers.base.server import Server
from sandbox.providers.base.values import marshal, unmarshal
from sandbox.providers.kubernetes import apply as kubernetes_apply
from sandbox.providers.kubernetes import plugin as kubernetes_plugin
from sandbox.providers.kubernetes.client import Cluster, load_kubeconfig
from sandbox.toolchain.install import Toolchain, default_cache

Json = dict[str, Any]
TOKEN = "test"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(Exception):
            if result := condition():
                return result
        time.sleep(0.05)
    pytest.fail(f"{what} didn't come about within {seconds} s")


@pytest.fixture(scope="session")
def kubeconfig(
    tmp_path_factory: pytest.TempPathFactory, ends_with_group: contextlib.ExitStack
) -> str:
    """One control plane for all modules that leave nothing behind which others would meet."""
    folder = tmp_path_factory.mktemp("control-plane")
    return ends_with_group.enter_context(control_plane(folder))


@contextlib.contextmanager
def control_plane(folder: Path) -> Iterator[str]:
    """The kubeconfig of a control plane without scheduler and kubelets: pods stay as they are."""
    toolchain = Toolchain(default_cache())
    etcd, peer, port, kcm = (free_port() for _ in range(4))
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (folder / "sa.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (folder / "tokens.csv").write_text(f"{TOKEN},admin,admin,system:masters\n")
    text = kubeconfig_text(f"https://127.0.0.1:{port}", f"{folder}/apiserver.crt")
    (folder / "kubeconfig").write_text(text)
    local = "http://127.0.0.1"
    commands = [
        ["etcd", f"--data-dir={folder}/etcd", f"--listen-client-urls={local}:{etcd}",
         f"--advertise-client-urls={local}:{etcd}", f"--listen-peer-urls={local}:{peer}",
         "--unsafe-no-fsync"],
        ["kube-apiserver", f"--etcd-servers={local}:{etcd}", f"--cert-dir={folder}",
         f"--secure-port={port}", f"--token-auth-file={folder}/tokens.csv",
         "--service-account-issuer=https://test", f"--service-account-key-file={folder}/sa.key",
         f"--service-account-signing-key-file={folder}/sa.key", "--authorization-mode=RBAC",
         "--bind-address=127.0.0.1", "--allow-privileged=true"],
        ["kube-controller-manager", f"--kubeconfig={folder}/kubeconfig",
         "--leader-elect=false", f"--service-account-private-key-file={folder}/sa.key",
         f"--secure-port={kcm}", f"--cert-dir={folder}/kcm"],
    ]  # fmt: skip
    with contextlib.ExitStack() as stack:
        for number, command in enumerate(commands):
            log = stack.enter_context((folder / f"{number}.log").open("w"))
            command[0] = str(toolchain.binary(command[0]))
            process = subprocess.Popen(command, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.kill)
            if number == 1:
                until(lambda: client(text).ping() is None, f"an API server ({folder}/1.log)")
        cluster = client(text)
        until(
            lambda: cluster.get(named("v1", "ServiceAccount", "default", "default")),
            f"the default service account ({folder}/2.log)",
        )
        yield text


def kubeconfig_text(url: str, authority: str | None = None, token: str = TOKEN) -> str:
    trust = {"certificate-authority": authority} if authority else {}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": url, **trust}}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        }
    )


def client(text: str) -> Cluster:
    return Cluster.connect(load_kubeconfig(text))


def named(api_version: str, kind: str, name: str, namespace: str = "") -> Json:
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": meta}


@pytest.fixture
def cluster(kubeconfig: str) -> Cluster:
    return client(kubeconfig)


class Failed(Exception):
    """A call failed; `state` is what the engine would store for it."""

    def __init__(self, error: grpc.RpcError) -> None:
        super().__init__(error.details())  # type: ignore[attr-defined]
        self.state: Json | None = None
        self.reasons: list[str] = []
        for key, value in error.trailing_metadata():  # type: ignore[attr-defined]
            if key == "grpc-status-details-bin":
                detail = pb.ErrorResourceInitFailed()
                status_pb2.Status.FromString(value).details[0].Unpack(detail)
                self.state, self.reasons = unmarshal(detail.properties), list(detail.reasons)


class _EngineLog(engine_pb2_grpc.EngineServicer):
    def __init__(self) -> None:
        self.messages: list[str] = []

    def Log(self, request: Any, context: Any) -> Any:
        self.messages.append(request.message)
        return empty_pb2.Empty()


class Resource:
    """One resource in a stack's state, driven through the steps of `pulumi up`."""

    def __init__(self, stub: rpc.ResourceProviderStub, type: str, name: str) -> None:
        self.stub, self.type, self.name = stub, type, name
        self.urn = f"urn:pulumi:us::edgefleet::{type}::{name}"
        self.id, self.inputs, self.state = "", {}, {}

    def call(self, method: str, request: Any) -> Any:
        try:
            return getattr(self.stub, method)(request)
        except grpc.RpcError as error:
            raise Failed(error) from None

    def check(self, news: Json) -> Json:
        request = pb.CheckRequest(urn=self.urn, olds=marshal(self.inputs), news=marshal(news))
        answer = self.call("Check", request)
        if answer.failures:
            raise ValueError(
                "; ".join(f"{item.property}: {item.reason}" for item in answer.failures)
            )
        return unmarshal(answer.inputs)

    def diff(self, news: Json, ignore: tuple[str, ...] = ()) -> pb.DiffResponse:
        return self.call(
            "Diff",
            pb.DiffRequest(
                id=self.id, urn=self.urn, olds=marshal(self.state), ignoreChanges=ignore,
                old_inputs=marshal(self.inputs), news=marshal(self.check(news)),
            ),
        )  # fmt: skip

    def changes(self, news: Json) -> dict[str, str]:
        detail = self.diff(news).detailedDiff
        return {path: pb.PropertyDiff.Kind.Name(item.kind) for path, item in detail.items()}

    def create(self, news: Json, preview: bool = False, timeout: float = 0) -> Json:
        inputs = self.check(news)
        request = pb.CreateRequest(
            urn=self.urn, properties=marshal(inputs), preview=preview, timeout=timeout
        )
        answer = self.call("Create", request)
        state = unmarshal(answer.properties)
        if not preview:
            self.id, self.inputs, self.state = answer.id, inputs, state
        return state

    def update(self, news: Json, preview: bool = False, timeout: float = 0) -> Json:
        inputs = self.check(news)
        request = pb.UpdateRequest(
            id=self.id, urn=self.urn, olds=marshal(self.state), old_inputs=marshal(self.inputs),
            news=marshal(inputs), preview=preview, timeout=timeout,
        )  # fmt: skip
        state = unmarshal(self.call("Update", request).properties)
        if not preview:
            self.inputs, self.state = inputs, state
        return state

    def refresh(self) -> bool:
        request = pb.ReadRequest(
            id=self.id, urn=self.urn, inputs=marshal(self.inputs), properties=marshal(self.state)
        )
        answer = self.call("Read", request)
        if not answer.id:
            return False
        self.inputs, self.state = unmarshal(answer.inputs), unmarshal(answer.properties)
        return True

    def delete(self, timeout: float = 30) -> None:
        request = pb.DeleteRequest(
            id=self.id, urn=self.urn, properties=marshal(self.state), timeout=timeout
        )
        self.call("Delete", request)


class Engine:
    """An engine's connection to the plugin, configured with one provider resource."""

    def __init__(self, server: Server, config: Json) -> None:
        self.log = _EngineLog()
        self._server = grpc.server(futures.ThreadPoolExecutor(2))
        engine_pb2_grpc.add_EngineServicer_to_server(self.log, self._server)
        address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()
        # Connections to one address are shared unless their options differ.
        options = [("grpc.use_local_subchannel_pool", 1)]
        self._channel = grpc.insecure_channel(f"127.0.0.1:{server.port}", options=options)
        self.stub = rpc.ResourceProviderStub(self._channel)
        self.stub.Handshake(pb.ProviderHandshakeRequest(engine_address=address))
        self.stub.Attach(plugin_pb2.PluginAttach(address=address))
        try:
            self.stub.Configure(pb.ConfigureRequest(args=marshal(config), acceptSecrets=True))
        except grpc.RpcError as error:
            raise Failed(error) from None

    def resource(self, type: str, name: str) -> Resource:
        return Resource(self.stub, type, name)

    def close(self) -> None:
        self.stub.Cancel(empty_pb2.Empty())
        self._channel.close()
        self._server.stop(None)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = kubernetes_plugin.serve()
    yield server
    server.stop()


@pytest.fixture
def connect(
    server: Server, kubeconfig: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Engine]]:
    engines: list[Engine] = []
    monkeypatch.setattr(kubernetes_apply, "RETRY_SECONDS", (0.2,) * 15)

    def start(**config: Any) -> Engine:
        engines.append(Engine(server, {"kubeconfig": kubeconfig, **config}))
        return engines[-1]

    yield start
    for engine in engines:
        engine.close()


@pytest.fixture
def engine(connect: Callable[..., Engine]) -> Engine:
    return connect()


@pytest.fixture
def namespace(cluster: Cluster, request: pytest.FixtureRequest) -> str:
    """A namespace of the test's own; it goes with the control plane."""
    name = re.sub("[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower())
    name = f"{name[:50].strip('-')}-{name[-4:].strip('-')}"
    cluster.create(named("v1", "Namespace", name), "test")
    until(
        lambda: cluster.get(named("v1", "ServiceAccount", "default", name)), "its service account"
    )
    return name


CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
DAEMON_SET = "kubernetes:apps/v1:DaemonSet"


def config_map(namespace: str, name: str = "cm", **data: Any) -> Json:
    return {**named("v1", "ConfigMap", name, namespace), "data": data}


def daemon_set(
    namespace: str, name: str = "ds", image: str = "nginx:1", **annotations: str
) -> Json:
    labels = {"app": name}
    container = {"name": "main", "image": image, "env": [{"name": "A", "value": "1"}]}
    obj = named("apps/v1", "DaemonSet", name, namespace)
    if annotations:
        obj["metadata"]["annotations"] = {f"pulumi.com/{k}": v for k, v in annotations.items()}
    template = {
        "metadata": {"labels": labels},
        "spec": {
            "containers": [container],
            "hostPID": False,
            "tolerations": [{"operator": "Exists"}],
        },
    }
    return {**obj, "spec": {"selector": {"matchLabels": labels}, "template": template}}
