"""An ingress behind a Service of type LoadBalancer: the Service, and who may reach its pods.

A packet to such an address never comes to the node itself: it is translated to a pod's address and
passed on. So it is not in the node firewall's INPUT; kube-proxy and eBPF hold the Service's source
ranges where they translate, and a NetworkPolicy asks again at the pod (docs/load-balancers.md).
"""

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any

import pulumi

from ..server_side.kubernetes_object import KubernetesObject
from ..server_side.ownership import LABEL
from .contract import PORTS, LoadBalancerService

PORT_NAMES: dict[int, str] = dict(zip(PORTS, ("http", "https"), strict=True))


def service_spec(service: LoadBalancerService, selector: Mapping[str, str]) -> dict[str, Any]:
    """Spec of the Service for the pods of `selector`, which listen on `PORTS` under `PORT_NAMES`.

    `externalTrafficPolicy: Local`: a pod sees the client's address, and only nodes with a pod that
    is ready announce the address. No node ports: they would be a way around it.
    """
    families = sorted({ip_address(address).version for address in service["addresses"]})
    spec: dict[str, Any] = {
        "type": "LoadBalancer",
        "selector": dict(selector),
        "externalTrafficPolicy": "Local",
        "allocateLoadBalancerNodePorts": False,
        "ipFamilyPolicy": "RequireDualStack" if len(families) == 2 else "SingleStack",
        "ipFamilies": [f"IPv{family}" for family in families],
        "loadBalancerSourceRanges": list(service["sources"]),
        "ports": [
            {
                "name": PORT_NAMES[port],
                "port": port,
                "targetPort": PORT_NAMES[port],
                "protocol": "TCP",
            }
            for port in sorted(service.get("ports", PORTS))
        ],
    }
    if named := service.get("load_balancer_class"):
        spec["loadBalancerClass"] = named
    return spec


def policy_spec(
    service: LoadBalancerService,
    selector: Mapping[str, str],
    cluster_ports: Sequence[int] = (),
) -> dict[str, Any]:
    """Spec of the NetworkPolicy that admits `sources` to the pods' web ports, and the cluster's own
    pods to `cluster_ports` (metrics). Kubelet's probes always pass: they come from the pod's own
    node."""
    ports = sorted(service.get("ports", PORTS))
    admitted: list[dict[str, Any]] = [
        {
            "from": [{"ipBlock": {"cidr": cidr}} for cidr in service["sources"]],
            "ports": [{"protocol": "TCP", "port": port} for port in ports],
        }
    ]
    if cluster_ports:
        admitted.append(
            {
                "from": [{"namespaceSelector": {}}],
                "ports": [{"protocol": "TCP", "port": port} for port in sorted(cluster_ports)],
            }
        )
    return {
        "podSelector": {"matchLabels": dict(selector)},
        "policyTypes": ["Ingress"],
        "ingress": admitted,
    }


def expose(
    name: str,
    metadata: Mapping[str, Any],
    service: LoadBalancerService,
    cluster_ports: Sequence[int],
    opts: pulumi.ResourceOptions,
) -> None:
    """The Service of `metadata`, after the policy that keeps all others from its pods. The provider
    waits until it has its address, and says so."""
    # Also a canary's pods, whose name is another; nothing else lives in the namespace.
    key, value = LABEL
    selector: dict[str, str] = {key: value}
    policy = KubernetesObject(
        f"{name}-admitted",
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {**metadata, "name": f"{metadata['name']}-admitted"},
            "spec": policy_spec(service, selector, cluster_ports),
        },
        opts,
    )
    KubernetesObject(
        f"{name}-service",
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {**metadata, "annotations": dict(service["annotations"])},
            "spec": service_spec(service, selector),
        },
        pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[policy])),
    )
