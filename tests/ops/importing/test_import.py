"""`fleet import`: what it makes of what the vendors have, and what it refuses.

The vendors are canned answers here; docs/adopting.md is walked on the sandbox in
tests/fleet/test_adopting.py.
"""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from components.errors import CloudflareError
from components.vendors import vultr as vultr_api
from ops.cli import application
from ops.importing.account import Account
from ops.importing.live_cluster import DEFAULT_POOL, mark_default_pool, pool_remarks, stack_file
from tests.projects import copy_project, git

ZONE = "/zones/809846d39026662b50a8a0b0dd159151"
ACCOUNT = "/accounts/8765be9597757f48c916e09754a92d51"


def pool(label: str, **more: Any) -> dict[str, Any]:
    made = {"id": f"id-{label}", "label": label, "plan": "vc2-2c-4gb", "node_quantity": 2}
    return {**made, "tag": "", "nodes": [], **more}


def cluster(**more: Any) -> dict[str, Any]:
    made = {"id": "c1", "label": "prod", "region": "ewr", "version": "v1.35.5+1"}
    rest = {"status": "active", "firewall_group_id": "g1", "node_pools": [pool("web")]}
    return {**made, **rest, **more}


class Vendors:
    """Both APIs at one address; `answers` by the end of a path, an empty list elsewhere."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.status = 200
        vendors = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(vendors.answer(self.path.partition("?")[0])).encode()
                self.send_response(vendors.status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path: str) -> dict[str, Any]:
        found = next((a for end, a in self.answers.items() if path.endswith(end)), [])
        key = {"clusters": "vke_clusters", "rules": "firewall_rules"}.get(
            path.rpartition("/")[2], path.rpartition("/")[2]
        )
        return {"success": self.status == 200, "result": found, key: found}


@pytest.fixture
def vendors(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendors]:
    made = Vendors()
    made.answers["/kubernetes/clusters"] = [cluster()]
    monkeypatch.setattr(vultr_api, "BASE", made.url)
    monkeypatch.setenv("CLOUDFLARE_BASE_URL", made.url)
    monkeypatch.setenv("VULTR_API_KEY", "key-of-vultr")
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "token-of-cloudflare")
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    yield made
    made.server.shutdown()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = copy_project(tmp_path / "p")
    (made / "Pulumi.us.yaml").unlink()
    return made


def run(project: Path, *command: str) -> Any:
    return CliRunner().invoke(application(), ["import", *command, "--dir", str(project)])


def found(project: Path, *command: str) -> dict[str, Any]:
    result = run(project, *command, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def remarks(project: Path, *command: str) -> str:
    return "\n".join(found(project, *command)["remarks"])


def refused(result: Any, code: int, sentence: str) -> None:
    assert (result.exit_code, result.stdout) == (code, "")
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


# --- the stack file ------------------------------------------------------------------------------


def test_the_pool_with_the_providers_tag_comes_first():
    """The program takes the first for the cluster's own, the provider the tagged one."""
    live = cluster(node_pools=[pool("web"), pool("old", tag=DEFAULT_POOL)])
    config = yaml.safe_load(stack_file("edgefleet", "us", live, None))["config"]
    labels = [each["label"] for each in config["edgefleet:cluster"]["pools"]]
    assert labels == ["old", "web"]
    assert mark_default_pool(live) == []


def test_without_a_tag_the_first_pool_gets_it():
    (_, line) = mark_default_pool(cluster(node_pools=[pool("web"), pool("batch")]))
    assert "/kubernetes/clusters/c1/node-pools/id-web" in line
    assert '{"tag": "tf-vke-default"}' in line
    before_the_pipe, _, curl = line.partition(" | ")
    assert "VULTR_API_KEY" in before_the_pipe
    assert "VULTR_API_KEY" not in curl, "arguments are for every process to read"


def test_what_else_a_cluster_has():
    scaled = pool("web", auto_scaler=True, min_nodes=1, max_nodes=4, labels={"tier": "web"})
    live = cluster(node_pools=[scaled], ha_controlplanes=True)
    made = yaml.safe_load(stack_file("edgefleet", "us", live, "10.20.0.0/24"))["config"]
    assert made["edgefleet:cluster"]["highAvailability"] is True
    assert made["edgefleet:cluster"]["vpc"] == {"cidr": "10.20.0.0/24"}
    (only,) = made["edgefleet:cluster"]["pools"]
    assert only["autoscale"] == {"min": 1, "max": 4}
    assert only["labels"] == {"tier": "web"}


