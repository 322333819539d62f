"""What the sandbox's vendors and clusters have, as the twin needs it: plain values.

Nodes and their addresses are asked of the emulated Vultr, pods of each cluster's real API server
with the kubeconfig that Vultr gives out. What Cloudflare's network knows, keys included, is in the
emulator's own state: no API would tell.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml
from kubernetes.client import ApiClient, Configuration
from kubernetes.config import new_client_from_config_dict

from sandbox.engine.environment import Running
from sandbox.twin.namespaces import TwinError
from sandbox.vendors.vultr.api import API_KEY

_SECONDS = 30


@dataclass(frozen=True)
class Machine:
    """A node: its id and label at Vultr, its cluster's label there, its public addresses, and the
    one in its cluster's private network."""

    id: str
    name: str
    cluster: str
    addresses: tuple[str, ...]
    private: str

    @property
    def tunnel(self) -> str:
        """Address of its VXLAN, of which Calico's IPAM would take one from the pods' range."""
        return f"10.244.{self.private.rpartition('.')[2]}.0"


@dataclass(frozen=True)
class Cluster:
    """A cluster's API server: Vultr's kubeconfig, and the sandbox's proxy on 127.0.0.1."""

    kubeconfig: str
    proxy_port: int

    def client(self) -> ApiClient:
        """What asks it."""
        settings = Configuration()
        settings.proxy = f"http://127.0.0.1:{self.proxy_port}"
        config = yaml.safe_load(self.kubeconfig)
        return new_client_from_config_dict(config, client_configuration=settings)


@dataclass(frozen=True)
class Pod:
    """A DaemonSet's pod on the node's network: its first container, and its files by path."""

    name: str
    namespace: str
    image: str
    command: tuple[str, ...]
    arguments: tuple[str, ...]
    ready: tuple[str, ...]
    files: Mapping[str, str]
    folders: tuple[str, ...]
    drain_seconds: int
    environment: Mapping[str, str]
    settings: Mapping[str, str]
    """The ConfigMap that its arguments name, for NGINX's controller; else empty."""
    certificate: tuple[str, str]
    """Certificate and key of the secret that its arguments name, for NGINX's controller."""

    @property
    def flags(self) -> dict[str, str]:
        """Its arguments, as -NAME=VALUE or -NAME."""
        return flags(self.arguments)

    @property
    def template(self) -> tuple[Any, ...]:
        """With another one the pod is replaced; what else changes reaches the one that runs."""
        pairs = (tuple(sorted(each.items())) for each in (self.files, self.environment))
        return (self.image, self.command, self.arguments, *pairs)


@dataclass(frozen=True)
class Worker:
    """The version of a Worker that serves: modules by name (the first is the main one), bindings
    as they were uploaded."""

    modules: Mapping[str, str]
    bindings: tuple[Mapping[str, Any], ...]
    compatibility_date: str
    compatibility_flags: tuple[str, ...]


@dataclass(frozen=True)
class Zone:
    """A zone as Cloudflare's network knows it.

    `addresses` are the contents of A and AAAA records by name, `aliases` those of CNAMEs, `routes`
    Workers by host; `client` is the certificate and key that origins are shown, or None.
    """

    name: str
    addresses: Mapping[str, tuple[str, ...]]
    aliases: Mapping[str, str]
    routes: Mapping[str, str]
    ssl: str
    client: tuple[str, str] | None
    workers: Mapping[str, Worker]
    origin_ca: str


@dataclass(frozen=True)
class Published:
    """All of it. `visited` are the addresses by which visitors find each routed host."""

    machines: tuple[Machine, ...]
    clusters: Mapping[str, Cluster]
    pods: Mapping[str, tuple[Pod, ...]]
    zone: Zone
    visited: Mapping[str, tuple[str, ...]]


def read(directory: Path, images: tuple[str, ...]) -> Published:
    """What the sandbox in `directory` has; of the pods those of these `images` (repositories).

    Raises TwinError where none runs, or nothing is up.
    """
    try:
        running = Running.load(directory)
    except FileNotFoundError:
        raise TwinError(f"no sandbox runs in {directory}: run `fleet demo`") from None
    vultr = _Vultr(running)
    machines: list[Machine] = []
    clusters: dict[str, Cluster] = {}
    pods: dict[str, tuple[Pod, ...]] = {}
    instances = {each["id"]: each for each in vultr.get("instances?per_page=500")["instances"]}
    for cluster in vultr.get("kubernetes/clusters?per_page=500")["vke_clusters"]:
        nodes = [node["id"] for pool in cluster["node_pools"] for node in pool["nodes"]]
        label = cluster["label"]
        machines += [
            Machine(
                each["id"], each["label"], label, (each["main_ip"], each["v6_main_ip"]),
                each["internal_ip"],
            )
            for each in (instances[id_] for id_ in nodes)
        ]  # fmt: skip
        clusters[label] = Cluster(vultr.kubeconfig(cluster["id"]), running.ports["proxy"])
        pods[label] = tuple(_pods(clusters[label].client(), images))
    zone = _zone(directory / "cloudflare")
    if not machines or not zone.routes:
        raise TwinError("nothing is up on the sandbox: run `fleet demo`")
    visited = {host: _visited(running, host) for host in zone.routes}
    return Published(tuple(machines), clusters, pods, zone, visited)


