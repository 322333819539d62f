"""A cluster that somebody else made answers for one host name, and lets nobody but Cloudflare in.

What comes before what: nothing listens before the nodes are closed, and no address is published
before something answers there.
"""

import edgefleet
import pulumi
import pulumi_kubernetes as kubernetes

config = pulumi.Config()
hostname = config.require("hostname")
cloudflare = edgefleet.cloudflare_networks()

cluster = edgefleet.ExistingCluster(
    "shop",
    {
        "kubeconfig": config.require_secret("kubeconfig"),
        "identity": config.require("clusterId"),
        # For nodes whose Node objects know private addresses alone.
        "addresses": config.get_object("addresses") or {},
    },
)
provider = kubernetes.Provider(
    "shop-kubernetes",
    kubeconfig=cluster.kubeconfig,
    # Another kubeconfig of this cluster makes nothing anew.
    cluster_identifier=cluster.identity,
)


def in_cluster(*after: pulumi.Resource) -> pulumi.ResourceOptions:
    return edgefleet.in_cluster(cluster, *after, provider=provider)


nodes = edgefleet.NodeFirewall(
    "shop-nodes",
    {
        "kubeconfig": cluster.kubeconfig,
        "rules": edgefleet.node_rules(
            ssh_sources=config.require_object("adminCidrs"),
            # On its control plane's nodes the API server listens, too.
            api_port=6443,
            node_networks=config.require_object("nodeNetworks"),
            pod_networks=config.require_object("podNetworks"),
            # What pods' packets travel in between nodes: whichever of them the cluster has.
            tunnels=["vxlan", "ipip"],
        ),
        "cloudflare": cloudflare,
        "mode": config.require("nodeFirewall"),
    },
    in_cluster(),
)
certificate = edgefleet.OriginTls("shop-tls", {"hostnames": [hostname], "validity_days": 1095})
ingress = edgefleet.IngressDaemonSet(
    "shop-ingress",
    {
        "kubeconfig": cluster.kubeconfig,
        "image": "docker.io/nginx/nginx-ingress:5.6.1",
        "trusted_proxies": cloudflare,
        "default_certificate": {
            "certificate": certificate.certificate,
            "key": certificate.private_key,
        },
    },
    in_cluster(nodes),
)
edgefleet.RegionalDns(
    "shop-dns",
    {
        "zone_id": config.require("zoneId"),
        "hostname": hostname,
        "owner": "shop",
        "nodes": cluster.nodes,
        "expected_nodes": cluster.expected_nodes,
    },
    pulumi.ResourceOptions(depends_on=[ingress]),
)

pulumi.export("nodes", cluster.nodes)
pulumi.export("kubernetes", cluster.version)
