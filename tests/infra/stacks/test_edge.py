"""What the edge stack makes of the files, and what it refuses to do."""

import json
from pathlib import Path
from typing import Any

import pytest

from components.edge.worker_filter import REF
from infra.errors import SettingsError
from infra.settings.countries import COUNTRIES
from infra.state.checkpoint import StackState
from infra.state.edge_refusals import deployed, edge_refusals
from infra.state.resource_types import DEPLOYMENT, RULESET, SCRIPT, WORKER
from ops.render.offline import render
from tests.projects import copy_project, edge_stack, region, write_stack
from tests.rendered import of_type

RECORD = "cloudflare:index/dnsRecord:DnsRecord"
VERSION = "cloudflare:index/workerVersion:WorkerVersion"
SECURE = {"secure": "v1:abc"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copy_project(tmp_path)


def edge(project: Path, **options: Any) -> None:
    write_stack(project, "edge", {"edge": options})


def us(project: Path, stack: str = "us", name: str = "us", **keys: Any) -> None:
    cluster = region(name)
    cluster["cluster"] = {**cluster["cluster"], "label": f"cluster-{stack}"}
    write_stack(project, stack, {**cluster, **keys})


def config(project: Path) -> dict[str, Any]:
    (script,) = of_type(render(project, "edge"), SCRIPT).values()
    bindings = {binding["name"]: binding for binding in script.inputs["bindings"]}
    return json.loads(bindings["CONFIG"]["json"])


def refused(project: Path) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        render(project, "edge")
    return caught.value.mistakes


def test_the_workers_options(project: Path):
    found = config(project)
    assert (found["hedgeAfterMs"], found["retryOn5xx"], found["downMs"]) == (3000, True, 10000)
    edge(project, hedgeAfterMs=0, retryOn5xx=False, downMs=60000)
    found = config(project)
    assert (found["hedgeAfterMs"], found["retryOn5xx"], found["downMs"]) == (0, False, 60000)


def test_the_order_for_visitors_without_a_place(project: Path):
    edge(project, defaultRegions=["us", "eu"])
    assert config(project)["defaultRegions"] == ["us", "eu"]
    edge(project, defaultRegions=["us", "uk"])
    assert refused(project) == [
        "Pulumi.edge.yaml: edgefleet:edge: defaultRegions: 'uk': no region has this name; known "
        "are apac, eu, us"
    ]


def test_what_a_host_has_of_its_own(project: Path):
    assert not {"hosts", "outlierDetection", "defaultRegions"} & set(config(project)), (
        "5 KB are little"
    )
    host = {"healthPath": "/ready", "regions": ["eu", "us"], "hedgeAfterMs": 0, "retryOn5xx": False}
    edge(
        project,
        hosts={"api.example.com": host},
        outlierDetection={"maxEjectionPercent": 67},
        healthPath="/up",
    )
    found = config(project)
    assert found["hosts"] == {"api.example.com": host}
    assert found["outlierDetection"] == {"maxEjectionPercent": 67}
    assert found["healthPath"] == "/up"


@pytest.mark.parametrize(
    ("hosts", "sentence"),
    [
        (
            {"shop.example.com": {}},
            "edge.hosts.shop.example.com: is none of the site's hosts (edgefleet:hosts): "
            "example.com, api.example.com",
        ),
        (
            {"api.example.com": {"regions": ["eu", "mars"]}},
            "edge: hosts.api.example.com.regions: 'mars': no region has this name; known are apac, "
            "eu, us",
        ),
        (
            {"api.example.com": {"regions": ["us"]}},
            "edge: hosts.api.example.com.regions: us: all of them drain, and nobody would serve "
            "the host. Name another region, or say `maintenance: true`",
        ),
        (
            {"api.example.com": {"healthPath": "ready"}},
            "edge.hosts.api.example.com.healthPath: 'ready': must be a path that begins with /",
        ),
        (
            {"api.example.com": {"regions": []}},
            "edge.hosts.api.example.com.regions: must have at least 1 entry",
        ),
    ],
    ids=["host", "region", "drained", "path", "none"],
)
def test_a_mistake_in_a_hosts_options(project: Path, hosts: dict[str, Any], sentence: str):
    us(project, drain=True)
    edge(project, hosts=hosts)
    assert refused(project) == [f"Pulumi.edge.yaml: edgefleet:{sentence}"]


@pytest.mark.parametrize("deployment", [None, {"percentage": 100}], ids=["script", "versions"])
def test_metrics_and_logs(project: Path, deployment: dict[str, Any] | None):
    gradual = {"deployment": deployment} if deployment else {}
    kind = VERSION if deployment else SCRIPT

    def sent() -> tuple[dict[str, Any], dict[str, Any]]:
        rendered = render(project, "edge")
        (uploaded,) = of_type(rendered, kind).values()
        (said,) = of_type(rendered, WORKER if deployment else SCRIPT).values()
        bindings = {binding["name"]: binding for binding in uploaded.inputs["bindings"]}
        return bindings, said.inputs["observability"]["logs"]

    edge(project, **gradual)
    bindings, logs = sent()
    assert "METRICS" not in bindings
    assert (logs["headSamplingRate"], logs["invocationLogs"]) == (1, False)
    logs = {"headSamplingRate": 0.01, "invocationLogs": True}
    edge(project, metrics={"dataset": "edge_site"}, logs=logs, **gradual)
    bindings, found = sent()
    assert bindings["METRICS"] == {
        "name": "METRICS",
        "type": "analytics_engine",
        "dataset": "edge_site",
    }
    assert {key: found[key] for key in logs} == logs


def test_maintenance_with_every_region_drained(project: Path):
    (project / "closed.html").write_text("<p>Back at six")
    for name, location in (("us", "ewr"), ("eu", "ams"), ("apac", "sgp")):
        keys = region(name, location=location, label=f"cluster-{name}")
        write_stack(project, name, {**keys, "drain": True})
    edge(
        project,
        maintenance=True,
        maintenanceRetryAfter=600,
        pages={"maintenance": "closed.html"},
        responseHeaders="none",
        affinitySeconds=60,
    )
    rendered = render(project, "edge")
    (script,) = of_type(rendered, SCRIPT).values()
    bindings = {binding["name"]: binding for binding in script.inputs["bindings"]}
    assert bindings["PAGE_MAINTENANCE"]["text"] == "<p>Back at six"
    found = json.loads(bindings["CONFIG"]["json"])
    said = ("maintenance", "maintenanceRetryAfter", "responseHeaders", "affinitySeconds")
    assert [found[key] for key in said] == [True, 600, "none", 60]
    records = {r.inputs["name"]: r.inputs["content"] for r in of_type(rendered, RECORD).values()}
    assert records["example.com"] == "no-region.example.com", "nobody gets past the page"
    assert [m for m in rendered.messages if "in maintenance" in m] == [
        "Pulumi.edge.yaml: edgefleet:edge: example.com, api.example.com: in maintenance: "
        "visitors get a page with 503, and no region a request"
    ]
    for stack in ("edge", "us"):
        assert not [m for m in render(project, stack).messages if "edgefleet:drain" in m]
    # One host stays open, and nobody would serve it.
    edge(project, maintenance=True, hosts={"api.example.com": {"maintenance": False}})
    (mistake,) = refused(project)
    assert "every region of example.com drains" in mistake
    assert mistake.endswith("or say `maintenance: true` in edgefleet:edge")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "pages.error: {}: No such file or directory"),
        (b"\xff", "pages.error: {}: it isn't text in UTF-8"),
    ],
    ids=["missing", "binary"],
)
def test_a_page_that_cannot_be_read(project: Path, content: bytes | None, sentence: str):
    file = project / "error.html"
    if content:
        file.write_bytes(content)
    edge(project, pages={"error": "error.html"})
    assert refused(project) == [f"Pulumi.edge.yaml: edgefleet:edge.{sentence.format(file)}"]


