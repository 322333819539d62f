"""What the engine stores of an object, and what is compared: state, inputs, live object."""

from sandbox.providers.base.operations import Call
from sandbox.providers.base.schema import inputs_of
from sandbox.providers.base.values import Properties, Secret
from sandbox.providers.kubernetes.diff import prune, restore_empty
from sandbox.providers.kubernetes.objects import (
    conceal_secret_data,
    from_kubernetes,
    metadata,
    normalize,
    to_kubernetes,
    without_nulls,
)
from sandbox.providers.kubernetes.types import sdk_class

_READ_ONLY_METADATA = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid")
_FOREIGN_ANNOTATIONS = (
    "deployment.kubernetes.io/revision",
    "kubectl.kubernetes.io/last-applied-configuration",
)


def object_of(inputs: Properties) -> Properties:
    """The object that inputs describe, in its normal form."""
    return normalize(to_kubernetes(without_nulls(inputs)))


def shaped(call: Call, live: Properties, inputs: Properties) -> Properties:
    """The part of a live object that the inputs speak of."""
    found = prune(live, inputs)
    return restore_empty(found, inputs) if sdk_class(call.type) else found


def live_of(state: Properties) -> Properties:
    """The object that a state holds."""
    live = to_kubernetes(without_nulls(state))
    return {key: value for key, value in live.items() if not key.startswith("__")}


def checkpoint(
    inputs: Properties, live: Properties, manager: str, initial: str | None = None
) -> Properties:
    """What the engine keeps: the live object, the inputs it came from, and who manages it."""
    return {
        **conceal_secret_data(from_kubernetes(live)),
        # Secret as a whole: which of the inputs were secret isn't known here.
        "__inputs": Secret(from_kubernetes(inputs)),
        "__initialApiVersion": initial or inputs.get("apiVersion", ""),
        "__fieldManager": manager,
    }


def importable(live: Properties, found: Properties, token: str) -> Properties:
    """The inputs that would make a live object, for a resource that had none."""
    sdk = sdk_class(token)
    known = inputs_of(sdk).properties if sdk else {}
    result = {**found, **{key: value for key, value in live.items() if key in known}}
    meta = {k: v for k, v in metadata(result).items() if k not in _READ_ONLY_METADATA}
    if isinstance(meta.get("annotations"), dict):
        meta["annotations"] = {
            key: value
            for key, value in meta["annotations"].items()
            if key not in _FOREIGN_ANNOTATIONS
        }
    return {**result, "metadata": meta}
