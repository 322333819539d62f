"""Resource types: tokens, the kinds behind them, and what the SDK knows of them."""

import importlib
from dataclasses import dataclass
from typing import Any

import pulumi

from sandbox.providers.base.operations import Call, Failure, PluginError
from sandbox.providers.base.schema import inputs_of, loading
from sandbox.providers.base.values import Properties

_NOT_OBJECTS = ("helm.sh/", "yaml", "kustomize")
# What can be known without asking a cluster; everything else counts as namespaced.
_CLUSTER_SCOPED = frozenset(
    [
        "APIService",
        "CSIDriver",
        "CSINode",
        "CertificateSigningRequest",
        "ClusterRole",
        "ClusterRoleBinding",
        "ClusterTrustBundle",
        "CustomResourceDefinition",
        "DeviceClass",
        "FlowSchema",
        "IPAddress",
        "IngressClass",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
        "MutatingWebhookConfiguration",
        "Namespace",
        "Node",
        "PersistentVolume",
        "PriorityClass",
        "PriorityLevelConfiguration",
        "ResourceSlice",
        "RuntimeClass",
        "ServiceCIDR",
        "StorageClass",
        "StorageVersion",
        "StorageVersionMigration",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
        "VolumeAttachment",
        "VolumeAttributesClass",
    ]
)


@dataclass(frozen=True)
class TypeToken:
    """A resource type, `kubernetes:<group>/<version>:<Kind>`, taken apart."""

    api_version: str
    kind: str
    patch: bool
    """One of the `…Patch` types: it manages some fields of an object that others own."""

    @property
    def is_list(self) -> bool:
        return self.kind.endswith("List")


def parse_type(token: str, kind: Any = None) -> TypeToken:
    """Read a type token. `kind` is the object's own, where the inputs say it.

    Raises ValueError for tokens that name no group, version and kind.
    """
    parts = token.split(":")
    if len(parts) != 3 or parts[1].count("/") != 1:
        raise ValueError(f"{token!r} isn't a resource type: want kubernetes:<group>/<version>:Kind")
    group, version = parts[1].split("/")
    api_version = version if group == "core" else parts[1]
    name = parts[2]
    patch = name.endswith("Patch") and kind != name
    return TypeToken(api_version, name.removesuffix("Patch") if patch else name, patch)


def known_cluster_scoped(api_version: str, kind: str) -> bool:
    """Whether a built-in kind has no namespace, as far as one can know without a cluster."""
    group = api_version.rpartition("/")[0]
    return kind in _CLUSTER_SCOPED and ("." not in group or group.endswith(".k8s.io"))


def type_of(call: Call, obj: Properties) -> TypeToken:
    """The type that a call is about. Raises PluginError for what isn't emulated."""
    module = call.type.split(":")[1] if call.type.count(":") == 2 else ""
    if module.startswith(_NOT_OBJECTS):
        raise PluginError(f"{call.type}: not emulated by the sandbox; it needs the real plugin")
    try:
        token = parse_type(call.type, obj.get("kind"))
    except ValueError as error:
        raise PluginError(str(error)) from error
    if token.is_list and sdk_class(call.type):
        raise PluginError(
            "list resources exist for compatibility with YAML manifests and Helm charts, and "
            "cannot be created directly. Use the underlying resource type instead"
        )
    return token


def sdk_class(token: str) -> type[pulumi.CustomResource] | None:
    """The SDK's class of a type; None for custom resources."""
    _, module, name = token.split(":")
    group, version = module.split("/")
    with loading:
        try:
            package = importlib.import_module(f"pulumi_kubernetes.{group.split('.')[0]}.{version}")
        except ImportError:
            return None
        found = getattr(package, name, None)
    return found if getattr(found, "pulumi_type", None) == token else None


def unknown_fields(token: str, news: Properties) -> list[Failure]:
    """A failure for every top-level input that the SDK's class of the type doesn't have."""
    sdk = sdk_class(token)
    if sdk is None:
        return []
    known = inputs_of(sdk).properties
    return [
        Failure(name, f"{token} has no field {name!r}; it has: {', '.join(sorted(known))}")
        for name in news
        # Manifests carry a status at times; the API server ignores it.
        if name not in known and name != "status" and not name.startswith("__")
    ]
