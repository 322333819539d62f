"""What goes wrong with a fleet, each thing done by real calls: to the vendors' APIs, the cluster's,
the state's folder. Each says how the doctor is to name it, and what takes it back where `pulumi up
--refresh` doesn't."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import requests

from ops.doctor.finding import Rung
from tests.fleet.by_hand import ACCOUNT, record, until, upload
from tests.fleet.fleet import ZONE, Fleet
from tests.fleet.kubelet import certificate

Undo = Callable[[], object]
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
RECORDS = f"/zones/{ZONE}/dns_records"
SYSTEM = "/api/v1/namespaces/kube-system"
NGINX = "/api/v1/namespaces/nginx-ingress"
INGRESS = "/apis/apps/v1/namespaces/nginx-ingress/daemonsets/nginx-ingress"
DAEMONS = "/apis/apps/v1/namespaces/kube-system/daemonsets"
CALICO = f"{DAEMONS}/calico-node"
KEEPER = f"{DAEMONS}/edgefleet-node-firewall"
COREDNS = "/apis/apps/v1/namespaces/kube-system/deployments/coredns"
POOL = "/apis/crd.projectcalico.org/v1/ippools/default-ipv4-ippool"
SCRIPT = f"/accounts/{ACCOUNT}/workers/scripts/edgefleet"
HOSTS = ("example.com", "api.example.com", "us.example.com")
KUBELET = "sandbox.edgefleet/kubelet"
"""A node with this annotation has no kubelet: sandbox/clusters/manifests/kwok-stages.yaml."""


def nothing() -> None:
    """What `pulumi up --refresh` takes back needs no undoing here."""


@dataclass(frozen=True)
class Wrong:
    """`said` stands in what came back; `also` are further findings that are as true."""

    rung: Rung
    fault: str
    said: str
    do: Callable[[Fleet], Undo]
    also: tuple[tuple[Rung, str], ...] = ()


# --- ways to do it ----------------------------------------------------------------------------


def patch(fleet: Fleet, path: str, body: object, kind: str = MERGE) -> None:
    fleet.kubernetes("us", path, body, method="PATCH", content_type=kind)  # type: ignore[arg-type]


def delete(fleet: Fleet, path: str) -> None:
    fleet.kubernetes("us", path, method="DELETE")


def template(fleet: Fleet, path: str, spec: object, kind: str = STRATEGIC) -> None:
    """Change a DaemonSet's pods, and wait until each node that may has one."""
    patch(fleet, path, {"spec": {"template": {"spec": spec}}}, kind)
    until(lambda: settled(fleet, path))


def settled(fleet: Fleet, path: str) -> bool:
    found = fleet.kubernetes("us", path)
    status = found["status"]
    wanted = status["desiredNumberScheduled"]
    names = ("updatedNumberScheduled", "numberReady", "numberAvailable")
    seen = status["observedGeneration"] == found["metadata"]["generation"]
    return seen and all(status.get(name, 0) == wanted for name in names)


def node(fleet: Fleet, number: int) -> str:
    """A node's name, in the order of names."""
    items = fleet.kubernetes("us", "/api/v1/nodes")["items"]
    return sorted(item["metadata"]["name"] for item in items)[number]


def pod(fleet: Fleet, namespace: str, prefix: str, number: int) -> str:
    """The path of a DaemonSet's pod on a node."""
    where = node(fleet, number)
    pods = fleet.kubernetes("us", f"{namespace}/pods")["items"]
    (found,) = (
        p["metadata"]["name"]
        for p in pods
        if p["metadata"]["name"].startswith(prefix)
        and "canary" not in p["metadata"]["name"]
        and p["spec"].get("nodeName") == where
        and "deletionTimestamp" not in p["metadata"]
    )
    return f"{namespace}/pods/{found}"


def unready(fleet: Fleet, path: str, reason: str) -> Undo:
    """A pod's kubelet reports that it isn't ready. Its successor will be."""
    conditions = [{"type": "Ready", "status": "False", "reason": reason}]
    patch(fleet, f"{path}/status", {"status": {"conditions": conditions}}, STRATEGIC)
    return lambda: delete(fleet, path)


# --- DNS --------------------------------------------------------------------------------------


def unproxy(fleet: Fleet) -> Undo:
    found = fleet.records("us.example.com").items()
    first = next(key for key, content in found if ":" not in content)
    fleet.cloudflare("PATCH", f"{RECORDS}/{first}", {"proxied": False})
    return nothing


