"""The resources of stack us, written as one would who has one cluster and no library.

No components, no settings; what the vendors know (`nodes.json`: id, ipv4, ipv6 of each node) is
written down. Resources that have no other class than ours are imported.
"""

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import ediri_vultr as vultr
import pulumi
import pulumi_cloudflare as cloudflare
import pulumi_kubernetes as kubernetes
import pulumi_tls as tls

from components.cluster.pool_settings import PoolSettings
from components.cluster.version import ClusterVersion
from components.firewall import node as node_firewall
from components.firewall.cloud_rules import VultrFirewallRules
from components.firewall.in_step import NodesInStep
from components.firewall.node_networks import NodeNetworks
from components.firewall.rule_data import rule_data
from components.firewall.rule_table import node_rules
from components.ingress.nginx.admission import health_path_policy
from components.ingress.nginx.cluster_objects import own_names
from components.server_side.ownership import OwnNames
from components.server_side.patch import ServerSidePatch
from components.server_side.rollout import Rollout

ZONE = "809846d39026662b50a8a0b0dd159151"
HOSTNAME = "flat.example.com"
HOSTNAMES = ["api.example.com", "example.com", HOSTNAME]
IMAGE = "nginx/nginx-ingress:5.6.1"
LABELS = {"app.kubernetes.io/name": "nginx-ingress", "app.kubernetes.io/part-of": "edgefleet"}
CLOUDFLARE = (
    "103.21.244.0/22,103.22.200.0/22,103.31.4.0/22,104.16.0.0/13,104.24.0.0/14,108.162.192.0/18,"
    "131.0.72.0/22,141.101.64.0/18,162.158.0.0/15,172.64.0.0/13,173.245.48.0/20,188.114.96.0/20,"
    "190.93.240.0/20,197.234.240.0/22,198.41.128.0/17,2400:cb00::/32,2405:8100::/32,"
    "2405:b500::/32,2606:4700::/32,2803:f800::/32,2a06:98c0::/29,2c0f:f248::/32"
)
ACCESS_LOG = (
    '{"time":"$time_iso8601","client":"$remote_addr","peer":"$realip_remote_addr",\n'
    '"host":"$host","method":"$request_method","uri":"$request_uri","status":$status,\n'
    '"bytes":$body_bytes_sent,"seconds":$request_time,"upstream":"$upstream_addr",\n'
    '"upstream_status":"$upstream_status","upstream_seconds":"$upstream_response_time",\n'
    '"ray":"$http_cf_ray","agent":"$http_user_agent"}'
)
HEALTH = (
    "location = /nginx-health {\n    access_log off;\n    default_type text/plain;\n"
    '    return 200 "healthy\\n";\n}'
)
NODES = json.loads(Path("nodes.json").read_text())

cluster = vultr.Kubernetes(
    "flat-cluster",
    label="edgefleet-flat",
    region="ewr",
    version="v1.35.5+1",
    enable_firewall=True,
    ha_controlplanes=False,
    node_pools={"label": "edge", "plan": "vc2-2c-4gb", "node_quantity": 3},
    opts=pulumi.ResourceOptions(protect=True, ignore_changes=["enableFirewall", "vpcId"]),
)
kubeconfig = pulumi.Output.secret(cluster.kube_config.apply(lambda c: b64decode(c).decode()))
in_cluster = pulumi.ResourceOptions(deleted_with=cluster)

# --- what changes about it --------------------------------------------------------------------
version_and_size = pulumi.ResourceOptions(deleted_with=cluster)
PoolSettings(
    "flat-pool-settings",
    {"cluster_id": cluster.id, "pool": "edge", "nodes": 3},
    version_and_size,
)
ClusterVersion("flat-version", {"cluster_id": cluster.id, "version": "v1.35.5+1"}, version_and_size)

# --- the firewall group -----------------------------------------------------------------------
rules: list[pulumi.Resource] = [
    vultr.FirewallRule(
        f"flat-firewall-cloudflare-{port}-{family}",
        firewall_group_id=cluster.firewall_group_id,
        ip_type=family,
        protocol="tcp",
        port=port,
        subnet=subnet,
        subnet_size=0,
        source="cloudflare",
        notes="cloudflare: Cloudflare to the ingress",
        opts=pulumi.ResourceOptions(deleted_with=cluster, ignore_changes=["notes"]),
    )
    for port in ("80", "443")
    for family, subnet in (("v4", "0.0.0.0"), ("v6", "::"))  # noqa: S104 (a network)
]


def private(protocol: str, port: str, notes: str) -> Any:
    return {
        "ip_type": "v4",
        "protocol": protocol,
        "port": port,
        "subnet": "10.0.0.0",
        "subnet_size": 8,
        "notes": notes,
    }


