"""What the files say that there should be, in the words in which the clouds say what there is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from components.cluster.node_objects import Addresses
from components.dataplane.calico_options import expected as calico_expected
from components.edge.deployment import WORKER
from components.edge.table import worker_config
from components.firewall import cloudflare_ranges
from components.firewall.node import IMAGE as NODE_FIREWALL_IMAGE
from components.firewall.node import config_data, files_name, render_table
from components.firewall.renderings.vultr import VultrRule, vultr_rules
from components.ingress.contract import HEALTH_PATH
from components.ingress.trust import Step
from infra.errors import SettingsError
from infra.fleet.files import meant
from infra.fleet.inventory import EdgeStack, Inventory, RegionStack
from infra.fleet.reading import load
from infra.pins import images
from infra.settings.cluster import ExistingCluster
from infra.stacks.edge import region_table, worker_options
from infra.stacks.node_table import node_table
from ops.command import failed, stack_names
from ops.files import project_dir


@dataclass(frozen=True)
class NodeFirewallExpected:
    """The keeper of the nodes' ufw: the ConfigMap with its table, its mode, its image."""

    files: str
    mode: str
    image: str


@dataclass(frozen=True)
class Given:
    """How a cluster that somebody else made is known: by the `kubeconfig` at this path, by the
    stack's secret where there is none; public `addresses` by a node's name, for what its Node
    object doesn't know."""

    kubeconfig: str | None
    addresses: Mapping[str, Addresses]
    ipv6: bool


@dataclass(frozen=True)
class Member:
    """A cluster that shares a region's host name, by its stack. `given` is None for Vultr's.
    `announced` are the ingress's own addresses, which have records in place of the nodes'."""

    stack: str
    file: str
    label: str
    withdrawn: bool = False
    apart: frozenset[str] = frozenset()
    given: Given | None = None
    announced: tuple[str, ...] = ()


@dataclass(frozen=True)
class RegionExpected:
    """A region stack's cluster, as its file has it.

    Attributes:
        members: all clusters that share the region's host name and its records; this one first.
        version: of Kubernetes; "" for a cluster that somebody else made, as no file says it.
        withdrawn: whether its nodes have no records, as it drains beside others.
        apart: labels of pools that serve nobody.
        rules: those of Vultr's firewall group, by name.
        calico: environment, images, pool and so on, as `calico_options.expected` has them.
        canary: the image on the nodes with the canary's labels, "" where there is none.
        hosts: the site's, which come through the Worker.
        pulls: what its ingress does about Cloudflare's client certificate.
        controller: which ingress it has.
        by_neighbours: whether its announced addresses are told by ARP and NDP, and not by BGP.
        certificate_hosts: what the ingress's certificate is for; none where a secret of somebody
            else's is named.
    """

    stack: str
    file: str
    label: str
    region: str
    hostname: str
    zone_id: str
    members: tuple[Member, ...]
    withdrawn: bool
    ipv6: bool
    version: str
    apart: frozenset[str]
    rules: Mapping[str, VultrRule]
    web_ports: tuple[int, ...]
    calico: Mapping[str, Any]
    ingress_image: str
    canary: str
    namespace: str
    certificate_hosts: tuple[str, ...]
    validity_days: int
    node_firewall: NodeFirewallExpected | None
    health_path: str = HEALTH_PATH
    hosts: tuple[str, ...] = ()
    pulls: Step = "off"
    controller: Literal["nginx", "traefik"] = "nginx"
    by_neighbours: bool = False

    @property
    def given(self) -> Given | None:
        """How it is known where somebody else made it; None for a cluster of Vultr's."""
        return self.members[0].given

    @property
    def announced(self) -> tuple[str, ...]:
        """The addresses that have its records in place of its nodes'; none where the nodes' do."""
        return self.members[0].announced


@dataclass(frozen=True)
class EdgeExpected:
    """An edge stack's Worker. `sha256` is that of its script, "" where versions of it are deployed
    by percentage. `config` is its table, as JSON. `status_page`: whether it has one."""

    stack: str
    file: str
    domain: str
    hosts: tuple[str, ...]
    zone_id: str
    account_id: str
    script: str
    sha256: str
    main_module: str
    config: str
    regions: tuple[str, ...]
    probes: bool
    health_path: str
    pulls: Step = "off"
    status_page: bool = False
    maintenance: bool = False
    drained: frozenset[str] = field(default_factory=frozenset[str])


