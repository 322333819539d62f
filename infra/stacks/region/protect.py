"""Closing the cluster to all but Cloudflare: at Vultr, by the dataplane, on each node."""

import pulumi

from components.cluster.contract import in_cluster
from components.cluster.vke import VkeCluster
from components.dataplane.calico import CalicoDataplane
from components.dataplane.calico_bgp import CalicoBgp
from components.dataplane.host_endpoints import HostEndpoints
from components.dataplane.kube_proxy import KubeProxy, KubeProxyArgs
from components.dataplane.pod_routes import PodRoutes, PodRoutesArgs
from components.firewall.cloud import CloudFirewall
from components.firewall.cloudflare_ranges import CloudflareRanges
from components.firewall.host_protection import CalicoHostProtection
from components.firewall.node import IMAGE as NODE_FIREWALL_IMAGE
from components.firewall.node import NodeFirewall
from components.firewall.rule_data import rule_data
from infra.errors import SettingsError
from infra.fleet.inventory import RegionStack
from infra.pins.images import pinned
from infra.settings.bgp import Bgp
from infra.stacks.node_table import node_table
from infra.stacks.region.cilium import protect_by_cilium
from infra.stacks.region.site import Site


def close_at_vultr(
    stack: RegionStack, cluster: VkeCluster, ranges: CloudflareRanges
) -> CloudFirewall:
    explicit = stack.settings.firewall.source == "explicit"
    return CloudFirewall(
        f"{stack.name}-firewall",
        {
            "group_id": cluster.firewall_group_id,
            "rules": rule_data(node_table(stack)),
            "cloudflare": ranges.cidrs if explicit else None,
        },
        in_cluster(cluster),
    )


def know_routes(site: Site) -> list[pulumi.Resource]:
    """What has to hold before pods' packets go between nodes as they are."""
    settings = site.stack.settings.calico
    bare, bgp = settings.encapsulation == "none", settings.bgp
    if not bare and bgp is None:
        return []
    options, cluster = bgp.options() if bgp else None, in_cluster(site.cluster)
    kubeconfig = site.cluster.kubeconfig
    routes: PodRoutesArgs = {"kubeconfig": kubeconfig, "bare": bare, "bgp": options}
    known: list[pulumi.Resource] = [PodRoutes(site.name("pod-routes"), routes, cluster)]
    if bgp and options:
        known.append(
            CalicoBgp(
                site.name("bgp"),
                {
                    **options,
                    "kubeconfig": kubeconfig,
                    "cluster_version": site.cluster.version,
                    "passwords": _bgp_passwords(site, bgp),
                    "force": settings.force,
                },
                site.after(*known),
            )
        )
    return known


def _bgp_passwords(site: Site, bgp: Bgp) -> dict[str, pulumi.Input[str]]:
    if not bgp.with_password:
        return {}
    if "bgpPassword" not in site.stack.secrets:
        raise SettingsError(
            [
                f"{site.stack.file}: edgefleet:bgpPassword: is required, as calico.bgp.peers have "
                "`password: true`: `pulumi config set --secret bgpPassword --stack "
                f"{site.stack.name}`"
            ]
        )
    password = site.secret("bgpPassword")
    return dict.fromkeys(bgp.with_password, password)


def set_kube_proxy(site: Site) -> list[pulumi.Resource]:
    """Before calico-node: felix in nftables' words asks for a kube-proxy that speaks them."""
    settings = site.stack.settings
    if settings.kube_proxy is None:
        return []
    args: KubeProxyArgs = {
        **settings.kube_proxy.options(),
        "kubeconfig": site.cluster.kubeconfig,
        "rollout_minutes": settings.cluster.timeouts.rollout,
    }
    return [KubeProxy(site.name("kube-proxy"), args, in_cluster(site.cluster))]


def lay_dataplane(site: Site) -> CalicoDataplane:
    settings = site.stack.settings
    return CalicoDataplane(
        site.name("calico"),
        {
            **settings.calico_options(),
            "kubeconfig": site.cluster.kubeconfig,
            "cluster_version": site.cluster.version,
            "rollout_minutes": settings.cluster.timeouts.rollout,
            "api_endpoint": settings.calico.api_endpoint,
            "digests": site.digests,
            "force": settings.calico.force,
        },
        in_cluster(site.cluster, *know_routes(site), *set_kube_proxy(site)),
    )


def host_endpoints(site: Site, calico: pulumi.Resource) -> HostEndpoints | None:
    settings = site.stack.settings
    if not (settings.firewall.by_calico or settings.network_policy.by_host_endpoints):
        return None
    return HostEndpoints(
        site.name("host-endpoints"),
        {"kubeconfig": site.cluster.kubeconfig, "cluster_version": site.cluster.version},
        site.after(calico),
    )


def close_nodes(
    site: Site, dataplane: pulumi.Resource, endpoints: HostEndpoints | None
) -> list[pulumi.Resource]:
    """What has to be there before anything listens on a host port."""
    settings, table = site.stack.settings, rule_data(node_table(site.stack))
    closed: list[pulumi.Resource] = [dataplane]
    if settings.cilium and settings.cilium.host_firewall:
        closed.append(protect_by_cilium(site, dataplane, table))
    if endpoints and settings.firewall.by_calico:
        closed.append(
            CalicoHostProtection(
                site.name("host-protection"),
                {
                    "kubeconfig": site.cluster.kubeconfig,
                    "rules": table,
                    "cloudflare": site.ranges.cidrs,
                    "force": settings.calico.force,
                },
                site.after(dataplane, endpoints),
            )
        )
    if mode := settings.firewall.ufw_mode:
        closed.append(
            NodeFirewall(
                site.name("node-firewall"),
                {
                    "kubeconfig": site.cluster.kubeconfig,
                    "rules": table,
                    "cloudflare": site.ranges.cidrs,
                    "mode": mode,
                    "image": pinned(NODE_FIREWALL_IMAGE, site.digests),
                },
                # Where Calico takes over, ufw's rules go after its own have come.
                site.after(*closed),
            )
        )
    return closed
