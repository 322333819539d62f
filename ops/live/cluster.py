"""A cluster, asked by its kubeconfig. About a dozen requests, and one for each node's log."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from components.firewall.in_step import reason
from components.firewall.node import NAME as NODE_FIREWALL
from components.ingress.nginx.pod import APP as NGINX
from components.ingress.traefik.pod import APP as TRAEFIK
from components.ingress.traefik.pod import is_certificate
from components.json_object import Json, object_at, objects_at
from components.server_side.api import CLUSTER_LEVEL, Refused, ServerObject
from components.server_side.rollout import unready
from ops.live import logs
from ops.live.asking import Unasked
from ops.live.balancer import read_service
from ops.live.certificates import read_certificate
from ops.live.facts import (
    Certificate,
    ClusterFacts,
    NodeFacts,
    PodFacts,
    ServiceFacts,
    Workload,
)

SYSTEM = "kube-system"
_NOT_READ = Unasked("nobody asked for its log")
_CALICO = "crd.projectcalico.org/v1"
_OTHER_NETWORKS = ("cilium", "kube-flannel-ds", "kube-router", "weave-net", "antrea-agent", "canal")
_BAD = {"DiskPressure", "MemoryPressure", "PIDPressure", "NetworkUnavailable"}
_REJECTED = ("Rejected", "AddedOrUpdatedWithError", "UpdatedWithError", "AddedOrUpdatedWithWarning")


def read_cluster(
    kubeconfig: str, namespace: str, *, felix_log: bool = True, hosts: Iterable[str] = ()
) -> ClusterFacts:
    """Ask a cluster; its ingress is in `namespace`. Of the requests for `hosts` its access log is
    read. Raises Refused and Unreachable."""
    api = _Api(kubeconfig)
    nodes = tuple(_node(item) for item in api.items("/api/v1/nodes"))
    workloads = api.items("/apis/apps/v1/daemonsets")
    calico = api.workload(_named(workloads, SYSTEM, "calico-node"))
    ingress = tuple(
        found
        for item in workloads
        if item["metadata"]["namespace"] == namespace
        and str(item["metadata"]["name"]).startswith((NGINX, TRAEFIK))
        and (found := api.workload(item))
    )
    paths = _config_paths(ingress[0], namespace) if ingress else ()
    proxy = api.object(f"/api/v1/namespaces/{SYSTEM}/configmaps/kube-proxy")
    dns = api.object(f"/api/v1/namespaces/{SYSTEM}/configmaps/coredns")
    mtu = object_at(api.object(f"/api/v1/namespaces/{SYSTEM}/configmaps/calico-config"), "data")
    pool = api.object(f"/apis/{_CALICO}/ippools/default-ipv4-ippool")
    options = api.object(f"/apis/{_CALICO}/felixconfigurations/default")
    return ClusterFacts(
        version=str(api.get("/version").get("gitVersion", "")),
        nodes=nodes,
        calico=calico,
        kube_proxy=api.workload(_named(workloads, SYSTEM, "kube-proxy")),
        kube_proxy_mode=proxy_mode(object_at(proxy, "data").get("config.conf") or "", bool(proxy)),
        corefile=object_at(dns, "data").get("Corefile") if dns else None,
        coredns=api.workload(api.object(f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/coredns")),
        ingress=ingress,
        config={
            str(key): str(value)
            for path in paths
            for key, value in object_at(api.object(path), "data").items()
        },
        certificate=api.certificate(ingress[0] if ingress else None, namespace),
        node_firewall=api.workload(_named(workloads, SYSTEM, NODE_FIREWALL)),
        networks=tuple(
            f"{item['metadata']['namespace']}/{item['metadata']['name']}"
            for item in workloads
            if item["metadata"]["name"] in _OTHER_NETWORKS
            and object_at(item, "status").get("desiredNumberScheduled")
        ),
        pool=object_at(pool, "spec"),
        felix=object_at(options, "spec"),
        veth_mtu=int(mtu.get("veth_mtu") or 0),
        fell_back=logs.fell_back(api.log, calico) if felix_log else _NOT_READ,
        shown=logs.shown(api.log, ingress, hosts) if hosts else _NOT_READ,
        bad_ingresses=bad_ingresses(
            api.items("/api/v1/events", fieldSelector="involvedObject.kind=Ingress"),
            api.items("/apis/networking.k8s.io/v1/ingresses"),
        ),
        service=api.service(namespace, ingress[0].name) if ingress else None,
    )


class _Api:
    """Reads of one cluster."""

    def __init__(self, kubeconfig: str) -> None:
        self._server = ServerObject({**CLUSTER_LEVEL, "kubeconfig": kubeconfig}, patient=False)

    def get(self, path: str) -> Json:
        return self._server.request("GET", path)

    def items(self, path: str, **query: str) -> list[Json]:
        return self._server.items(path, **query)

    def object(self, path: str | None) -> Json | None:
        """None where there is no such object, or not even its kind."""
        try:
            return self.get(path) if path else None
        except Refused as refused:
            if refused.status == 404:
                return None
            raise

    def workload(self, item: Mapping[str, Any] | None) -> Workload | None:
        """With its pods, and for the node firewall with what its probe told."""
        if item is None:
            return None
        namespace = str(item["metadata"]["namespace"])
        labels = object_at(item, "spec", "selector", "matchLabels")
        pods = self.items(
            f"/api/v1/namespaces/{namespace}/pods",
            labelSelector=",".join(f"{key}={value}" for key, value in labels.items()),
        )
        told = {pod["metadata"]["name"]: self._why(pod) for pod in pods}
        return workload(item, pods, told)

    def _why(self, pod: Json) -> str:
        if _is_ready(pod):
            return ""
        meta = pod["metadata"]
        if not str(meta["name"]).startswith(NODE_FIREWALL):
            return unready([pod])[0]
        path = f"/api/v1/namespaces/{meta['namespace']}/events"
        return reason(pod, self.items(path, fieldSelector=f"involvedObject.name={meta['name']}"))

    def certificate(self, ingress: Workload | None, namespace: str) -> Certificate | Unasked | None:
        """Of the ingress's default secret, whose key is not looked at."""
        mounted = next(filter(is_certificate, ingress.secrets if ingress else ()), "")
        named = _flag(ingress.args if ingress else (), "-default-server-tls-secret") or mounted
        if not named:
            return None
        where, _, name = named.rpartition("/")
        try:
            secret = self.object(f"/api/v1/namespaces/{where or namespace}/secrets/{name}")
        except Refused as refused:
            return Unasked(f"secret {named}: {refused}")
        text = object_at(secret, "data").get("tls.crt") if secret else None
        return read_certificate(text) if text else None

    def service(self, namespace: str, name: str) -> ServiceFacts | None:
        """Named as the ingress's DaemonSet."""
        found = self.object(f"/api/v1/namespaces/{namespace}/services/{name}")
        return read_service(found, self.items, self.object)

    def log(self, path: str) -> str:
        return self._server.text(path)