class _Vultr:
    def __init__(self, running: Running) -> None:
        self._base = f"http://127.0.0.1:{running.ports['vultr']}/v2"

    def get(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {API_KEY}"}
        answer = requests.get(f"{self._base}/{path}", headers=headers, timeout=_SECONDS)
        answer.raise_for_status()
        return answer.json()

    def kubeconfig(self, cluster_id: str) -> str:
        text = self.get(f"kubernetes/clusters/{cluster_id}/config")["kube_config"]
        return base64.b64decode(text).decode()


def _get(client: ApiClient, path: str) -> dict[str, Any]:
    request = client.param_serialize("GET", path, auth_settings=["BearerToken"])
    answer = client.call_api(*request, _request_timeout=_SECONDS)
    text = answer.read()
    if answer.status != 200:
        raise TwinError(f"GET {path}: {answer.status} {text[:200]!r}")
    return json.loads(text)


def _pods(client: ApiClient, images: tuple[str, ...]) -> list[Pod]:
    found: list[Pod] = []
    for each in _get(client, "/apis/apps/v1/daemonsets")["items"]:
        pod = each["spec"]["template"]["spec"]
        image = pod["containers"][0]["image"].split("@")[0].rpartition(":")[0]
        if pod.get("hostNetwork") and image.removeprefix("docker.io/library/") in images:
            found.append(_pod(client, each["metadata"], pod))
    return found


def _pod(client: ApiClient, metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> Pod:
    container = spec["containers"][0]
    here = f"/api/v1/namespaces/{metadata['namespace']}"
    volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
    files: dict[str, str] = {}
    folders: list[str] = []
    for mount in container.get("volumeMounts", []):
        volume, path = volumes[mount["name"]], mount["mountPath"]
        folders.append(path)
        if "configMap" in volume:
            data = _get(client, f"{here}/configmaps/{volume['configMap']['name']}")["data"]
        elif "secret" in volume:
            data = _secret(client, f"{here}/secrets/{volume['secret']['secretName']}")
        else:
            continue
        files |= {f"{path}/{name}": text for name, text in data.items()}
    arguments = tuple(container.get("args", []))
    given = flags(arguments)
    settings: dict[str, str] = {}
    certificate = ("", "")
    if named := given.get("nginx-configmaps"):
        settings = _get(client, f"{here}/configmaps/{named.rpartition('/')[2]}").get("data") or {}
    if named := given.get("wildcard-tls-secret"):
        namespace, _, name = named.partition("/")
        data = _secret(client, f"/api/v1/namespaces/{namespace}/secrets/{name}")
        certificate = (data["tls.crt"], data["tls.key"])
    probe = container.get("readinessProbe", {}).get("exec", {}).get("command", [])
    environment = {e["name"]: e["value"] for e in container.get("env", []) if "value" in e}
    hook = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {})
    return Pod(
        metadata["name"], metadata["namespace"], container["image"],
        tuple(container.get("command", [])), arguments, tuple(probe), files, tuple(folders),
        hook.get("seconds", 0), environment, settings, certificate,
    )  # fmt: skip


def flags(arguments: Iterable[str]) -> dict[str, str]:
    """Arguments of Go's kind by name: -NAME=VALUE or -NAME."""
    parts = (each.lstrip("-").partition("=") for each in arguments if each.startswith("-"))
    return {name: value for name, _, value in parts}


def _secret(client: ApiClient, path: str) -> dict[str, str]:
    data = _get(client, path)["data"]
    return {name: base64.b64decode(value).decode() for name, value in data.items()}


def _zone(folder: Path) -> Zone:
    document = json.loads((folder / "cloudflare.json").read_text())
    workers = document.get("account", {}).get("workers", {})
    routed = [zone for zone in document["zones"].values() if zone["routes"]]
    if len(routed) != 1:
        raise TwinError(f"{len(routed)} zones have Worker routes; the twin is of one: `fleet demo`")
    (zone,) = routed
    addresses: dict[str, list[str]] = {}
    aliases: dict[str, str] = {}
    for record in sorted(zone["records"].values(), key=lambda record: record["id"]):
        if record["type"] in ("A", "AAAA"):
            addresses.setdefault(record["name"], []).append(record["content"])
        elif record["type"] == "CNAME":
            aliases[record["name"]] = record["content"]
    pulls = zone["origin_pulls"]
    # Of several, as while one follows the other, the one that was uploaded last.
    shown = sorted(pulls["certificates"].values(), key=lambda each: each["uploaded_on"])[-1:]
    client = [(each["certificate"], each["private_key"]) for each in shown if pulls["enabled"]]
    return Zone(
        zone["name"],
        {name: tuple(found) for name, found in addresses.items()},
        aliases,
        {
            route["pattern"].partition("/")[0]: route["script"]
            for route in zone["routes"].values()
            if "script" in route
        },
        zone["settings"].get("ssl", {}).get("value", "full"),
        client[0] if client else None,
        {name: _worker(worker) for name, worker in workers.items() if worker["deployments"]},
        (folder / "origin-ca" / "ca.pem").read_text(),
    )


def _worker(worker: Mapping[str, Any]) -> Worker:
    # The version that most requests go to; a gradual deployment's other one isn't run.
    shares = worker["deployments"][0]["versions"]
    most = max(shares, key=lambda share: share["percentage"])["version_id"]
    (version,) = (each for each in worker["versions"] if each["id"] == most)
    main = version["main_module"]
    modules = sorted(version["modules"], key=lambda module: module["name"] != main)
    return Worker(
        {each["name"]: base64.b64decode(each["content_base64"]).decode() for each in modules},
        tuple(version["bindings"]),
        version["compatibility_date"],
        tuple(version["compatibility_flags"]),
    )


def _visited(running: Running, host: str) -> tuple[str, ...]:
    """As the emulated cloudflare-dns.com says."""
    base = f"http://127.0.0.1:{running.ports['cloudflare']}/dns-query"
    found: list[str] = []
    for kind in ("A", "AAAA"):
        answer = requests.get(base, params={"name": host, "type": kind}, timeout=_SECONDS)
        found += [each["data"] for each in answer.json().get("Answer", [])]
    return tuple(found)
