"""How objects are written: client-side create, server-side apply, and who owns which field.

As in pulumi-kubernetes 4.34, provider/pkg/await/await.go and provider/pkg/ssa: creates are
client-side, so that they fail where the object exists (PR 4278); updates and patches are applied.
"""

import copy
import secrets
from collections.abc import Callable
from typing import Any

from sandbox.providers.base.operations import Call
from sandbox.providers.base.values import Properties
from sandbox.providers.kubernetes.client import ApiError, Cluster, NoMatch
from sandbox.providers.kubernetes.objects import (
    PATCH_FIELD_MANAGER,
    PATCH_FORCE,
    annotation,
    is_crd,
    metadata,
    name_of,
    namespace_of,
)

_CONFLICT_HELP = (
    "https://www.pulumi.com/registry/packages/kubernetes/how-to-guides/"
    "managing-resources-with-server-side-apply/#handle-field-conflicts-on-existing-resources"
)
_TAKEN_OVER = {
    "Apply": ("kubectl",),
    "Update": ("kubectl", "before-first-apply", "pulumi-kubernetes", "pulumi-resource-kubernetes"),
}
"""Whose fields an update of a whole object takes over: managers by the start of their name."""

RETRY_SECONDS: tuple[float, ...] = (1, 2, 4, 8, 16)
"""Pauses before a create that met a missing namespace or kind is tried again."""


class FieldConflict(Exception):
    """Somebody else manages a field; the text names field and manager."""


def field_manager(inputs: Properties, state: Properties) -> str:
    """Whose name the fields carry: the annotation's, the state's, or a new random one."""
    known = annotation(inputs, PATCH_FIELD_MANAGER) or state.get("__fieldManager")
    return known or f"pulumi-kubernetes-{secrets.token_hex(4)}"


def create(
    cluster: Cluster, call: Call, obj: Properties, manager: str, *, upsert: bool, force: bool
) -> Properties:
    """Create `obj`; with `upsert` by server-side apply, which also takes an existing one.

    Waits for a namespace or kind that is still missing. Raises ApiError, NoMatch, FieldConflict.
    """

    def write() -> Properties:
        if upsert:
            # A preview can't tell conflicts of an object that will be replaced: it forces.
            return _applied(cluster, obj, manager, force or call.preview, call.preview)
        return cluster.create(obj, manager, dry_run=call.preview)

    return _retried(cluster, call, write)


def _retried(cluster: Cluster, call: Call, write: Callable[[], Properties]) -> Properties:
    for attempt, pause in enumerate((*RETRY_SECONDS, None)):
        try:
            return write()
        except (ApiError, NoMatch) as error:
            missing = isinstance(error, NoMatch) or error.not_found
            if not missing or pause is None or call.preview:
                raise
            call.info(f"Retry #{attempt}; creation failed: {error}", ephemeral=True)
        cluster.forget_kinds()
        call.wait(pause)
    raise AssertionError("unreachable")


def update(
    cluster: Cluster, call: Call, obj: Properties, manager: str, *, patch: bool, force: bool
) -> Properties:
    """Change the live object to `obj`. Raises ApiError, NoMatch, FieldConflict."""
    live = cluster.get(obj)
    if is_crd(obj):
        version = metadata(live).get("resourceVersion")
        replaced = {**obj, "metadata": {**metadata(obj), "resourceVersion": version}}
        return cluster.replace(replaced, manager, dry_run=call.preview)
    if not patch:
        # A dry run can't be preceded by a real change of managers: it forces instead.
        force = force or (call.preview and _legacy_managers(live, "pulumi-"))
        if not call.preview:
            _take_over(cluster, live, manager)
    return _applied(cluster, obj, manager, force, call.preview)


def relinquish(cluster: Cluster, live: Properties, manager: str) -> None:
    """Give up every field of `manager`: they fall to their other owners, or go."""
    cluster.apply(identity(live), manager)


def identity(obj: Properties) -> Properties:
    """What names an object, and nothing else of it."""
    meta = {"name": name_of(obj)}
    if namespace_of(obj):
        meta["namespace"] = namespace_of(obj)
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": meta}


def forced(obj: Properties, by_default: bool) -> bool:
    """Whether to take fields from their managers."""
    return by_default or annotation(obj, PATCH_FORCE) == "true"


def creation_failure(call: Call, obj: Properties, error: Exception) -> str:
    """What the user is told when a create failed."""
    if isinstance(error, NoMatch):
        return (
            f'creation of resource "{call.urn}" with kind {obj["apiVersion"]}/{obj["kind"]} failed '
            "because the Kubernetes API server reported that the apiVersion for this resource "
            f"does not exist. Verify that any required CRDs have been created: {error}"
        )
    return (
        f'resource "{call.urn}" was not successfully created by the Kubernetes API server: {error}'
    )


def deletion_failure(call: Call, id: str, error: ApiError) -> str:
    """What the user is told when a delete failed."""
    if error.required_field and call.type.endswith("Patch"):
        return (
            "this Patch resource is currently managing a required field, so it can't be deleted "
            "directly. Either set the `retainOnDelete` resource option, or transfer ownership of "
            f"the field before deleting: {error.required_field}"
        )
    return f'deletion of "{id}" failed: {error}'


def _applied(
    cluster: Cluster, obj: Properties, manager: str, force: bool, dry_run: bool
) -> Properties:
    try:
        return cluster.apply(obj, manager, force, dry_run)
    except ApiError as error:
        if not error.conflict:
            raise
        raise FieldConflict(
            "Server-Side Apply field conflict detected. "
            f"See {_CONFLICT_HELP} for troubleshooting help.\n"
            f'The resource managed by field manager "{manager}" had an apply conflict: {error}'
        ) from error


def _legacy_managers(live: Properties, prefix: str) -> bool:
    return any(
        entry.get("operation") == "Update" and entry.get("manager", "").startswith(prefix)
        for entry in metadata(live).get("managedFields") or []
    )


def _take_over(cluster: Cluster, live: Properties, manager: str) -> None:
    entries = take_over(metadata(live).get("managedFields") or [], manager)
    if entries is None:
        return
    version = metadata(live).get("resourceVersion")
    cluster.patch_json(
        live,
        [
            {"op": "replace", "path": "/metadata/managedFields", "value": entries},
            {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
        ],
    )


def take_over(entries: list[Properties], manager: str) -> list[Properties] | None:
    """The managedFields after `manager` took over what _TAKEN_OVER lists; None for no change."""
    kept, taken, own = [], [], None
    for entry in entries:
        operation, name = entry.get("operation", ""), entry.get("manager", "")
        if entry.get("subresource"):
            kept.append(entry)
        elif (operation, name) == ("Apply", manager):
            own = copy.deepcopy(entry)
        elif name.startswith(_TAKEN_OVER.get(operation, ())):
            taken.append(entry)
        else:
            kept.append(entry)
    if not taken:
        return None
    if own is None:
        own = {**copy.deepcopy(taken[0]), "manager": manager, "operation": "Apply"}
    for entry in taken:
        _merge(own.setdefault("fieldsV1", {}), entry.get("fieldsV1") or {})
    return [*kept, own]


def _merge(target: dict[str, Any], source: dict[str, Any]) -> None:
    for key, value in source.items():
        _merge(target.setdefault(key, {}), value)
