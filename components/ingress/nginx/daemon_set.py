"""`IngressDaemonSet`: F5 NGINX Ingress Controller on :80 and :443 of every node.

hostNetwork in place of a load balancer, or pods behind a Service. kubernetes/ingress-nginx is
retired with open CVEs, so the controller is NGINX's own (docs/facts/calico-ingress.md §3).
`options.py` tunes it, `pod.py` is its pod, `trust.py` knows our edge; docs/ingress.md says what
each setting does.
"""

from collections.abc import Mapping, Sequence
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
from ..placing import RESOURCES, TOLERATIONS, content_name
from ..service import expose
from ..trust import EdgeTrust
from .admission import health_path_policy
from .cluster_objects import CONTROLLER, cluster_rules, own_names, own_rules
from .options import (
    INGRESS_CLASS,
    METRICS_PORT,
    NginxTuning,
    flags,
    full_secret_name,
    nginx_config,
    shutdown_timeout,
)
from .pod import APP, CONFIG, LABELS, NAMESPACE, pod_spec
from .trust import FOLDER, files


class IngressDaemonSetArgs(ControllerArgs):
    """What every controller is given, and what is this one's own. Its own kinds
    (`custom_resources`) are VirtualServer, Policy and others."""

    config: NotRequired[Mapping[str, str]]
    """Keys of the controller's ConfigMap; those that are ours are refused. Default: none."""
    tuning: NotRequired[NginxTuning]
    """Its limits. Default: those of a busy edge."""
    ipv6: NotRequired[bool]
    """It listens on IPv6, too. Default: true."""


class IngressDaemonSet(pulumi.ComponentResource):
    """The ingress controller as a DaemonSet, with its namespace, identity and IngressClass.

    Raises IngressMistake for options that the controller would ignore or refuse.

    Once a cluster: it has the ports 80 and 443 of the nodes, and one set of rights.
    """

    image: pulumi.Output[str]
    """What runs, but on a canary's nodes."""

    def __init__(
        self, name: str, args: IngressDaemonSetArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        refuse_arguments("IngressDaemonSet", name, IngressDaemonSetArgs, args)
        # Before anything is registered.
        tuning, trust = args.get("tuning", {}), edge_trust(args)
        data = _config(args, trust)
        super().__init__("edgefleet:index:IngressDaemonSet", name, None, opts)
        child = pulumi.ResourceOptions(
            parent=self, deleted_with=opts.deleted_with if opts else None
        )
        named = args.get("namespace", NAMESPACE)
        class_name = args.get("ingress_class", INGRESS_CLASS)
        names = own_names(named, class_name)
        child = only_own_names(name, args.get("kubeconfig"), names, child)
        namespace = make_namespace(name, named, LABELS, child)
        here: Metadata = {"namespace": namespace, "name": APP, "labels": LABELS}
        account = make_account(name, here, child)
        status = bool(args.get("status_address"))
        everywhere = cluster_rules(args.get("custom_resources", False), status)
        rights = bind_rights(name, here, everywhere, child, own_rules(status))
        files_name = _files_name(trust, header_values(args))
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
        default = args.get("default_class", True)
        ingress_class = make_class(
            f"{name}-class", class_name, CONTROLLER, LABELS, child, default=default
        )
        refused = make_policy(f"{name}-health-path", health_path_policy(class_name), child)
        secret = args.get("default_tls_secret")
        if certificate := args.get("default_certificate"):
            secret = make_certificate(name, here, certificate, child)
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
            metrics = [METRICS_PORT] if args.get("metrics", True) else []
            expose(name, here, service, metrics, child)
        make_daemon_sets(name, here, args, pod, ready)
        self.image = pulumi.Output.from_input(args["image"])
        self.register_outputs({"image": self.image})


def _config(args: IngressDaemonSetArgs, trust: EdgeTrust) -> dict[str, str]:
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


def _files_name(
    trust: EdgeTrust, secrets: pulumi.Output[Sequence[str]]
) -> pulumi.Output[str] | None:
    """Of the secret with the files that `trust` needs: another for each content, so that a change
    rolls the pods: nginx reads files when it starts. The name itself tells nothing."""
    if not trust.asks:
        return None
    content = secrets.apply(lambda taken: files(trust, taken))
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
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata,
        "stringData": header_values(args).apply(lambda taken: files(trust, taken)),
    }
    return KubernetesObject(f"{name}-files", manifest, opts).name
