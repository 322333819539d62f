// One cluster at Vultr that answers for one host name, and lets nobody but Cloudflare in.
//
// What comes before what: nothing listens before the nodes are closed, and no address is published
// before something answers there.

import * as edgefleet from "@pulumi/edgefleet";
import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

export = async () => {
  const config = new pulumi.Config();
  const hostname = config.require("hostname");
  const { networks: cloudflare } = await edgefleet.cloudflareNetworks();

  const cluster = new edgefleet.VkeCluster("shop", {
    label: "shop",
    location: "ewr",
    version: "v1.35.5+1",
    pools: [{ label: "web", plan: "vc2-2c-4gb", nodes: 2 }],
    vpcCidr: "10.9.0.0/16",
  });
  const { rules } = await edgefleet.nodeRules({
    sshSources: config.getObject<string[]>("adminCidrs") ?? [],
    nodeNetworks: ["10.9.0.0/16"],
    podNetworks: ["10.244.0.0/16"],
  });
  const outside = new edgefleet.CloudFirewall("shop-firewall", {
    groupId: cluster.firewallGroupId,
    rules,
  });

  const provider = new kubernetes.Provider("shop-kubernetes", { kubeconfig: cluster.kubeconfig });
  const inCluster = (...after: pulumi.Resource[]) => ({
    providers: [provider],
    deletedWith: cluster,
    dependsOn: after,
  });

  const dataplane = new edgefleet.CalicoDataplane(
    "shop-calico",
    { kubeconfig: cluster.kubeconfig },
    inCluster(),
  );
  const inside = new edgefleet.NodeFirewall(
    "shop-nodes",
    { kubeconfig: cluster.kubeconfig, rules, cloudflare },
    inCluster(dataplane),
  );
  const certificate = new edgefleet.OriginTls("shop-tls", {
    hostnames: [hostname],
    validityDays: 1095,
  });
  const ingress = new edgefleet.IngressDaemonSet(
    "shop-ingress",
    {
      kubeconfig: cluster.kubeconfig,
      image: "docker.io/nginx/nginx-ingress:5.6.1",
      trustedProxies: cloudflare,
      defaultCertificate: {
        certificate: certificate.certificate,
        key: certificate.privateKey,
      },
    },
    inCluster(inside),
  );
  new edgefleet.RegionalDns(
    "shop-dns",
    {
      zoneId: config.require("zoneId"),
      hostname,
      owner: "shop",
      nodes: cluster.nodes,
      expectedNodes: cluster.expectedNodes,
    },
    { dependsOn: [outside, ingress] },
  );

  return { kubeconfig: cluster.kubeconfig, nodes: cluster.nodes };
};
