"""`IngressDaemonSet`: F5 NGINX Ingress Controller on :80 and :443 of every node.

hostNetwork in place of a load balancer. kubernetes/ingress-nginx is retired with open CVEs, so the
controller is NGINX's own (calico-ingress.md §3). `options.py` tunes it, `pod.py`
is its pod; docs/ingress.md says what each setting does.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from ..trust import FOLDER, content_name
from .options import (
    HEALTH_PATH,
    INGRESS_CLASS,
    Tuning,
    flags,
    full_secret_name,
    nginx_config,
    shutdown_timeout,
)
from .pod import (
    APP,
    CONFIG,
    RESOURCES,
    TOLERATIONS,
    Resources,
    cluster_rules,
    daemon_set_spec,
    own_rules,
    pod_spec,
)

__all__ = ["HEALTH_PATH", "Canary", "IngressDaemonSet", "IngressDaemonSetArgs"]

NAMESPACE = "nginx-ingress"
_LABELS = {"app.kubernetes.io/name": APP, "app.kubernetes.io/part-of": "edgefleet"}


class Canary(TypedDict):
    """Another image on the nodes that have all of these labels; the others stay as they are."""

    image: str
    node_selector: Mapping[str, str]


CERTIFICATE = "origin-tls"
"""The secret with `default_certificate`."""


class Certificate(TypedDict):
    """A certificate and its key, both PEM; the key is kept as a secret."""

    certificate: pulumi.Input[str]
    key: pulumi.Input[str]


class IngressDaemonSetArgs(TypedDict):
    """`image` is pinned (name:tag, better with digest).

    `trusted_proxies` are the networks whose CF-Connecting-IP is believed.
    `default_certificate` is for hosts that bring none of their own; or `default_tls_secret` names a
    secret of somebody else's with it: NAMESPACE/NAME, or a NAME in the controller's namespace.
    `extra_config` are further keys of the controller's ConfigMap from other components, `files`
    what they refer to: contents by name, below `trust.FOLDER`. `config` are the user's own
    keys. Answers name `region`.

    `custom_resources`: the controller's own kinds (VirtualServer, Policy …), whose definitions
    somebody has to install. `default_class` makes its IngressClass the cluster's default.
    """

    image: str
    trusted_proxies: Sequence[str]
    default_tls_secret: NotRequired[pulumi.Input[str] | None]
    default_certificate: NotRequired[Certificate | None]
    extra_config: NotRequired[Mapping[str, str]]
    files: NotRequired[pulumi.Input[Mapping[str, str]] | None]
    config: NotRequired[Mapping[str, str]]
    region: NotRequired[str]
    tuning: NotRequired[Tuning]
    resources: NotRequired[Resources]
    tolerations: NotRequired[Sequence[Mapping[str, str]]]
    node_selector: NotRequired[Mapping[str, str]]
    canary: NotRequired[Canary | None]
    custom_resources: NotRequired[bool]
    default_class: NotRequired[bool]
    metrics: NotRequired[bool]
    ipv6: NotRequired[bool]


class IngressDaemonSet(pulumi.ComponentResource):
    """The ingress controller as a DaemonSet, with its namespace, identity and IngressClass.

    Raises IngressMistake for options that the controller would ignore or refuse.
    """

    image: pulumi.Output[str]

    def __init__(
        self, name: str, args: IngressDaemonSetArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("edgefleet:index:IngressDaemonSet", name, None, opts)
        tuning: Tuning = args.get("tuning", {})
        data = nginx_config(
            args["trusted_proxies"],
            tuning,
            args.get("extra_config"),
            args.get("config"),
            args.get("region"),
        )
        core = kubernetes.core.v1
        child = pulumi.ResourceOptions(
            parent=self, deleted_with=opts.deleted_with if opts else None
        )
        # hostNetwork and host ports: Pod Security has no milder word for them.
        enforced = {"pod-security.kubernetes.io/enforce": "privileged"}
        namespace = core.Namespace(
            f"{name}-namespace",
            metadata={"name": NAMESPACE, "labels": {**_LABELS, **enforced}},
            opts=child,
        ).metadata["name"]
        here: Any = {"namespace": namespace, "name": APP, "labels": _LABELS}
        account = core.ServiceAccount(f"{name}-account", metadata=here, opts=child)
        rights = _rights(name, here, args.get("custom_resources", False), child)
        config_metadata: Any = {**here, "name": CONFIG}
        config = core.ConfigMap(f"{name}-config", metadata=config_metadata, data=data, opts=child)
        default = str(args.get("default_class", True)).lower()
        ingress_class = kubernetes.networking.v1.IngressClass(
            f"{name}-class",
            metadata={
                "name": INGRESS_CLASS,
                "labels": _LABELS,
                "annotations": {"ingressclass.kubernetes.io/is-default-class": default},
            },
            spec={"controller": "nginx.org/ingress-controller"},
            opts=child,
        )
        if certificate := args.get("default_certificate"):
            secret = _certificate(name, here, certificate, child)
            args = {**args, "default_tls_secret": secret}
        given = args.get("files")
        files = None if given is None else _files(name, here, given, child)
        ready = pulumi.ResourceOptions.merge(
            child, pulumi.ResourceOptions(depends_on=[account, *rights, config, ingress_class])
        )
        canary = args.get("canary")

        def controller(part: str, app: str, image: str, **placed: Any) -> None:
            pod = pod_spec(
                image,
                _arguments(args),
                shutdown_seconds=shutdown_timeout(tuning),
                resources=args.get("resources", RESOURCES),
                tolerations=args.get("tolerations", TOLERATIONS),
                metrics=args.get("metrics", True),
                files=(files, FOLDER) if files is not None else None,
                **placed,
            )
            labels = {**_LABELS, "app.kubernetes.io/name": app}
            spec: Any = daemon_set_spec(app, labels, pod)
            metadata: Any = {"namespace": namespace, "name": app, "labels": labels}
            kubernetes.apps.v1.DaemonSet(f"{name}-{part}", metadata=metadata, spec=spec, opts=ready)

        selector = args.get("node_selector")
        avoided = canary["node_selector"] if canary else None
        controller("controller", APP, args["image"], node_selector=selector, avoided=avoided)
        if canary:
            both = {**(selector or {}), **canary["node_selector"]}
            controller("canary", f"{APP}-canary", canary["image"], node_selector=both)
        self.image = pulumi.Output.from_input(args["image"])
        self.register_outputs({"image": self.image})


def _arguments(args: IngressDaemonSetArgs) -> list[pulumi.Input[str]]:
    found: list[pulumi.Input[str]] = list(
        flags(
            CONFIG,
            custom_resources=args.get("custom_resources", False),
            metrics=args.get("metrics", True),
            ipv6=args.get("ipv6", True),
        )
    )
    if secret := args.get("default_tls_secret"):
        full = pulumi.Output.from_input(secret).apply(
            lambda given: full_secret_name(given, NAMESPACE)
        )
        # The second: for Ingresses that ask for TLS and name no secret.
        for server in ("default-server", "wildcard"):
            found.append(pulumi.Output.concat(f"-{server}-tls-secret=", full))
    return found


def _rights(
    name: str, here: Any, custom_resources: bool, opts: pulumi.ResourceOptions
) -> list[pulumi.Resource]:
    """Bindings of the controller's account: to the cluster's objects, and to its own namespace."""
    rbac = kubernetes.rbac.v1
    subjects: Any = [{"kind": "ServiceAccount", "name": APP, "namespace": here["namespace"]}]
    cluster_wide: Any = {"name": APP, "labels": _LABELS}
    rules: Any = cluster_rules(custom_resources)
    own: Any = own_rules()

    def ref(kind: str, role: Any) -> Any:
        group = "rbac.authorization.k8s.io"
        return {"apiGroup": group, "kind": kind, "name": role.metadata["name"]}

    role = rbac.ClusterRole(f"{name}-role", metadata=cluster_wide, rules=rules, opts=opts)
    local = rbac.Role(f"{name}-own-role", metadata=here, rules=own, opts=opts)
    return [
        rbac.ClusterRoleBinding(
            f"{name}-binding",
            metadata=cluster_wide,
            role_ref=ref("ClusterRole", role),
            subjects=subjects,
            opts=opts,
        ),
        rbac.RoleBinding(
            f"{name}-own-binding",
            metadata=here,
            role_ref=ref("Role", local),
            subjects=subjects,
            opts=opts,
        ),
    ]


def _certificate(
    name: str, metadata: Any, pair: Certificate, opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """The secret with a certificate, which is there before the pods look for it."""
    named: Any = {**metadata, "name": CERTIFICATE}
    return kubernetes.core.v1.Secret(
        f"{name}-certificate",
        metadata=named,
        type="kubernetes.io/tls",
        string_data={"tls.crt": pair["certificate"], "tls.key": pulumi.Output.secret(pair["key"])},
        opts=opts,
    ).metadata["name"]


def _files(
    name: str, metadata: Any, files: pulumi.Input[Mapping[str, str]], opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """The secret with `files`. Named by its content, so that a change rolls the pods: nginx reads
    files when it starts. The name itself tells nothing."""
    content = pulumi.Output.secret(files)
    digest = pulumi.Output.unsecret(content.apply(lambda f: content_name("nginx-files", dict(f))))
    named: Any = {**metadata, "name": digest}
    return kubernetes.core.v1.Secret(
        f"{name}-files",
        metadata=named,
        string_data=content,
        opts=opts,
    ).metadata["name"]
