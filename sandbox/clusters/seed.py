"""What VKE puts into a new cluster: nodes, Calico, kube-proxy, CoreDNS.

Sources: docs/facts/vultr.md §3 (nodes, Calico's version, when eBPF support came) and Calico's own
manifest. Assumptions are named as such in the docstrings and in sandbox/README.md.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from sandbox.clusters import host_endpoints
from sandbox.clusters.api import ClusterApi, Object
from sandbox.clusters.backend import NodeSpec

ADDON_MANAGER = "vke-addon-manager"
"""Field manager of what VKE owns. Assumed: the real name isn't known."""
CLOUD_MANAGER = "vultr-cloud-controller-manager"

_MANIFESTS = Path(__file__).with_name("manifests")
_EBPF_SINCE = {29: 10, 30: 6, 31: 2}
"""Patch release of 1.29, 1.30, 1.31 with eBPF support (VKE changelog, 2024-11-13)."""


def has_ebpf(version: str) -> bool:
    """Whether a cluster made with VKE ``version`` (``v1.31.2+1``) runs Calico in eBPF mode."""
    major, minor, patch = kubernetes_version(version)
    if (major, minor) > (1, 31):
        return True
    return major == 1 and minor in _EBPF_SINCE and patch >= _EBPF_SINCE[minor]


def kubernetes_version(version: str) -> tuple[int, int, int]:
    """The numbers in a VKE version. Raises ValueError."""
    match = re.fullmatch(r"v?(\d+)\.(\d+)\.(\d+)(?:\+\d+)?", version)
    if match is None:
        raise ValueError(f"{version!r} is no VKE version, as v1.35.5+1 is")
    return int(match[1]), int(match[2]), int(match[3])


def custom_resources() -> list[Object]:
    """Calico's CustomResourceDefinitions."""
    return [_definition(entry) for entry in _load("calico-crds.yaml")[0]]


def objects(version: str, endpoint: str) -> list[Object]:
    """Everything else VKE applies; ``endpoint`` is the API server's host name.

    Assumed: a cluster with eBPF support has ``FELIX_BPFENABLED`` on calico-node and nothing more,
    VXLAN instead of IPIP (which eBPF doesn't do), the address of the API server in
    ``kubernetes-services-endpoint``, and a kube-proxy parked as Calico's guide says.
    """
    found = [*_load("calico.yaml"), *_load("system.yaml")]
    ebpf = has_ebpf(version)
    for obj in found:
        if obj["kind"] == "DaemonSet" and ebpf:
            spec = obj["spec"]["template"]["spec"]
            if obj["metadata"]["name"] == "kube-proxy":
                spec["nodeSelector"]["non-calico"] = "true"
            else:
                _set_ebpf_environment(spec["containers"][0]["env"])
    if ebpf:
        found.append(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "kubernetes-services-endpoint", "namespace": "kube-system"},
                "data": {"KUBERNETES_SERVICE_HOST": endpoint, "KUBERNETES_SERVICE_PORT": "6443"},
            }
        )
    return found


def calico_defaults(version: str) -> list[Object]:
    """What calico-node itself creates at its first start."""
    ebpf = has_ebpf(version)
    return [
        {
            "apiVersion": "crd.projectcalico.org/v1",
            "kind": "FelixConfiguration",
            "metadata": {"name": "default"},
            "spec": {
                "bpfConnectTimeLoadBalancing": "TCP",
                "bpfHostNetworkedNATWithoutCTLB": "Enabled",
                "floatingIPs": "Disabled",
                "logSeverityScreen": "Info",
                "reportingInterval": "0s",
            },
        },
        {
            "apiVersion": "crd.projectcalico.org/v1",
            "kind": "IPPool",
            "metadata": {"name": "default-ipv4-ippool"},
            "spec": {
                "allowedUses": ["Workload", "Tunnel"],
                "blockSize": 26,
                "cidr": "10.244.0.0/16",
                "ipipMode": "Never" if ebpf else "Always",
                "natOutgoing": True,
                "nodeSelector": "all()",
                "vxlanMode": "Always" if ebpf else "Never",
            },
        },
        {
            "apiVersion": "crd.projectcalico.org/v1",
            "kind": "Tier",
            "metadata": {"name": "default"},
            "spec": {"order": 1000000, "defaultAction": "Deny"},
        },
        {
            "apiVersion": "crd.projectcalico.org/v1",
            "kind": "ClusterInformation",
            "metadata": {"name": "default"},
            "spec": {"calicoVersion": "v3.32.0", "datastoreReady": True},
        },
    ]