def test_what_no_stack_file_can_say_is_said():
    tainted = pool("web", taints=[{"key": "a", "value": "b", "effect": "NoSchedule"}])
    live = cluster(node_pools=[tainted, pool("batch", tag="mine")])
    assert [remark[:22] for remark in pool_remarks(live)] == [
        "pool web: has taints, ",
        "pool batch: its tag 'm",
    ]


# --- what is there -------------------------------------------------------------------------------


def test_a_new_stack(vendors: Vendors, project: Path):
    made = found(project, "us", "--cluster", "prod", "--region", "east")
    assert made["file"] == "Pulumi.us.yaml"
    assert yaml.safe_load(made["text"])["config"]["edgefleet:region"] == "east"
    assert [e["id"] for e in made["resources"] if "id" in e] == ["c1"]
    assert not (project / "Pulumi.us.yaml").exists()


def test_a_stack_that_has_a_file_keeps_it(vendors: Vendors, project: Path):
    text = found(project, "us", "--cluster", "prod")["text"]
    (project / "Pulumi.us.yaml").write_text(text)
    script = run(project, "us").stdout
    assert "cat > Pulumi.us.yaml" not in script
    assert "pulumi import --stack us" in script


def test_rules_past_cloudflare_are_named(vendors: Vendors, project: Path):
    rule = {"protocol": "tcp", "subnet": "0.0.0.0", "subnet_size": 0, "source": ""}
    vendors.answers["/firewalls/g1/rules"] = [
        {**rule, "id": 7, "port": "22"},
        {**rule, "id": 8, "port": "443:8443"},
        {**rule, "id": 9, "port": "80", "source": "cloudflare"},
    ]
    said = remarks(project, "us", "--cluster", "prod")
    assert "reach :80 or :443, and stay: 8 (0.0.0.0/0 to 443:8443). Delete" in said


def test_somebodys_own_stack_file_plays_no_part(vendors: Vendors, project: Path):
    git(project, "init", "-q")
    git(project, "add", "-A")
    (project / "Pulumi.dev.yaml").write_text("config: {edgefleet:regoin: us}\n")
    assert found(project, "us", "--cluster", "prod")["resources"]


def test_an_edge_of_which_nothing_is_there(
    vendors: Vendors, project: Path, monkeypatch: pytest.MonkeyPatch
):
    """And it needs no key of Vultr's."""
    monkeypatch.delenv("VULTR_API_KEY")
    script = run(project, "edge").stdout
    assert "pulumi import" not in script
    assert "# There is nothing to import." in script
    assert "# edge-script: not there yet; `pulumi up` makes it" in script


def test_a_worker_a_namespace_a_route_and_a_host(vendors: Vendors, project: Path):
    vendors.answers |= {
        f"{ACCOUNT}/workers/scripts": [{"id": "edgefleet"}],
        f"{ACCOUNT}/storage/kv/namespaces": [{"id": "n1", "title": "edgefleet-health"}],
        f"{ZONE}/workers/routes": [{"id": "r1", "pattern": "example.com/*", "script": "old"}],
        f"{ZONE}/dns_records": [{"id": "d1", "type": "CNAME", "content": "old.example.net"}],
    }
    made = found(project, "edge")
    assert sorted(e["id"].partition("/")[2] for e in made["resources"] if "id" in e) == [
        *("d1", "edgefleet", "n1", "r1"),
    ]


def test_an_address_in_the_way_of_a_host(vendors: Vendors, project: Path):
    vendors.answers[f"{ZONE}/dns_records"] = [{"id": "d1", "type": "A", "content": "192.0.2.7"}]
    assert "api.example.com is A 192.0.2.7 now." in remarks(project, "edge")


