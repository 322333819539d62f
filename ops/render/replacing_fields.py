"""Which change of an input makes its provider replace the resource.

An offline rendering has no provider to ask, so what is used here stands in a table. Vultr's column
is the provider's schema (`willReplaceOnChanges`, 2.27.1). Cloudflare's schema doesn't say;
what stands here was seen when the provider ran (docs/facts/real-providers.md, Cloudflare 1, 4, 5),
or is where the vendor keeps the resource (an account, a zone). tls': every input
(terraform-provider-tls, RequiresReplace) but the one that says when to renew. Kubernetes' is
`forceNewProperties` of pulumi-kubernetes (4.34, provider/pkg/provider/diff.go), for the kinds used
here; ConfigMaps and Secrets change in place, as the region's provider asks for that. An API server
refuses some changes that this provider takes for updates (IngressClass' spec.controller,
pulumi-kubernetes #1738): such an update fails, it doesn't replace. Our own resources say it in
their `diff`.
"""

from collections.abc import Iterable, Mapping

EVERY = "*"
"""Each of the resource's inputs."""

_METADATA = ("metadata.name", "metadata.namespace")
_IDENTITY = ("kind", "namespace", "object_name")
_CERTIFICATE = (
    "allowedUses",
    "isCaCertificate",
    "maxPathLength",
    "setSubjectKeyId",
    "validityPeriodHours",
)
_WORKLOAD = (*_METADATA, "spec.selector")

FORCE_NEW: Mapping[str, tuple[str, ...]] = {
    "vultr:index/firewallRule:FirewallRule": (
        "firewallGroupId",
        "ipType",
        "notes",
        "port",
        "protocol",
        "source",
        "subnet",
        "subnetSize",
    ),
    "vultr:index/kubernetes:Kubernetes": ("enableFirewall", "haControlplanes", "region", "vpcId"),
    "vultr:index/kubernetesNodePools:KubernetesNodePools": ("clusterId",),
    "vultr:index/vpc:Vpc": ("region", "v4Subnet", "v4SubnetMask"),
    "cloudflare:index/dnsRecord:DnsRecord": ("type", "zoneId"),
    "cloudflare:index/originCaCertificate:OriginCaCertificate": (EVERY,),
    "cloudflare:index/authenticatedOriginPullsCertificate:AuthenticatedOriginPullsCertificate": (
        EVERY,
    ),
    "cloudflare:index/workersRoute:WorkersRoute": ("zoneId",),
    "cloudflare:index/workersScript:WorkersScript": ("accountId", "scriptName"),
    "cloudflare:index/worker:Worker": ("accountId",),
    "cloudflare:index/workerVersion:WorkerVersion": (EVERY,),
    "cloudflare:index/workersKvNamespace:WorkersKvNamespace": ("accountId",),
    "cloudflare:index/workersCronTrigger:WorkersCronTrigger": ("accountId", "scriptName"),
    "cloudflare:index/workersDeployment:WorkersDeployment": (EVERY,),
    "cloudflare:index/ruleset:Ruleset": ("accountId", "kind", "phase", "zoneId"),
    "cloudflare:index/authenticatedOriginPullsSettings:AuthenticatedOriginPullsSettings": (
        "zoneId",
    ),
    "cloudflare:index/zoneSetting:ZoneSetting": ("settingId", "zoneId"),
    "tls:index/certRequest:CertRequest": (EVERY,),
    "tls:index/locallySignedCert:LocallySignedCert": (
        *_CERTIFICATE,
        "caCertPem",
        "caPrivateKeyPem",
        "caPrivateKeyPemWo",
        "caPrivateKeyPemWoVersion",
        "certRequestPem",
    ),
    "tls:index/privateKey:PrivateKey": (EVERY,),
    "tls:index/selfSignedCert:SelfSignedCert": (
        *_CERTIFICATE,
        "dnsNames",
        "ipAddresses",
        "privateKeyPem",
        "privateKeyPemWo",
        "privateKeyPemWoVersion",
        "setAuthorityKeyId",
        "subject",
        "uris",
    ),
    "kubernetes:apps/v1:DaemonSet": _WORKLOAD,
    "kubernetes:apps/v1:Deployment": _WORKLOAD,
    "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding": (*_METADATA, "roleRef"),
    "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding": (*_METADATA, "roleRef"),
    "kubernetes:core/v1:Secret": (*_METADATA, "type"),
    "pulumi-python:dynamic/index:ServerSidePatch": (*_IDENTITY, "field_manager"),
    "pulumi-python:dynamic/index:Rollout": _IDENTITY,
    "pulumi-python:dynamic/index:ClusterVersion": ("cluster_id",),
    "pulumi-python:dynamic/index:DrainedPool": ("pool",),
    "pulumi-python:dynamic/index:HostEndpointsMade": (),
    "pulumi-python:dynamic/index:OwnNames": (),
    "pulumi-python:dynamic/index:PoolSettings": ("cluster_id", "pool"),
    "pulumi-python:dynamic/index:NodeNetworks": (),
    "pulumi-python:dynamic/index:NodesInStep": ("namespace", "object_name"),
    "pulumi-python:dynamic/index:VultrFirewallRules": ("group_id",),
    "pulumi-python:dynamic/index:ZoneMemory": ("path", "zone_id"),
    "pulumi:providers:kubernetes": ("clusterIdentifier",),
}

_CLOUD_RULES = "pulumi-python:dynamic/index:VultrFirewallRules"
_AWAITED = ("kubeconfig", "generation")
NOTICED: Mapping[str, tuple[str, ...]] = {
    "pulumi-python:dynamic/index:ClusterVersion": ("cluster_id", "version"),
    "pulumi-python:dynamic/index:DrainedPool": ("kubeconfig", "pool"),
    "pulumi-python:dynamic/index:HostEndpointsMade": _AWAITED,
    "pulumi-python:dynamic/index:NodeNetworks": _AWAITED,
    "pulumi-python:dynamic/index:NodesInStep": (*_AWAITED, "namespace", "object_name"),
    "pulumi-python:dynamic/index:OwnNames": ("kubeconfig", "objects"),
    "pulumi-python:dynamic/index:PoolSettings": (
        "autoscale",
        "cluster_id",
        "labels",
        "nodes",
        "pool",
    ),
    "pulumi-python:dynamic/index:Rollout": (*_AWAITED, *_IDENTITY),
    "pulumi-python:dynamic/index:ZoneMemory": ("path", "zone_id"),
}
"""Of our own resources those whose `diff` looks at some inputs only: a change of another, such as
for how long is waited, does nothing. (VultrFirewallRules lets the rules' notes be.)"""


def replacing(type_token: str, paths: Iterable[str]) -> list[str]:
    """Those of the changed `paths` (`nodePools.plan`, `bindings[0].name`) that replace."""
    fields = force_new(type_token)
    return sorted({path for path in paths if any(within(path, field) for field in fields)})


def force_new(type_token: str) -> tuple[str, ...]:
    """The inputs of a type whose change replaces it."""
    default = _METADATA if type_token.startswith("kubernetes:") else ()
    return FORCE_NEW.get(type_token, default)


def noticed(type_token: str, path: str) -> bool:
    """Whether a provider takes a change of this path for one."""
    if path.startswith("("):
        return True
    if type_token == _CLOUD_RULES and path.endswith(".notes"):
        return False
    fields = NOTICED.get(type_token)
    return fields is None or any(within(path, field) for field in fields)


def within(path: str, field: str) -> bool:
    """Whether a path is that of a field (or `EVERY`), or below it."""
    return field == EVERY or path == field or path.startswith((f"{field}.", f"{field}["))
