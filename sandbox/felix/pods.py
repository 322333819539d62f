"""Pods as network namespaces: their wire to the node, and what the API server is told of them."""

import hashlib
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

_HOST_MAC = "ee:ee:ee:ee:ee:ee"
_GATEWAY, _GATEWAY6 = "169.254.1.1", "fe80::ecee:eeff:feee:eeee"


def interface(namespace: str, pod: str) -> str:
    """Name of the node's end of a pod's wire, as felix expects it (libcalico-go, conversion)."""
    return "cali" + hashlib.sha1(f"{namespace}.{pod}".encode()).hexdigest()[:11]  # noqa: S324


def wire(node: int, pod: int, name: str, addresses: Sequence[str], mtu: int = 1450) -> None:
    """A veth pair between the networks of two processes, as Calico's CNI plugin makes it: `name`
    on the node, eth0 with `addresses` in the pod. The node's routes are felix's to make.

    Raises subprocess.CalledProcessError.
    """
    veth = f"link add {name} mtu {mtu} address {_HOST_MAC} type veth peer name eth0 mtu {mtu}"
    _ip(node, f"{veth} netns {pod}", f"link set {name} up")
    lines = ["link set lo up", "link set eth0 up"]
    for address in addresses:
        six = ":" in address
        gateway = _GATEWAY6 if six else _GATEWAY
        lines += [
            f"addr add {address}/128 dev eth0 nodad" if six else f"addr add {address}/32 dev eth0",
            f"route add {gateway} dev eth0",
            f"route add {'::/0' if six else 'default'} via {gateway} dev eth0",
            f"neigh replace {gateway} lladdr {_HOST_MAC} dev eth0",
        ]
    _ip(pod, *lines)
    settings = [
        f"net.ipv4.conf.{name}.{key}=1" for key in ("proxy_arp", "route_localnet", "forwarding")
    ]
    subprocess.run(["nsenter", "-t", str(node), "-n", "sysctl", "-qw", *settings], check=True)


def pod_object(
    namespace: str, name: str, node: str, labels: Mapping[str, str], *, host: bool = False
) -> dict[str, Any]:
    """A Pod that is assigned to `node`; no scheduler and no kubelet has to run."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name, "labels": dict(labels)},
        "spec": {
            "nodeName": node,
            "hostNetwork": host,
            "containers": [{"name": "main", "image": "none"}],
        },
    }


def pod_status(addresses: Sequence[str]) -> dict[str, Any]:
    """What a kubelet says of a pod that runs."""
    return {
        "phase": "Running",
        "podIP": addresses[0],
        "podIPs": [{"ip": address} for address in addresses],
        "conditions": [{"type": "Ready", "status": "True"}],
    }


def node_annotations(address: str, tunnel: str, address6: str = "") -> dict[str, str]:
    """What calico-node notes on its Node: its own address, with prefix, and that of its VXLAN."""
    found = {
        "projectcalico.org/IPv4Address": address,
        "projectcalico.org/IPv4VXLANTunnelAddr": tunnel,
    }
    return {**found, **({"projectcalico.org/IPv6Address": address6} if address6 else {})}


def _ip(pid: int, *lines: str) -> None:
    command = ["nsenter", "-t", str(pid), "-n", "ip", "-batch", "-"]
    subprocess.run(command, input="\n".join(lines) + "\n", text=True, check=True)