# --- what isn't ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("live", "sentence"),
    [
        (cluster(firewall_group_id=""), "was made without a managed firewall"),
        (cluster(status="pending"), "is pending, not active yet"),
        (cluster(node_pools=[pool("My Pool")]), "fits no stack file: Pulumi.us.yaml: edgefleet:"),
    ],
)
def test_a_cluster_that_cannot_be_taken_over(
    vendors: Vendors, project: Path, live: dict[str, Any], sentence: str
):
    vendors.answers["/kubernetes/clusters"] = [live]
    refused(run(project, "us", "--cluster", "prod"), 1, sentence)


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (("us", "--cluster", "no"), "Vultr has no cluster 'no'; there are: prod (c1)"),
        (("us",), "say which cluster it is, --cluster ID_OR_LABEL"),
        (("../us", "--cluster", "prod"), "'../us': is no name for a stack"),
        (("edge", "--cluster", "prod"), "--cluster prod: edge is an edge stack and has none"),
        (("eu", "--region", "us"), "--region us: Pulumi.eu.yaml is there already, and says it"),
        (("eu", "--cluster", "prod"), "put `label: prod` under edgefleet:cluster"),
    ],
)
def test_a_mistake_of_the_callers(
    vendors: Vendors, project: Path, command: tuple[str, ...], sentence: str
):
    refused(run(project, *command), 2, sentence)


@pytest.mark.parametrize(
    ("command", "name"),
    [(("us", "--cluster", "prod"), "VULTR_API_KEY"), (("edge",), "CLOUDFLARE_API_TOKEN")],
)
def test_without_a_credential(
    vendors: Vendors,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    name: str,
):
    monkeypatch.setenv(name, "")
    refused(run(project, *command), 2, f"set {name}")


def test_a_credential_that_is_refused(vendors: Vendors, project: Path):
    vendors.status = 401
    said = run(project, "us", "--cluster", "prod")
    refused(said, 2, "Vultr refused the API key (401): set VULTR_API_KEY")
    assert "key-of-vultr" not in said.stderr
    refused(run(project, "edge"), 2, "with 401")


def test_nobody_there(vendors: Vendors, project: Path, monkeypatch: pytest.MonkeyPatch):
    nowhere = "http://127.0.0.1:9"
    monkeypatch.setattr(vultr_api, "BASE", nowhere)
    said = run(project, "us", "--cluster", "prod")
    refused(said, 2, "error: Vultr did not answer GET /kubernetes/clusters: 127.0.0.1:9: ")
    assert "HTTPConnectionPool" not in said.stderr
    assert "refused" in said.stderr
    account = Account({"CLOUDFLARE_API_TOKEN": "t", "CLOUDFLARE_BASE_URL": nowhere})
    with pytest.raises(CloudflareError, match=r"GET /accounts/a/workers/scripts: 127\.0\.0\.1:9: "):
        account.cloudflare.worker_scripts("a")


# --- networks ------------------------------------------------------------------------------------


def in_a_vpc(vendors: Vendors, subnet: str, **more: Any) -> None:
    """Its nodes say so; the cluster itself doesn't."""
    nodes = [{"id": "n1", "label": "a", "status": "active"}]
    live = cluster(node_pools=[pool("web", nodes=nodes)], **more)
    vendors.answers["/kubernetes/clusters"] = [live]
    made = {"id": "n1", "main_ip": "45.76.1.2", "v6_main_ip": "2001:19f0::1"}
    vendors.answers["/instances"] = [
        {**made, "internal_ip": "192.168.16.5"},
        {**made, "id": "other", "internal_ip": "10.1.2.3"},
    ]
    address, mask = subnet.split("/")
    vpc = {"id": "v1", "region": "ewr", "description": "office", "v4_subnet": address}
    vendors.answers["/vpcs"] = [
        {**vpc, "id": "v0", "v4_subnet": "10.1.0.0", "v4_subnet_mask": 16},
        {**vpc, "v4_subnet_mask": int(mask)},
    ]


def test_networks_are_those_that_the_nodes_are_in(project: Path, vendors: Vendors):
    in_a_vpc(vendors, "192.168.16.0/20", cluster_subnet="172.20.0.0/16")
    made = found(project, "us", "--cluster", "prod")
    config = yaml.safe_load(made["text"])["config"]
    assert config["edgefleet:firewall"] == {
        "nodeNetworks": ["192.168.16.0/20"],
        "podNetworks": ["172.20.0.0/16"],
    }
    assert "VPC 'office' (v1) stays as it is" in "\n".join(made["remarks"])


def test_addresses_of_no_vpc_are_told(project: Path, vendors: Vendors):
    in_a_vpc(vendors, "192.168.32.0/20", cluster_subnet="10.244.0.0/16")
    made = found(project, "us", "--cluster", "prod")
    assert "edgefleet:firewall" not in yaml.safe_load(made["text"])["config"]
    assert "private addresses (192.168.16.5) in no VPC" in "\n".join(made["remarks"])
