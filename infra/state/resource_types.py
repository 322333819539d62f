"""Type tokens of resources, as states and registrations name them."""

CLUSTER = "vultr:index/kubernetes:Kubernetes"
VKE = "edgefleet:index:VkeCluster"
VERSION = "pulumi-python:dynamic/index:ClusterVersion"
POOL = "vultr:index/kubernetesNodePools:KubernetesNodePools"
VPC = "vultr:index/vpc:Vpc"
FIREWALL_RULE = "vultr:index/firewallRule:FirewallRule"

RECORD = "cloudflare:index/dnsRecord:DnsRecord"
ROUTE = "cloudflare:index/workersRoute:WorkersRoute"
KV_NAMESPACE = "cloudflare:index/workersKvNamespace:WorkersKvNamespace"
SCRIPT = "cloudflare:index/workersScript:WorkersScript"
WORKER = "cloudflare:index/worker:Worker"
DEPLOYMENT = "cloudflare:index/workersDeployment:WorkersDeployment"
RULESET = "cloudflare:index/ruleset:Ruleset"

CALICO = "edgefleet:index:CalicoDataplane"
DAEMON_SET = "kubernetes:apps/v1:DaemonSet"
