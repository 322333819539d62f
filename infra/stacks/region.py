"""A region stack: one cluster, closed to all but Cloudflare, serving under its region's name."""

from collections.abc import Mapping

import pulumi
import pulumi_kubernetes as kubernetes

from components.cluster.vke import ClusterReader, VkeCluster
from components.dataplane.calico import CalicoDataplane
from components.dataplane.host_endpoints import HostEndpoints
from components.dataplane.network_baseline import NetworkBaseline
from components.dns.regional import RegionalDns
from components.firewall.cloud import CloudFirewall
from components.firewall.cloudflare_ranges import CloudflareRanges
from components.firewall.host_protection import CalicoHostProtection
from components.firewall.node import IMAGE as NODE_FIREWALL_IMAGE
from components.firewall.node import NodeFirewall
from components.ingress.nginx.daemon_set import Canary, Certificate, IngressDaemonSet
from components.ingress.origin_tls import OriginTls
from infra.credentials import vultr_key
from infra.fleet.inventory import Inventory, Stack
from infra.pins import images
from infra.pins.images import pinned
from infra.settings.region import RegionStack
from infra.stacks.node_table import node_table
from infra.stacks.origin_trust import ReadSecret, origin_trust


def deploy(
    stack: Stack,
    inventory: Inventory,
    vultr: ClusterReader,
    ranges: CloudflareRanges,
    secret: ReadSecret,
) -> None:
    """Register the stack's resources and its outputs.

    Args:
        vultr: where live nodes are read.
        ranges: the addresses Cloudflare connects from.
        secret: gives secrets of the stack's configuration.

    Raises SettingsError.
    """
    settings = stack.region
    assert settings
    name = stack.name
    withdrawn = inventory.withdrawn(stack)
    digests = images.load()
    trust, trust_files = origin_trust(stack, inventory, secret)
    cluster = VkeCluster(
        name,
        {
            "label": inventory.cluster_label(stack),
            "location": settings.cluster.location,
            "version": settings.cluster.version,
            "pools": [
                {
                    "label": pool.label,
                    "plan": pool.plan,
                    "nodes": pool.nodes,
                    "autoscale": (pool.autoscale.min, pool.autoscale.max)
                    if pool.autoscale
                    else None,
                    "labels": pool.labels,
                }
                for pool in settings.cluster.pools
            ],
            "vpc_cidr": settings.cluster.vpc.cidr if settings.cluster.vpc else None,
            "high_availability": settings.cluster.high_availability,
            "vultr": vultr,
        },
        pulumi.ResourceOptions(protect=settings.cluster.protect),
    )
    with_cluster = pulumi.ResourceOptions(deleted_with=cluster.cluster)
    firewall = CloudFirewall(
        f"{name}-firewall",
        {
            "group_id": cluster.firewall_group_id,
            "rules": node_table(stack),
            "cloudflare": ranges.cidrs if settings.firewall.source == "explicit" else None,
            "key": vultr_key,
        },
        with_cluster,
    )

    provider = kubernetes.Provider(
        f"{name}-kubernetes",
        kubeconfig=cluster.kubeconfig,
        # Names the cluster, so that a new kubeconfig doesn't plan the replacement of all in it.
        cluster_identifier=cluster.cluster_id,
        # An interrupted `up` may have made an object that the state doesn't know; without this the
        # next one fails with "already exists" (pulumi-kubernetes 4.29).
        upsert_existing_objects=True,
        # All that goes through this provider is ours: what an earlier update made under another
        # field manager, or somebody edited, is taken back instead of ending in a conflict.
        enable_patch_force=True,
        # Changed in place: replacing a named object deletes it first, and its readers with it.
        enable_config_map_mutable=True,
        enable_secret_mutable=True,
    )
    in_cluster = pulumi.ResourceOptions.merge(
        with_cluster, pulumi.ResourceOptions(providers=[provider])
    )
    calico = CalicoDataplane(
        f"{name}-calico",
        {
            **settings.calico_options(),
            "kubeconfig": cluster.kubeconfig,
            "api_endpoint": settings.calico.api_endpoint,
            "digests": digests,
            "force": settings.calico.force,
        },
        with_cluster,
    )
    after_calico = pulumi.ResourceOptions.merge(
        in_cluster, pulumi.ResourceOptions(depends_on=[calico])
    )
    policy = settings.network_policy
    host_endpoints = None
    if settings.firewall.by_calico or policy.by_host_endpoints:
        host_endpoints = HostEndpoints(
            f"{name}-host-endpoints",
            {"kubeconfig": cluster.kubeconfig},
            after_calico,
        )
    # Before anything listens on a host port.
    needed: list[pulumi.Resource] = [calico]
    if host_endpoints and settings.firewall.by_calico:
        needed.append(
            CalicoHostProtection(
                f"{name}-host-protection",
                {
                    "rules": node_table(stack),
                    "cloudflare": ranges.cidrs,
                    "host_endpoints": host_endpoints,
                    "kubeconfig": cluster.kubeconfig,
                    "force": settings.calico.force,
                },
                after_calico,
            )
        )
    if mode := settings.firewall.ufw_mode:
        needed.append(
            NodeFirewall(
                f"{name}-node-firewall",
                {
                    "rules": node_table(stack),
                    "cloudflare": ranges.cidrs,
                    "mode": mode,
                    "image": pinned(NODE_FIREWALL_IMAGE, digests),
                },
                # Where Calico takes over, ufw's rules go after its own have come.
                pulumi.ResourceOptions.merge(
                    in_cluster, pulumi.ResourceOptions(depends_on=list(needed))
                ),
            )
        )
    certificate = None
    if not settings.tls.secret:
        origin_tls = OriginTls(
            f"{name}-tls",
            {
                "hostnames": [*stack.fleet.hosts, stack.hostname],
                "validity_days": settings.tls.validity_days,
            },
        )
        certificate = Certificate(certificate=origin_tls.certificate, key=origin_tls.private_key)
        pulumi.export("originCertificateExpires", origin_tls.expires_on)
    ingress = IngressDaemonSet(
        f"{name}-ingress",
        {
            "image": pinned(settings.ingress.image, digests),
            "trusted_proxies": ranges.cidrs,
            "tuning": settings.ingress.tuning.options(),
            "config": settings.ingress.config,
            "region": settings.region,
            "resources": {
                "requests": settings.ingress.resources.requests,
                "limits": settings.ingress.resources.limits,
            },
            "canary": _canary(settings, digests),
            "custom_resources": settings.ingress.custom_resources,
            "default_class": settings.ingress.default_class,
            "metrics": settings.ingress.metrics,
            "default_tls_secret": settings.tls.secret,
            "default_certificate": certificate,
            "extra_config": trust.nginx_config(),
            "files": trust_files if trust.nginx_config() else None,
        },
        pulumi.ResourceOptions.merge(in_cluster, pulumi.ResourceOptions(depends_on=needed)),
    )
    if policy.namespaces:
        NetworkBaseline(
            f"{name}-policy",
            {
                "namespaces": policy.namespaces,
                "variant": policy.variant,
                "sources": policy.sources,
                "ingress_selector": policy.ingress_selector,
                "order": policy.order,
                "tier": policy.tier,
                "host_endpoints": host_endpoints if policy.by_host_endpoints else None,
            },
            after_calico,
        )
    RegionalDns(
        f"{name}-dns",
        {
            "zone_id": stack.fleet.zone_id,
            "hostname": stack.hostname,
            "owner": name,
            "nodes": [] if withdrawn else cluster.nodes,
            "expected_nodes": 0
            if withdrawn
            else sum(pool.nodes for pool in settings.cluster.pools),
        },
        # No address is published before something answers there, and only Cloudflare can ask.
        pulumi.ResourceOptions(depends_on=[firewall, ingress]),
    )

    pulumi.export("clusterId", cluster.cluster_id)
    pulumi.export("endpoint", cluster.endpoint)
    pulumi.export("hostname", stack.hostname)
    pulumi.export(
        "nodes",
        cluster.nodes.apply(
            lambda nodes: {node.label: {"ipv4": node.ipv4, "ipv6": node.ipv6} for node in nodes}
        ),
    )
    pulumi.export("dataplane", calico.environment)
    pulumi.export("calico", calico.expected)
    pulumi.export("ingressImage", ingress.image)
    pulumi.export("kubeconfig", cluster.kubeconfig)


def _canary(settings: RegionStack, digests: Mapping[str, str]) -> Canary | None:
    canary = settings.ingress.canary
    if canary is None:
        return None
    return {"image": pinned(canary.image, digests), "node_selector": canary.node_selector}