def test_a_page_of_more_than_a_variable(project: Path):
    (project / "error.html").write_text("x" * 5001)
    edge(project, pages={"error": "error.html"})
    assert refused(project) == [
        "Pulumi.edge.yaml: edgefleet:edge: pages.error: 5001 bytes: a page is a variable of the "
        "Worker, of 1 to 5000 bytes. Leave images and fonts to another host"
    ]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"outlierDetection": {"maxEjectionPercent": 101}},
            "outlierDetection.maxEjectionPercent: 101: must be at most 100",
        ),
        ({"hedgeAfterMs": 20000}, "hedgeAfterMs: 20000: must be at most 18000"),
        ({"downMs": 0}, "downMs: 0: must be at least 1"),
        ({"logs": {"headSamplingRate": 5}}, "logs.headSamplingRate: 5: must be at most 1.0"),
        (
            {"metrics": {"dataset": "edge-site"}},
            "metrics.dataset: 'edge-site': must be the name of a table: letters, digits and "
            "underscores, at most 63",
        ),
        (
            {"pages": {"error": "../error.htm"}},
            "pages.error: '../error.htm': must be a file in the project's folder, like down.html",
        ),
        ({"deployment": {"percentage": 101}}, "deployment.percentage: 101: must be at most 100"),
        ({"deployment": {}}, "deployment.percentage: is required"),
        ({"retryOn5XX": True}, "retryOn5XX: is not a known key; did you mean retryOn5xx?"),
    ],
)
def test_options_out_of_range(project: Path, options: dict[str, Any], sentence: str):
    edge(project, **options)
    assert refused(project) == [f"Pulumi.edge.yaml: edgefleet:edge.{sentence}"]


