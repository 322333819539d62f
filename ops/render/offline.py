"""Every resource of a stack with its inputs, from the stack files alone.

The program runs against a monitor that registers nothing: no engine, no plugin, no credentials,
no network. What only a provider can know stays unknown, and secrets are masked.
"""

import asyncio
import hashlib
import logging
import pickle
from collections.abc import Callable, Iterable
from contextlib import chdir
from pathlib import Path
from typing import Any

import pulumi
import yaml
from google.protobuf import json_format
from pulumi.resource import DependencyResource
from pulumi.runtime import mocks, rpc
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.settings import ROOT, SETTINGS
from pulumi.runtime.stack import wait_for_rpcs

from components.cluster.existing import ClusterSeen, ReadCluster
from components.cluster.live_nodes import ClusterReader
from components.errors import VultrError
from components.json_object import object_at
from components.vendors.vultr_cluster import LiveCluster
from infra.fleet.files import read_yaml
from infra.fleet.inventory import Inventory, RegionStack, Stack
from infra.fleet.reading import load
from infra.program import register
from infra.settings.cluster import ExistingCluster
from infra.stacks.origin_trust import ReadSecret
from infra.state.checkpoint import StackState
from ops.render.resources import SECRET, UNKNOWN, Registered, Rendering


class _NoVultr:
    """Offline, no cluster is known."""

    def find_cluster(self, label: str) -> LiveCluster | None:
        return None

    def cluster(self, cluster_id: str) -> LiveCluster:
        raise VultrError(f"cluster {cluster_id}: offline, nothing to read")

    def has_instance(self, instance_id: str) -> bool:
        return False

    def kubeconfig(self, cluster_id: str) -> str:
        raise VultrError(f"cluster {cluster_id}: offline, no kubeconfig")


def _opened(stack: RegionStack, secret: ReadSecret) -> tuple[pulumi.Input[str], ReadCluster]:
    """Offline, an existing cluster has the nodes whose addresses the stack file says."""
    cluster = stack.settings.cluster
    said = cluster.existing.addresses if isinstance(cluster, ExistingCluster) else {}
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    nodes = [{"metadata": {"name": name}, "status": ready} for name in sorted(said)]
    key = secret("kubeconfig") if "kubeconfig" in stack.secrets else UNKNOWN
    kubeconfig = pulumi.Output.from_input(key).apply(_standing_for)
    return kubeconfig, lambda _: ClusterSeen("", "", nodes)


def _standing_for(key: str) -> str:
    """A kubeconfig that nobody reads offline: some of it, as the API server's address, goes into
    the cluster."""
    named = {"name": "offline"}
    return yaml.safe_dump(
        {
            "current-context": "offline",
            "contexts": [{**named, "context": {"cluster": "offline", "user": "offline"}}],
            "clusters": [{**named, "cluster": {"server": "https://kubeconfig.invalid:6443"}}],
            "users": [{**named, "user": {"token": key}}],
        }
    )


def _stand_in(urn: str, ciphertext: str) -> pulumi.Output[str]:
    """A secret of the stack's configuration: nobody decrypts it offline, so another value stands
    for it, the same as long as the file holds the same. So what is named by its content has another
    name where the secret is another; and by the URN, what is made of the secret says so."""

    def future(value: Any) -> "asyncio.Future[Any]":
        result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        result.set_result(value)
        return result

    # As long as our own checks of secrets ask for.
    value = hashlib.sha256(ciphertext.encode()).hexdigest()[:40]
    return pulumi.Output({DependencyResource(urn)}, future(value), future(True), future(True))


def _secret_urn(inventory: Inventory, stack: Stack, key: str) -> str:
    return f"urn:pulumi:{stack.name}::{inventory.project}::edgefleet:config::{key}"


def _ciphertexts(inventory: Inventory, stack: Stack) -> dict[str, str]:
    config = object_at(read_yaml(inventory.folder / stack.file), "config")
    return {
        _secret_urn(inventory, stack, key): str(
            object_at(config, f"{inventory.project}:{key}").get("secure")
        )
        for key in sorted(stack.secrets)
    }


