"""The provider's arguments: which cluster, and which of the provider's modes."""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from sandbox.providers.base.diff import ADD, DELETE, UPDATE, Diff
from sandbox.providers.base.operations import Call, PluginError, ReadResult
from sandbox.providers.base.values import UNKNOWN, Properties, Secret
from sandbox.providers.kubernetes.client import (
    ApiError,
    Cluster,
    KubeconfigError,
    NoMatch,
    Unreachable,
    active_cluster,
    load_kubeconfig,
)
from sandbox.providers.kubernetes.objects import conceal_secret_data
from sandbox.providers.kubernetes.types import known_cluster_scoped

_STRINGS = ("kubeconfig", "context", "cluster", "clusterIdentifier", "namespace")
_FLAGS = (
    "enableServerSideApply",
    "upsertExistingObjects",
    "enablePatchForce",
    "deleteUnreachable",
    "skipUpdateUnreachable",
    "enableConfigMapMutable",
    "enableSecretMutable",
)
SCHEMA: Mapping[str, Any] = {
    "provider": {
        "inputProperties": {
            **{key: {"type": "string"} for key in _STRINGS},
            **{key: {"type": "boolean"} for key in _FLAGS},
        }
    }
}
"""The provider's own arguments alone: the real one has every kind of object, too, so a program in
YAML can make none of those here."""
_CLUSTER_KEYS = ("kubeconfig", "context", "cluster")


@dataclass
class Session:
    """One provider resource: its cluster and modes."""

    cluster: Cluster | None
    unreachable: str = ""
    """Why `cluster` is None."""
    kubeconfig: str = field(default="", repr=False)
    """Its contents, of which helm gets a copy."""
    namespace: str = "default"
    upsert: bool = False
    patch_force: bool = False
    delete_unreachable: bool = False
    skip_update_unreachable: bool = False
    mutable_config_maps: bool = False
    mutable_secrets: bool = False

    def require(self) -> Cluster:
        """The cluster. Raises PluginError where it can't be reached."""
        if self.cluster is None:
            raise PluginError(f"configured Kubernetes cluster is unreachable: {self.unreachable}")
        return self.cluster

    def namespaced(self, obj: Properties) -> bool:
        """Whether objects of this kind live in namespaces; assumed where nobody can say."""
        api_version, kind = str(obj.get("apiVersion", "")), str(obj.get("kind", ""))
        if self.cluster is not None:
            with contextlib.suppress(NoMatch, ApiError, Unreachable):
                return self.cluster.namespaced(api_version, kind)
        return not known_cluster_scoped(api_version, kind)

    def read_unreachable(
        self, call: Call, id: str, inputs: Properties, properties: Properties
    ) -> ReadResult | None:
        """What a refresh makes of a resource whose cluster doesn't answer.

        Raises PluginError unless the provider was told to go on.
        """
        call.warn(f"configured Kubernetes cluster is unreachable: {self.unreachable}")
        if self.delete_unreachable:
            call.info("the cluster is unreachable: deleting the resource from the state alone")
            return None
        if self.skip_update_unreachable:
            state = conceal_secret_data(properties)
            if "__inputs" in state:
                state = {**state, "__inputs": Secret(state["__inputs"])}
            return ReadResult(id, state, conceal_secret_data(inputs))
        raise PluginError(
            "failed to read resource state due to unreachable cluster. If the cluster was deleted, "
            "set the provider's deleteUnreachable to remove this resource from the state"
        )


def configure(config: Properties) -> Session:
    """Connect. A cluster that can't be reached is remembered, and an error only where needed.

    Raises PluginError for the one mode that isn't emulated.
    """
    if not _flag(config, "enableServerSideApply", default=True):
        raise PluginError(
            "enableServerSideApply: false: the sandbox's kubernetes provider emulates only "
            "server-side apply mode; leave the argument out"
        )
    if config.get("renderYamlToDirectory"):
        raise PluginError("renderYamlToDirectory: not emulated by the sandbox")
    cluster, reason = _connect(config)
    return Session(
        cluster=cluster,
        unreachable=reason,
        kubeconfig=yaml.safe_dump(load_kubeconfig(config["kubeconfig"])) if cluster else "",
        namespace=cluster.namespace if cluster else str(config.get("namespace") or "default"),
        upsert=_flag(config, "upsertExistingObjects"),
        patch_force=_flag(config, "enablePatchForce"),
        delete_unreachable=_flag(config, "deleteUnreachable", default=_told_to_delete()),
        skip_update_unreachable=_flag(config, "skipUpdateUnreachable"),
        mutable_config_maps=_flag(config, "enableConfigMapMutable"),
        mutable_secrets=_flag(config, "enableSecretMutable"),
    )


def _connect(config: Properties) -> tuple[Cluster | None, str]:
    text = config.get("kubeconfig") or ""
    if not text:
        return None, (
            "the provider has no kubeconfig; the sandbox's doesn't read $KUBECONFIG or "
            "~/.kube/config, so that no real cluster is touched"
        )
    try:
        kubeconfig = load_kubeconfig(text)
    except KubeconfigError as error:
        return None, f"failed to parse kubeconfig data in `kubernetes:config:kubeconfig`- {error}"
    try:
        cluster = Cluster.connect(
            kubeconfig, str(config.get("context") or ""), str(config.get("namespace") or "")
        )
        cluster.ping()
    except KubeconfigError as error:
        return None, f"unable to load Kubernetes client configuration from kubeconfig: {error}"
    except (Unreachable, ApiError) as error:
        return None, f"unable to load schema information from the API server: {error}"
    return cluster, ""


def _told_to_delete() -> bool:
    """As the real one reads its environment; this one has that of `fleet sandbox start`."""
    return os.environ.get("PULUMI_K8S_DELETE_UNREACHABLE") == "true"


def _flag(config: Properties, name: str, default: bool = False) -> bool:
    value = config.get(name)
    return default if value is None else value in (True, "true")


def diff_config(old: Properties, new: Properties) -> Diff:
    """Compare provider arguments: another cluster replaces the provider and all it manages.

    With an unchanged clusterIdentifier nothing does; a changed one always does.
    """
    diff = Diff()
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            diff.changes[key] = (
                ADD if old.get(key) is None else DELETE if new.get(key) is None else UPDATE
            )
    identifier = new.get("clusterIdentifier")
    if identifier is not None and identifier == old.get("clusterIdentifier"):
        return diff
    if diff.changes.get("clusterIdentifier") == UPDATE:
        diff.replaces.add("clusterIdentifier")
    unknown = [key for key in _CLUSTER_KEYS if new.get(key) is UNKNOWN]
    if unknown:
        diff.replaces.add(unknown[0])
        return diff
    before, after = _active(old), _active(new)
    if before is not None and after is not None and before != after:
        diff.replaces.update(key for key in _CLUSTER_KEYS if key in diff.changes)
    return diff


def _active(config: Properties) -> Any:
    text = config.get("kubeconfig")
    if not isinstance(text, str) or not text:
        return None
    try:
        kubeconfig = load_kubeconfig(text)
    except KubeconfigError as error:
        raise PluginError(f"failed to parse kubeconfig: {error}") from error
    return active_cluster(
        kubeconfig, str(config.get("context") or ""), str(config.get("cluster") or "")
    )
