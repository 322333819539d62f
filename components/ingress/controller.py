"""What every ingress controller is in its cluster: a namespace, an account with rights, its class,
a certificate, a DaemonSet and that of its canary. `here` are the metadata that these share."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NotRequired, cast

import pulumi

from ..server_side.kubernetes_object import KubernetesObject
from .contract import Certificate, IngressArgs
from .mistake import IngressMistake
from .placing import Canary, Resources, daemon_set_spec
from .trust import EdgeTrust, trust_of

Metadata = Mapping[str, Any]
CERTIFICATE = "origin-tls"
"""The secret with `default_certificate`."""
_RBAC = "rbac.authorization.k8s.io"


class ControllerArgs(IngressArgs):
    """What every controller is given beside the contract."""

    kubeconfig: NotRequired[pulumi.Input[str]]
    """Of the cluster, YAML, a secret: with it a name that somebody else has there already is
    refused, and not taken over. Default: nobody asks. Objects go through the provider that the
    options give."""
    namespace: NotRequired[str]
    """Made for it, and goes with it. Default: the controller's name. Another one: all in it is made
    anew."""
    ingress_class: NotRequired[str]
    """The name by which Ingresses ask for it, unique in the cluster. Default: the controller's."""
    resources: NotRequired[Resources | None]
    """What a pod takes. Default: 100m of CPU and 256Mi promised, at most 1Gi."""
    tolerations: NotRequired[Sequence[Mapping[str, str]]]
    """Of the pods. Default: every taint is tolerated."""
    node_selector: NotRequired[Mapping[str, str]]
    """Labels of the nodes that it runs on. Default: every node."""
    canary: NotRequired[Canary | None]
    """Another image on some nodes. Default: none."""
    custom_resources: NotRequired[bool]
    """The controller's own kinds, whose definitions somebody has to install. Default: false."""
    default_class: NotRequired[bool]
    """Its class is the cluster's default. Default: true."""
    metrics: NotRequired[bool]
    """Metrics for Prometheus, on port 9113. Default: true."""


def edge_trust(args: IngressArgs) -> EdgeTrust:
    """How our edge is known. Raises IngressMistake where the means are missing."""
    trust = trust_of(args.get("trust"))
    if trust.header != "off" and args.get("origin_secrets") is None:
        raise IngressMistake(
            f"trust.header: {trust.header!r}: needs origin_secrets, the values that are taken"
        )
    return trust


def header_values(args: IngressArgs) -> pulumi.Output[Sequence[str]]:
    """`origin_secrets`, a secret."""
    given = pulumi.Output.secret(args.get("origin_secrets") or [])
    # An Output of a list knows the Outputs in it, too, which the SDK's types don't say.
    return cast("pulumi.Output[Sequence[str]]", given)


def make_namespace(
    name: str, namespace: str, labels: Mapping[str, str], opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """The controller's own; gives its name."""
    # hostNetwork and host ports: Pod Security has no milder word for them.
    enforced = {"pod-security.kubernetes.io/enforce": "privileged"}
    metadata = {"name": namespace, "labels": {**labels, **enforced}}
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    return KubernetesObject(f"{name}-namespace", manifest, opts).name


def make_account(name: str, here: Metadata, opts: pulumi.ResourceOptions) -> pulumi.Resource:
    """The ServiceAccount of its pods."""
    manifest = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": here}
    return KubernetesObject(f"{name}-account", manifest, opts)


def rule(group: str, resources: Sequence[str], verbs: Sequence[str]) -> dict[str, Any]:
    """A rule of a role."""
    return {"apiGroups": [group], "resources": [*resources], "verbs": [*verbs]}


def bind_rights(
    name: str,
    here: Metadata,
    everywhere: Sequence[Mapping[str, Any]],
    opts: pulumi.ResourceOptions,
    own: Sequence[Mapping[str, Any]] = (),
) -> list[pulumi.Resource]:
    """Bindings of the controller's account to what it may do in the whole cluster, and `own` in its
    own namespace."""
    subjects = [{"kind": "ServiceAccount", "name": here["name"], "namespace": here["namespace"]}]

    def rbac(part: str, kind: str, metadata: Metadata, **content: Any) -> KubernetesObject:
        manifest = {"apiVersion": f"{_RBAC}/v1", "kind": kind, "metadata": metadata, **content}
        return KubernetesObject(f"{name}-{part}", manifest, opts)

    def bound(
        part: str, kind: str, metadata: Metadata, rules: Sequence[Mapping[str, Any]]
    ) -> KubernetesObject:
        role = rbac(f"{part}role", kind, metadata, rules=rules)
        ref = {"apiGroup": _RBAC, "kind": kind, "name": role.name}
        return rbac(f"{part}binding", f"{kind}Binding", metadata, roleRef=ref, subjects=subjects)

    wide: Metadata = {"name": here["name"], "labels": here["labels"]}
    made: list[pulumi.Resource] = [bound("", "ClusterRole", wide, everywhere)]
    return [*made, bound("own-", "Role", here, own)] if own else made


def make_class(
    resource: str,
    ingress_class: str,
    controller: str,
    labels: Mapping[str, str],
    opts: pulumi.ResourceOptions,
    *,
    default: bool,
) -> pulumi.Resource:
    """An IngressClass, the cluster's default or not."""
    annotations = {"ingressclass.kubernetes.io/is-default-class": str(default).lower()}
    metadata = {"name": ingress_class, "labels": labels, "annotations": annotations}
    manifest = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": metadata,
        "spec": {"controller": controller},
    }
    return KubernetesObject(resource, manifest, opts)


def make_certificate(
    name: str, here: Metadata, pair: Certificate, opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """The secret with a certificate; gives its name, so that it is there before the pods look."""
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


def make_policy(
    name: str, policies: Sequence[Mapping[str, Any]], opts: pulumi.ResourceOptions
) -> list[pulumi.Resource]:
    """An admission policy and its binding (admission.py), or nothing."""
    if not policies:
        return []
    policy, binding = policies
    first = KubernetesObject(name, policy, opts)
    after = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[first]))
    return [first, KubernetesObject(f"{name}-binding", binding, after)]


def make_daemon_sets(
    name: str,
    here: Metadata,
    args: ControllerArgs,
    pod: Callable[..., dict[str, Any]],
    opts: pulumi.ResourceOptions,
) -> None:
    """The DaemonSet, and that of the canary on its nodes. `pod` gives a pod's spec for an image and
    the nodes that it is for."""

    def controller(part: str, app: str, image: str, **placed: Mapping[str, str] | None) -> None:
        labels = {**here["labels"], "app.kubernetes.io/name": app}
        KubernetesObject(
            f"{name}-{part}",
            {
                "apiVersion": "apps/v1",
                "kind": "DaemonSet",
                "metadata": {"namespace": here["namespace"], "name": app, "labels": labels},
                "spec": daemon_set_spec(app, labels, pod(image, **placed)),
            },
            opts,
        )

    app, selector, canary = here["name"], args.get("node_selector"), args.get("canary")
    avoided = canary["node_selector"] if canary else None
    controller("controller", app, args["image"], node_selector=selector, avoided=avoided)
    if canary:
        both = {**(selector or {}), **canary["node_selector"]}
        controller("canary", f"{app}-canary", canary["image"], node_selector=both)