def expected_region(stack: RegionStack, inventory: Inventory) -> RegionExpected:
    """Raises SettingsError."""
    settings, digests, cluster = stack.settings, images.load(), stack.vke
    ranges = cloudflare_ranges.load().cidrs
    table = node_table(stack)
    explicit = ranges if settings.firewall.source == "explicit" else None
    node_firewall = None
    if mode := settings.firewall.ufw_mode:
        node_firewall = NodeFirewallExpected(
            files_name(config_data(render_table(table, ranges))),
            mode,
            images.pinned(NODE_FIREWALL_IMAGE, digests),
        )
    siblings = inventory.siblings(stack)
    canary, balancer = settings.ingress.canary, settings.load_balancer
    return RegionExpected(
        stack=stack.name,
        file=stack.file,
        label=stack.label,
        region=stack.region,
        hostname=stack.hostname,
        zone_id=stack.fleet.zone_id,
        members=tuple(_member(each, inventory) for each in (stack, *siblings)),
        withdrawn=inventory.withdrawn(stack),
        ipv6=settings.cluster.ipv6,
        version=cluster.version if cluster else "",
        apart=_apart(stack),
        rules=vultr_rules(table, explicit) if cluster else {},
        web_ports=tuple(settings.firewall.web_ports),
        # Nothing is looked at where it is Cilium.
        calico={}
        if settings.cilium
        else calico_expected({**settings.calico_options(), "digests": digests}),
        ingress_image=images.pinned(settings.ingress.image, digests),
        canary=images.pinned(canary.image, digests) if canary else "",
        namespace=settings.ingress.namespace,
        certificate_hosts=() if settings.tls.secret else (*stack.fleet.hosts, stack.hostname),
        validity_days=settings.tls.validity_days,
        node_firewall=node_firewall,
        hosts=tuple(stack.fleet.hosts),
        pulls=stack.fleet.origin_pulls if inventory.origin_ca else "off",
        controller=settings.ingress.controller,
        by_neighbours=bool(balancer and balancer.by_neighbours),
    )


def _member(stack: RegionStack, inventory: Inventory) -> Member:
    cluster = stack.settings.cluster
    given = None
    if isinstance(cluster, ExistingCluster):
        said = cluster.existing
        given = Given(said.kubeconfig, said.node_addresses(), cluster.ipv6)
    balancer = stack.settings.load_balancer
    announced = balancer.ingress.said if balancer and balancer.ingress else []
    return Member(
        stack.name,
        stack.file,
        stack.label,
        inventory.withdrawn(stack),
        _apart(stack),
        given,
        tuple(announced),
    )


def _apart(stack: RegionStack) -> frozenset[str]:
    pools = stack.vke.pools if stack.vke else []
    return frozenset(pool.label for pool in pools if not pool.serves)


def expected_edge(stack: EdgeStack, inventory: Inventory) -> EdgeExpected:
    """Raises SettingsError."""
    rows = region_table(inventory, stack.fleet.domain)
    edge, gradual = stack.settings, stack.settings.deployment
    return EdgeExpected(
        stack=stack.name,
        file=stack.file,
        domain=stack.fleet.domain,
        hosts=tuple(stack.fleet.hosts),
        zone_id=stack.fleet.zone_id,
        account_id=stack.fleet.account_id,
        script=edge.script,
        sha256="" if gradual else sha256(WORKER.read_bytes()).hexdigest(),
        main_module=WORKER.name,
        config=worker_config(rows, worker_options(edge)),
        regions=tuple(row["name"] for row in rows),
        probes=edge.probes,
        health_path=edge.health_path or HEALTH_PATH,
        pulls=stack.fleet.origin_pulls if inventory.origin_ca else "off",
        maintenance=bool(edge.closed(stack.fleet.hosts)),
        drained=frozenset(row["name"] for row in rows if row["drain"]),
        status_page="statusToken" in stack.secrets,
    )


Stacks = Annotated[
    list[str] | None,
    typer.Argument(help="The stacks.", show_default="all", autocompletion=stack_names),
]


def unknown_stacks(inventory: Inventory, names: Sequence[str]) -> list[str]:
    """A sentence for each name that no stack of the fleet has."""
    known = sorted(inventory.stacks)
    return [
        f"{name!r}: is no stack of this fleet: {', '.join(known) or 'it has none'}"
        f"{meant(name, known)}"
        for name in names
        if name not in known
    ]


def chosen(
    inventory: Inventory, names: Sequence[str]
) -> tuple[list[RegionExpected], list[EdgeExpected]]:
    """What the files say of these stacks, or of all. Raises SettingsError."""
    if unknown := unknown_stacks(inventory, names):
        raise SettingsError(unknown)
    regions = [s for s in inventory.region_stacks if not names or s.name in names]
    edges = [s for s in inventory.edge_stacks if not names or s.name in names]
    return (
        [expected_region(stack, inventory) for stack in regions],
        [expected_edge(stack, inventory) for stack in edges],
    )


def of_command(
    folder: Path | None, names: Sequence[str] | None
) -> tuple[Path, list[RegionExpected], list[EdgeExpected]]:
    """The project's folder, and what its files say of the stacks that a command names; a mistake
    ends the command."""
    try:
        project = project_dir(folder)
        inventory = load(project)
        regions, edges = chosen(inventory, names or [])
    except SettingsError as error:
        raise failed(error) from None
    for warning in inventory.warnings:
        typer.secho(f"warning: {warning}", err=True, fg="yellow")
    return project, regions, edges
