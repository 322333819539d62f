"""`IngressDaemonSet`: F5 NGINX Ingress Controller on :80 and :443 of every node.

hostNetwork in place of a load balancer. kubernetes/ingress-nginx is retired with open CVEs, so the
controller is NGINX's own (calico-ingress.md §3).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

NAMESPACE = "nginx-ingress"
INGRESS_CLASS = "nginx"
HEALTH_PATH = "/nginx-health"
"""Answered with 200 by the default server (`-health-status`, its default path)."""

_APP = "nginx-ingress"
_LABELS = {"app.kubernetes.io/name": _APP, "app.kubernetes.io/part-of": "edgefleet"}
_UID = 101
_WRITABLE = {
    "nginx-etc": "/etc/nginx",
    "nginx-cache": "/var/cache/nginx",
    "nginx-lib": "/var/lib/nginx",
    "nginx-state": "/var/lib/nginx/state",
    "nginx-log": "/var/log/nginx",
}


class IngressDaemonSetArgs(TypedDict):
    """`image` is pinned (name:tag, better with digest).

    `trusted_proxies` are the networks whose CF-Connecting-IP is believed.
    `default_tls_secret` names the secret with the certificate of hosts that bring none of their
    own: NAMESPACE/NAME, or a NAME in the controller's namespace. `extra_config` are further keys of
    the controller's ConfigMap.
    """

    image: str
    trusted_proxies: Sequence[str]
    default_tls_secret: NotRequired[pulumi.Input[str] | None]
    extra_config: NotRequired[Mapping[str, str]]


def nginx_config(trusted_proxies: Sequence[str]) -> dict[str, str]:
    """The controller's ConfigMap: who the visitor is, and the limits of a busy edge."""
    return {
        "keepalive": "100",
        "keepalive-timeout": "65s",
        "real-ip-header": "CF-Connecting-IP",
        "server-tokens": "off",
        "set-real-ip-from": ",".join(trusted_proxies),
        "worker-connections": "10240",
    }


def cluster_rules() -> list[dict[str, Any]]:
    """What the controller reads in the cluster with its custom resources switched off.

    NGINX's own role (deployments/rbac, v5.5.4) less what serves custom resources, cert-manager,
    ExternalDNS, App Protect and changes to Services.
    """

    def rule(group: str, resources: list[str], verbs: list[str]) -> dict[str, Any]:
        return {"api_groups": [group], "resources": resources, "verbs": verbs}

    read = ["get", "list", "watch"]
    return [
        rule("", ["configmaps", "namespaces", "pods", "secrets", "services"], read),
        rule("", ["nodes"], ["list"]),
        rule("", ["events"], ["create", "patch", "list"]),
        rule("apps", ["daemonsets", "replicasets", "statefulsets"], ["get"]),
        rule("discovery.k8s.io", ["endpointslices"], read),
        rule("networking.k8s.io", ["ingresses"], read),
        rule("networking.k8s.io", ["ingressclasses"], ["get", "list"]),
    ]


