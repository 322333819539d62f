"""What a `VkeCluster` is given."""

from collections.abc import Mapping, Sequence
from typing import Literal, NotRequired, TypedDict

from .pool_settings import Bounds


class Taint(TypedDict):
    """What keeps pods that don't tolerate it off a pool's nodes."""

    key: str
    """Its name (dedicated)."""
    value: str
    """Its value; "" for none."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]
    """What happens to pods that don't tolerate it."""


class PoolArgs(TypedDict):
    """A node pool."""

    label: str
    """Unique in the cluster; by another one it is another pool: the old one is emptied and goes."""
    plan: str
    """Vultr's plan of the nodes (vc2-2c-4gb). Vultr ignores another one: make another pool."""
    nodes: int
    """How many nodes, at least 1; with `autoscale` how many it is made with. Changes in place:
    nodes come or go, and `pulumi up` waits for them."""
    autoscale: NotRequired[Bounds | None]
    """Vultr moves the number of nodes within these. Default: it stays at `nodes`."""
    labels: NotRequired[Mapping[str, str]]
    """Labels of the nodes. Default: none. Change in place."""
    taints: NotRequired[Sequence[Taint]]
    """Those that the pool is made with. Default: none. Vultr takes none away and adds none."""
    serves: NotRequired[bool]
    """Whether its nodes are among the cluster's `nodes`, and so in the DNS. Default: true."""


class Minutes(TypedDict):
    """How long nothing may change while `pulumi up` waits."""

    nodes: NotRequired[float]
    """Minutes for nodes that come or go. Default: 30."""
    upgrade: NotRequired[float]
    """Minutes for an upgrade. Default: 60."""


class VkeClusterArgs(TypedDict):
    """A cluster at Vultr."""

    label: str
    """Unique in the account: a preview finds the cluster's nodes by it. Changes in place."""
    location: str
    """Vultr's id of a region (ewr). Another one replaces the cluster."""
    version: str
    """Vultr's version of Kubernetes (v1.35.5+1). Another one upgrades the cluster, which makes all
    nodes anew."""
    pools: Sequence[PoolArgs]
    """At least one; the first is made with the cluster, and goes with it."""
    vpc_cidr: NotRequired[str | None]
    """IPv4 network, in CIDR form, of a VPC that is made for it. Default: none. Vultr never tells a
    cluster's VPC, so a change has no effect on a cluster that is there."""
    high_availability: NotRequired[bool]
    """Several control planes. Default: false. A change replaces the cluster."""
    ipv6: NotRequired[bool]
    """Only nodes with an IPv6 address serve. Default: true."""
    minutes: NotRequired[Minutes]
    """How long `pulumi up` waits."""
    accept_loss: NotRequired[bool]
    """Lets more than half of the records go though Vultr still has the nodes. Default: false."""
