"""The emulated Vultr API: every answer that these tests get is held against Vultr's description."""

import base64
import copy
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator, ValidationError
from werkzeug.test import Client, TestResponse
from werkzeug.wrappers import Response

from sandbox.clusters.backend import NodeSpec
from sandbox.vendors.vultr.api import API_KEY, VultrApp, create_app
from tests.data import table

API = table("vultr-answers")
# Described in 2023 and no longer, or never, answered.
GONE = {"name", "v6_networks", "default_password", "load_balancer", "block_storage"}
POOL = {"label": "edge", "plan": "vc2-2c-4gb", "node_quantity": 3, "tag": "tf-vke-default"}
CLUSTER = {"label": "us", "region": "ewr", "version": "v1.35.5+1", "node_pools": [POOL]}
UNKNOWN = "00000000-0000-4000-8000-000000000000"


class Backend:
    """A cluster backend that only remembers what it was told."""

    def __init__(self) -> None:
        self.answers = True
        self.rotated = ""
        self.budgets: list[str] = []
        self.clusters: dict[str, str] = {}
        self.nodes: dict[str, list[NodeSpec]] = {}

    def create(self, cluster_id: str, label: str, version: str, nodes: list[NodeSpec]) -> None:
        self.clusters[cluster_id] = version
        self.nodes[cluster_id] = nodes

    def kubeconfig(self, cluster_id: str) -> str | None:
        return f"server: https://{cluster_id}.vultr-k8s.com:6443\n" if self.answers else None

    def sync_nodes(self, cluster_id: str, nodes: list[NodeSpec]) -> None:
        self.nodes[cluster_id] = nodes

    def upgrade(self, cluster_id: str, version: str) -> None:
        self.clusters[cluster_id] = version

    def delete(self, cluster_id: str) -> None:
        del self.clusters[cluster_id], self.nodes[cluster_id]

    def rotate(self, cluster_id: str) -> None:
        self.rotated = cluster_id

    def undisruptable(self, cluster_id: str) -> list[str]:
        return self.budgets


