"""What calico-kube-controllers does with nodes, whose pods are only pretended here (kwok).

After Calico's kube-controllers/pkg/controllers/node/hostendpoints.go: while its configuration says
so, every node has a host endpoint of all its interfaces, with the profile that allows everything.
"""

from sandbox.clusters.api import ClusterApi, Object

MANAGER = "kube-controllers"
_CREATED_BY = {"projectcalico.org/created-by": "calico-kube-controllers"}
_CALICO = "apis/crd.projectcalico.org/v1"
_NOTED = ("IPv4Address", "IPv6Address", "IPv4IPIPTunnelAddr", "IPv4VXLANTunnelAddr")
"""calico-node's annotations of a Node that become addresses of its host endpoint."""


def configuration() -> Object:
    """What the controllers make at their first start."""
    return {
        "apiVersion": "crd.projectcalico.org/v1",
        "kind": "KubeControllersConfiguration",
        "metadata": {"name": "default"},
        "spec": {
            "controllers": {
                "node": {
                    "hostEndpoint": {"autoCreate": "Disabled"},
                    "leakGracePeriod": "15m0s",
                    "reconcilerPeriod": "5m0s",
                    "syncLabels": "Enabled",
                }
            },
            "etcdV3CompactionPeriod": "10m0s",
            "healthChecks": "Enabled",
            "logSeverityScreen": "Info",
        },
    }


def keep_host_endpoints(api: ClusterApi) -> None:
    """Make those that are missing, delete those that are too many. Raises ApiError."""
    spec = api.get(f"{_CALICO}/kubecontrollersconfigurations/default")["spec"]
    switch = spec["controllers"].get("node", {}).get("hostEndpoint", {})
    wanted: dict[str, Object] = {}
    if switch.get("autoCreate") == "Enabled":
        for node in api.get("api/v1/nodes")["items"]:
            endpoint = _endpoint(node)
            wanted[endpoint["metadata"]["name"]] = endpoint
    made = {
        item["metadata"]["name"]
        for item in api.get(f"{_CALICO}/hostendpoints")["items"]
        if _CREATED_BY.items() <= item["metadata"].get("labels", {}).items()
    }
    for name in wanted.keys() - made:
        api.apply(wanted[name], MANAGER)
    for name in made - wanted.keys():
        api.delete(f"{_CALICO}/hostendpoints/{name}")


def _endpoint(node: Object) -> Object:
    meta, status = node["metadata"], node.get("status", {})
    internal = [a["address"] for a in status.get("addresses", []) if a["type"] == "InternalIP"]
    notes = meta.get("annotations", {})
    found = [notes.get(f"projectcalico.org/{name}", "") for name in _NOTED]
    noted = [address.partition("/")[0] for address in found if address]
    return {
        "apiVersion": "crd.projectcalico.org/v1",
        "kind": "HostEndpoint",
        "metadata": {
            "name": f"{meta['name']}-auto-hep",
            "labels": {**meta.get("labels", {}), **_CREATED_BY},
        },
        "spec": {
            "node": meta["name"],
            "interfaceName": "*",
            "expectedIPs": list(dict.fromkeys([*noted, *internal])),
            "profiles": ["projectcalico-default-allow"],
        },
    }