def workload(
    item: Mapping[str, Any], pods: Iterable[Json] = (), told: Mapping[str, str] | None = None
) -> Workload:
    """A DaemonSet or Deployment as the API gives it; `told` says why pods aren't ready."""
    spec = object_at(item, "spec", "template", "spec")
    containers = [*objects_at(spec, "initContainers"), *objects_at(spec, "containers")]
    main = objects_at(spec, "containers")[0]
    status = object_at(item, "status")
    daemon = "desiredNumberScheduled" in status
    return Workload(
        namespace=str(object_at(item, "metadata").get("namespace", "")),
        name=str(object_at(item, "metadata")["name"]),
        desired=int(
            status["desiredNumberScheduled"]
            if daemon
            else object_at(item, "spec").get("replicas", 1)
        ),
        ready=int(status.get("numberReady" if daemon else "readyReplicas") or 0),
        images={str(c["name"]): str(c["image"]) for c in containers},
        env={str(e["name"]): str(e["value"]) for e in objects_at(main, "env") if "value" in e},
        args=tuple(map(str, main.get("args") or ())),
        files=_files(spec),
        secrets=tuple(_named_in(spec, "secret", "secretName")),
        pods=tuple(_pod(pod, (told or {}).get(pod["metadata"]["name"], "")) for pod in pods),
    )


def proxy_mode(config: str, there: bool = True) -> str:
    """The mode in kube-proxy's configuration; what isn't said is iptables."""
    found = re.search(r'^\s*mode:\s*"?(\w*)"?', config, re.MULTILINE)
    return ((found[1] if found else "") or "iptables") if there else ""


