"""What differs between an object as it was and as the program wants it, and what that costs.

The comparison of the real provider (pulumi-kubernetes 4.34, provider/pkg/provider/util.go and
provider.go): the live state is pruned to the shape of the old inputs, lists **by position**
(docs/facts/real-providers.md, Kubernetes 1), then compared with the new inputs.
"""

from typing import Any

from kubernetes.utils import parse_quantity

from sandbox.providers.base.diff import ADD, DELETE, UPDATE, Diff, child_path
from sandbox.providers.base.values import UNKNOWN, Properties

_MISSING = object()
# Maps of resource amounts, which the API server writes its own way: "1000m" comes back as "1".
_QUANTITIES = frozenset({"limits", "requests", "capacity", "allocatable", "hard", "overhead"})
Path = tuple[str | int, ...]


def prune(live: Any, shape: Any) -> Any:
    """The part of `live` that `shape` has: maps by key, lists by position."""
    if isinstance(live, dict) and isinstance(shape, dict):
        return {key: prune(value, shape[key]) for key, value in live.items() if key in shape}
    if isinstance(live, list) and isinstance(shape, list):
        if not live or not shape:
            return []
        if type(live[0]) is not type(shape[0]):
            return live
        return [prune(value, wanted) for value, wanted in zip(live, shape, strict=False)]
    return live


def restore_empty(pruned: Any, inputs: Any) -> Any:
    """`pruned` with the empty values of `inputs` that the API server left out.

    `hostPID: false` isn't stored and never comes back; the real provider converts inputs to Go
    structs, where such values vanish too.
    """
    if isinstance(pruned, dict) and isinstance(inputs, dict):
        result = {key: restore_empty(value, inputs.get(key)) for key, value in pruned.items()}
        for key, value in inputs.items():
            if key not in result and _empty(value):
                result[key] = value
        return result
    if isinstance(pruned, list) and isinstance(inputs, list):
        rest = pruned[len(inputs) :]
        return [restore_empty(a, b) for a, b in zip(pruned, inputs, strict=False)] + rest
    return pruned


def _empty(value: Any) -> bool:
    if value is UNKNOWN:
        return False
    if isinstance(value, dict):
        return all(_empty(item) for item in value.values())
    return value in (False, 0, "", [])


def compare(old: Properties, new: Properties, force_new: list[str]) -> Diff:
    """The changes from `old` to `new`.

    `force_new` names the paths that can't change in place, like `.spec.containers[*].image`.
    """
    diff = Diff()
    _compare((), "", old, new, force_new, diff)
    return diff


def _compare(path: Path, text: str, old: Any, new: Any, force_new: list[str], diff: Diff) -> None:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            before, after = old.get(key, _MISSING), new.get(key, _MISSING)
            _compare((*path, key), child_path(text, key), before, after, force_new, diff)
        return
    if isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else _MISSING
            after = new[index] if index < len(new) else _MISSING
            _compare((*path, index), f"{text}[{index}]", before, after, force_new, diff)
        return
    if _same(path, old, new):
        return
    diff.changes[text] = DELETE if new is _MISSING else ADD if old is _MISSING else UPDATE
    changed = _nest(path, None if new is _MISSING else new)
    if any(_reaches(changed, _steps(pattern)) for pattern in force_new):
        diff.replaces.add(text)


def _same(path: Path, old: Any, new: Any) -> bool:
    if old is _MISSING or new is _MISSING or new is UNKNOWN:
        return False
    if old == new:
        return isinstance(old, bool) == isinstance(new, bool)
    if not _QUANTITIES.intersection(path) or isinstance(old, dict) or isinstance(new, dict):
        return False
    try:
        return parse_quantity(old) == parse_quantity(new)
    except (ValueError, TypeError):
        return False


def _nest(path: Path, value: Any) -> Any:
    for step in reversed(path):
        value = [value] if isinstance(step, int) else {step: value}
    return value


def _steps(pattern: str) -> list[str]:
    return pattern.replace("[*]", ".*").strip(".").split(".")