def test_what_a_region_says_reaches_the_table(project: Path):
    routing = {"countries": ["DE"], "continents": ["EU"], "weight": 5, "strict": True}
    us(project, routing=routing)
    first = config(project)["regions"][0]
    assert first["name"] == "us", "less than full weight comes first"
    assert {key: first[key] for key in routing} == routing
    us(project)
    assert [set(row) for row in config(project)["regions"]] == [
        {"name", "host", "lat", "lon", "drain"}
    ] * 3


@pytest.mark.parametrize(
    ("routing", "sentence"),
    [
        (
            {"countries": ["UK"]},
            "countries[0]: 'UK': must be a country by ISO 3166-1, like DE (the United Kingdom is "
            "GB)",
        ),
        ({"countries": ["de"]}, "countries[0]: 'de': must be a country by ISO 3166-1, like DE"),
        (
            {"continents": ["EUR"]},
            "continents[0]: 'EUR': must be 'AF', 'AN', 'AS', 'EU', 'NA', 'OC' or 'SA'",
        ),
        ({"weight": 101}, "weight: 101: must be at most 100"),
        ({"strikt": True}, "strikt: is not a known key; did you mean strict?"),
    ],
)
def test_a_mistake_in_a_regions_routing(project: Path, routing: dict[str, Any], sentence: str):
    us(project, routing=routing)
    assert refused(project) == [f"Pulumi.us.yaml: edgefleet:routing.{sentence}"]


def test_one_stack_of_a_region_speaks_for_all(project: Path):
    us(project)
    us(project, "us-2", routing={"weight": 50})
    assert config(project)["regions"][0]["weight"] == 50
    us(project, routing={"weight": 50})
    assert config(project)["regions"][0]["weight"] == 50
    us(project, routing={"weight": 40})
    assert refused(project) == [
        "Pulumi.us-2.yaml: edgefleet:routing: Pulumi.us.yaml says otherwise of the same region us: "
        "say it in one of the two, or the same in both"
    ]


def test_a_table_too_large_is_refused(project: Path):
    for name in ("us", "eu", "apac", "south"):
        us(project, name, name, routing={"countries": sorted(COUNTRIES)})
    (sentence,) = refused(project)
    assert sentence.startswith("Pulumi.edge.yaml: edgefleet:edge: the table of 4 regions takes")


def test_hosts_lead_nowhere_where_a_region_is_strict(project: Path):
    us(project, routing={"strict": True})
    records = of_type(render(project, "edge"), RECORD)
    assert records["edge-example.com"].inputs["content"] == "no-region.example.com"
    assert records["edge-example.com"].inputs["type"] == "CNAME"
    nowhere = records["edge-no-region"].inputs
    assert (nowhere["type"], nowhere["content"], nowhere["proxied"]) == ("AAAA", "100::", True)


def test_probes(project: Path):
    kinds = ("workersKvNamespace:WorkersKvNamespace", "workersCronTrigger:WorkersCronTrigger")
    on = render(project, "edge")
    (space,), (cron,) = (of_type(on, f"cloudflare:index/{kind}").values() for kind in kinds)
    assert space.inputs["title"] == "edgefleet-health"
    assert cron.inputs["schedules"] == [{"cron": "* * * * *"}]
    edge(project, probes=False)
    off = render(project, "edge")
    spaces, (cron,) = (of_type(off, f"cloudflare:index/{kind}").values() for kind in kinds)
    assert not spaces
    assert cron.inputs["schedules"] == [], "taken away, not left behind"