def delete_a_record(fleet: Fleet) -> Undo:
    found = fleet.records("us.example.com").items()
    last = next(key for key, content in found if ":" in content)
    fleet.cloudflare("DELETE", f"{RECORDS}/{last}")
    return nothing


def add_a_record(fleet: Fleet) -> Undo:
    record(fleet, "A", "us.example.com", "203.0.113.9")
    records = fleet.records("us.example.com").items()
    (made,) = (key for key, content in records if content == "203.0.113.9")
    return lambda: fleet.cloudflare("DELETE", f"{RECORDS}/{made}")


def unproxy_a_host(fleet: Fleet) -> Undo:
    for each in fleet.records("example.com"):
        fleet.cloudflare("PATCH", f"{RECORDS}/{each}", {"proxied": False})
    return nothing


def delete_a_hosts_record(fleet: Fleet) -> Undo:
    for each in fleet.records("api.example.com"):
        fleet.cloudflare("DELETE", f"{RECORDS}/{each}")
    return nothing


# --- firewalls --------------------------------------------------------------------------------


def open_to_all(port: str) -> Callable[[Fleet], Undo]:
    def do(fleet: Fleet) -> Undo:
        path = f"/v2/firewalls/{fleet.cluster('us')['firewall_group_id']}/rules"
        rule = {"ip_type": "v4", "protocol": "tcp", "port": port, "subnet": "0.0.0.0"}
        made = fleet.vultr("POST", path, {**rule, "subnet_size": 0, "notes": "x"})
        return lambda: fleet.vultr("DELETE", f"{path}/{made['firewall_rule']['id']}")

    return do


def delete_a_rule(fleet: Fleet) -> Undo:
    group = fleet.cluster("us")["firewall_group_id"]
    (bgp,) = (rule for rule in fleet.rules("us") if rule["port"] == "179")
    fleet.vultr("DELETE", f"/v2/firewalls/{group}/rules/{bgp['id']}")
    return nothing