def icmp(family: str, subnet: str, notes: str) -> Any:
    return {
        "ip_type": family,
        "protocol": "icmp",
        "subnet": subnet,
        "subnet_size": 0,
        "notes": notes,
    }


rules.append(
    VultrFirewallRules(
        "flat-firewall-rules",
        cluster.firewall_group_id,
        {
            "bgp": private("tcp", "179", "Calico routes between nodes"),
            "tcp-low": private("tcp", "1024:29999", "kubelet, Typha and hostNetwork services"),
            "tcp-high": private("tcp", "32768:65535", "kubelet, Typha and hostNetwork services"),
            "udp-low": private("udp", "1024:29999", "VXLAN and hostNetwork services"),
            "udp-high": private("udp", "32768:65535", "VXLAN and hostNetwork services"),
            "icmp": icmp("v4", "0.0.0.0", "path MTU, errors and ping"),  # noqa: S104 (a network)
            "icmpv6": icmp("v6", "::", "neighbour discovery, path MTU and ping"),
        },
        in_cluster,
    )
)

# --- calico-node ------------------------------------------------------------------------------
felix = ServerSidePatch(
    "flat-calico-felix",
    {
        "kubeconfig": kubeconfig,
        "kind": "DaemonSet",
        "namespace": "kube-system",
        "object_name": "calico-node",
        "containers": {
            "calico-node": {
                "env": {
                    "FELIX_BPFENABLED": "true",
                    "FELIX_BPFCONNECTTIMELOADBALANCING": "Enabled",
                    "FELIX_BPFEXTERNALSERVICEMODE": "Tunnel",
                    "FELIX_BPFHOSTNETWORKEDNATWITHOUTCTLB": "Disabled",
                    "FELIX_BPFKUBEPROXYIPTABLESCLEANUPENABLED": "true",
                }
            }
        },
    },
    in_cluster,
)
host_firewall = ServerSidePatch(
    "flat-calico-host-firewall",
    {
        "kubeconfig": kubeconfig,
        "kind": "DaemonSet",
        "namespace": "kube-system",
        "object_name": "calico-node",
        "containers": {"calico-node": {"env": {"FELIX_DEFAULTENDPOINTTOHOSTACTION": "RETURN"}}},
        "field_manager": "edgefleet-host-firewall",
        "force": True,
    },
    pulumi.ResourceOptions.merge(in_cluster, pulumi.ResourceOptions(depends_on=[felix])),
)
rollout = Rollout(
    "flat-calico-rollout",
    {
        "kubeconfig": kubeconfig,
        "kind": "DaemonSet",
        "namespace": "kube-system",
        "object_name": "calico-node",
        "generation": host_firewall.generation,
    },
    in_cluster,
)

# --- the ingress controller -------------------------------------------------------------------
provider = kubernetes.Provider(
    "flat-kubernetes",
    kubeconfig=kubeconfig,
    cluster_identifier=cluster.id,
    upsert_existing_objects=True,
    enable_config_map_mutable=True,
    enable_secret_mutable=True,
)
plain = pulumi.ResourceOptions(provider=provider, deleted_with=cluster)
after_calico = pulumi.ResourceOptions(
    provider=provider, deleted_with=cluster, depends_on=[felix, rollout]
)
names = own_names("nginx-ingress", "nginx")
OwnNames("flat-names", {"kubeconfig": kubeconfig, "objects": names}, in_cluster)
policy, binding = health_path_policy("nginx")
admission = kubernetes.admissionregistration.v1
admission.ValidatingAdmissionPolicy(
    "flat-health-path", metadata=policy["metadata"], spec=policy["spec"], opts=after_calico
)
admission.ValidatingAdmissionPolicyBinding(
    "flat-health-path-binding",
    metadata=binding["metadata"],
    spec=binding["spec"],
    opts=after_calico,
)
namespace = kubernetes.core.v1.Namespace(
    "flat-namespace",
    metadata={
        "name": "nginx-ingress",
        "labels": {**LABELS, "pod-security.kubernetes.io/enforce": "privileged"},
    },
    opts=after_calico,
)
here: Any = {
    "name": "nginx-ingress",
    "namespace": namespace.metadata["name"],
    "labels": LABELS,
}
account = kubernetes.core.v1.ServiceAccount("flat-account", metadata=here, opts=after_calico)
READ = ["get", "list", "watch"]
cluster_wide: Any = {"name": "nginx-ingress", "labels": LABELS}
cluster_rules: Any = [
    {
        "apiGroups": [""],
        "resources": ["namespaces", "pods", "secrets", "services"],
        "verbs": READ,
    },
    {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch", "list"]},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": READ},
    {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses"], "verbs": READ},
    {
        "apiGroups": ["networking.k8s.io"],
        "resources": ["ingressclasses"],
        "verbs": ["get", "list"],
    },
]
own_rules: Any = [
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": READ},
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["update"]},
]
role = kubernetes.rbac.v1.ClusterRole(
    "flat-role", metadata=cluster_wide, rules=cluster_rules, opts=after_calico
)
own_role = kubernetes.rbac.v1.Role(
    "flat-own-role",
    metadata=here,
    rules=own_rules,
    opts=after_calico,
)
subjects: Any = [
    {
        "kind": "ServiceAccount",
        "name": "nginx-ingress",
        "namespace": namespace.metadata["name"],
    }
]