class Vultr:
    """The app with a client, and a clock that the test sets."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.backend = Backend()
        self.seconds = 1_800_000_000.0
        self.restart()

    def restart(self) -> None:
        self.app: VultrApp = create_app(self.directory, self.backend, lambda: self.seconds)
        self.client: Any = Client(self.app)

    def call(self, method: str, path: str, body: Any = None, key: str | None = API_KEY) -> Any:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        answer = self.client.open(f"/v2{path}", method=method, json=body, headers=headers)
        check_described(method, path, answer)
        return answer

    def get(self, path: str) -> Any:
        answer = self.call("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json

    def settings(self, **changes: Any) -> None:
        assert self.client.put("/_sandbox/settings", json=changes).status_code == 200

    def cluster(self, **changes: Any) -> dict[str, Any]:
        """A new cluster that is active, as are its nodes."""
        answer = self.call("POST", "/kubernetes/clusters", {**CLUSTER, **changes})
        assert answer.status_code == 201, answer.text
        cluster_id = answer.json["vke_cluster"]["id"]
        for _ in range(3):
            self.get(f"/kubernetes/clusters/{cluster_id}")
        self.seconds += 5
        return self.get(f"/kubernetes/clusters/{cluster_id}")["vke_cluster"]


@pytest.fixture
def vultr(tmp_path: Path) -> Vultr:
    return Vultr(tmp_path)


def check_described(method: str, path: str, answer: TestResponse) -> None:
    """Hold an answer against the description, every described property being required.

    Paths that the description lacks (it is of 2023, and a part) aren't checked.
    """
    operation = find_operation(API, method, path.split("?")[0])
    if operation is None or answer.status_code >= 400:
        return
    assert str(answer.status_code) in operation["responses"], f"{method} {path}"
    response = operation["responses"][str(answer.status_code)]
    content = response.get("content", {}).get("application/json")
    if content is None:
        assert answer.data == b"", f"{method} {path}"
        return
    assert answer.headers["Content-Type"] == "application/json"
    schema = {**content["schema"], "components": API["components"]}
    Draft4Validator(strict(schema)).validate(answer.json)


def find_operation(api: dict[str, Any], method: str, path: str) -> dict[str, Any] | None:
    for template, operations in api["paths"].items():
        matches = re.fullmatch(re.sub(r"\{[^}]*\}", "[^/]+", template), path)
        if matches and method.lower() in operations:
            return operations[method.lower()]
    return None


def strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {name: strict(value) for name, value in copy.deepcopy(schema).items()}
    if isinstance(schema.get("properties"), dict) and "type" in schema:
        schema["required"] = [name for name in schema["properties"] if name not in GONE]
    return schema


def test_an_answer_is_held_against_the_description() -> None:
    answer = Client(Response('{"regions": [{"id": 1}]}', mimetype="application/json")).get("/")
    with pytest.raises(ValidationError):
        check_described("GET", "/regions", answer)


@pytest.mark.parametrize("key", [None, "wrong", API_KEY.lower()])
def test_a_wrong_key_is_refused(vultr: Vultr, key: str | None) -> None:
    answer = vultr.call("GET", "/kubernetes/clusters", key=key)
    assert answer.status_code == 401
    assert answer.json == {"error": "Invalid API token.", "status": 401}


@pytest.mark.parametrize("path", ["/regions", "/plans", "/kubernetes/versions"])
def test_lists_need_no_key(vultr: Vultr, path: str) -> None:
    assert vultr.call("GET", path, key=None).status_code == 200


def test_the_lists_have_what_the_stacks_use(vultr: Vultr) -> None:
    regions = {region["id"] for region in vultr.get("/regions")["regions"]}
    plans = {plan["id"]: plan for plan in vultr.get("/plans")["plans"]}
    assert {"ewr", "fra", "sgp"} <= regions
    assert plans["vc2-2c-4gb"]["monthly_cost"] == 20
    assert [p["type"] for p in vultr.get("/plans?type=vhf")["plans"]] == ["vhf"] * 8
    assert "v1.35.5+1" in vultr.get("/kubernetes/versions")["versions"]
    assert "vc2-2c-4gb" in vultr.get("/regions/ewr/availability")["available_plans"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"region": "nowhere"}, "Invalid region"),
        ({"version": "v1.0.0+1"}, "Invalid version"),
        ({"node_pools": [{**POOL, "plan": "huge"}]}, "Invalid plan"),
        ({"node_pools": [{**POOL, "node_quantity": 0}]}, "Invalid node_quantity"),
        ({"node_pools": []}, "Bad request."),
        ({"vpc_id": UNKNOWN}, "Invalid VPC ID"),
    ],
)
def test_an_impossible_cluster_is_refused(vultr: Vultr, change: dict[str, Any], error: str) -> None:
    answer = vultr.call("POST", "/kubernetes/clusters", {**CLUSTER, **change})
    assert answer.status_code == 400
    assert answer.json["status"] == 400
    assert answer.json["error"].startswith(error)
    assert vultr.get("/kubernetes/clusters")["vke_clusters"] == []


def test_a_cluster_takes_some_polls_and_an_api_server_that_answers(vultr: Vultr) -> None:
    vultr.backend.answers = False
    created = vultr.call("POST", "/kubernetes/clusters", CLUSTER).json["vke_cluster"]
    path = f"/kubernetes/clusters/{created['id']}"
    assert created["status"] == "pending"
    assert [n["status"] for n in created["node_pools"][0]["nodes"]] == ["pending"] * 3
    assert [vultr.get(path)["vke_cluster"]["status"] for _ in range(5)] == ["pending"] * 5
    answer = vultr.call("GET", f"{path}/config")
    assert (answer.status_code, answer.json["error"]) == (400, "Kubernetes cluster is not ready")
    vultr.seconds += 60
    assert instances(vultr)[0]["main_ip"] == "0.0.0.0"
    vultr.backend.answers = True
    cluster = vultr.get(path)["vke_cluster"]
    assert cluster["status"] == "active"
    assert cluster["endpoint"] == f"{cluster['id']}.vultr-k8s.com"
    assert {n["status"] for n in cluster["node_pools"][0]["nodes"]} == {"active"}


def test_polls_are_needed_even_when_the_api_server_answers_at_once(vultr: Vultr) -> None:
    created = vultr.call("POST", "/kubernetes/clusters", CLUSTER).json["vke_cluster"]
    path = f"/kubernetes/clusters/{created['id']}"
    statuses = [vultr.get(path)["vke_cluster"]["status"] for _ in range(4)]
    assert statuses == ["pending", "pending", "active", "active"]


def test_the_kubeconfig_is_the_backends(vultr: Vultr) -> None:
    cluster = vultr.cluster()
    encoded = vultr.get(f"/kubernetes/clusters/{cluster['id']}/config")["kube_config"]
    server = f"server: https://{cluster['id']}.vultr-k8s.com:6443\n"
    assert base64.b64decode(encoded).decode() == server


def test_the_backend_gets_the_active_nodes(vultr: Vultr) -> None:
    pool = {**POOL, "labels": {"a": "b"}, "taints": [{"key": "k", "value": "v", "effect": "NoRun"}]}
    cluster = vultr.cluster(node_pools=[pool])
    nodes = vultr.backend.nodes[cluster["id"]]
    shown = {i["id"]: i for i in instances(vultr)}
    assert [node["id"] for node in nodes] == list(shown)
    assert (nodes[0]["pool_label"], nodes[0]["labels"]) == ("edge", {"a": "b"})
    assert (nodes[0]["region"], nodes[0]["plan"]) == ("ewr", "vc2-2c-4gb")
    assert nodes[0]["taints"] == pool["taints"]
    for node in nodes:
        for name in ("label", "main_ip", "v6_main_ip", "internal_ip"):
            assert node[name] == shown[node["id"]][name]


def test_addresses_are_unique_over_the_fleet(vultr: Vultr) -> None:
    vpc = vultr.call("POST", "/vpcs", {"region": "ewr"}).json["vpc"]
    for _ in range(2):
        vultr.cluster(node_pools=[POOL, {**POOL, "label": "more"}])
        vultr.cluster(vpc_id=vpc["id"])
    found = instances(vultr)
    assert len(found) == 18
    for name in ("id", "label", "main_ip", "v6_main_ip", "internal_ip"):
        assert len({instance[name] for instance in found}) == 18


def test_a_new_node_is_listed_late_and_patch_does_not_wait(vultr: Vultr) -> None:
    cluster = vultr.cluster()
    path = pool_path(cluster)
    answer = vultr.call("PATCH", path, {"node_quantity": 4})
    assert answer.status_code == 202
    assert answer.json["node_pool"]["node_quantity"] == 4
    assert len(answer.json["node_pool"]["nodes"]) == 3
    vultr.seconds += 2.9
    assert len(vultr.get(path)["node_pool"]["nodes"]) == 3
    vultr.seconds += 0.2
    nodes = vultr.get(path)["node_pool"]["nodes"]
    assert [node["status"] for node in nodes] == ["active"] * 3 + ["pending"]
    assert instances(vultr)[3]["main_ip"] == "0.0.0.0"
    assert len(vultr.backend.nodes[cluster["id"]]) == 3
    vultr.seconds += 1
    vultr.app.tick()
    assert len(vultr.backend.nodes[cluster["id"]]) == 4
    assert instances(vultr)[3]["main_ip"] != "0.0.0.0"


def test_how_late_is_a_setting(vultr: Vultr) -> None:
    vultr.settings(node_delay_seconds=100)
    cluster = vultr.cluster()
    vultr.call("PATCH", pool_path(cluster), {"node_quantity": 4})
    vultr.seconds += 99
    assert len(instances(vultr)) == 3
    vultr.seconds += 2
    assert len(instances(vultr)) == 4


@pytest.mark.parametrize("settings", [{"node_delay": 1}, {"node_delay_seconds": "1"}])
def test_a_wrong_setting_is_refused(vultr: Vultr, settings: dict[str, Any]) -> None:
    answer = vultr.client.put("/_sandbox/settings", json=settings)
    assert answer.status_code == 400
    assert "allowed:" in answer.json["error"]


def test_scaling_down_takes_the_newest_at_once(vultr: Vultr) -> None:
    cluster = vultr.cluster()
    before = cluster["node_pools"][0]["nodes"]
    vultr.call("PATCH", pool_path(cluster), {"node_quantity": 1})
    assert vultr.get(pool_path(cluster))["node_pool"]["nodes"] == before[:1]
    assert [n["id"] for n in vultr.backend.nodes[cluster["id"]]] == [before[0]["id"]]


def test_what_patch_ignores(vultr: Vultr) -> None:
    cluster = vultr.cluster(node_pools=[{**POOL, "labels": {"a": "b"}}])
    body = {"plan": "vc2-4c-8gb", "label": "new", "labels": {"c": "d"}, "taints": None}
    vultr.call("PATCH", pool_path(cluster), body)
    pool = vultr.get(pool_path(cluster))["node_pool"]
    assert (pool["plan"], pool["label"]) == ("vc2-2c-4gb", "edge")
    assert pool["labels"] == {"a": "b", "c": "d"}
    assert len(pool["nodes"]) == 3


def test_a_recycled_node_is_another_one(vultr: Vultr) -> None:
    cluster = vultr.cluster()
    before = {i["id"]: i["main_ip"] for i in instances(vultr)}
    old = cluster["node_pools"][0]["nodes"][1]["id"]
    assert vultr.call("POST", f"{pool_path(cluster)}/nodes/{old}/recycle").status_code == 204
    assert old not in {i["id"] for i in instances(vultr)}
    vultr.seconds += 10
    after = {i["id"]: i["main_ip"] for i in instances(vultr)}
    (new,) = after.keys() - before.keys()
    assert len(after) == 3
    assert after[new] not in before.values()
    assert {n["id"] for n in vultr.backend.nodes[cluster["id"]]} == after.keys()


def test_a_deleted_node_makes_the_pool_smaller(vultr: Vultr) -> None:
    cluster = vultr.cluster()
    nodes = [node["id"] for node in cluster["node_pools"][0]["nodes"]]
    statuses = [vultr.call("DELETE", f"{pool_path(cluster)}/nodes/{n}").status_code for n in nodes]
    assert statuses == [204, 204, 400]
    assert vultr.get(pool_path(cluster))["node_pool"]["node_quantity"] == 1


def test_pools_come_and_go(vultr: Vultr) -> None:
    cluster = vultr.cluster()
    pools = f"/kubernetes/clusters/{cluster['id']}/node-pools"
    made = vultr.call("POST", pools, {**POOL, "label": "big", "auto_scaler": True, "max_nodes": 5})
    assert made.status_code == 201
    pool_id = made.json["node_pool"]["id"]
    assert made.json["node_pool"]["status"] == "pending"
    vultr.seconds += 5
    assert vultr.get(f"{pools}/{pool_id}")["node_pool"]["status"] == "active"
    assert [p["label"] for p in vultr.get(pools)["node_pools"]] == ["edge", "big"]
    assert vultr.call("POST", pools, {**POOL, "plan": "huge"}).status_code == 400
    assert vultr.call("DELETE", f"{pools}/{pool_id}").status_code == 204
    gone = vultr.call("GET", f"{pools}/{pool_id}")
    assert (gone.status_code, gone.json["error"]) == (404, "Invalid NodePool ID")
    assert vultr.call("DELETE", pool_path(cluster)).status_code == 400


def test_an_upgrade_replaces_every_node_after_a_moment(vultr: Vultr) -> None:
    cluster = vultr.cluster()
    path = f"/kubernetes/clusters/{cluster['id']}"
    before = {i["id"] for i in instances(vultr)}
    assert vultr.get(f"{path}/available-upgrades")["available_upgrades"] == [
        "v1.36.2+1",
        "v1.36.1+1",
    ]
    for _ in range(2):
        answer = vultr.call("POST", f"{path}/upgrades", {"upgrade_version": "v1.36.2+1"})
        assert answer.status_code == 202
    assert vultr.get(path)["vke_cluster"]["version"] == "v1.35.5+1"
    vultr.seconds += 1
    assert vultr.get(path)["vke_cluster"]["version"] == "v1.36.2+1"
    assert vultr.backend.clusters[cluster["id"]] == "v1.36.2+1"
    assert instances(vultr) == []
    vultr.seconds += 10
    after = {i["id"] for i in instances(vultr)}
    assert len(after) == 3
    assert not after & before


@pytest.mark.parametrize("version", ["v1.34.3+1", "v1.99.0+1", None])
def test_an_impossible_upgrade_is_refused(vultr: Vultr, version: str | None) -> None:
    path = f"/kubernetes/clusters/{vultr.cluster()['id']}/upgrades"
    answer = vultr.call("POST", path, {"upgrade_version": version})
    assert answer.status_code == 422
    assert answer.json["error"] == "Validation error: invalid upgrade version"


def control(vultr: Vultr, cluster: dict[str, Any], what: str, **body: Any) -> int:
    path = f"/_sandbox/clusters/{cluster['id']}/{what}"
    return vultr.client.post(path, json=body).status_code


def test_an_upgrade_has_a_preflight(vultr: Vultr) -> None:
    cluster = vultr.cluster(node_pools=[{**POOL, "node_quantity": 1}])
    vultr.backend.budgets = ["default/pg-primary"]
    path = f"/kubernetes/clusters/{cluster['id']}"
    answer = vultr.call("POST", f"{path}/upgrades", {"upgrade_version": "v1.36.2+1"})
    assert answer.status_code == 422
    assert answer.json["error"] == (
        "Validation error: Cannot upgrade vke cluster at this time: PDB does not allow "
        "disruptions: preflight checks failed (2 errors): 1. check pdb default/pg-primary: does "
        "not allow disruptions (allowed: 0): no disruptions allowed 2. check cluster ready-nodes: "
        "operations may cause service disruption: single node cluster"
    )
    vultr.seconds += 60
    assert vultr.get(path)["vke_cluster"]["version"] == "v1.35.5+1"


def test_nodes_of_an_upgrade_come_one_after_the_other(vultr: Vultr) -> None:
    vultr.settings(upgrade_node_seconds=10, node_delay_seconds=3)
    cluster = vultr.cluster()
    path = f"/kubernetes/clusters/{cluster['id']}"
    vultr.call("POST", f"{path}/upgrades", {"upgrade_version": "v1.36.2+1"})
    vultr.seconds += 1
    seen = []
    for _ in range(4):
        (pool,) = vultr.get(path)["vke_cluster"]["node_pools"]
        seen.append((pool["status"], len(pool["nodes"])))
        vultr.seconds += 10
    assert seen == [("active", 0), ("active", 1), ("active", 2), ("active", 3)]


def test_the_vendor_upgrades_by_itself_and_may_lose_the_version(vultr: Vultr) -> None:
    cluster = vultr.cluster()
    path = f"/kubernetes/clusters/{cluster['id']}"
    assert control(vultr, cluster, "upgrade", version="v1.36.1+1") == 204
    vultr.seconds += 1
    assert vultr.get(path)["vke_cluster"]["version"] == "v1.36.1+1"
    assert control(vultr, cluster, "lose-version") == 204
    assert vultr.get(path)["vke_cluster"]["version"] == ""
    assert vultr.get(f"{path}/available-upgrades")["available_upgrades"] == ["v1.36.2+1"]
    answer = vultr.call("POST", f"{path}/upgrades", {"upgrade_version": "v1.36.2+1"})
    assert answer.status_code == 422


def test_the_autoscaler_works_within_its_bounds(vultr: Vultr) -> None:
    scaled = {**POOL, "auto_scaler": True, "min_nodes": 2, "max_nodes": 5}
    cluster = vultr.cluster(node_pools=[scaled])
    path = pool_path(cluster)
    for asked, given in ((4, 4), (9, 5), (1, 2)):
        assert control(vultr, cluster, "autoscale", pool="edge", nodes=asked) == 204
        assert vultr.get(path)["node_pool"]["node_quantity"] == given
    assert vultr.call("PATCH", path, {"auto_scaler": False}).status_code == 202
    assert control(vultr, cluster, "autoscale", pool="edge", nodes=4) == 400
    assert vultr.call("PATCH", path, {"node_quantity": 4}).status_code == 202


@pytest.mark.parametrize(
    "body",
    [
        {"node_quantity": 4, "auto_scaler": False, "min_nodes": 1, "max_nodes": 1},
        {"max_nodes": 4},
    ],
)
def test_bounds_of_a_pool_that_does_not_scale_are_refused(vultr: Vultr, body: Any) -> None:
    path = pool_path(vultr.cluster())
    answer = vultr.call("PATCH", path, body)
    assert answer.status_code == 422
    assert answer.json["error"] == (
        "You cannot update auto scalar minimum or maximum nodes if `auto_scaler` is disabled."
    )
    assert vultr.get(path)["node_pool"]["node_quantity"] == 3


def test_the_group_is_linked_late(vultr: Vultr) -> None:
    vultr.settings(firewall_delay_seconds=20)
    cluster = vultr.cluster(enable_firewall=True)
    path = f"/kubernetes/clusters/{cluster['id']}"
    assert cluster["status"] == "active"
    assert cluster["firewall_group_id"] == ""
    vultr.seconds += 20
    assert vultr.get(path)["vke_cluster"]["firewall_group_id"]


def test_the_kubeconfig_is_refused_while_the_cluster_is_pending(vultr: Vultr) -> None:
    made = vultr.call("POST", "/kubernetes/clusters", CLUSTER).json["vke_cluster"]
    assert vultr.call("GET", f"/kubernetes/clusters/{made['id']}/config").status_code == 400


def test_a_kubeconfig_is_rotated_and_a_node_breaks(vultr: Vultr) -> None:
    cluster = vultr.cluster()
    assert control(vultr, cluster, "rotate") == 204
    assert vultr.backend.rotated == cluster["id"]
    node = cluster["node_pools"][0]["nodes"][0]["id"]
    assert control(vultr, cluster, "break", node=node) == 204
    vultr.seconds += 600
    assert vultr.get(f"/instances/{node}")["instance"]["status"] == "pending"


def test_a_pool_in_the_vpc_alone_has_no_public_address(vultr: Vultr) -> None:
    vultr.cluster(node_pools=[{**POOL, "vpc_only": True}])
    assert {(i["status"], i["main_ip"], i["v6_main_ip"]) for i in instances(vultr)} == {
        ("active", "0.0.0.0", "")
    }


def test_thirty_requests_a_second(vultr: Vultr) -> None:
    vultr.settings(requests_per_second=30)
    assert [vultr.call("GET", "/vpcs").status_code for _ in range(31)] == [200] * 30 + [429]
    vultr.seconds += 1
    assert vultr.call("GET", "/vpcs").status_code == 200


@pytest.mark.parametrize("how", ["", "/delete-with-linked-resources"])
def test_a_deleted_cluster_is_gone_with_its_nodes_and_its_group(vultr: Vultr, how: str) -> None:
    cluster = vultr.cluster(enable_firewall=True)
    assert vultr.call("DELETE", f"/kubernetes/clusters/{cluster['id']}{how}").status_code == 204
    assert vultr.backend.clusters == {}
    assert instances(vultr) == []
    assert vultr.get("/firewalls")["firewall_groups"] == []
    for method in ("GET", "PUT", "DELETE"):
        path = f"/kubernetes/clusters/{cluster['id']}"
        answer = vultr.call(method, path, {"label": "x"} if method == "PUT" else None)
        assert answer.json == {"error": "Invalid resource ID", "status": 404}


def test_a_clusters_label_can_change(vultr: Vultr) -> None:
    path = f"/kubernetes/clusters/{vultr.cluster()['id']}"
    assert vultr.call("PUT", path, {"label": "new"}).status_code == 204
    assert vultr.get(path)["vke_cluster"]["label"] == "new"
    assert vultr.get(f"{path}/resources") == {"resources": {}}


def test_what_a_cluster_never_tells(vultr: Vultr) -> None:
    vpc = vultr.call("POST", "/vpcs", {"region": "ewr"}).json["vpc"]
    cluster = vultr.cluster(vpc_id=vpc["id"], enable_firewall=True)
    assert not {"vpc_id", "enable_firewall"} & cluster.keys()


def test_a_managed_group_belongs_to_the_cluster_and_links_its_nodes(vultr: Vultr) -> None:
    cluster = vultr.cluster(enable_firewall=True)
    group_id = cluster["firewall_group_id"]
    group = vultr.get(f"/firewalls/{group_id}")["firewall_group"]
    assert "us" in group["description"]
    assert (group["instance_count"], group["rule_count"]) == (3, 0)
    assert {i["firewall_group_id"] for i in instances(vultr)} == {group_id}
    assert vultr.call("DELETE", f"/firewalls/{group_id}").status_code == 400
    assert vultr.cluster()["firewall_group_id"] == ""


def test_instances_are_filtered_and_come_in_pages(vultr: Vultr) -> None:
    vultr.cluster()
    vultr.cluster(region="fra")
    found = instances(vultr)
    one = found[4]
    for query in (f"label={one['label']}", f"main_ip={one['main_ip']}"):
        assert vultr.get(f"/instances?{query}")["instances"] == [one]
    assert vultr.get("/instances?region=fra")["meta"]["total"] == 3
    pages: list[Any] = []
    cursor = ""
    while True:
        answer = vultr.get(f"/instances?per_page=4&cursor={cursor}")
        pages.append(answer["instances"])
        cursor = answer["meta"]["links"]["next"]
        if not cursor:
            break
    assert [len(page) for page in pages] == [4, 2]
    assert sum(pages, []) == found  # noqa: RUF017
    assert vultr.call("GET", "/instances?cursor=rubbish").status_code == 400


RULE = {"ip_type": "v4", "protocol": "tcp", "port": "80", "subnet": "0.0.0.0", "subnet_size": 0}


def group(vultr: Vultr) -> str:
    answer = vultr.call("POST", "/firewalls", {"description": "test"})
    assert answer.status_code == 201
    return f"/firewalls/{answer.json['firewall_group']['id']}"


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"source": "cloudflare"}, {"source": "cloudflare", "subnet": "0.0.0.0", "subnet_size": 0}),
        ({}, {"source": "0.0.0.0/0"}),
        ({"subnet": "192.0.2.0", "subnet_size": 24}, {"source": "192.0.2.0/24"}),
        (
            {"ip_type": "v6", "subnet": "2001:0DB8:0:0::", "subnet_size": 32},
            {"subnet": "2001:db8::", "source": "2001:db8::/32"},
        ),
        (
            {"ip_type": "v6", "subnet": "::", "source": "cloudflare"},
            {"subnet": "::", "source": "cloudflare"},
        ),
        ({"port": "8000:9000", "notes": "n"}, {"port": "8000:9000", "notes": "n"}),
        ({"protocol": "icmp", "port": ""}, {"protocol": "icmp", "port": ""}),
    ],
)
def test_what_a_rule_comes_back_as(
    vultr: Vultr, change: dict[str, Any], shown: dict[str, Any]
) -> None:
    path = group(vultr)
    answer = vultr.call("POST", f"{path}/rules", {**RULE, **change})
    assert answer.status_code == 201
    rule = answer.json["firewall_rule"]
    assert shown.items() <= rule.items()
    assert vultr.get(f"{path}/rules/{rule['id']}")["firewall_rule"] == rule
    assert vultr.get(f"{path}/rules")["firewall_rules"] == [rule]


@pytest.mark.parametrize(
    "change",
    [
        {"ip_type": "v5"},
        {"protocol": "http"},
        {"port": "0"},
        {"port": ""},
        {"port": "90:80"},
        {"port": "1:65536"},
        {"protocol": "icmp"},
        {"source": "office"},
        {"subnet": "192.0.2.0/24"},
        {"subnet": "::"},
        {"subnet_size": 33},
        {"subnet_size": None},
    ],
)
def test_an_impossible_rule_is_refused(vultr: Vultr, change: dict[str, Any]) -> None:
    answer = vultr.call("POST", f"{group(vultr)}/rules", {**RULE, **change})
    assert (answer.status_code, answer.json["status"]) == (400, 400)


def test_an_identical_rule_is_refused_whatever_its_notes(vultr: Vultr) -> None:
    path = f"{group(vultr)}/rules"
    assert vultr.call("POST", path, RULE).status_code == 201
    assert vultr.call("POST", path, {**RULE, "notes": "again"}).status_code == 400
    assert vultr.call("POST", path, {**RULE, "source": "cloudflare"}).status_code == 201


def test_a_group_holds_fifty_rules(vultr: Vultr) -> None:
    path = group(vultr)
    statuses = [
        vultr.call("POST", f"{path}/rules", {**RULE, "port": str(port)}).status_code
        for port in range(1, 52)
    ]
    assert statuses == [201] * 50 + [400]
    assert vultr.get(path)["firewall_group"]["rule_count"] == 50


def test_groups_and_rules_change_and_go(vultr: Vultr) -> None:
    path = group(vultr)
    rule = vultr.call("POST", f"{path}/rules", RULE).json["firewall_rule"]
    assert vultr.call("PUT", path, {"description": "new"}).status_code == 204
    assert vultr.get(path)["firewall_group"]["description"] == "new"
    rule_path = f"{path}/rules/{rule['id']}"
    assert [vultr.call("DELETE", rule_path).status_code for _ in range(2)] == [204, 404]
    assert [vultr.call("DELETE", path).status_code for _ in range(2)] == [204, 404]
    assert vultr.call("GET", path).json == {"error": "Invalid resource ID", "status": 404}


def test_a_vpc_in_use_stays(vultr: Vultr) -> None:
    vpc = vultr.call("POST", "/vpcs", {"region": "ewr", "description": "d"}).json["vpc"]
    path = f"/vpcs/{vpc['id']}"
    assert vultr.get("/vpcs")["vpcs"] == [vpc]
    assert vultr.call("PUT", path, {"description": "new"}).status_code == 204
    assert vultr.get(path)["vpc"]["description"] == "new"
    cluster = vultr.cluster(vpc_id=vpc["id"])
    refused = vultr.call("DELETE", path)
    assert refused.status_code == 400
    assert refused.json["error"].startswith("VPC is attached to 45.76.")
    vultr.call("DELETE", f"/kubernetes/clusters/{cluster['id']}")
    assert vultr.call("DELETE", path).status_code == 204
    assert vultr.call("GET", path).json == {"error": "Invalid VPC ID", "status": 404}


@pytest.mark.parametrize(
    "body",
    [
        {"region": "nowhere"},
        {"region": "ewr", "v4_subnet": "8.8.8.0", "v4_subnet_mask": 24},
        {"region": "ewr", "v4_subnet": "10.0.0.0", "v4_subnet_mask": 99},
    ],
)
def test_an_impossible_vpc_is_refused(vultr: Vultr, body: dict[str, Any]) -> None:
    assert vultr.call("POST", "/vpcs", body).status_code == 400


def test_a_vpc_and_its_cluster_are_in_one_region(vultr: Vultr) -> None:
    vpc = vultr.call("POST", "/vpcs", {"region": "fra"}).json["vpc"]
    answer = vultr.call("POST", "/kubernetes/clusters", {**CLUSTER, "vpc_id": vpc["id"]})
    assert answer.status_code == 400


def test_all_state_survives_a_restart(vultr: Vultr) -> None:
    cluster = vultr.cluster(enable_firewall=True)
    vultr.call("PATCH", pool_path(cluster), {"node_quantity": 4})
    told = copy.deepcopy(vultr.backend.nodes)
    vultr.restart()
    assert vultr.backend.nodes == told
    assert vultr.get(pool_path(cluster))["node_pool"]["node_quantity"] == 4
    vultr.seconds += 10
    vultr.restart()
    vultr.app.tick()
    assert len(vultr.backend.nodes[cluster["id"]]) == 4


def test_what_the_backend_missed_it_is_told_after_a_restart(vultr: Vultr) -> None:
    class Crashes(Backend):
        def create(self, *_: object) -> None:
            raise RuntimeError

    working, vultr.backend = vultr.backend, Crashes()
    vultr.restart()
    with pytest.raises(RuntimeError):
        vultr.call("POST", "/kubernetes/clusters", CLUSTER)
    vultr.backend = working
    vultr.restart()
    vultr.app.tick()
    assert list(working.clusters.values()) == ["v1.35.5+1"]


def test_what_is_not_there_is_said_in_the_vendors_form(vultr: Vultr) -> None:
    assert vultr.call("GET", "/nothing").json == {"error": "Not Found", "status": 404}
    assert vultr.call("DELETE", "/regions").json["status"] == 405
    headers = {"Authorization": f"Bearer {API_KEY}"}
    broken = vultr.client.post("/v2/firewalls", data="{", headers=headers)
    assert broken.json == {"error": "Invalid JSON", "status": 400}


def test_a_tick_over_http_lets_time_pass(vultr: Vultr) -> None:
    cluster = vultr.cluster()
    vultr.call("PATCH", pool_path(cluster), {"node_quantity": 4})
    vultr.seconds += 10
    assert vultr.client.post("/_sandbox/tick").status_code == 204
    assert len(vultr.backend.nodes[cluster["id"]]) == 4


def pool_path(cluster: dict[str, Any]) -> str:
    return f"/kubernetes/clusters/{cluster['id']}/node-pools/{cluster['node_pools'][0]['id']}"


def instances(vultr: Vultr) -> list[dict[str, Any]]:
    return vultr.get("/instances")["instances"]
