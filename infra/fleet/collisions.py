"""Stack files held against each other: what each may say, but not two of them together."""

from collections.abc import Iterator
from pathlib import Path

from components.load_balancer.addresses import LoadBalancerMistake, refuse_overlaps
from infra.fleet.inventory import EdgeStack, Inventory, RegionStack
from infra.settings.cluster import ExistingCluster


def collisions(inventory: Inventory) -> Iterator[str]:
    """What is wrong between the files, as sentences."""
    yield from _labels(inventory)
    yield from _hosts(inventory)
    yield from _edges(inventory)
    yield from _routing_said_twice(inventory)
    for stack in inventory.region_stacks:
        if "statusToken" in stack.secrets:
            yield f"{stack.file}: {inventory.project}:statusToken: only the edge stack reads it"
        yield from _kubeconfigs(inventory, stack)
        yield from _announced(inventory, stack)


def _labels(inventory: Inventory) -> Iterator[str]:
    first: dict[str, RegionStack] = {}
    for stack in inventory.region_stacks:
        other = first.setdefault(stack.label, stack)
        if other is not stack:
            yield (
                f"{stack.file}: {inventory.project}:cluster.label: {stack.label!r} is also the "
                f"label of {other.file}; each cluster needs its own"
            )


def _hosts(inventory: Inventory) -> Iterator[str]:
    for stack in inventory.region_stacks:
        if stack.hostname in stack.fleet.hosts:
            yield (
                f"{stack.file}: {inventory.project}:region: {stack.region!r} would make "
                f"{stack.hostname} the region's host name, but it is one of the site's hosts "
                f"({inventory.project}:hosts)"
            )


def _edges(inventory: Inventory) -> Iterator[str]:
    first: dict[str, EdgeStack] = {}
    for stack in inventory.edge_stacks:
        other = first.setdefault(stack.fleet.domain, stack)
        if other is not stack:
            yield (
                f"{stack.file}: {inventory.project}:edge: {other.file} is already the edge stack "
                f"of {stack.fleet.domain}"
            )


def _routing_said_twice(inventory: Inventory) -> Iterator[str]:
    said: dict[str, RegionStack] = {}
    for stack in inventory.region_stacks:
        if stack.settings.routing is None:
            continue
        first = said.setdefault(stack.hostname, stack)
        if stack.settings.routing != first.settings.routing:
            yield (
                f"{stack.file}: {inventory.project}:routing: {first.file} says otherwise of the "
                f"same region {stack.region}: say it in one of the two, or the same in both"
            )


def _kubeconfigs(inventory: Inventory, stack: RegionStack) -> Iterator[str]:
    """An existing cluster's kubeconfig is said once, and where nobody commits it."""
    cluster, secret = stack.settings.cluster, "kubeconfig" in stack.secrets
    where = f"{stack.file}: {inventory.project}:"
    if not isinstance(cluster, ExistingCluster):
        if secret:
            yield f"{where}kubeconfig: goes with cluster.existing; a VKE cluster gives its own"
        return
    path = cluster.existing.kubeconfig
    if path is None and not secret:
        yield (
            f"{where}cluster.existing.kubeconfig: is required: a path outside of the repository, "
            f"or `pulumi config set --secret kubeconfig -s {stack.name} < FILE`"
        )
    elif path is not None and secret:
        yield (
            f"{where}cluster.existing.kubeconfig: {path!r}: the stack has a secret kubeconfig, "
            "too: take one of the two out"
        )
    elif path is not None and not Path(path).expanduser().is_absolute():
        yield (
            f"{where}cluster.existing.kubeconfig: {path!r}: must be an absolute path, or begin "
            "with ~: a kubeconfig beside this file would be committed one day"
        )
    elif path is not None and Path(path).expanduser().is_relative_to(inventory.folder.resolve()):
        yield (
            f"{where}cluster.existing.kubeconfig: {path!r}: is inside of the project: put it "
            "elsewhere, or it would be committed one day"
        )


def _announced(inventory: Inventory, stack: RegionStack) -> Iterator[str]:
    """Addresses that one cluster announces are no other's, and a session's password is there."""
    balancer = stack.settings.load_balancer
    where = f"{stack.file}: {inventory.project}:"
    if balancer is None:
        return
    others = {
        f"{other.file}, {name}": addresses
        for other in inventory.region_stacks
        if other is not stack and other.settings.load_balancer
        for name, addresses in other.settings.load_balancer.announced().items()
    }
    try:
        refuse_overlaps(balancer.announced(), others)
    except LoadBalancerMistake as mistake:
        yield f"{where}loadBalancer: {mistake}"
    peers = balancer.metallb.peers if balancer.metallb else []
    asking = [peer.name for peer in peers if peer.password]
    if asking and "bgpPassword" not in stack.secrets:
        yield (
            f"{where}loadBalancer.metallb.peers: {asking[0]}: password: there is no secret "
            f"bgpPassword: `pulumi config set --secret bgpPassword -s {stack.name}`"
        )
