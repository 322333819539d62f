"""`IngressDaemonSet`: F5 NGINX Ingress Controller on :80 and :443 of every node.

hostNetwork in place of a load balancer, or pods behind a Service. kubernetes/ingress-nginx is
retired with open CVEs, so the controller is NGINX's own (docs/facts/calico-ingress.md §3).
`options.py` tunes it, `pod.py` is its pod, `trust.py` knows our edge; docs/ingress.md says what
each setting does.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NotRequired

import pulumi

from ...server_side.kubernetes_object import KubernetesObject
from ...server_side.ownership import OwnNames
from ..contract import Certificate, IngressArgs, LoadBalancerService
from ..mistake import IngressMistake
from ..placing import (
    RESOURCES,
    TOLERATIONS,
    Canary,
    Resources,
    content_name,
    daemon_set_spec,
)
from ..service import policy_spec, service_spec
from ..trust import EdgeTrust
from .cluster_objects import (
    Metadata,
    bind_rights,
    make_class,
    make_namespace,
    own_names,
    refuse_health_path,
)
from .options import (
    INGRESS_CLASS,
    METRICS_PORT,
    Tuning,
    flags,
    full_secret_name,
    nginx_config,
    shutdown_timeout,
)
from .pod import (
    APP,
    CONFIG,
    LABELS,
    NAMESPACE,
    pod_spec,
)
from .trust import FOLDER, files

CERTIFICATE = "origin-tls"
"""The secret with `default_certificate`."""


class IngressDaemonSetArgs(IngressArgs):
    """What every ingress is given, and what is this controller's own.

    `config` are keys of the controller's ConfigMap. `custom_resources`: the controller's own kinds
    (VirtualServer, Policy …), whose definitions somebody has to install. `default_class` makes its
    IngressClass the cluster's default. `namespace` is made for it and goes with it; `ingress_class`
    is the name by which Ingresses ask for it. With the cluster's `kubeconfig`, a name that somebody
    else has there already is refused, and not taken over.
    """

    kubeconfig: NotRequired[pulumi.Input[str]]
    namespace: NotRequired[str]
    ingress_class: NotRequired[str]
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
        data = _config(args)
        tuning, trust = args.get("tuning", {}), args.get("trust", EdgeTrust())
        super().__init__("edgefleet:index:IngressDaemonSet", name, None, opts)
        child = pulumi.ResourceOptions(
            parent=self, deleted_with=opts.deleted_with if opts else None
        )
        named = args.get("namespace", NAMESPACE)
        class_name = args.get("ingress_class", INGRESS_CLASS)
        if kubeconfig := args.get("kubeconfig"):
            objects = own_names(named, class_name)
            ours = OwnNames(f"{name}-names", {"kubeconfig": kubeconfig, "objects": objects}, child)
            child = pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[ours]))
        namespace = make_namespace(name, named, child)
        here: Metadata = {"namespace": namespace, "name": APP, "labels": LABELS}
        account = KubernetesObject(
            f"{name}-account",
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": here},
            child,
        )
        status = bool(args.get("status_address"))
        rights = bind_rights(name, here, args.get("custom_resources", False), status, child)
        files_name = _files_name(trust, args.get("origin_secrets"))
        config_name = _config_name(files_name)
        config = KubernetesObject(
            f"{name}-config",
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {**here, "name": config_name},
                "data": data,
            },
            child,
        )
        ingress_class = make_class(name, class_name, args.get("default_class", True), child)
        refused = refuse_health_path(name, class_name, child)
        secret = args.get("default_tls_secret")
        if certificate := args.get("default_certificate"):
            secret = _certificate(name, here, certificate, child)
        mounted = _files(name, {**here, "name": files_name}, trust, args, child)
        before = [account, *rights, config, ingress_class, *refused]
        ready = pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=before))
        pod = partial(
            pod_spec,
            flags=_arguments(args, config_name, secret),
            shutdown_seconds=shutdown_timeout(tuning),
            resources=args.get("resources") or RESOURCES,
            tolerations=args.get("tolerations", TOLERATIONS),
            metrics=args.get("metrics", True),
            files=(mounted, FOLDER) if mounted is not None else None,
            not_on=args.get("not_on"),
            host_ports=not args.get("service"),
        )
        if service := args.get("service"):
            _expose(name, namespace, service, args.get("metrics", True), child)
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


def _expose(
    name: str,
    namespace: pulumi.Input[str],
    service: LoadBalancerService,
    metrics: bool,
    opts: pulumi.ResourceOptions,
) -> None:
    """The Service, after the policy that keeps all others from its pods. The provider waits until
    it has its address, and says so."""
    # Also a canary's pods, whose name is another; nothing else lives in the namespace.
    selector = {"app.kubernetes.io/part-of": LABELS["app.kubernetes.io/part-of"]}
    policy = KubernetesObject(
        f"{name}-admitted",
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"namespace": namespace, "name": f"{APP}-admitted", "labels": LABELS},
            "spec": policy_spec(service, selector, [METRICS_PORT] if metrics else []),
        },
        opts,
    )
    KubernetesObject(
        f"{name}-service",
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "namespace": namespace,
                "name": APP,
                "labels": LABELS,
                "annotations": dict(service["annotations"]),
            },
            "spec": service_spec(service, selector),
        },
        pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[policy])),
    )


def _config(args: IngressDaemonSetArgs) -> dict[str, str]:
    trust = args.get("trust", EdgeTrust())
    if trust.header != "off" and args.get("origin_secrets") is None:
        raise IngressMistake(
            f"trust.header: {trust.header!r}: needs origin_secrets, the values that are taken"
        )
    return nginx_config(
        args["trusted_proxies"],
        args.get("tuning", {}),
        args.get("config"),
        args.get("region"),
        trust,
        args.get("status_address"),
    )


def _arguments(
    args: IngressDaemonSetArgs, config: pulumi.Input[str], secret: pulumi.Input[str] | None
) -> list[pulumi.Input[str]]:
    found: list[pulumi.Input[str]] = list(
        flags(
            CONFIG,
            ingress_class=args.get("ingress_class", INGRESS_CLASS),
            report_status=bool(args.get("status_address")),
            custom_resources=args.get("custom_resources", False),
            metrics=args.get("metrics", True),
            ipv6=args.get("ipv6", True),
        )
    )
    found[0] = pulumi.Output.concat("-nginx-configmaps=$(POD_NAMESPACE)/", config)
    if secret:
        full = pulumi.Output.from_input(secret).apply(
            lambda given: full_secret_name(given, args.get("namespace", NAMESPACE))
        )
        # The second: for Ingresses that ask for TLS and name no secret.
        for server in ("default-server", "wildcard"):
            found.append(pulumi.Output.concat(f"-{server}-tls-secret=", full))
    return found


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


def _files_name(
    trust: EdgeTrust, secrets: pulumi.Input[Sequence[str]] | None
) -> pulumi.Output[str] | None:
    """Of the secret with the files that `trust` needs: another for each content, so that a change
    rolls the pods: nginx reads files when it starts. The name itself tells nothing."""
    if not trust.asks:
        return None
    content = pulumi.Output.secret(secrets or []).apply(lambda taken: files(trust, taken))
    return pulumi.Output.unsecret(content.apply(lambda f: content_name("nginx-files", f)))


def _config_name(files_name: pulumi.Output[str] | None) -> pulumi.Input[str]:
    """Of the ConfigMap: another where it names other files. A pod that still runs keeps that which
    names the files it has; what else changes in a ConfigMap, running pods take over."""
    if files_name is None:
        return CONFIG
    return files_name.apply(lambda found: found.replace("nginx-files", CONFIG))


def _files(
    name: str,
    metadata: Mapping[str, Any],
    trust: EdgeTrust,
    args: IngressDaemonSetArgs,
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str] | None:
    """The secret with the files that `trust` needs."""
    if not trust.asks:
        return None
    secrets = pulumi.Output.secret(args.get("origin_secrets") or [])
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "stringData": secrets.apply(lambda taken: files(trust, taken)),
    }
    return KubernetesObject(f"{name}-files", manifest, opts).name