def test_bindings_stand_in_the_order_of_their_names(project: Path):
    write_stack(
        project,
        "edge",
        {
            "edge": {},
            "statusToken": SECURE,
            "originSecret": SECURE,
            "originHeader": "observe",
        },
    )
    (script,) = of_type(render(project, "edge"), SCRIPT).values()
    names = [binding["name"] for binding in script.inputs["bindings"]]
    assert names == ["CONFIG", "HEALTH", "ORIGIN_SECRET", "ORIGIN_SECRET_HEADER", "STATUS_TOKEN"]


def test_a_status_token_belongs_to_the_edge(project: Path):
    us(project, statusToken=SECURE)
    assert refused(project) == [
        "Pulumi.us.yaml: edgefleet:statusToken: only the edge stack reads it"
    ]


def test_a_gradual_deployment_says_what_it_means(project: Path):
    edge(project, deployment={"percentage": 10})
    rendering = render(project, "edge")
    assert not of_type(rendering, SCRIPT)
    assert of_type(rendering, WORKER)["edge-worker"].inputs["name"] == "edgefleet"
    (message,) = (m for m in rendering.messages if "newest version" in m)
    assert message.startswith("edgefleet: 10 % of the requests")


def test_the_waf_rule_is_made_when_asked_for(project: Path):
    assert not of_type(render(project, "edge"), RULESET)
    edge(project, blockForeignWorkers=True)
    (rules,) = of_type(render(project, "edge"), RULESET).values()
    (rule,) = rules.inputs["rules"]
    assert "apac.example.com" in rule["expression"]


class Cloudflare:
    def __init__(self, *rules: dict[str, Any]) -> None:
        self._rules = rules

    def entrypoint(self, zone_id: str, phase: str) -> dict[str, Any] | None:
        return {"rules": list(self._rules)} if self._rules else None


OURS, THEIRS = {"ref": REF}, {"id": "1", "description": "no bots"}


def refusals(project: Path, state: StackState, *rules: dict[str, Any]) -> list[str]:
    stack = edge_stack(project)
    return list(edge_refusals(stack, state, lambda: Cloudflare(*rules)))


def state_of(kind: str, **outputs: Any) -> StackState:
    return StackState({f"urn:pulumi:edge::edgefleet::{kind}::edge-one": outputs})


def test_rules_of_others_are_not_overwritten(project: Path):
    nothing, ours = StackState({}), state_of(RULESET)
    assert refusals(project, nothing, THEIRS) == []
    (deleting,) = refusals(project, ours, OURS, THEIRS)
    assert "has rules that others made ('no bots'), and an update would delete them" in deleting
    edge(project, blockForeignWorkers=True)
    assert refusals(project, nothing) == []
    assert refusals(project, nothing, OURS) == []
    assert refusals(project, ours, OURS) == []
    (overwriting,) = refusals(project, nothing, THEIRS)
    assert "has custom WAF rules already ('no bots')" in overwriting


def test_nothing_is_asked_where_no_rule_is_ours(project: Path):
    stack = edge_stack(project)

    def unasked() -> Cloudflare:
        raise AssertionError("Cloudflare was asked")

    assert list(edge_refusals(stack, StackState({}), unasked)) == []


@pytest.mark.parametrize(
    ("options", "state"),
    [
        ({"deployment": {"percentage": 10}}, state_of(SCRIPT, scriptName="edgefleet")),
        ({}, state_of(WORKER, name="edgefleet")),
    ],
    ids=["to gradual", "back"],
)
def test_one_worker_has_one_owner(project: Path, options: dict[str, Any], state: StackState):
    edge(project, **options)
    (sentence,) = refusals(project, state)
    assert "Give edge.script another name" in sentence
    edge(project, script="front", **options)
    assert refusals(project, state) == []


def test_what_serves_is_in_the_state():
    state = state_of(DEPLOYMENT, versions=[{"versionId": "v1", "percentage": 100}])
    assert deployed(state) == [{"version_id": "v1", "percentage": 100}]
    assert deployed(StackState({})) == []