def role_ref(kind: str, name: pulumi.Output[str]) -> Any:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}


binding = kubernetes.rbac.v1.ClusterRoleBinding(
    "flat-binding",
    metadata=cluster_wide,
    role_ref=role_ref("ClusterRole", role.metadata["name"]),
    subjects=subjects,
    opts=after_calico,
)
own_binding = kubernetes.rbac.v1.RoleBinding(
    "flat-own-binding",
    metadata=here,
    role_ref=role_ref("Role", own_role.metadata["name"]),
    subjects=subjects,
    opts=after_calico,
)
config_metadata: Any = {**here, "name": "nginx-config"}
config = kubernetes.core.v1.ConfigMap(
    "flat-config",
    metadata=config_metadata,
    data={
        "default-server-access-log-off": "False",
        "keepalive": "100",
        "keepalive-timeout": "65s",
        "log-format": ACCESS_LOG,
        "log-format-escaping": "json",
        "real-ip-header": "CF-Connecting-IP",
        "server-snippets": HEALTH,
        "server-tokens": "False",
        "set-real-ip-from": CLOUDFLARE,
        "worker-connections": "10240",
        "worker-processes": "auto",
        "worker-rlimit-nofile": "21504",
        "worker-shutdown-timeout": "30s",
    },
    opts=after_calico,
)
ingress_class = kubernetes.networking.v1.IngressClass(
    "flat-class",
    metadata={
        "name": "nginx",
        "labels": LABELS,
        "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"},
    },
    spec={"controller": "nginx.org/ingress-controller"},
    opts=after_calico,
)

# --- its certificate --------------------------------------------------------------------------
key = tls.PrivateKey("flat-key", algorithm="ECDSA", ecdsa_curve="P256")
clock = tls.SelfSignedCert(
    "flat-clock",
    private_key_pem=key.private_key_pem,
    subject={"common_name": "edgefleet renewal clock"},
    allowed_uses=[],
    validity_period_hours=26280,
    early_renewal_hours=2160,
)
request = tls.CertRequest(
    "flat-request",
    private_key_pem=key.private_key_pem,
    dns_names=HOSTNAMES,
    subject={
        "common_name": HOSTNAMES[0],
        "organizational_unit": clock.validity_start_time.apply(lambda at: f"since {at}"),
    },
)
certificate = cloudflare.OriginCaCertificate(
    "flat-certificate",
    csr=request.cert_request_pem,
    hostnames=HOSTNAMES,
    request_type="origin-ecc",
    requested_validity=1095,
)
secret_metadata: Any = {**here, "name": "origin-tls"}
secret = kubernetes.core.v1.Secret(
    "flat-secret",
    metadata=secret_metadata,
    type="kubernetes.io/tls",
    string_data={
        "tls.crt": certificate.certificate,
        "tls.key": pulumi.Output.secret(key.private_key_pem),
    },
    opts=plain,
)
secret_name = pulumi.Output.concat(secret.metadata["namespace"], "/", secret.metadata["name"])