class _Mocks(mocks.Mocks):
    """Nothing is read from a provider."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        raise RuntimeError(f"{args.typ} {args.name}: read from a provider, in a rendering")

    def call(self, args: mocks.MockCallArgs) -> dict[str, Any]:
        raise RuntimeError(f"{args.token}: a call to a provider, in a rendering")


class _Monitor(mocks.MockMonitor):
    def __init__(self, project: str, stack: str) -> None:
        super().__init__(_Mocks())
        self.registered: list[Registered] = []
        self._prefix = f"urn:pulumi:{stack}::{project}::"

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        if parent and not parent.split("::")[2].endswith("pulumi:pulumi:Stack"):
            type_ = f"{parent.split('::')[2]}${type_}"
        return f"{self._prefix}{type_}::{name}"

    def RegisterResource(self, request: Any) -> Any:
        """A preview: a new resource has no id yet, and its inputs are all that is known.

        The mocks' own answer would pass the inputs through Python. It leaves unknown ones out where
        its thread doesn't know of the preview, which is up to what ran in the process before.
        """
        urn = self.make_urn(request.parent, request.type, request.name)
        if request.type == "pulumi:pulumi:Stack":
            return resource_pb2.RegisterResourceResponse(urn=urn)
        self.registered.append(_registered(urn, request))
        return resource_pb2.RegisterResourceResponse(urn=urn, object=request.object)


class _Messages(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def render(
    project_dir: Path, stack: str, vultr: Callable[[], ClusterReader] = _NoVultr
) -> Rendering:
    """Render one stack of a project. Raises SettingsError for a mistake in its files."""
    inventory = load(project_dir, current=stack)
    return render_stack(inventory, inventory.stacks[stack], vultr)


def render_stack(
    inventory: Inventory, stack: Stack, vultr: Callable[[], ClusterReader] = _NoVultr
) -> Rendering:
    """Render one stack of an inventory that is already read. Raises SettingsError."""
    # Pulumi's serialize_provider wraps this for each dynamic resource and never takes a wrapper
    # off (3.246.0): after some hundred resources the recursion limit is reached.
    unwrapped = pickle._Pickler._batch_setitems  # pyright: ignore[reportAttributeAccessIssue]
    try:
        return asyncio.run(_render(inventory, stack, vultr))
    finally:
        pickle._Pickler._batch_setitems = unwrapped  # pyright: ignore[reportAttributeAccessIssue]


def render_project(
    project_dir: Path, names: Iterable[str] = (), working_dir: Path | None = None
) -> dict[str, Rendering]:
    """Render the named stacks, or the whole fleet, by name. Raises SettingsError.

    Works in the project's folder, as `pulumi` does, or in `working_dir`: the program names its
    files from there.
    """
    inventory = load(project_dir)
    chosen = list(names) or sorted(inventory.stacks)
    with chdir(working_dir or project_dir):
        return {
            name: render_stack(inventory, inventory.stacks[name])
            if name in inventory.stacks
            else render(project_dir, name)
            for name in chosen
        }


async def _render(
    inventory: Inventory, stack: Stack, vultr: Callable[[], ClusterReader]
) -> Rendering:
    monitor, messages = _Monitor(inventory.project, stack.name), _Messages()
    logger = logging.Logger("render")
    logger.addHandler(messages)
    # What a rendering that was refused half-way left behind belongs to a loop that is gone.
    SETTINGS.outputs.clear()  # pyright: ignore[reportAttributeAccessIssue]
    SETTINGS.rpc_manager.clear()  # pyright: ignore[reportAttributeAccessIssue]
    ROOT.set(None)
    mocks.set_mocks(
        _Mocks(),
        project=inventory.project,
        stack=stack.name,
        preview=True,
        monitor=monitor,
        logger=logger,
    )
    secrets = _ciphertexts(inventory, stack)

    def secret(key: str) -> pulumi.Output[str]:
        urn = _secret_urn(inventory, stack, key)
        return _stand_in(urn, secrets[urn])

    register(inventory, stack, vultr, secret, StackState({}), opened=_opened)
    await wait_for_rpcs()
    root = pulumi.runtime.get_root_resource()
    outputs = getattr(root, "outputs", {})
    serialized = await rpc.serialize_properties(dict(outputs), {})
    # In the order of their URNs: the one they are registered in differs from run to run.
    resources = sorted(monitor.registered, key=lambda resource: resource.urn)
    return Rendering(resources, _plain(serialized), messages.texts, secrets)


def _registered(urn: str, request: resource_pb2.RegisterResourceRequest) -> Registered:
    options = {
        "protect": request.protect or None,
        "ignoreChanges": list(request.ignoreChanges) or None,
        "deletedWith": request.deletedWith or None,
        "dependsOn": sorted(request.dependencies) or None,
        "provider": request.provider or None,
        "import": request.importId or None,
        "retainOnDelete": request.retainOnDelete or None,
    }
    return Registered(
        urn=urn,
        type=request.type,
        name=request.name,
        parent=request.parent,
        custom=request.custom,
        inputs=_plain(request.object),
        options={key: value for key, value in options.items() if value is not None},
        sources={
            key: sorted(of.urns)
            for key, of in sorted(request.propertyDependencies.items())
            if of.urns
        },
    )


def _plain(struct: Any) -> dict[str, Any]:
    plain = _value(json_format.MessageToDict(struct))
    # A dynamic resource carries its pickled provider; it is no input of a person's.
    plain.pop("__provider", None)
    return plain


def _value(value: Any) -> Any:
    if isinstance(value, dict):
        if rpc._special_sig_key in value:
            return SECRET if value[rpc._special_sig_key] == rpc._special_secret_sig else value
        return {key: _value(item) for key, item in sorted(value.items())}
    if isinstance(value, list):
        return [_value(item) for item in value]
    if value == rpc.UNKNOWN:
        return UNKNOWN
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