def ufw(number: int, state: str, why: str) -> Callable[[Fleet], Undo]:
    """A keeper's kubelet tells what its probe printed, as it does of a node that isn't in step."""

    def do(fleet: Fleet) -> Undo:
        path = pod(fleet, SYSTEM, "edgefleet-node-firewall", number)
        name = path.rpartition("/")[2]
        said = f'state={state} mode=enforce changes=0 reason="{why}"'
        about = {"kind": "Pod", "namespace": "kube-system", "name": name, "apiVersion": "v1"}
        event = {
            "metadata": {"name": f"{name}.1", "namespace": "kube-system"},
            "involvedObject": about,
            "reason": "Unhealthy",
            "type": "Warning",
            "message": f"Readiness probe failed: {said}",
            "lastTimestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        fleet.kubernetes("us", f"{SYSTEM}/events", event)
        return unready(fleet, path, "ContainersNotReady")

    return do


def keep_another_table(fleet: Fleet) -> Undo:
    """Of before, with a range of Cloudflare's less."""
    volumes = fleet.kubernetes("us", KEEPER)["spec"]["template"]["spec"]["volumes"]
    (files,) = (volume for volume in volumes if "configMap" in volume)
    name = files["configMap"]["name"]
    found = fleet.kubernetes("us", f"{SYSTEM}/configmaps/{name}")
    old = {"metadata": {"name": "edgefleet-node-firewall-old"}, "data": found["data"]}
    fleet.kubernetes("us", f"{SYSTEM}/configmaps", old)
    files["configMap"]["name"] = "edgefleet-node-firewall-old"
    template(fleet, KEEPER, {"volumes": [files]})
    return lambda: delete(fleet, f"{SYSTEM}/configmaps/edgefleet-node-firewall-old")


# --- nodes ------------------------------------------------------------------------------------


def stop_a_kubelet(fleet: Fleet) -> Undo:
    name = node(fleet, 2)
    path = f"/api/v1/nodes/{name}"
    patch(fleet, path, {"metadata": {"annotations": {KUBELET: "stopped"}}})
    said = {"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": "PLEG"}
    patch(fleet, f"{path}/status", {"status": {"conditions": [said]}}, STRATEGIC)

    def undo() -> None:
        patch(fleet, path, {"metadata": {"annotations": {KUBELET: None}}})
        # What was called not ready with its node is made anew, as no kubelet says otherwise.
        for each in fleet.kubernetes("us", "/api/v1/pods")["items"]:
            meta = each["metadata"]
            if each["spec"].get("nodeName") == name:
                delete(fleet, f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}")

    return undo


def fill_a_disk(fleet: Fleet) -> Undo:
    path = f"/api/v1/nodes/{node(fleet, 0)}/status"

    def say(status: str) -> None:
        condition = {"type": "DiskPressure", "status": status, "reason": "KubeletHasDiskPressure"}
        patch(fleet, path, {"status": {"conditions": [condition]}}, STRATEGIC)

    say("True")
    return lambda: say("False")


def control(what: str, number: int) -> Callable[[Fleet], Undo]:
    def do(fleet: Fleet) -> Undo:
        path = f"/_sandbox/clusters/{fleet.cluster('us')['id']}/{what}"
        fleet.vultr("POST", path, {"node": fleet.nodes("us")[number]["id"]})
        return nothing

    return do


# --- the ingress ------------------------------------------------------------------------------


def keep_the_ingress_off_a_node(fleet: Fleet) -> Undo:
    term = {"key": "kubernetes.io/hostname", "operator": "NotIn", "values": [node(fleet, 0)]}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [term]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    template(fleet, INGRESS, {"affinity": affinity}, MERGE)
    return lambda: template(fleet, INGRESS, {"affinity": None}, MERGE)


def another_ingress(fleet: Fleet) -> Undo:
    template(fleet, INGRESS, {"containers": [{"name": "nginx-ingress", "image": "nginx:9"}]})
    return nothing


def crash_an_ingress(fleet: Fleet) -> Undo:
    return unready(fleet, pod(fleet, NGINX, "nginx-ingress", 1), "CrashLoopBackOff")


def show_a_certificate(hosts: Sequence[str], days: int) -> Callable[[Fleet], Undo]:
    def do(fleet: Fleet) -> Undo:
        made = certificate(hosts, timedelta(days=days))
        patch(fleet, f"{NGINX}/secrets/origin-tls", {"data": {"tls.crt": made}})
        return nothing

    return do


def refuse_an_ingress(fleet: Fleet) -> Undo:
    """What the ingress says of one that it can't take: there is none here that would."""
    ingresses = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"
    rule = {"host": "example.com", "http": None}
    fleet.kubernetes("us", ingresses, {"metadata": {"name": "cart"}, "spec": {"rules": [rule]}})
    about = {"kind": "Ingress", "apiVersion": "networking.k8s.io/v1", "name": "cart"}
    event = {
        "metadata": {"name": "cart.1", "namespace": "default"},
        "involvedObject": {**about, "namespace": "default"},
        "reason": "Rejected",
        "message": "no such annotation",
        "type": "Warning",
        "lastTimestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    fleet.kubernetes("us", "/api/v1/namespaces/default/events", event)
    return lambda: delete(fleet, f"{ingresses}/cart")


# --- the dataplane ----------------------------------------------------------------------------


def drop_a_variable(fleet: Fleet) -> Undo:
    env = [{"name": "FELIX_BPFENABLED", "$patch": "delete"}]
    template(fleet, CALICO, {"containers": [{"name": "calico-node", "env": env}]})
    return nothing


def crash_a_calico(fleet: Fleet) -> Undo:
    return unready(fleet, pod(fleet, SYSTEM, "calico-node", 1), "CrashLoopBackOff")


def start_kube_proxy(fleet: Fleet) -> Undo:
    path = f"{DAEMONS}/kube-proxy"
    before = fleet.kubernetes("us", path)["spec"]["template"]["spec"]["nodeSelector"]
    template(fleet, path, {"nodeSelector": dict.fromkeys(before)}, MERGE)
    until(lambda: fleet.kubernetes("us", path)["status"]["desiredNumberScheduled"] > 0)
    return lambda: template(fleet, path, {"nodeSelector": before}, MERGE)


def leave_a_network(fleet: Fleet) -> Undo:
    labels = {"app": "flannel"}
    pods = {"containers": [{"name": "kube-flannel", "image": "flannel:1"}]}
    spec = {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pods},
    }
    fleet.kubernetes("us", DAEMONS, {"metadata": {"name": "kube-flannel-ds"}, "spec": spec})
    path = f"{DAEMONS}/kube-flannel-ds"
    until(lambda: fleet.kubernetes("us", path)["status"].get("desiredNumberScheduled", 0) > 0)
    return lambda: delete(fleet, path)


def encapsulate_as_before(fleet: Fleet) -> Undo:
    before = fleet.kubernetes("us", POOL)["spec"]
    patch(fleet, POOL, {"spec": {"ipipMode": "Always", "vxlanMode": "Never"}})
    kept = {name: before.get(name) for name in ("ipipMode", "vxlanMode")}
    return lambda: patch(fleet, POOL, {"spec": kept})


def widen_the_mtu(fleet: Fleet) -> Undo:
    path = f"{SYSTEM}/configmaps/calico-config"
    before = fleet.kubernetes("us", path)["data"]["veth_mtu"]
    patch(fleet, path, {"data": {"veth_mtu": "1500"}})
    return lambda: patch(fleet, path, {"data": {"veth_mtu": before}})


def forget_the_upstream(fleet: Fleet) -> Undo:
    path = f"{SYSTEM}/configmaps/coredns"
    before = fleet.kubernetes("us", path)["data"]["Corefile"]
    kept = [line for line in before.splitlines() if "forward" not in line]
    patch(fleet, path, {"data": {"Corefile": "\n".join(kept)}})
    return lambda: patch(fleet, path, {"data": {"Corefile": before}})


def lose_the_corefile(fleet: Fleet) -> Undo:
    path = f"{SYSTEM}/configmaps/coredns"
    before = fleet.kubernetes("us", path)
    delete(fleet, path)
    kept = {"metadata": {"name": "coredns"}, "data": before["data"]}
    return lambda: fleet.kubernetes("us", f"{SYSTEM}/configmaps", kept)


def stop_coredns(fleet: Fleet) -> Undo:
    before = fleet.kubernetes("us", COREDNS)["spec"]["replicas"]
    patch(fleet, COREDNS, {"spec": {"replicas": 0}})
    return lambda: patch(fleet, COREDNS, {"spec": {"replicas": before}})


# --- the edge ---------------------------------------------------------------------------------


def remove_a_route(fleet: Fleet) -> Undo:
    routes = fleet.cloudflare("GET", f"/zones/{ZONE}/workers/routes")["result"]
    (route,) = (route for route in routes if route["pattern"] == "example.com/*")
    fleet.cloudflare("DELETE", f"/zones/{ZONE}/workers/routes/{route['id']}")
    return nothing


def edit_the_worker(fleet: Fleet) -> Undo:
    """In the dashboard: the script, not its bindings."""
    bindings = fleet.cloudflare("GET", f"{SCRIPT}/settings")["result"]["bindings"]
    upload(fleet, "edgefleet", "export default {}")
    fleet.cloudflare("PATCH", f"{SCRIPT}/settings", {"bindings": bindings})
    return nothing


def lack_a_region(fleet: Fleet) -> Undo:
    bindings = fleet.cloudflare("GET", f"{SCRIPT}/settings")["result"]["bindings"]
    (table,) = (binding for binding in bindings if binding["name"] == "CONFIG")
    (key,) = (name for name in ("json", "text") if name in table)
    config = table[key] if isinstance(table[key], dict) else json.loads(table[key])
    config["regions"] = []
    table[key] = config if isinstance(table[key], dict) else json.dumps(config)
    fleet.cloudflare("PATCH", f"{SCRIPT}/settings", {"bindings": bindings})
    return nothing


def stop_the_cron(fleet: Fleet) -> Undo:
    base, token = (fleet.environment[f"CLOUDFLARE_{n}"] for n in ("BASE_URL", "API_TOKEN"))
    answer = requests.put(
        f"{base}{SCRIPT}/schedules",
        json=[],
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    )
    answer.raise_for_status()
    return nothing


def leave_a_verdict(fleet: Fleet) -> Undo:
    namespaces = f"/accounts/{ACCOUNT}/storage/kv/namespaces"
    (space,) = fleet.cloudflare("GET", namespaces)["result"]
    said = {"us": {"up": False, "since": "2026-01-01T00:00:00Z", "detail": "status 503"}}
    path = f"{namespaces}/{space['id']}/values/regions"
    base, token = (fleet.environment[f"CLOUDFLARE_{n}"] for n in ("BASE_URL", "API_TOKEN"))
    answer = requests.put(
        base + path,
        data=json.dumps(said),
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    )
    answer.raise_for_status()
    return lambda: fleet.cloudflare("DELETE", path)


# --- the state --------------------------------------------------------------------------------


def lock(fleet: Fleet) -> Undo:
    folder = fleet.directory / "state" / ".pulumi" / "locks" / "organization" / "edgefleet" / "us"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "left-over.json"
    told = {"pid": 7, "username": "me", "hostname": "laptop", "timestamp": "2026-11-21T20:00:00Z"}
    path.write_text(json.dumps(told))
    return path.unlink


def rotate(fleet: Fleet) -> Undo:
    fleet.vultr("POST", f"/_sandbox/clusters/{fleet.cluster('us')['id']}/rotate")
    return nothing