def node_object(node: NodeSpec, version: str) -> Object:
    """A Node as VKE's worker registers and Vultr's cloud controller manager completes it."""
    name = node["label"]
    major, minor, patch = kubernetes_version(version)
    cpu, memory = _size(node["plan"])
    labels = {
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": node["plan"],
        "topology.kubernetes.io/region": node["region"],
        "vke.vultr.com/node-id": node["id"],
        "vke.vultr.com/node-pool": node["pool_label"],
        **node["labels"],
    }
    addresses = [
        {"type": "Hostname", "address": name},
        {"type": "InternalIP", "address": node["internal_ip"] or node["main_ip"]},
        # The trap of docs/facts/vultr.md §3: without a public address, the private one stands here.
        {"type": "ExternalIP", "address": node["main_ip"] or node["internal_ip"]},
    ]
    if node["v6_main_ip"]:
        addresses.append({"type": "ExternalIP", "address": node["v6_main_ip"]})
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"providerID": f"vultr://{node['id']}"},
        "status": {
            "addresses": addresses,
            "capacity": {"cpu": str(cpu), "memory": f"{memory}Gi", "pods": "110"},
            "allocatable": {
                "cpu": f"{cpu * 1000 - 60}m",
                "memory": f"{memory * 1024 - 400}Mi",
                "pods": "110",
            },
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": "",
                "containerRuntimeVersion": "containerd://2.1.4",
                "kernelVersion": "6.8.0-85-generic",
                "kubeProxyVersion": "",
                "kubeletVersion": f"v{major}.{minor}.{patch}",
                "machineID": node["id"].replace("-", ""),
                "operatingSystem": "linux",
                "osImage": "Ubuntu 24.04 LTS",
                "systemUUID": node["id"],
            },
        },
    }


def seed(api: ClusterApi, version: str, endpoint: str, manager: str = ADDON_MANAGER) -> None:
    """Apply everything but nodes. Raises ApiError."""
    with ThreadPoolExecutor(max_workers=4) as pool:
        definitions = [pool.submit(api.apply, o, manager) for o in custom_resources()]
        applied = [pool.submit(api.apply, o, manager) for o in objects(version, endpoint)]
        for each in (*definitions, *applied):
            each.result()
    for obj in calico_defaults(version):
        api.apply_when_served(obj, "calico-node")
    api.apply_when_served(host_endpoints.configuration(), host_endpoints.MANAGER)


def sync_nodes(
    api: ClusterApi,
    nodes: Sequence[NodeSpec],
    version: str,
    made: Callable[[NodeSpec, str], Object] = node_object,
) -> None:
    """Add, relabel and remove Node objects until the cluster has exactly ``nodes``.

    A node that goes takes its pods along, as a deleted instance does. Raises ApiError.
    """
    wanted = {node["label"]: node for node in nodes}
    present = {item["metadata"]["name"]: item for item in api.get("api/v1/nodes")["items"]}
    for name in present.keys() - wanted.keys():
        _remove_node(api, name)
    for name, node in wanted.items():
        obj = made(node, version)
        found = present.get(name)
        if found and found["spec"].get("providerID") != obj["spec"].get("providerID"):
            _remove_node(api, name)
            found = None
        if found is None:
            obj["spec"]["taints"] = list(node["taints"])
            api.create(obj, CLOUD_MANAGER)
        else:
            _add_labels_and_taints(api, found, obj["metadata"]["labels"], node["taints"])


def _remove_node(api: ClusterApi, name: str) -> None:
    pods = api.get("api/v1/pods", fieldSelector=f"spec.nodeName={name}")["items"]
    api.delete(f"api/v1/nodes/{name}")
    for pod in pods:
        meta = pod["metadata"]
        path = f"api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        api.delete(path, gracePeriodSeconds="0")


def _add_labels_and_taints(
    api: ClusterApi, found: Object, labels: dict[str, str], taints: Iterable[dict[str, str]]
) -> None:
    # Vultr adds to both and never takes one away (docs/facts/vultr.md §1). The list of taints is
    # one field, which the node lifecycle controller writes too.
    patch: Object = {}
    if labels.items() - found["metadata"]["labels"].items():
        patch["metadata"] = {"labels": labels}
    present = found["spec"].get("taints", [])
    keys = {(taint["key"], taint["effect"]) for taint in present}
    missing = [taint for taint in taints if (taint["key"], taint["effect"]) not in keys]
    if missing:
        patch["spec"] = {"taints": [*present, *missing]}
    if patch:
        api.merge(f"api/v1/nodes/{found['metadata']['name']}", patch, CLOUD_MANAGER)


def _set_ebpf_environment(env: list[Object]) -> None:
    values = {"CALICO_IPV4POOL_IPIP": "Never", "CALICO_IPV4POOL_VXLAN": "Always"}
    for entry in env:
        if entry["name"] in values:
            entry["value"] = values[entry["name"]]
    env.append({"name": "FELIX_BPFENABLED", "value": "true"})


def _definition(entry: Object) -> Object:
    plural, kind = entry["plural"], entry["kind"]
    spec = entry.get("spec", {"type": "object", "x-kubernetes-preserve-unknown-fields": True})
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.crd.projectcalico.org"},
        "spec": {
            "group": "crd.projectcalico.org",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
            },
            "preserveUnknownFields": False,
            "scope": entry["scope"],
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "properties": {
                                "apiVersion": {"type": "string"},
                                "kind": {"type": "string"},
                                "metadata": {"type": "object"},
                                "spec": spec,
                            },
                        }
                    },
                }
            ],
        },
    }


def _size(plan: str) -> tuple[int, int]:
    match = re.search(r"-(\d+)c-(\d+)gb", plan)
    return (int(match[1]), int(match[2])) if match else (2, 4)


@cache
def _text(name: str) -> str:
    return (_MANIFESTS / name).read_text(encoding="utf-8")


def _load(name: str) -> list[Any]:
    return [obj for obj in yaml.load_all(_text(name), yaml.CSafeLoader) if obj]
