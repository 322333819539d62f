"""What a stack file says about its cluster: one that is made at Vultr, or one that is there."""

from ipaddress import IPv4Network
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from components.cluster.node_objects import Addresses, public_address
from components.json_object import is_object
from infra.settings.section import DnsLabel, Section, matching


def _cidr(value: object) -> str:
    try:
        return str(IPv4Network(value))  # pyright: ignore[reportArgumentType]
    except (ValueError, TypeError) as error:
        raise ValueError(f"must be an IPv4 network like 10.20.0.0/20 ({error})") from None


Cidr = Annotated[str, BeforeValidator(_cidr)]
KubernetesVersion = Annotated[
    str, matching(r"v\d+\.\d+\.\d+\+\d+", "must be a VKE version like v1.35.5+1")
]


MOST_NODES = 1024
"""Vultr publishes no limit. A node's pods take at least one block of 64 addresses (Calico's default
blockSize, /26) of the cluster's pod network, a /16 (docs/facts/vultr.md §3)."""


def _at_most(nodes: int) -> int:
    if nodes > MOST_NODES:
        raise ValueError(
            f"must be at most {MOST_NODES}: a VKE cluster's pod network (a /16) has no addresses "
            "for more nodes. Make another cluster of the same region"
        )
    return nodes


Nodes = Annotated[int, Field(ge=1), AfterValidator(_at_most)]


class Autoscale(Section):
    """Bounds between which the vendor's autoscaler moves a pool, in nodes."""

    min: Nodes
    max: Nodes

    @model_validator(mode="after")
    def _ordered(self) -> "Autoscale":
        if self.min > self.max:
            raise ValueError(f"min ({self.min}) must not be above max ({self.max})")
        return self


class Taint(Section):
    """What keeps pods that don't tolerate it off a pool's nodes."""

    key: str = Field(min_length=1)
    value: str = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


class Pool(Section):
    """A node pool. `nodes` is its size, or with `autoscale` the size it is made with. One that
    doesn't serve has no record, and no ingress runs there."""

    label: DnsLabel
    plan: str = Field(min_length=1)
    nodes: Nodes
    autoscale: Autoscale | None = None
    labels: dict[str, str] = Field(default={})
    taints: list[Taint] = Field(default=[])
    serves: bool = True

    @model_validator(mode="after")
    def _within_bounds(self) -> "Pool":
        if self.autoscale and not self.autoscale.min <= self.nodes <= self.autoscale.max:
            raise ValueError(
                f"nodes ({self.nodes}) must lie within autoscale "
                f"({self.autoscale.min} to {self.autoscale.max})"
            )
        return self


class Vpc(Section):
    """A VPC made for the cluster. Without one Vultr makes its own."""

    cidr: Cidr


class RolloutTimeout(Section):
    """Minutes in which something has to change while `pulumi up` waits for pods to roll over the
    nodes."""

    rollout: int = Field(default=15, ge=1)


class Timeouts(RolloutTimeout):
    """And for nodes to come or go, and for an upgrade."""

    nodes: int = Field(default=30, ge=1)
    upgrade: int = Field(default=60, ge=1)


ReplacingField = Literal["location", "highAvailability"]


class Cluster(Section):
    """A VKE cluster.

    `replace` is consent: the names of the fields whose change may delete this cluster and make
    another. `protect` keeps Pulumi from deleting it at all. Without `ipv6`, nodes that have no
    IPv6 address are published too. `accept_loss` is consent to take away the records of more than
    half of the nodes though Vultr still has the machines.
    """

    label: DnsLabel | None = None
    location: str = Field(min_length=1)
    version: KubernetesVersion
    pools: list[Pool] = Field(min_length=1)
    vpc: Vpc | None = None
    high_availability: bool = False
    protect: bool = True
    ipv6: bool = True
    timeouts: Timeouts = Timeouts()
    accept_loss: bool = False
    replace: list[ReplacingField] = Field(default=[])

    @model_validator(mode="after")
    def _pool_labels_differ(self) -> "Cluster":
        labels = [pool.label for pool in self.pools]
        if twice := sorted({label for label in labels if labels.count(label) > 1}):
            raise ValueError(f"two pools are called {', '.join(twice)}: labels must differ")
        if not any(pool.serves for pool in self.pools):
            raise ValueError("no pool serves: one must, or the region has no address")
        return self


class PublicAddresses(Section):
    """Public addresses of a node whose Node object doesn't know them."""

    ipv4: str | None = None
    ipv6: str | None = None

    @field_validator("ipv4", "ipv6")
    @classmethod
    def _public(cls, value: str | None, info: ValidationInfo) -> str | None:
        family = int(str(info.field_name)[-1])
        if value is not None and not public_address(value, family):
            raise ValueError(f"must be a public IPv{family} address")
        return value


class Existing(Section):
    """How a cluster that somebody else made is reached.

    `kubeconfig` is a path outside of the repository; without it the stack's secret `kubeconfig` is
    taken. `addresses` are by a node's name. `api_port` is where the API server listens on the
    nodes: administrators reach it there.
    """

    kubeconfig: str | None = Field(default=None, min_length=1)
    addresses: dict[str, PublicAddresses] = Field(default={})
    api_port: int = Field(default=6443, ge=1, le=65535)

    def node_addresses(self) -> dict[str, Addresses]:
        """As the component takes them."""
        return {
            node: Addresses(**said.model_dump(exclude_none=True))
            for node, said in self.addresses.items()
        }


class ExistingCluster(Section):
    """A cluster that somebody else made, and that lives on without this stack. Without `ipv6`,
    nodes that have no IPv6 address are published too; `accept_loss` as for a VKE cluster."""

    existing: Existing
    ipv6: bool = True
    timeouts: RolloutTimeout = RolloutTimeout()
    accept_loss: bool = False


def _kind(value: object) -> str:
    there = isinstance(value, ExistingCluster) or (is_object(value) and "existing" in value)
    return "(existing)" if there else "(vke)"


AnyCluster = Annotated[
    Annotated[Cluster, Tag("(vke)")] | Annotated[ExistingCluster, Tag("(existing)")],
    Discriminator(_kind),
]
"""Told apart by the key `existing`. The tags stand in no message."""
