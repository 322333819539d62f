"""`TraefikIngress`: Traefik on :80 and :443 of every node.

hostNetwork in place of a load balancer, or pods behind a Service. `options.py` is its static
configuration, `routing.py` what stands before every router, `pod.py` its pod; docs/traefik.md says
what each setting does, and when it is the better choice than nginx.
"""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any, NotRequired

import pulumi

from ...arguments import refuse_arguments
from ...server_side.kubernetes_object import KubernetesObject
from ...server_side.ownership import only_own_names
from ..controller import (
    ControllerArgs,
    Metadata,
    bind_rights,
    edge_trust,
    header_values,
    make_account,
    make_certificate,
    make_class,
    make_daemon_sets,
    make_namespace,
    make_policy,
)
from ..mistake import IngressMistake
from ..placing import RESOURCES, TOLERATIONS, content_name
from ..service import expose
from ..trust import EdgeTrust
from .admission import origin_trust_policy
from .cluster_objects import (
    CONTROLLER,
    NGINX_CONTROLLER,
    cluster_rules,
    make_gateway,
    own_names,
)
from .options import (
    DYNAMIC_FOLDER,
    INGRESS_CLASS,
    METRICS_PORT,
    Providers,
    TraefikTuning,
    seconds,
    static_config,
)
from .pod import (
    APP,
    EDGE_FILE,
    LABELS,
    NAMESPACE,
    SECRETS,
    SECRETS_FILE,
    STATIC_FILE,
    beside,
    pod_spec,
)
from .routing import edge_config, secret_config


class TraefikIngressArgs(ControllerArgs):
    """What every controller is given, and what is this one's own. Its own kinds
    (`custom_resources`) are IngressRoute, Middleware and others."""

    nginx_class: NotRequired[str | None]
    """Ingresses of this class mean what kubernetes/ingress-nginx made of their annotations.
    Default: none."""
    response_headers: NotRequired[Mapping[str, str]]
    """In every answer, in place of the application's. Default: none."""
    tuning: NotRequired[TraefikTuning]
    """Its timeouts. Default: those of a busy edge."""
    gateway: NotRequired[bool]
    """The Gateway API, with a GatewayClass and a Gateway; somebody has to install its definitions.
    Default: false."""


class TraefikIngress(pulumi.ComponentResource):
    """Traefik as a DaemonSet, with its namespace, identity and classes.

    Raises IngressMistake for options that Traefik can't do.

    Once a cluster: it has the ports 80 and 443 of the nodes, and one set of rights.
    """

    image: pulumi.Output[str]

    def __init__(
        self, name: str, args: TraefikIngressArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        refuse_arguments("TraefikIngress", name, TraefikIngressArgs, args)
        # Before anything is registered.
        trust = edge_trust(args)
        static, edge = _files(args, trust)
        super().__init__("edgefleet:index:TraefikIngress", name, None, opts)
        child = pulumi.ResourceOptions(
            parent=self, deleted_with=opts.deleted_with if opts else None
        )
        own, nginx = args.get("ingress_class", INGRESS_CLASS), args.get("nginx_class")
        gateway = args.get("gateway", False)
        named = args.get("namespace", NAMESPACE)
        policies = origin_trust_policy(trust, args.get("custom_resources", False))
        names = own_names(named, [own, nginx] if nginx else [own], gateway, bool(policies))
        child = only_own_names(name, args.get("kubeconfig"), names, child)
        here: Metadata = {
            "namespace": make_namespace(name, named, LABELS, child),
            "name": APP,
            "labels": LABELS,
        }
        everywhere = cluster_rules(
            custom_resources=args.get("custom_resources", False),
            gateway=gateway,
            nginx=bool(nginx),
            status=bool(args.get("status_address")),
        )
        default = args.get("default_class", True)
        before: list[pulumi.Resource] = [
            make_account(name, here, child),
            *bind_rights(name, here, everywhere, child),
            make_class(f"{name}-class", own, CONTROLLER, LABELS, child, default=default),
        ]
        if nginx:
            resource = f"{name}-nginx-class"
            before.append(
                make_class(resource, nginx, NGINX_CONTROLLER, LABELS, child, default=False)
            )
        before += make_policy(f"{name}-origin-trust", policies, child)
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
            host_ports=not args.get("service"),
        )
        if service := args.get("service"):
            metrics = [METRICS_PORT] if args.get("metrics", True) else []
            expose(name, here, service, metrics, child)
        make_daemon_sets(name, here, args, pod, ready)
        self.image = pulumi.Output.from_input(args["image"])
        self.register_outputs({"image": self.image})


def _files(args: TraefikIngressArgs, trust: EdgeTrust) -> tuple[str, str]:
    """Static and dynamic configuration, as texts. JSON is YAML. Raises IngressMistake."""
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
        host_ports=not args.get("service"),
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
    content = header_values(args).apply(lambda taken: {SECRETS_FILE: _text(secret_config(taken))})
    name_of = pulumi.Output.unsecret(content.apply(lambda data: content_name(SECRETS, data)))
    manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {**here, "name": name_of}}
    return KubernetesObject(
        f"{name}-files", {**manifest, "stringData": content, "immutable": True}, opts
    ).name


def _certificate(
    name: str, here: Metadata, args: TraefikIngressArgs, opts: pulumi.ResourceOptions
) -> pulumi.Output[str] | None:
    """The name of the secret with the default certificate, in Traefik's own namespace."""
    if pair := args.get("default_certificate"):
        return make_certificate(name, here, pair, opts)
    if not (secret := args.get("default_tls_secret")):
        return None
    namespace = args.get("namespace", NAMESPACE)
    return pulumi.Output.from_input(secret).apply(lambda given: beside(given, namespace))