def bad_ingresses(events: Iterable[Json], ingresses: Iterable[Json]) -> tuple[str, ...]:
    """What the ingress refused, and hasn't taken since: by its newest event of each Ingress."""
    there = {(i["metadata"]["namespace"], i["metadata"]["name"]) for i in ingresses}
    newest: dict[tuple[str, str], Json] = {}
    for event in sorted(events, key=_when):
        about = object_at(event, "involvedObject")
        key = (str(about.get("namespace", "")), str(about.get("name", "")))
        if key in there and event.get("reason"):
            newest[key] = event
    return tuple(
        f"{namespace}/{name}: {event.get('message', '')}"
        for (namespace, name), event in sorted(newest.items())
        if event.get("reason") in _REJECTED
    )


def _when(event: Json) -> datetime:
    said = event.get("eventTime") or event.get("lastTimestamp") or "1970-01-01T00:00:00Z"
    return datetime.fromisoformat(str(said).replace("Z", "+00:00"))


def _node(item: Json) -> NodeFacts:
    status, labels = object_at(item, "status"), object_at(item, "metadata", "labels")
    conditions = {str(c["type"]): c for c in objects_at(status, "conditions")}
    ready = conditions.get("Ready", {})
    info = object_at(status, "nodeInfo")
    provider = str(object_at(item, "spec").get("providerID", ""))
    return NodeFacts(
        name=str(item["metadata"]["name"]),
        id=provider.removeprefix("vultr://") or str(labels.get("vke.vultr.com/node-id", "")),
        pool=str(labels.get("vke.vultr.com/node-pool", "")),
        ready=ready.get("status") == "True",
        why=": ".join(str(ready[k]) for k in ("reason", "message") if ready.get(k)),
        problems=tuple(
            sorted(k for k in _BAD & conditions.keys() if conditions[k]["status"] == "True")
        ),
        addresses=tuple(
            str(a["address"]) for a in objects_at(status, "addresses") if a["type"] == "ExternalIP"
        ),
        version=str(info.get("kubeletVersion", "")),
        kernel=str(info.get("kernelVersion", "")),
        os=str(info.get("osImage", "")),
    )


def _pod(item: Json, why: str) -> PodFacts:
    spec = object_at(item, "spec")
    main = objects_at(spec, "containers")[0]
    return PodFacts(
        name=str(item["metadata"]["name"]),
        node=str(spec.get("nodeName", "")),
        ready=_is_ready(item),
        image=str(main.get("image", "")),
        why=why,
        args=tuple(map(str, main.get("args") or ())),
        files=_files(spec),
    )


def _files(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the ConfigMaps that a pod mounts."""
    return tuple(_named_in(spec, "configMap", "name"))


def _named_in(spec: Mapping[str, Any], kind: str, key: str) -> Iterator[str]:
    """Names of what a pod mounts, by itself (where `key` names it) or projected with others."""
    for volume in objects_at(spec, "volumes"):
        projected = objects_at(volume, "projected", "sources")
        named = [
            object_at(volume, kind).get(key),
            *(object_at(source, kind).get("name") for source in projected),
        ]
        yield from (str(name) for name in named if name)


def _is_ready(pod: Json) -> bool:
    return any(
        c["type"] == "Ready" and c["status"] == "True"
        for c in objects_at(pod, "status", "conditions")
    )


def _named(items: Iterable[Json], namespace: str, name: str) -> Json | None:
    return next(
        (
            item
            for item in items
            if (item["metadata"]["namespace"], item["metadata"]["name"]) == (namespace, name)
        ),
        None,
    )


def _flag(flags: Iterable[str], name: str) -> str:
    found = (flag.partition("=")[2] for flag in flags if flag.startswith(f"{name}="))
    return next(found, "")


def _config_paths(ingress: Workload, namespace: str) -> Iterable[str]:
    """Of its ConfigMaps: nginx names one by a flag, Traefik's pods mount theirs."""
    named = _flag(ingress.args, "-nginx-configmaps").rpartition("/")[2]
    for name in [named] if named else ingress.files:
        yield f"/api/v1/namespaces/{namespace}/configmaps/{name}"
