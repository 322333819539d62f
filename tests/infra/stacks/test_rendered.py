"""Whole stacks, rendered offline: what they register, and what must hold for every resource.

After a change that is meant: `EDGEFLEET_GOLDEN=write pytest tests/infra/stacks`, and read the diff.
"""

import json
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.errors import SettingsError
from ops.render.offline import Registered, Rendering, render
from tests.projects import copy_project, region, write_stack
from tests.rendered import live_nodes, of_type, rendered

GOLDEN = Path(__file__).parent / "golden"
STACKS = ("us", "eu", "apac", "edge")
DIGEST = re.compile(r"[0-9a-f]{64}")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_project(tmp_path_factory.mktemp("fleet"))


@pytest.fixture(scope="module", params=STACKS)
def stack(request: pytest.FixtureRequest, project: Path) -> Rendering:
    return rendered(project, request.param, live_nodes(2))


def registered(project: Path, name: str) -> list[dict[str, Any]]:
    """All that a stack registers, in the order in which it does; files by the word <sha256>."""
    resources = rendered(project, name, live_nodes(2)).resources
    text = json.dumps([r.plain() for r in resources], ensure_ascii=False)
    return json.loads(DIGEST.sub("<sha256>", text))


@pytest.mark.parametrize("name", ["us", "edge"])
def test_a_stack_registers_what_it_did(project: Path, name: str):
    text = json.dumps(registered(project, name), indent=2, ensure_ascii=False) + "\n"
    golden = GOLDEN / f"{name}.json"
    if os.environ.get("EDGEFLEET_GOLDEN") == "write":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize(("name", "location"), [("eu", "ams"), ("apac", "sgp")])
def test_regions_differ_only_where_their_files_do(project: Path, name: str, location: str):
    """Promise 1: every resource and option is the same, so that one golden file stands for all."""

    def said(resources: list[dict[str, Any]], name: str, location: str) -> list[dict[str, Any]]:
        text = json.dumps(resources).replace(f'"{location}"', '"LOCATION"')
        renamed = json.loads(re.sub(rf"\b{name}\b", "REGION", text))
        for resource in renamed:
            inputs = resource["inputs"]
            # By the alphabet, in which another region comes elsewhere.
            if "dnsNames" in inputs:
                assert inputs["subject"].pop("commonName") == inputs["dnsNames"][0]
            for key in {"dnsNames", "hostnames"} & inputs.keys():
                inputs[key].sort()
        return renamed

    theirs = said(registered(project, name), name, location)
    assert theirs == said(registered(project, "us"), "us", "ewr")
    assert f"{name}.example.com" in json.dumps(registered(project, name))


def test_rendering_twice_gives_the_same(project: Path):
    first, second = (rendered(project, "us", live_nodes(2)) for _ in range(2))
    assert first == second


def test_every_child_has_a_parent(stack: Rendering):
    top = {r.urn for r in stack.resources if "$" not in r.urn.split("::")[2]}
    for resource in stack.resources:
        if resource.custom and resource.type != "pulumi:providers:kubernetes":
            assert resource.urn not in top, f"{resource.name} has no component above it"


def test_every_name_starts_with_its_components_name(stack: Rendering):
    components = {r.urn: r.name for r in stack.resources if not r.custom}
    for resource in stack.resources:
        if resource.parent in components:
            assert resource.name.startswith(f"{components[resource.parent]}-")


def images(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("image"), str):
            yield value["image"]
        for item in value.values():
            yield from images(item)
    elif isinstance(value, list):
        for item in value:
            yield from images(item)


def test_every_image_is_pinned(stack: Rendering):
    for resource in stack.resources:
        for image in images(resource.inputs):
            name, _, tag = image.partition("@")[0].rpartition(":")
            assert name, f"{resource.name}: {image} has no tag"
            assert tag != "latest", f"{resource.name}: {image}"


def test_region_stacks_run_images_at_all(project: Path):
    resources = rendered(project, "us").resources
    assert [image for r in resources for image in images(r.inputs)]


def test_only_cloudflare_reaches_the_web_ports(stack: Rendering):
    for rule in of_type(stack, "vultr:index/firewallRule:FirewallRule").values():
        assert rule.inputs["source"] == "cloudflare", rule.name
    for group in of_type(stack, "pulumi-python:dynamic/index:VultrFirewallRules").values():
        for name, rule in group.inputs["rules"].items():
            first, _, last = rule.get("port", "0").partition(":")
            for port in (80, 443):
                assert not int(first) <= port <= int(last or first), name


@pytest.mark.parametrize("name", ["us", "eu", "apac"])
def test_both_families_and_both_ports_are_admitted(project: Path, name: str):
    rules = of_type(rendered(project, name), "vultr:index/firewallRule:FirewallRule").values()
    assert {(r.inputs["ipType"], r.inputs["port"]) for r in rules} == {
        (family, port) for family in ("v4", "v6") for port in ("80", "443")
    }


def in_cluster(resource: Registered) -> bool:
    return resource.custom and resource.type.startswith(("kubernetes:", "pulumi-python:"))


