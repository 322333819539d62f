"""Kubernetes objects as plain dicts: who they are, their Pulumi annotations, their normal form.

The rules are those of pulumi-kubernetes 4.34 (provider/pkg/{metadata,clients,provider}).
"""

import base64
import binascii
import copy
import secrets
from typing import Any

from sandbox.providers.base.values import UNKNOWN, Properties, Secret, has_unknown

AUTONAMED = "pulumi.com/autonamed"
SKIP_AWAIT = "pulumi.com/skipAwait"
TIMEOUT_SECONDS = "pulumi.com/timeoutSeconds"
PATCH_FORCE = "pulumi.com/patchForce"
PATCH_FIELD_MANAGER = "pulumi.com/patchFieldManager"
DELETION_PROPAGATION = "pulumi.com/deletionPropagationPolicy"

_READ_ONLY_METADATA = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "uid",
)
# Schema keywords that can't be property names in Pulumi's SDKs.
_DASHED = {
    f"x_kubernetes_{name}": f"x-kubernetes-{name.replace('_', '-')}"
    for name in (
        "embedded_resource",
        "int_or_string",
        "list_map_keys",
        "list_type",
        "map_type",
        "preserve_unknown_fields",
        "validations",
    )
}
_UNDERSCORED = {dashed: name for name, dashed in _DASHED.items()}


def metadata(obj: Properties) -> Properties:
    value = obj.get("metadata")
    return value if isinstance(value, dict) else {}


def name_of(obj: Properties) -> str:
    """The object's name; "" where it has none, or one that isn't known yet."""
    name = metadata(obj).get("name")
    return name if isinstance(name, str) else ""


def namespace_of(obj: Properties) -> str:
    namespace = metadata(obj).get("namespace")
    return namespace if isinstance(namespace, str) else ""


def annotation(obj: Properties, key: str) -> str:
    annotations = metadata(obj).get("annotations")
    value = annotations.get(key) if isinstance(annotations, dict) else None
    return value if isinstance(value, str) else ""


def has_value(meta: Properties, key: str) -> bool:
    """Whether a field is set, be it to something that isn't known yet."""
    value = meta.get(key)
    return value is UNKNOWN or bool(value)


def object_id(obj: Properties) -> str:
    """Pulumi's id of an object: `namespace/name`, or `name`."""
    namespace = namespace_of(obj)
    return f"{namespace}/{name_of(obj)}" if namespace else name_of(obj)


def parse_id(id: str) -> tuple[str, str]:
    """Namespace ("" for none) and name."""
    namespace, _, name = id.rpartition("/")
    return namespace, name


def random_suffix() -> str:
    return secrets.token_hex(4)


def assign_name(obj: Properties, resource_name: str, old_inputs: Properties) -> None:
    """Give a nameless object its old automatic name, or a new one, and mark it."""
    meta = metadata(obj)
    if has_value(meta, "name") or "generateName" in meta:
        return
    if old_inputs:
        if annotation(old_inputs, AUTONAMED) != "true":
            return
        meta["name"] = name_of(old_inputs)
    else:
        meta["name"] = f"{resource_name}-{random_suffix()}"
    annotations = meta.setdefault("annotations", {})
    if isinstance(annotations, dict):
        annotations[AUTONAMED] = "true"


def without_nulls(value: Any) -> Any:
    """The value without null map entries: on Pulumi's wire, null is absence."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def to_kubernetes(value: Any) -> Any:
    """Pulumi's spelling of field names turned into Kubernetes' own."""
    return _rename(value, _DASHED)


def from_kubernetes(value: Any) -> Any:
    """Kubernetes' spelling of field names turned into Pulumi's."""
    return _rename(value, _UNDERSCORED)


def _rename(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {names.get(key, key): _rename(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_rename(item, names) for item in value]
    return value


def normalize(obj: Properties) -> Properties:
    """The form in which equal objects are equal; a copy."""
    obj = copy.deepcopy(obj)
    for field in _READ_ONLY_METADATA:
        metadata(obj).pop(field, None)
    if has_unknown(obj):
        return obj
    if is_secret(obj):
        _normalize_secret(obj)
    if is_crd(obj):
        obj.pop("status", None)
        spec = obj.get("spec")
        if isinstance(spec, dict) and spec.get("preserveUnknownFields") is False:
            del spec["preserveUnknownFields"]
    return obj


def is_secret(obj: Properties) -> bool:
    return obj.get("apiVersion") == "v1" and obj.get("kind") == "Secret"


def is_crd(obj: Properties) -> bool:
    return obj.get("kind") == "CustomResourceDefinition" and str(
        obj.get("apiVersion", "")
    ).startswith("apiextensions.k8s.io/")


def _normalize_secret(obj: Properties) -> None:
    # The API server does the same: stringData is merged into data and never returned.
    data = obj.get("data")
    for key, value in (obj.get("stringData") or {}).items():
        data = obj.setdefault("data", {})
        data[key] = base64.b64encode(str(value).encode()).decode()
    if obj.get("stringData"):
        del obj["stringData"]
    elif isinstance(data, dict):
        for key, value in data.items():
            try:
                data[key] = base64.b64encode(base64.b64decode(value)).decode()
            except (binascii.Error, TypeError, ValueError):
                continue  # The API server will refuse it, and say why.


def conceal_secret_data(obj: Properties) -> Properties:
    """The object, with a Secret's data marked secret."""
    if obj.get("kind") != "Secret":
        return obj
    return {
        key: Secret(value) if key in ("data", "stringData") else value for key, value in obj.items()
    }
