"""Renderings made by hand, as small as a sentence needs them."""

from typing import Any

from infra.state.resource_types import CLUSTER
from ops.render.resources import Registered, Rendering


def resource(
    type_token: str, called: str, options: dict[str, Any] | None = None, /, **inputs: Any
) -> Registered:
    """A resource of the stack us."""
    urn = f"urn:pulumi:us::edgefleet::{type_token}::{called}"
    return Registered(urn, type_token, called, "", True, inputs, options or {})


def rendering(
    *resources: Registered, messages: list[str] | None = None, **outputs: Any
) -> Rendering:
    """A stack with these."""
    return Rendering(list(resources), outputs, messages or [])


def cluster(nodes: int = 3, *, protect: bool = True, **pool: Any) -> Registered:
    """A cluster with one pool, of three nodes."""
    made = {"label": "edge", "nodeQuantity": nodes, "plan": "vc2-2c-4gb", **pool}
    options = {"protect": True} if protect else {}
    return resource(
        CLUSTER, "us-cluster", options, label="edgefleet-us", nodePools=made, region="ewr"
    )
