"""An API server with Calico's own resources, for the real felix: etcd and the server, no more."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sandbox.clusters import host_endpoints
from sandbox.felix.pods import node_annotations, pod_object, pod_status
from sandbox.processes import Processes
from tests.bare_api_server import MANAGER, BareApiServer

_CALICO = "apis/crd.projectcalico.org/v1"
Object = dict[str, Any]


class ControlPlane(BareApiServer):
    """With the definitions of the folder `crds`, as felix's build has them."""

    def __init__(self, folder: Path, processes: Processes, crds: Path) -> None:
        files = [*sorted(crds.glob("crd.*.yaml")), *sorted(crds.glob("policy.*.yaml"))]
        definitions = (yaml.safe_load(file.read_text()) for file in files)
        super().__init__(folder, processes, "felix", definitions)

    def calico(self, kind: str, name: str, spec: Object, **metadata: Any) -> None:
        """Apply one of Calico's resources."""
        about = {"name": name, **metadata}
        version = "crd.projectcalico.org/v1"
        self.apply({"apiVersion": version, "kind": kind, "metadata": about, "spec": spec})

    def delete(self, plural: str, name: str) -> None:
        self.api.delete(f"{_CALICO}/{plural}/{name}")

    def defaults(self, pool: str, pool6: str = "") -> None:
        """What calico-node and Calico's controllers make at their first start."""
        self.calico("ClusterInformation", "default", {"datastoreReady": True})
        self.calico("Tier", "default", {"order": 1000000, "defaultAction": "Deny"})
        self.calico("FelixConfiguration", "default", {"logSeverityScreen": "Info"})
        spec = {"cidr": pool, "vxlanMode": "Always", "ipipMode": "Never", "natOutgoing": True}
        self.calico("IPPool", "default-ipv4-ippool", {**spec, "nodeSelector": "all()"})
        if pool6:
            spec = {"cidr": pool6, "vxlanMode": "Never", "ipipMode": "Never"}
            self.calico("IPPool", "default-ipv6-ippool", {**spec, "nodeSelector": "all()"})
        self.apply(host_endpoints.configuration())

    def node(self, name: str, address: str, pods: str, tunnel: str, address6: str) -> None:
        """A Node with its addresses, as kubelet and calico-node have it."""
        meta = {"name": name, "annotations": node_annotations(address, tunnel, address6)}
        bare = [text.split("/")[0] for text in (address, address6) if text]
        self.apply(
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {**meta, "labels": {"kubernetes.io/hostname": name}},
                "spec": {"podCIDR": pods, "podCIDRs": [pods]},
            }
        )
        addresses = [{"type": "InternalIP", "address": a} for a in bare]
        self.api.merge(f"api/v1/nodes/{name}/status", {"status": {"addresses": addresses}}, MANAGER)

    def host_endpoints(self, *, wanted: bool) -> None:
        """Have Calico keep host endpoints for the nodes, or not."""
        path = f"{_CALICO}/kubecontrollersconfigurations/default"
        switch = {"hostEndpoint": {"autoCreate": "Enabled" if wanted else "Disabled"}}
        self.api.merge(path, {"spec": {"controllers": {"node": switch}}}, MANAGER)
        host_endpoints.keep_host_endpoints(self.api)

    def namespace(self, name: str) -> None:
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    def pod(
        self, namespace: str, name: str, node: str, addresses: list[str], labels: Mapping[str, str]
    ) -> None:
        self.apply(pod_object(namespace, name, node, labels))
        path = f"api/v1/namespaces/{namespace}/pods/{name}/status"
        self.api.merge(path, {"status": pod_status(addresses)}, MANAGER)

    def service(
        self,
        name: str,
        address: str,
        port: int,
        to: Mapping[str, str],
        node_port: int = 0,
        protocol: str = "TCP",
    ) -> None:
        """A service of the namespace default; `to` are its pods' addresses, with their nodes."""
        meta = {"namespace": "default", "name": name}
        ports = {"name": "main", "port": port, "protocol": protocol}
        kind = {"type": "NodePort"} if node_port else {}
        opened = {"nodePort": node_port} if node_port else {}
        self.apply(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": meta,
                "spec": {"clusterIP": address, **kind, "ports": [{**ports, **opened}]},
            }
        )
        endpoints = [
            {"addresses": [pod], "nodeName": node, "conditions": {"ready": True}}
            for pod, node in to.items()
        ]
        self.apply(
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {**meta, "labels": {"kubernetes.io/service-name": name}},
                "addressType": "IPv4",
                "ports": [ports],
                "endpoints": endpoints,
            }
        )
