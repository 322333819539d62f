"""`IngressDaemonSet`: F5 NGINX Ingress Controller on :80 and :443 of every node.

hostNetwork in place of a load balancer. kubernetes/ingress-nginx is retired with open CVEs, so the
controller is NGINX's own (docs/facts/calico-ingress.md §3). `options.py` tunes it, `pod.py` is its
pod, `trust.py` knows our edge; docs/ingress.md says what each setting does.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NotRequired, TypedDict

import pulumi

from ...server_side.kubernetes_object import KubernetesObject
from ..contract import Certificate, IngressArgs
from ..trust import EdgeTrust
from .keys import IngressMistake
from .options import (
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
from .trust import FOLDER, content_name, files

Metadata = Mapping[str, Any]

NAMESPACE = "nginx-ingress"
_RBAC = "rbac.authorization.k8s.io"
_LABELS = {"app.kubernetes.io/name": APP, "app.kubernetes.io/part-of": "edgefleet"}


class Canary(TypedDict):
    """Another image on the nodes that have all of these labels; the others stay as they are."""

    image: str
    node_selector: Mapping[str, str]


CERTIFICATE = "origin-tls"
"""The secret with `default_certificate`."""


class IngressDaemonSetArgs(IngressArgs):
    """What every ingress is given, and what is this controller's own.

    `config` are keys of the controller's ConfigMap. `custom_resources`: the controller's own kinds
    (VirtualServer, Policy …), whose definitions somebody has to install. `default_class` makes its
    IngressClass the cluster's default.
    """

    config: NotRequired[Mapping[str, str]]
    tuning: NotRequired[Tuning]
    resources: NotRequired[Resources | None]
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
        # Before anything is registered.
        tuning, trust = args.get("tuning", {}), args.get("trust", EdgeTrust())
        if trust.header != "off" and args.get("origin_secrets") is None:
            raise IngressMistake(
                f"trust.header: {trust.header!r}: needs origin_secrets, the values that are taken"
            )
        data = nginx_config(
            args["trusted_proxies"], tuning, args.get("config"), args.get("region"), trust
        )
        super().__init__("edgefleet:index:IngressDaemonSet", name, None, opts)
        child = pulumi.ResourceOptions(
            parent=self, deleted_with=opts.deleted_with if opts else None
        )
        # hostNetwork and host ports: Pod Security has no milder word for them.
        enforced = {"pod-security.kubernetes.io/enforce": "privileged"}
        namespace = KubernetesObject(
            f"{name}-namespace",
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": NAMESPACE, "labels": {**_LABELS, **enforced}},
            },
            child,
        ).name
        here: Metadata = {"namespace": namespace, "name": APP, "labels": _LABELS}
        account = KubernetesObject(
            f"{name}-account",
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": here},
            child,
        )
        rights = _rights(name, here, namespace, args.get("custom_resources", False), child)
        config = KubernetesObject(
            f"{name}-config",
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {**here, "name": CONFIG},
                "data": data,
            },
            child,
        )
        ingress_class = _class(name, args.get("default_class", True), child)
        secret = args.get("default_tls_secret")
        if certificate := args.get("default_certificate"):
            secret = _certificate(name, here, certificate, child)
        mounted = _files(name, here, trust, args.get("origin_secrets"), child)
        ready = pulumi.ResourceOptions.merge(
            child, pulumi.ResourceOptions(depends_on=[account, *rights, config, ingress_class])
        )
        pod = partial(
            pod_spec,
            flags=_arguments(args, secret),
            shutdown_seconds=shutdown_timeout(tuning),
            resources=args.get("resources") or RESOURCES,
            tolerations=args.get("tolerations", TOLERATIONS),
            metrics=args.get("metrics", True),
            files=(mounted, FOLDER) if mounted is not None else None,
        )
        self._controllers(name, args, namespace, pod, ready)
        self.image = pulumi.Output.from_input(args["image"])
        self.register_outputs({"image": self.image})

    def _controllers(
        self,
        name: str,
        args: IngressDaemonSetArgs,
        namespace: pulumi.Output[str],
        pod: Callable[..., dict[str, Any]],
        opts: pulumi.ResourceOptions,
    ) -> None:
        """The DaemonSet, and that of the canary on its nodes."""

        def controller(part: str, app: str, image: str, **placed: Mapping[str, str] | None) -> None:
            labels = {**_LABELS, "app.kubernetes.io/name": app}
            KubernetesObject(
                f"{name}-{part}",
                {
                    "apiVersion": "apps/v1",
                    "kind": "DaemonSet",
                    "metadata": {"namespace": namespace, "name": app, "labels": labels},
                    "spec": daemon_set_spec(app, labels, pod(image, **placed)),
                },
                opts,
            )

        selector, canary = args.get("node_selector"), args.get("canary")
        avoided = canary["node_selector"] if canary else None
        controller("controller", APP, args["image"], node_selector=selector, avoided=avoided)
        if canary:
            both = {**(selector or {}), **canary["node_selector"]}
            controller("canary", f"{APP}-canary", canary["image"], node_selector=both)


def _class(name: str, default: bool, opts: pulumi.ResourceOptions) -> pulumi.Resource:
    annotations = {"ingressclass.kubernetes.io/is-default-class": str(default).lower()}
    return KubernetesObject(
        f"{name}-class",
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": {"name": INGRESS_CLASS, "labels": _LABELS, "annotations": annotations},
            "spec": {"controller": "nginx.org/ingress-controller"},
        },
        opts,
    )


def _arguments(
    args: IngressDaemonSetArgs, secret: pulumi.Input[str] | None
) -> list[pulumi.Input[str]]:
    found: list[pulumi.Input[str]] = list(
        flags(
            CONFIG,
            custom_resources=args.get("custom_resources", False),
            metrics=args.get("metrics", True),
            ipv6=args.get("ipv6", True),
        )
    )
    if secret:
        full = pulumi.Output.from_input(secret).apply(
            lambda given: full_secret_name(given, NAMESPACE)
        )
        # The second: for Ingresses that ask for TLS and name no secret.
        for server in ("default-server", "wildcard"):
            found.append(pulumi.Output.concat(f"-{server}-tls-secret=", full))
    return found


def _rights(
    name: str,
    here: Metadata,
    namespace: pulumi.Output[str],
    custom_resources: bool,
    opts: pulumi.ResourceOptions,
) -> list[pulumi.Resource]:
    """Bindings of the controller's account: to the cluster's objects, and to its own namespace."""
    subjects = [{"kind": "ServiceAccount", "name": APP, "namespace": namespace}]
    cluster_wide: Metadata = {"name": APP, "labels": _LABELS}

    def rbac(part: str, kind: str, metadata: Metadata, **content: Any) -> KubernetesObject:
        manifest = {"apiVersion": f"{_RBAC}/v1", "kind": kind, "metadata": metadata, **content}
        return KubernetesObject(f"{name}-{part}", manifest, opts)

    def bound(part: str, kind: str, metadata: Metadata, role: KubernetesObject) -> KubernetesObject:
        ref = {"apiGroup": _RBAC, "kind": kind, "name": role.name}
        return rbac(part, f"{kind}Binding", metadata, roleRef=ref, subjects=subjects)

    role = rbac("role", "ClusterRole", cluster_wide, rules=cluster_rules(custom_resources))
    own = rbac("own-role", "Role", here, rules=own_rules())
    return [
        bound("binding", "ClusterRole", cluster_wide, role),
        bound("own-binding", "Role", here, own),
    ]


def _certificate(
    name: str, metadata: Metadata, pair: Certificate, opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """The secret with a certificate, which is there before the pods look for it."""
    return KubernetesObject(
        f"{name}-certificate",
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {**metadata, "name": CERTIFICATE},
            "type": "kubernetes.io/tls",
            "stringData": {
                "tls.crt": pair["certificate"],
                "tls.key": pulumi.Output.secret(pair["key"]),
            },
        },
        opts,
    ).name


def _files(
    name: str,
    metadata: Metadata,
    trust: EdgeTrust,
    secrets: pulumi.Input[Sequence[str]] | None,
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str] | None:
    """The secret with the files that `trust` needs. Named by its content, so that a change rolls
    the pods: nginx reads files when it starts. The name itself tells nothing."""
    if not trust.asks:
        return None
    content = pulumi.Output.secret(secrets or []).apply(lambda taken: files(trust, taken))
    digest = pulumi.Output.unsecret(content.apply(lambda f: content_name("nginx-files", f)))
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {**metadata, "name": digest},
        "stringData": content,
    }
    return KubernetesObject(f"{name}-files", manifest, opts).name
