"""`TraefikIngress`: Traefik on :80 and :443 of every node.

hostNetwork in place of a load balancer. `options.py` is its static configuration, `routing.py` what
stands before every router, `pod.py` its pod; docs/ingress.md says what each setting does, and when
it is the better choice than nginx.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NotRequired

import pulumi

from ...server_side.kubernetes_object import KubernetesObject
from ...server_side.ownership import OwnNames
from ..contract import Certificate, IngressArgs
from ..mistake import IngressMistake
from ..placing import (
    RESOURCES,
    TOLERATIONS,
    Canary,
    Resources,
    content_name,
    daemon_set_spec,
)
from ..trust import EdgeTrust
from .cluster_objects import (
    CONTROLLER,
    NGINX_CONTROLLER,
    Metadata,
    bind_rights,
    make_class,
    make_gateway,
    make_namespace,
    own_names,
)
from .options import DYNAMIC_FOLDER, INGRESS_CLASS, Providers, Tuning, seconds, static_config
from .pod import (
    APP,
    EDGE_FILE,
    LABELS,
    NAMESPACE,
    SECRETS_FILE,
    STATIC_FILE,
    beside,
    pod_spec,
)
from .routing import edge_config, secret_config

CERTIFICATE = "origin-tls"
"""The secret with `default_certificate`."""


class TraefikIngressArgs(IngressArgs):
    """What every ingress is given, and what is this controller's own.

    `response_headers` are in every answer, in place of the application's. `custom_resources`:
    IngressRoute, Middleware …; `gateway`: the Gateway API, with a GatewayClass and a Gateway; the
    definitions of either somebody has to install. `nginx_class`: Ingresses of this class mean what
    kubernetes/ingress-nginx made of their annotations. `default_class` makes its own IngressClass
    the cluster's default. `namespace` is made for it and goes with it. With the cluster's
    `kubeconfig`, a name that somebody else has there already is refused, and not taken over.
    """

    kubeconfig: NotRequired[pulumi.Input[str]]
    namespace: NotRequired[str]
    ingress_class: NotRequired[str]
    nginx_class: NotRequired[str | None]
    response_headers: NotRequired[Mapping[str, str]]
    tuning: NotRequired[Tuning]
    resources: NotRequired[Resources | None]
    tolerations: NotRequired[Sequence[Mapping[str, str]]]
    node_selector: NotRequired[Mapping[str, str]]
    canary: NotRequired[Canary | None]
    custom_resources: NotRequired[bool]
    gateway: NotRequired[bool]
    default_class: NotRequired[bool]
    metrics: NotRequired[bool]


class TraefikIngress(pulumi.ComponentResource):
    """Traefik as a DaemonSet, with its namespace, identity and classes.

    Raises IngressMistake for options that Traefik can't do.
    """

    image: pulumi.Output[str]

    def __init__(
        self, name: str, args: TraefikIngressArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        # Before anything is registered.
        static, edge = _files(args)
        trust = args.get("trust", EdgeTrust())
        super().__init__("edgefleet:index:TraefikIngress", name, None, opts)
        child = pulumi.ResourceOptions(
            parent=self, deleted_with=opts.deleted_with if opts else None
        )
        own, nginx = args.get("ingress_class", INGRESS_CLASS), args.get("nginx_class")
        gateway = args.get("gateway", False)
        named = args.get("namespace", NAMESPACE)
        if kubeconfig := args.get("kubeconfig"):
            objects = own_names(named, [own, nginx] if nginx else [own], gateway)
            ours = OwnNames(f"{name}-names", {"kubeconfig": kubeconfig, "objects": objects}, child)
            child = pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[ours]))
        namespace = make_namespace(name, named, child)
        here: Metadata = {"namespace": namespace, "name": APP, "labels": LABELS}
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": here}
        before: list[pulumi.Resource] = [
            KubernetesObject(f"{name}-account", account, child),
            bind_rights(
                name,
                namespace,
                child,
                custom_resources=args.get("custom_resources", False),
                gateway=gateway,
                nginx=bool(nginx),
                status=bool(args.get("status_address")),
            ),
            make_class(f"{name}-class", own, CONTROLLER, args.get("default_class", True), child),
        ]
        if nginx:
            before.append(make_class(f"{name}-nginx-class", nginx, NGINX_CONTROLLER, False, child))
        certificate = _certificate(name, here, args, child)
        if gateway:
            before += make_gateway(name, here, certificate, child)
        ready = pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=before))
        pod = partial(
            pod_spec,
            static=_config_map(name, "static", here, {STATIC_FILE: static}, child),
            edge=_config_map(name, "edge", here, {EDGE_FILE: edge}, child),
            secrets=_secrets(name, here, trust, args, child),
            certificate=certificate,
            shutdown_seconds=seconds(args.get("tuning"), "shutdown_timeout"),
            resources=args.get("resources") or RESOURCES,
            tolerations=args.get("tolerations", TOLERATIONS),
            metrics=args.get("metrics", True),
            not_on=args.get("not_on"),
        )
        self._controllers(name, args, namespace, pod, ready)
        self.image = pulumi.Output.from_input(args["image"])
        self.register_outputs({"image": self.image})

    def _controllers(
        self,
        name: str,
        args: TraefikIngressArgs,
        namespace: pulumi.Output[str],
        pod: Callable[..., dict[str, Any]],
        opts: pulumi.ResourceOptions,
    ) -> None:
        """The DaemonSet, and that of the canary on its nodes."""

        def controller(part: str, app: str, image: str, **placed: Mapping[str, str] | None) -> None:
            labels = {**LABELS, "app.kubernetes.io/name": app}
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


def _files(args: TraefikIngressArgs) -> tuple[str, str]:
    """Static and dynamic configuration, as texts. JSON is YAML. Raises IngressMistake."""
    trust = args.get("trust", EdgeTrust())
    if trust.header != "off" and args.get("origin_secrets") is None:
        raise IngressMistake(
            f"trust.header: {trust.header!r}: needs origin_secrets, the values that are taken"
        )
    providers = Providers(
        namespace=args.get("namespace", NAMESPACE),
        ingress_class=args.get("ingress_class", INGRESS_CLASS),
        custom_resources=args.get("custom_resources", False),
        gateway=args.get("gateway", False),
        nginx_class=args.get("nginx_class"),
        status_address=args.get("status_address"),
    )
    if providers["nginx_class"] == providers["ingress_class"]:
        raise IngressMistake(
            f"nginx_class: {providers['nginx_class']!r}: is ingress_class, too: an Ingress means "
            "one or the other"
        )
    brought = args.get("default_certificate") or args.get("default_tls_secret")
    static = static_config(
        args["trusted_proxies"],
        providers,
        tuning=args.get("tuning"),
        metrics=args.get("metrics", True),
    )
    edge = edge_config(
        args["trusted_proxies"],
        trust,
        region=args.get("region"),
        response_headers=args.get("response_headers"),
        certificate=DYNAMIC_FOLDER if brought else None,
    )
    return _text(static), _text(edge)


def _text(config: Mapping[str, Any]) -> str:
    return json.dumps(config, indent=2) + "\n"


def _config_map(
    name: str, part: str, here: Metadata, data: Mapping[str, str], opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """Another for each content, so that a change rolls the pods, and a pod that runs keeps what it
    has: a mistake stops at the first node."""
    metadata = {**here, "name": content_name(f"{APP}-{part}", data)}
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    return KubernetesObject(
        f"{name}-{part}", {**manifest, "data": data, "immutable": True}, opts
    ).name


def _secrets(
    name: str,
    here: Metadata,
    trust: EdgeTrust,
    args: TraefikIngressArgs,
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str] | None:
    """The secret with the rule that names the header's values. Its own name tells nothing."""
    if trust.header == "off":
        return None
    content = pulumi.Output.secret(args.get("origin_secrets") or []).apply(
        lambda taken: {SECRETS_FILE: _text(secret_config(taken))}
    )
    name_of = pulumi.Output.unsecret(content.apply(lambda data: content_name(f"{APP}-files", data)))
    manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {**here, "name": name_of}}
    return KubernetesObject(
        f"{name}-files", {**manifest, "stringData": content, "immutable": True}, opts
    ).name


def _certificate(
    name: str, here: Metadata, args: TraefikIngressArgs, opts: pulumi.ResourceOptions
) -> pulumi.Output[str] | None:
    """The name of the secret with the default certificate, in Traefik's own namespace."""
    if pair := args.get("default_certificate"):
        return _own_certificate(name, here, pair, opts)
    if not (secret := args.get("default_tls_secret")):
        return None
    namespace = args.get("namespace", NAMESPACE)
    return pulumi.Output.from_input(secret).apply(lambda given: beside(given, namespace))


def _own_certificate(
    name: str, here: Metadata, pair: Certificate, opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    return KubernetesObject(
        f"{name}-certificate",
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {**here, "name": CERTIFICATE},
            "type": "kubernetes.io/tls",
            "stringData": {
                "tls.crt": pair["certificate"],
                "tls.key": pulumi.Output.secret(pair["key"]),
            },
        },
        opts,
    ).name
