"""What MetalLB's speakers would say of the Services that they answer for by ARP and NDP, in a
cluster whose pods are only pretended: every node has every interface here.

After layer2_controller.go and layer2_status_controller.go of v0.16.2: one of the nodes that the
advertisement selects and that have a pod of the Service which is ready.
"""

from hashlib import sha256

from sandbox.clusters.api import ClusterApi, Object

MANAGER = "speaker"
_GROUP = "apis/metallb.io/v1beta1/namespaces"
_POOL = "metallb.io/ip-allocated-from-pool"


def say_announcements(api: ClusterApi, namespace: str) -> None:
    """Make the ServiceL2Status objects that are missing, delete those that are too many. Raises
    ApiError."""
    adverts = api.get(f"{_GROUP}/{namespace}/l2advertisements")["items"]
    path = f"{_GROUP}/{namespace}/servicel2statuses"
    made = {status["metadata"]["name"] for status in api.get(path)["items"]}
    wanted: dict[str, Object] = {}
    nodes = api.get("api/v1/nodes")["items"] if adverts else []
    for service in api.get("api/v1/services")["items"] if adverts else []:
        pool = service["metadata"].get("annotations", {}).get(_POOL)
        mine = [a for a in adverts if pool in a["spec"].get("ipAddressPools", [])]
        serving = _serving(api, service) if pool and mine else set[str]()
        if able := sorted({n for a in mine for n in _selected(a, nodes)} & serving):
            status = _status(service["metadata"], able[0], namespace)
            wanted[status["metadata"]["name"]] = status
    for name in wanted.keys() - made:
        api.apply({k: v for k, v in wanted[name].items() if k != "status"}, MANAGER)
        api.merge(f"{path}/{name}/status", {"status": wanted[name]["status"]}, MANAGER)
    for name in made - wanted.keys():
        api.delete(f"{path}/{name}")


def _serving(api: ClusterApi, service: Object) -> set[str]:
    """Names of nodes with a pod of the Service that is ready."""
    meta = service["metadata"]
    slices = api.get(
        f"apis/discovery.k8s.io/v1/namespaces/{meta['namespace']}/endpointslices",
        labelSelector=f"kubernetes.io/service-name={meta['name']}",
    )["items"]
    ends = [end for each in slices for end in each.get("endpoints") or []]
    return {e.get("nodeName", "") for e in ends if e.get("conditions", {}).get("ready")} - {""}


def _selected(advert: Object, nodes: list[Object]) -> set[str]:
    """Names of nodes that the advertisement takes: those of any of its selectors, else all."""
    selectors = [s.get("matchLabels", {}) for s in advert["spec"].get("nodeSelectors") or [{}]]
    return {
        node["metadata"]["name"]
        for node in nodes
        if any(s.items() <= node["metadata"].get("labels", {}).items() for s in selectors)
    }


def _status(service: Object, node: str, namespace: str) -> Object:
    key = f"{service['namespace']}/{service['name']}/{node}"
    return {
        "apiVersion": "metallb.io/v1beta1",
        "kind": "ServiceL2Status",
        "metadata": {
            "namespace": namespace,
            "name": f"l2-{sha256(key.encode()).hexdigest()[:5]}",
            "labels": {
                "metallb.io/node": node,
                "metallb.io/service-name": service["name"],
                "metallb.io/service-namespace": service["namespace"],
            },
        },
        "status": {
            "node": node,
            "serviceName": service["name"],
            "serviceNamespace": service["namespace"],
        },
    }
