"""One cluster at Vultr that answers for one host name, and lets nobody but Cloudflare in.

What comes before what: nothing listens before the nodes are closed, and no address is published
before something answers there.
"""

import edgefleet
import pulumi
import pulumi_kubernetes as kubernetes

config = pulumi.Config()
hostname = config.require("hostname")
cloudflare = edgefleet.cloudflare_networks()

cluster = edgefleet.VkeCluster(
    "shop",
    {
        "label": "shop",
        "location": "ewr",
        "version": "v1.35.5+1",
        "pools": [{"label": "web", "plan": "vc2-2c-4gb", "nodes": 2}],
        "vpc_cidr": "10.9.0.0/16",
    },
)
rules = edgefleet.node_rules(
    ssh_sources=config.get_object("adminCidrs") or [],
    node_networks=["10.9.0.0/16"],
    pod_networks=["10.244.0.0/16"],
)
outside = edgefleet.CloudFirewall(
    "shop-firewall",
    {"group_id": cluster.firewall_group_id, "rules": rules},
)

provider = kubernetes.Provider("shop-kubernetes", kubeconfig=cluster.kubeconfig)


def in_cluster(*after: pulumi.Resource) -> pulumi.ResourceOptions:
    return edgefleet.in_cluster(cluster, *after, provider=provider)


dataplane = edgefleet.CalicoDataplane(
    "shop-calico", {"kubeconfig": cluster.kubeconfig}, in_cluster()
)
inside = edgefleet.NodeFirewall(
    "shop-nodes",
    {"kubeconfig": cluster.kubeconfig, "rules": rules, "cloudflare": cloudflare},
    in_cluster(dataplane),
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
    in_cluster(inside),
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
    pulumi.ResourceOptions(depends_on=[outside, ingress]),
    follow=cluster.follow,
)

pulumi.export("kubeconfig", cluster.kubeconfig)
pulumi.export("nodes", cluster.nodes)