def pod_spec(
    image: str,
    config_name: str,
    service_account: str,
    default_tls_secret: pulumi.Input[str] | None = None,
) -> Any:
    """The pod: host network, host ports, nothing it doesn't need.

    The root file system is read-only as NGINX documents it: an init container copies /etc/nginx
    into a volume.
    """
    confined = {
        "allow_privilege_escalation": False,
        "read_only_root_filesystem": True,
        "run_as_non_root": True,
        "run_as_user": _UID,
        "capabilities": {"drop": ["ALL"]},
    }
    return {
        "service_account_name": service_account,
        "host_network": True,
        # With hostNetwork the node's resolver is the default, and Services would not resolve.
        "dns_policy": "ClusterFirstWithHostNet",
        "priority_class_name": "system-node-critical",
        "termination_grace_period_seconds": 60,
        "security_context": {"seccomp_profile": {"type": "RuntimeDefault"}},
        "volumes": [{"name": name, "empty_dir": {}} for name in _WRITABLE],
        "init_containers": [
            {
                "name": "copy-etc-nginx",
                "image": image,
                "command": ["cp", "-vdR", "/etc/nginx/.", "/mnt/etc"],
                "security_context": confined,
                "volume_mounts": [{"name": "nginx-etc", "mount_path": "/mnt/etc"}],
            }
        ],
        "containers": [
            {
                "name": _APP,
                "image": image,
                "args": [
                    f"-nginx-configmaps=$(POD_NAMESPACE)/{config_name}",
                    f"-ingress-class={INGRESS_CLASS}",
                    "-enable-custom-resources=false",
                    "-enable-leader-election=false",
                    "-health-status",
                    *(
                        [pulumi.Output.concat("-default-server-tls-secret=", default_tls_secret)]
                        if default_tls_secret
                        else []
                    ),
                ],
                "env": [
                    {"name": env, "value_from": {"field_ref": {"field_path": f"metadata.{field}"}}}
                    for env, field in (("POD_NAMESPACE", "namespace"), ("POD_NAME", "name"))
                ],
                # Declared, so that the scheduler sees a conflict before a pod crashes on one.
                "ports": [
                    {"name": name, "container_port": port, "host_port": port, "protocol": "TCP"}
                    for name, port in (("http", 80), ("https", 443), ("readiness", 8081))
                ],
                "readiness_probe": {
                    "http_get": {"path": "/nginx-ready", "port": "readiness"},
                    "period_seconds": 1,
                },
                "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
                "security_context": {
                    **confined,
                    "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
                },
                "volume_mounts": [
                    {"name": name, "mount_path": path} for name, path in _WRITABLE.items()
                ],
            }
        ],
    }


class IngressDaemonSet(pulumi.ComponentResource):
    """The ingress controller as a DaemonSet, with its namespace, identity and IngressClass."""

    image: pulumi.Output[str]

    def __init__(
        self, name: str, args: IngressDaemonSetArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("edgefleet:index:IngressDaemonSet", name, None, opts)
        core, rbac = kubernetes.core.v1, kubernetes.rbac.v1
        child = pulumi.ResourceOptions(
            parent=self, deleted_with=opts.deleted_with if opts else None
        )
        namespace = core.Namespace(
            f"{name}-namespace", metadata={"name": NAMESPACE, "labels": _LABELS}, opts=child
        ).metadata["name"]
        here: Any = {"namespace": namespace, "name": _APP, "labels": _LABELS}
        account = core.ServiceAccount(f"{name}-account", metadata=here, opts=child)
        role = rbac.ClusterRole(
            f"{name}-role",
            metadata={"name": _APP, "labels": _LABELS},
            rules=cluster_rules(),
            opts=child,
        )
        binding = rbac.ClusterRoleBinding(
            f"{name}-binding",
            metadata={"name": _APP, "labels": _LABELS},
            role_ref={
                "api_group": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": role.metadata["name"],
            },
            subjects=[{"kind": "ServiceAccount", "name": _APP, "namespace": namespace}],
            opts=child,
        )
        config = core.ConfigMap(
            f"{name}-config",
            metadata={**here, "name": "nginx-config"},
            data={**nginx_config(args["trusted_proxies"]), **args.get("extra_config", {})},
            opts=child,
        )
        ingress_class = kubernetes.networking.v1.IngressClass(
            f"{name}-class",
            metadata={
                "name": INGRESS_CLASS,
                "labels": _LABELS,
                "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"},
            },
            spec={"controller": "nginx.org/ingress-controller"},
            opts=child,
        )
        kubernetes.apps.v1.DaemonSet(
            f"{name}-controller",
            metadata=here,
            spec={
                "selector": {"match_labels": {"app.kubernetes.io/name": _APP}},
                # Two pods can't share a host port, so one goes before its successor comes.
                "update_strategy": {
                    "type": "RollingUpdate",
                    "rolling_update": {"max_unavailable": 1},
                },
                "template": {
                    "metadata": {"labels": _LABELS},
                    "spec": pod_spec(
                        args["image"], "nginx-config", _APP, args.get("default_tls_secret")
                    ),
                },
            },
            opts=pulumi.ResourceOptions.merge(
                child,
                pulumi.ResourceOptions(depends_on=[account, binding, config, ingress_class]),
            ),
        )
        self.image = pulumi.Output.from_input(args["image"])
        self.register_outputs({"image": self.image})
