"""Renderings made by hand, as small as a sentence needs them."""

from typing import Any

from infra.state.resource_types import CLUSTER
from ops.render.resources import Registered, Rendering


def resource(type_token: str, name: str, options: dict[str, Any] | None = None, **inputs: Any):
    """A resource of the stack us."""
    urn = f"urn:pulumi:us::edgefleet::{type_token}::{name}"
    return Registered(urn, type_token, name, "", True, inputs, options or {})


def rendering(*resources: Registered, messages: list[str] | None = None, **outputs: Any):
    """A stack with these."""
    return Rendering(list(resources), outputs, messages or [])


def cluster(nodes: int = 3, *, protect: bool = True, **pool: Any) -> Registered:
    """A cluster with one pool, of three nodes."""
    made = {"label": "edge", "nodeQuantity": nodes, "plan": "vc2-2c-4gb", **pool}
    options = {"protect": True} if protect else {}
    return resource(
        CLUSTER, "us-cluster", options, label="edgefleet-us", nodePools=made, region="ewr"
    )
