"""An update that meets what an interrupted one had made takes it over.

A POST may be carried out while its answer is lost, and the engine may die between the answer and
the checkpoint. Then something of ours exists that the stack's state doesn't know. Made again it
would stand twice (a cluster) or be refused for ever (a DNS record, 81058), so each resource that
the state lacks is looked up first by what only we would have given it, and imported if it is there.

What the state holds under another name is no orphan but a resource that is being renamed: imported
under its new name, it would be deleted as the old one.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, cast

import pulumi
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.rpc import deserialize_properties
from pulumi.runtime.settings import get_monitor

from components.errors import VendorError
from infra.state.checkpoint import StackState
from infra.state.live_twins import LiveTwins
from infra.state.resource_types import (
    CLUSTER,
    FIREWALL_RULE,
    KV_NAMESPACE,
    POOL,
    RECORD,
    ROUTE,
    RULESET,
    VPC,
    WORKER,
)

_IDENTITY: Mapping[str, tuple[str, ...]] = {
    CLUSTER: ("label",),
    POOL: ("clusterId", "label"),
    VPC: ("description", "region"),
    FIREWALL_RULE: ("firewallGroupId", "ipType", "protocol", "port", "source"),
    RECORD: ("zoneId", "name", "type", "content"),
    ROUTE: ("zoneId", "pattern"),
    KV_NAMESPACE: ("accountId", "title"),
    WORKER: ("accountId", "name"),
    RULESET: ("zoneId", "phase"),
}
"""What is taken over, and the properties that tell one from another at its vendor. A script is none
of them: it is put, not made, and putting it again is no error."""
TAKEN_OVER = frozenset(_IDENTITY)


class _Spec(Protocol):
    name: str
    parentUrn: str
    noParent: bool


class _Alias(Protocol):
    """What is used of the engine's `Alias`; protobuf comes without types."""

    urn: str
    spec: _Spec


class _Monitor(Protocol):
    """What is used of the engine's stub; gRPC comes without types."""

    RegisterResource: Callable[
        [resource_pb2.RegisterResourceRequest], resource_pb2.RegisterResourceResponse
    ]


def take_over_orphans(state: StackState, twins: LiveTwins) -> None:
    """Import, from now on, every resource that the state lacks and the vendor has.

    On the way to the engine, and not in a transform, which the engine calls back: what a transform
    raises is shown with a traceback, and one that still runs when the program fails leaves another
    (pulumi 3.246.0; grpc/grpc#37239).
    """
    monitor = cast("_Monitor | None", get_monitor())
    assert monitor
    register = monitor.RegisterResource

    def taking_over(
        request: resource_pb2.RegisterResourceRequest,
    ) -> resource_pb2.RegisterResourceResponse:
        # In a thread of its own: each registration has one, and may block.
        if request.type in TAKEN_OVER and not _in_state(state, request):
            request.importId = _orphan(twins, request) or request.importId
        return register(request)

    monitor.RegisterResource = taking_over


def _in_state(state: StackState, request: resource_pb2.RegisterResourceRequest) -> bool:
    """Whether the state holds it: by this name, by an alias, or as another resource."""
    known = state.of_type(request.type)
    return (
        request.name in known
        or _renamed(request)
        or held(known, request.type, deserialize_properties(request.object)) is not None
    )


def _renamed(request: resource_pb2.RegisterResourceRequest) -> bool:
    """Whether it is said to have had another name or parent. That its type had another name, as
    the providers say of many, tells nothing."""
    return bool(request.aliasURNs) or any(
        alias.urn or alias.spec.name or alias.spec.parentUrn or alias.spec.noParent
        for alias in cast("Iterable[_Alias]", request.aliases)  # pyright: ignore[reportUnknownMemberType]
    )


def held(
    known: Mapping[str, Mapping[str, Any]], type_token: str, props: Mapping[str, Any]
) -> str | None:
    """The name of the resource of the state, among those `known` of its type, that is what these
    properties describe."""
    identity = {key: props.get(key) for key in _IDENTITY[type_token]}
    for name, outputs in known.items():
        if all(value and outputs.get(key) == value for key, value in identity.items()):
            return name
    return None


def _orphan(twins: LiveTwins, request: resource_pb2.RegisterResourceRequest) -> str | None:
    try:
        found = list(twins.of(request.type, deserialize_properties(request.object)))
        ours = next((twin for twin in found if twin.ours), None)
        if ours:
            pulumi.log.info(
                f"{request.name}: {ours.id} is there already, left by an update that was "
                "interrupted; taking it over"
            )
        if ours and ours.pending:
            if pulumi.runtime.is_dry_run():
                # `pulumi up` waits for it. A preview shows it as one that is still to be made.
                return None
            twins.cluster_is_made(ours.id, pulumi.log.info)
    except VendorError as error:
        raise pulumi.RunError(f"{request.name}: {error}") from None
    if ours:
        return ours.id
    if found and request.type == CLUSTER:
        # Vultr would make a second one of the same label.
        raise pulumi.RunError(
            f"{request.name}: Vultr already has a cluster of that label, {found[0].id} in "
            f"{found[0].where}, that this stack didn't make. Choose another cluster.label, or "
            "delete that cluster"
        )
    return None
