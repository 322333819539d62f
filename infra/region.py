"""A region stack: one cluster, closed to all but Cloudflare, serving under its region's name."""

import pulumi
import pulumi_kubernetes as kubernetes

from components.calico import CalicoDataplane
from components.cloud_firewall import CloudFirewall
from components.cloudflare_ranges import CloudflareRanges
from components.cluster import ClusterReader, VkeCluster
from components.ingress import IngressDaemonSet
from components.regional_dns import RegionalDns
from infra.inventory import Stack


def deploy(
    stack: Stack, label: str, vultr: ClusterReader, withdrawn: bool, ranges: CloudflareRanges
) -> None:
    """Register the stack's resources and its outputs.

    Args:
        label: what Vultr calls the cluster.
        vultr: where live nodes are read.
        withdrawn: the nodes leave the region's host name; other clusters of the region go on.
        ranges: the addresses Cloudflare connects from.
    """
    settings = stack.region
    assert settings
    name = stack.name
    cluster = VkeCluster(
        name,
        {
            "label": label,
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
        f"{name}-firewall", {"group_id": cluster.firewall_group_id}, with_cluster
    )

    provider = kubernetes.Provider(
        f"{name}-kubernetes",
        kubeconfig=cluster.kubeconfig,
        # Names the cluster, so that a new kubeconfig doesn't plan the replacement of all in it.
        cluster_identifier=cluster.cluster_id,
        # An interrupted `up` may have made an object that the state doesn't know; without this the
        # next one fails with "already exists" (pulumi-kubernetes 4.29).
        upsert_existing_objects=True,
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
            "kubeconfig": cluster.kubeconfig,
            "external_service_mode": settings.calico.external_service_mode,
            "force": settings.calico.force,
        },
        with_cluster,
    )
    # NodeFirewall comes here: after the dataplane, before anything listens on a host port.
    # OriginTls comes here: the ingress takes its secret as the default certificate.
    ingress = IngressDaemonSet(
        f"{name}-ingress",
        {"image": settings.ingress.image, "trusted_proxies": ranges.cidrs},
        pulumi.ResourceOptions.merge(in_cluster, pulumi.ResourceOptions(depends_on=[calico])),
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
    pulumi.export("ingressImage", ingress.image)
    pulumi.export("kubeconfig", cluster.kubeconfig)