# --- its pods ---------------------------------------------------------------------------------
WRITABLE = {
    "nginx-etc": "/etc/nginx",
    "nginx-cache": "/var/cache/nginx",
    "nginx-lib": "/var/lib/nginx",
    "nginx-state": "/var/lib/nginx/state",
    "nginx-log": "/var/log/nginx",
}
PORTS = {"http": 80, "https": 443, "readiness": 8081, "metrics": 9113}
CONFINED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": 101,
    "capabilities": {"drop": ["ALL"]},
}
READY = {"httpGet": {"path": "/nginx-ready", "port": "readiness"}}
pod: Any = {
    "serviceAccountName": "nginx-ingress",
    "enableServiceLinks": False,
    "hostNetwork": True,
    "dnsPolicy": "ClusterFirstWithHostNet",
    "priorityClassName": "system-node-critical",
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"operator": "Exists"}],
    "terminationGracePeriodSeconds": 45,
    "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
    "volumes": [{"name": name, "emptyDir": {}} for name in WRITABLE],
    "initContainers": [
        {
            "name": "copy-etc-nginx",
            "image": IMAGE,
            "command": ["cp", "-vdR", "/etc/nginx/.", "/mnt/etc"],
            "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
            "securityContext": CONFINED,
            "volumeMounts": [{"name": "nginx-etc", "mountPath": "/mnt/etc"}],
        }
    ],
    "containers": [
        {
            "name": "nginx-ingress",
            "image": IMAGE,
            "args": [
                "-nginx-configmaps=$(POD_NAMESPACE)/nginx-config",
                "-ingress-class=nginx",
                "-enable-custom-resources=false",
                "-enable-leader-election=false",
                "-enable-snippets=false",
                "-enable-telemetry-reporting=false",
                "-health-status",
                "-health-status-uri=/nginx-health",
                "-nginx-status=false",
                "-ready-status-port=8081",
                "-enable-prometheus-metrics",
                "-prometheus-metrics-listen-port=9113",
                "-enable-latency-metrics",
                pulumi.Output.concat("-default-server-tls-secret=", secret_name),
                pulumi.Output.concat("-wildcard-tls-secret=", secret_name),
            ],
            "env": [
                {
                    "name": "POD_NAMESPACE",
                    "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}},
                },
                {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            ],
            "ports": [
                {"name": name, "containerPort": port, "hostPort": port, "protocol": "TCP"}
                for name, port in PORTS.items()
            ],
            "startupProbe": {**READY, "periodSeconds": 1, "failureThreshold": 120},
            "readinessProbe": {**READY, "periodSeconds": 1},
            "livenessProbe": {
                "tcpSocket": {"port": "readiness"},
                "periodSeconds": 10,
                "timeoutSeconds": 5,
                "failureThreshold": 6,
            },
            "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
            "resources": {
                "requests": {"cpu": "100m", "memory": "256Mi"},
                "limits": {"memory": "1Gi"},
            },
            "securityContext": {
                **CONFINED,
                "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
            },
            "volumeMounts": [{"name": n, "mountPath": path} for n, path in WRITABLE.items()],
        }
    ],
}
daemon_set: Any = {
    "selector": {"matchLabels": {"app.kubernetes.io/name": "nginx-ingress"}},
    "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
    "template": {"metadata": {"labels": LABELS}, "spec": pod},
}
controller = kubernetes.apps.v1.DaemonSet(
    "flat-controller",
    metadata=here,
    spec=daemon_set,
    opts=pulumi.ResourceOptions(
        provider=provider,
        deleted_with=cluster,
        depends_on=[account, binding, own_binding, config, ingress_class, rollout],
    ),
)

# --- the nodes' own firewall ------------------------------------------------------------------
table = node_rules(ssh_sources=[], node_networks=["10.0.0.0/8"], pod_networks=["10.244.0.0/16"])
firewall_files = kubernetes.core.v1.ConfigMap(
    "flat-node-firewall-files",
    metadata={"name": node_firewall.NAME, "namespace": "kube-system"},
    data=node_firewall.config_data(node_firewall.render_table(table, CLOUDFLARE.split(","))),
    opts=pulumi.ResourceOptions(provider=provider, deleted_with=cluster),
)
firewall_labels = {"app.kubernetes.io/name": node_firewall.NAME}
firewall_spec: Any = {
    "selector": {"matchLabels": firewall_labels},
    "template": {
        "metadata": {"labels": firewall_labels},
        "spec": node_firewall.pod_spec(node_firewall.NAME, "enforce", node_firewall.IMAGE, 60),
    },
}
kubernetes.apps.v1.DaemonSet(
    "flat-node-firewall",
    metadata={"name": node_firewall.NAME, "namespace": "kube-system"},
    spec=firewall_spec,
    opts=pulumi.ResourceOptions(
        provider=provider, deleted_with=cluster, depends_on=[firewall_files]
    ),
)

NodeNetworks(
    "flat-node-networks", {"kubeconfig": kubeconfig, "rules": rule_data(table)}, in_cluster
)
NodesInStep(
    "flat-nodes-in-step",
    {
        "kubeconfig": kubeconfig,
        "namespace": "kube-system",
        "object_name": node_firewall.NAME,
        "generation": 1,
    },
    in_cluster,
)

# --- its records ------------------------------------------------------------------------------
for node in NODES:
    for kind, content in (("A", node["ipv4"]), ("AAAA", node["ipv6"])):
        cloudflare.DnsRecord(
            f"flat-{node['id']}-{kind.lower()}",
            zone_id=ZONE,
            name=HOSTNAME,
            type=kind,
            content=content,
            comment=f"edgefleet flat node {node['id']}",
            proxied=True,
            ttl=1,
            opts=pulumi.ResourceOptions(depends_on=[*rules, controller]),
        )

pulumi.export("clusterId", cluster.id)
pulumi.export("endpoint", cluster.endpoint)
pulumi.export("hostname", HOSTNAME)
pulumi.export("nodes", {node["id"]: node["ipv4"] for node in NODES})
pulumi.export("ingressImage", IMAGE)
pulumi.export("kubeconfig", kubeconfig)
pulumi.export("originCertificateExpires", certificate.expires_on)