def _reaches(value: Any, steps: list[str]) -> bool:
    if not steps:
        return True
    if steps[0] == "*":
        return isinstance(value, list) and any(_reaches(item, steps[1:]) for item in value)
    return isinstance(value, dict) and steps[0] in value and _reaches(value[steps[0]], steps[1:])


_CONTAINER_FIELDS = [
    "args",
    "command",
    "env",
    "image",
    "imagePullPolicy",
    "lifecycle",
    "livenessProbe",
    "ports",
    "readinessProbe",
    "resources",
    "securityContext",
    "stdin",
    "stdinOnce",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "tty",
    "volumeDevices",
    "volumeMounts",
    "workingDir",
]
_POD_FIELDS = [
    "affinity",
    "automountServiceAccountToken",
    "dnsConfig",
    "dnsPolicy",
    "enableServiceLinks",
    "hostAliases",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "hostname",
    "imagePullSecrets",
    "nodeName",
    "nodeSelector",
    "overhead",
    "preemptionPolicy",
    "priority",
    "priorityClassName",
    "readinessGates",
    "restartPolicy",
    "runtimeClassName",
    "schedulerName",
    "securityContext",
    "serviceAccount",
    "serviceAccountName",
    "shareProcessNamespace",
    "subdomain",
    "terminationGracePeriodSeconds",
    "volumes",
]
_VOLUME_SOURCES = [
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "csi",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "glusterfs",
    "hostPath",
    "iscsi",
    "local",
    "nfs",
    "photonPersistentDisk",
    "portworxVolume",
    "quobyte",
    "rbd",
    "scaleIO",
    "storageos",
    "vsphereVolume",
]

# provider/pkg/provider/diff.go
_FORCE_NEW: dict[tuple[str, str], list[str]] = {
    ("apps/v1", "DaemonSet"): [".spec.selector"],
    ("apps/v1", "Deployment"): [".spec.selector"],
    ("apps/v1", "StatefulSet"): [
        ".spec.podManagementPolicy",
        ".spec.revisionHistoryLimit",
        ".spec.selector",
        ".spec.serviceName",
        ".spec.volumeClaimTemplates",
    ],
    ("batch/v1", "Job"): [
        ".spec.completions",
        ".spec.parallelism",
        ".spec.selector",
        ".spec.template",
    ],
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): [".roleRef"],
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): [".roleRef"],
    ("storage.k8s.io/v1", "StorageClass"): [".parameters", ".provisioner"],
    ("v1", "PersistentVolume"): [f".spec.{field}" for field in _VOLUME_SOURCES],
    ("v1", "PersistentVolumeClaim"): [
        f".spec.{field}" for field in ("accessModes", "selector", "storageClassName", "volumeName")
    ],
    ("v1", "Pod"): [f".spec.{field}" for field in _POD_FIELDS]
    + [
        f".spec.{kind}[*].{field}"
        for kind in ("containers", "initContainers")
        for field in _CONTAINER_FIELDS
    ],
    ("v1", "ResourceQuota"): [".spec.scopes"],
    ("v1", "Secret"): [".type"],
    ("v1", "Service"): [".spec.clusterIP"],
}

IDENTITY = [".metadata.name", ".metadata.namespace"]
"""Changing these replaces any object, patches included."""


def force_new(
    obj: Properties, mutable_config_maps: bool = False, mutable_secrets: bool = False
) -> list[str]:
    """The paths of `obj` that can't change in place."""
    kind = (obj.get("apiVersion", ""), obj.get("kind", ""))
    immutable = obj.get("immutable") is True
    if kind == ("v1", "Secret") and (immutable or not mutable_secrets):
        return [*IDENTITY, ".type", ".stringData", ".data"]
    if kind == ("v1", "ConfigMap") and (immutable or not mutable_config_maps):
        return [*IDENTITY, ".binaryData", ".data"]
    return [*IDENTITY, *_FORCE_NEW.get(kind, [])]