@pytest.mark.parametrize("name", ["us", "eu", "apac"])
def test_what_lives_in_the_cluster_goes_with_it(project: Path, name: str):
    found = [r for r in rendered(project, name).resources if in_cluster(r)]
    assert len(found) > 5
    for resource in found:
        assert resource.options["deletedWith"].endswith(f"::{name}-cluster"), resource.name


@pytest.mark.parametrize("name", ["us", "eu", "apac"])
def test_kubernetes_resources_use_the_clusters_own_provider(project: Path, name: str):
    for resource in rendered(project, name).resources:
        if resource.type.startswith("kubernetes:"):
            assert f"::{name}-kubernetes::" in resource.options["provider"], resource.name


def test_the_edge_table_comes_from_the_stack_files(project: Path, tmp_path: Path):
    changed = copy_project(tmp_path)
    write_stack(changed, "us-2", region(location="ord"))
    write_stack(changed, "eu", {**region("eu", location="ams"), "drain": True})
    before = rendered(project, "edge").outputs["regions"]
    after = rendered(changed, "edge").outputs["regions"]
    assert [row["name"] for row in before] == ["apac", "eu", "us"]
    assert [row["name"] for row in after] == ["apac", "eu", "us"]
    assert [row["drain"] for row in after] == [False, True, False]
    script = of_type(rendered(changed, "edge"), "cloudflare:index/workersScript:WorkersScript")
    bindings = {b["name"]: b for b in script["edge-script"].inputs["bindings"]}
    assert json.loads(bindings["CONFIG"]["json"])["regions"] == after


def test_hosts_never_point_to_a_draining_region(tmp_path: Path):
    project = copy_project(tmp_path)
    write_stack(project, "apac", {**region("apac", location="sgp"), "drain": True})
    records = of_type(rendered(project, "edge"), "cloudflare:index/dnsRecord:DnsRecord")
    assert {r.inputs["content"] for r in records.values()} == {"eu.example.com"}


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (
            {name: {**region(name), "drain": True} for name in ("us", "eu", "apac")},
            "Pulumi.edge.yaml: every region of example.com drains, and the Worker would have "
            "nowhere to send visitors. Lift edgefleet:drain in one stack file, or "
            "say `maintenance: true` in edgefleet:edge",
        ),
        (
            {"us": region(location="mars")},
            "Pulumi.us.yaml: edgefleet:coordinates: is required, as the list of 2026-11-20 "
            "doesn't know where 'mars' lies: {latitude: …, longitude: …} in degrees",
        ),
    ],
)
def test_an_edge_that_could_not_route_is_refused(
    tmp_path: Path, files: dict[str, Any], sentence: str
):
    project = copy_project(tmp_path)
    for name, config in files.items():
        write_stack(project, name, config)
    with pytest.raises(SettingsError) as caught:
        render(project, "edge")
    assert caught.value.mistakes == [sentence]


def test_a_place_of_its_own(tmp_path: Path):
    project = copy_project(tmp_path)
    place = {"latitude": 4.5, "longitude": 137.4}
    write_stack(project, "us", {**region(location="mars"), "coordinates": place})
    rows = {row["name"]: row for row in rendered(project, "edge").outputs["regions"]}
    assert (rows["us"]["lat"], rows["us"]["lon"]) == (4.5, 137.4)


def test_a_pool_that_serves_nobody_has_no_record_and_no_ingress(tmp_path: Path):
    project = copy_project(tmp_path)
    taint = {"key": "batch", "value": "yes", "effect": "NoSchedule"}
    pools = [
        {"label": "edge", "plan": "vc2-2c-4gb", "nodes": 2},
        {"label": "batch", "plan": "vc2-2c-4gb", "nodes": 1, "serves": False, "taints": [taint]},
    ]
    write_stack(project, "us", region(pools=pools))
    edge, batch = live_nodes(2), replace(live_nodes(3)[2], pool="batch")
    stack = rendered(project, "us", (*edge, batch))
    records = of_type(stack, "cloudflare:index/dnsRecord:DnsRecord").values()
    served = {record.inputs["content"] for record in records}
    assert served == {address for node in edge for address in (node.ipv4, node.ipv6)}
    (controller,) = (r for r in stack.resources if r.name == "us-ingress-controller")
    affinity = controller.inputs["spec"]["template"]["spec"]["affinity"]["nodeAffinity"]
    (term,) = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [
        {"key": "vke.vultr.com/node-pool", "operator": "NotIn", "values": ["batch"]}
    ]
    pool = of_type(stack, "vultr:index/kubernetesNodePools:KubernetesNodePools")["us-pool-batch"]
    assert pool.inputs["taints"] == [taint]


def test_one_pool_must_serve(tmp_path: Path):
    project = copy_project(tmp_path)
    pool = {"label": "edge", "plan": "vc2-2c-4gb", "nodes": 2, "serves": False}
    write_stack(project, "us", region(pools=[pool]))
    with pytest.raises(SettingsError, match=r"cluster: no pool serves: one must"):
        rendered(project, "us")
