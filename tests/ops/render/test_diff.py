"""What a change of the files changes, as a reviewer reads it.

After a change that is meant: `EDGEFLEET_GOLDEN=write pytest tests/ops`, and read the diff.
"""

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml

from components.firewall import cloudflare_ranges
from ops.render.cli import comparison
from ops.render.diff import ABSENT, Field, compare, fields
from ops.render.markdown import COMMENT_LIMIT, markdown
from ops.render.offline import render_project
from ops.render.report import Comparison
from ops.render.resources import UNKNOWN, Registered, Rendering
from ops.render.revisions import Fleet
from ops.render.text import text
from tests.projects import CLUSTER, copy_project, region, write_stack

GOLDEN = Path(__file__).parent / "golden"

Change = Callable[[Path, pytest.MonkeyPatch], Any]


def us(**cluster: Any) -> Change:
    return lambda project, _: write_stack(project, "us", region(**cluster))


def pool(**changes: Any) -> list[dict[str, Any]]:
    return [{**CLUSTER["pools"][0], **changes}]


def image(project: Path, _: pytest.MonkeyPatch) -> None:
    write_stack(project, "us", {**region(), "ingress": {"image": "nginx/nginx-ingress:5.7.0"}})


def range_added(project: Path, patch: pytest.MonkeyPatch) -> None:
    pin = json.loads(cloudflare_ranges.PIN.read_text())
    pin["ipv4_cidrs"] = [*pin["ipv4_cidrs"], "203.0.113.0/24"]
    (project / "ranges.json").write_text(json.dumps(pin))
    old = cloudflare_ranges.load
    patch.setattr(cloudflare_ranges, "load", lambda: old(project / "ranges.json"))


def drained(project: Path, _: pytest.MonkeyPatch) -> None:
    write_stack(project, "eu", {**region("eu", location="ams"), "drain": True})


def stack_added(project: Path, _: pytest.MonkeyPatch) -> None:
    write_stack(project, "jp", {**region("jp", location="nrt"), "drain": True})


def stack_removed(project: Path, _: pytest.MonkeyPatch) -> None:
    (project / "Pulumi.apac.yaml").unlink()


def host_added(project: Path, _: pytest.MonkeyPatch) -> None:
    path = project / "Pulumi.yaml"
    document = yaml.safe_load(path.read_text())
    document["config"]["hosts"]["default"].append("shop.example.com")
    path.write_text(yaml.safe_dump(document))


def opened(project: Path, _: pytest.MonkeyPatch) -> None:
    rule = {"port": 51820, "protocol": "udp", "sources": ["203.0.113.0/24"], "reason": "WireGuard"}
    write_stack(project, "us", {**region(pools=pool(nodes=1)), "firewall": {"extraRules": [rule]}})


CHANGES: dict[str, Change] = {
    "upgrade": us(version="v1.36.2+1"),
    "one-node-and-a-port": opened,
    "node-count": us(pools=pool(nodes=5)),
    "pool-plan": us(pools=pool(plan="vc2-4c-8gb")),
    "image": image,
    "range-added": range_added,
    "region-drained": drained,
    "stack-added": stack_added,
    "stack-removed": stack_removed,
    "host-added": host_added,
    "cluster-replaced": us(location="ord", replace=["location"], protect=False),
}


def project_in(folder: Path) -> Path:
    project = copy_project(folder / "p")
    write_stack(project, "us", region())
    return project


@cache
def before(depth: int) -> Fleet:
    """Rendered once, in a folder as deep as a test's: the program names its files from there."""
    with TemporaryDirectory() as folder:
        above = len(Path(folder).resolve().parts)
        beside = Path(folder, *(["d"] * (depth - above)))
        beside.mkdir(parents=True)
        return Fleet(render_project(project_in(beside)))


def changed(folder: Path, change: Change, patch: pytest.MonkeyPatch) -> Comparison:
    project = project_in(folder)
    change(project, patch)
    return comparison(project, "main", before(len(folder.parts)), render_project(project))


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_reads_as_it_did(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    found = changed(tmp_path, CHANGES[name], monkeypatch)
    for suffix, written in ((".txt", text(found)), (".md", markdown(found))):
        # Where a test's folder lies is no part of it, nor what a file's content hashes to.
        written = re.sub(r"(\.\./)+[^ \n\"]*components/", "components/", written)
        written = re.sub(r"\b([0-9a-f]{64}|[0-9a-f]{16})\b", "<hash>", written)
        golden = GOLDEN / f"{name}{suffix}"
        if os.environ.get("EDGEFLEET_GOLDEN") == "write":
            golden.parent.mkdir(exist_ok=True)
            golden.write_text(written)
        assert written == golden.read_text()


def stacks(found: Comparison) -> dict[str, str]:
    return {diff.stack: diff.status for diff in found.stacks if diff.status != "same"}


def only(found: Comparison, name: str) -> list[tuple[str, Any, Any]]:
    (diff,) = (diff for diff in found.stacks if diff.stack == name)
    return [(each.path, each.old, each.new) for change in diff.changed for each in change.fields]


def test_a_node_count_is_one_field_and_two_records_a_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    found = changed(tmp_path, CHANGES["node-count"], monkeypatch)
    assert stacks(found) == {"us": "changed"}
    assert only(found, "us") == [("nodes", 3, 5)]
    (diff,) = (diff for diff in found.stacks if diff.stack == "us")
    assert "6 records" in diff.said[0]
    assert "10 records" in diff.says[0]


def test_a_plan_is_refused_with_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    found = changed(tmp_path, CHANGES["pool-plan"], monkeypatch)
    assert found.refused
    (diff,) = (diff for diff in found.stacks if diff.refused)
    assert diff.changed == []
    assert "Add a pool with another label and plan 'vc2-4c-8gb'" in diff.refused[0]


def test_a_location_is_refused_with_the_nodes_it_would_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    found = changed(tmp_path, us(location="ord"), monkeypatch)
    (diff,) = (diff for diff in found.stacks if diff.refused)
    assert "with its 3 nodes" in diff.refused[0]


def test_draining_shows_at_the_edge_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    found = changed(tmp_path, drained, monkeypatch)
    assert stacks(found) == {"edge": "changed"}
    assert only(found, "edge") == [("bindings[CONFIG].json.regions[eu].drain", False, True)]


def test_a_new_stack_shows_at_the_edge_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    found = changed(tmp_path, stack_added, monkeypatch)
    assert stacks(found) == {"edge": "changed", "jp": "added"}


def test_a_range_shows_as_that_range(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    found = changed(tmp_path, range_added, monkeypatch)
    assert set(stacks(found)) >= {"us", "eu", "apac"}
    for written in (text(found), markdown(found)):
        assert "+ 203.0.113.0/24" in written
        assert "173.245.48.0/20" not in written


def test_a_replaced_cluster_takes_what_hangs_on_it_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    found = changed(tmp_path, CHANGES["cluster-replaced"], monkeypatch)
    (diff,) = (diff for diff in found.stacks if diff.stack == "us")
    replaced = {each.name: each.replaced for each in diff.replaced}
    assert replaced["us-cluster"] == ["region"]
    assert replaced["us-firewall-cloudflare-443-v4"] == [
        "firewallGroupId comes from us-cluster, which is replaced"
    ]
    assert replaced["us-ingress-controller"] == ["its provider us-kubernetes is replaced"]


def test_nothing_changed_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    found = changed(tmp_path, lambda *_: None, monkeypatch)
    assert text(found) == "no change: apac, edge, eu, us\n"
    assert "No resource of any stack changes." in markdown(found)


def test_json_tells_all_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    plain = changed(tmp_path, CHANGES["node-count"], monkeypatch).plain()
    (stack,) = (each for each in json.loads(json.dumps(plain))["stacks"] if each["stack"] == "us")
    (resource,) = stack["changed"]
    assert resource["fields"] == [{"path": "nodes", "old": 3, "new": 5}]


# --- field by field ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, [Field("a.b", 1, 2)]),
        ({"a": 1}, {}, [Field("a", 1, ABSENT)]),
        ({"a": None}, {}, [Field("a", None, ABSENT)]),
        (
            {"a": ["x", "y"]},
            {"a": ["y", "z"]},
            [Field("a[]", "x", ABSENT), Field("a[]", ABSENT, "z")],
        ),
        ({"a": ["x", "y"]}, {"a": ["y", "x"]}, [Field("a", ["x", "y"], ["y", "x"])]),
        (
            {"e": [{"name": "p", "value": 1}, {"name": "q", "value": 2}]},
            {
                "e": [
                    {"name": "new", "value": 0},
                    {"name": "p", "value": 1},
                    {"name": "q", "value": 3},
                ]
            },
            [Field("e[new]", ABSENT, {"name": "new", "value": 0}), Field("e[q].value", 2, 3)],
        ),
        (
            {"e": [{"name": "p"}, {"name": "q"}]},
            {"e": [{"name": "q"}, {"name": "p"}]},
            [Field("e[]", ["p", "q"], ["q", "p"])],
        ),
        ({"e": [{"x": 1}]}, {"e": [{"x": 2}]}, [Field("e[0].x", 1, 2)]),
        ({"j": '{"a": 1}'}, {"j": '{"a": 2}'}, [Field("j.a", 1, 2)]),
        ({"j": "{not json"}, {"j": "{no"}, [Field("j", "{not json", "{no")]),
    ],
)
def test_fields(old: Any, new: Any, expected: list[Field]):
    assert list(fields(old, new)) == expected


def resource(type_token: str = "a:b:C", name: str = "n", **more: Any) -> Registered:
    options = more.pop("options", {})
    return Registered(
        f"urn:pulumi:s::p::{type_token}::{name}", type_token, name, "", True, more, options
    )


def diff_of(old: Registered, new: Registered):
    return compare("s", Rendering([old], {}), Rendering([new], {}))


def test_an_ignored_change_is_none():
    old = resource(pool={"size": 1, "plan": "x"})
    new = resource(pool={"size": 2, "plan": "x"}, options={"ignoreChanges": ["pool.size"]})
    (changed,) = diff_of(old, new).changed
    assert [each.path for each in changed.fields] == ["(ignoreChanges)"]


@pytest.mark.parametrize(
    ("ignored", "shown"),
    [
        ("pools", []),
        ("pools[a]", ["pools[b].size", "poolsOf[a].size"]),
        ("pools[a].size", ["pools[b].size", "poolsOf[a].size"]),
        ("pool", ["pools[a].size", "pools[b].size", "poolsOf[a].size"]),
    ],
)
def test_ignoring_a_path_covers_what_is_below_it_and_nothing_beside_it(
    ignored: str, shown: list[str]
):
    def pools(size: int) -> dict[str, Any]:
        items = [{"name": name, "size": size} for name in ("a", "b")]
        return {"pools": items, "poolsOf": items[:1]}

    options = {"ignoreChanges": [ignored]}
    old = resource(options=options, **pools(1))
    found = diff_of(old, resource(options=options, **pools(2))).changed
    paths = [each.path for changed in found for each in changed.fields]
    assert [path for path in paths if path in shown or path.startswith("pools[")] == shown


def test_an_option_shows():
    (changed,) = diff_of(resource(), resource(options={"protect": True})).changed
    assert [(e.path, e.new) for e in changed.fields] == [("(protect)", True)]


def test_dependencies_are_no_change():
    new = resource(options={"dependsOn": ["urn:x"]})
    assert diff_of(resource(), new).status == "same"


def test_a_type_replaces_a_record_and_content_does_not():
    record = "cloudflare:index/dnsRecord:DnsRecord"
    same = {"type": "A", "content": "192.0.2.1"}
    (content,) = diff_of(
        resource(record, **same), resource(record, **{**same, "content": "x"})
    ).changed
    (kind,) = diff_of(
        resource(record, **same), resource(record, **{**same, "type": "CNAME"})
    ).changed
    assert content.replaced == []
    assert kind.replaced == ["type"]


def test_an_unknown_of_something_else_replaces_nothing():
    cluster = resource("vultr:index/kubernetes:Kubernetes", "c", region="ewr")
    moved = resource("vultr:index/kubernetes:Kubernetes", "c", region="ord")
    rule = resource("vultr:index/firewallRule:FirewallRule", "r", firewallGroupId=UNKNOWN)
    diff = compare("s", Rendering([cluster, rule], {}), Rendering([moved, rule], {}))
    assert [each.name for each in diff.replaced] == ["c"]


PATCH = "pulumi-python:dynamic/index:ServerSidePatch"
ROLLOUT = "pulumi-python:dynamic/index:Rollout"
SETTINGS = "pulumi-python:dynamic/index:PoolSettings"


def using(source: Registered, type_token: str, key: str) -> Registered:
    found = resource(type_token, "u", **{key: UNKNOWN})
    return replace(found, sources={key: [source.urn]})


@pytest.mark.parametrize(
    ("source", "uses", "expected"),
    [
        # An update makes a patch's outputs anew; Vultr's provider keeps a cluster's.
        ((PATCH, "force"), (ROLLOUT, "generation"), ["s", "u"]),
        (("vultr:index/kubernetes:Kubernetes", "label"), (ROLLOUT, "generation"), ["s"]),
        # Only waited for.
        ((SETTINGS, "nodes"), ("vultr:index/firewallRule:FirewallRule", "firewallGroupId"), ["s"]),
        # An object's generation counts its specs.
        (("kubernetes:apps/v1:DaemonSet", "spec"), (ROLLOUT, "generation"), ["s", "u"]),
        (("kubernetes:apps/v1:DaemonSet", "metadata"), (ROLLOUT, "generation"), ["s"]),
        # Nobody looks at it.
        ((PATCH, "force"), (ROLLOUT, "minutes"), ["s"]),
    ],
)
def test_what_is_made_of_a_changed_resource_changes(
    source: tuple[str, str], uses: tuple[str, str], expected: list[str]
):
    kind, key = source
    old, new = resource(kind, "s", **{key: "a"}), resource(kind, "s", **{key: "b"})
    user = using(new, *uses)
    diff = compare("s", Rendering([old, user], {}), Rendering([new, user], {}))
    assert sorted(each.name for each in diff.changed) == expected
    assert diff.replaced == []


def test_what_is_made_of_a_new_resource_changes():
    new = resource("cloudflare:index/workersKvNamespace:WorkersKvNamespace", "n")
    user = using(new, "cloudflare:index/workersRoute:WorkersRoute", "zoneId")
    diff = compare("s", Rendering([user], {}), Rendering([new, user], {}))
    (changed,) = diff.changed
    assert changed.replaced == ["zoneId comes from n, which is new"]
    ignoring = replace(user, options={"ignoreChanges": ["zoneId"]})
    assert compare("s", Rendering([ignoring], {}), Rendering([new, ignoring], {})).changed == []


@pytest.mark.parametrize(
    ("before", "after", "refused"), [(True, True, 1), (True, False, 0), (False, True, 0)]
)
def test_what_is_protected_is_not_replaced(before: bool, after: bool, refused: int):
    def cluster(region: str, protect: bool) -> Rendering:
        options = {"protect": True} if protect else {}
        kind = "vultr:index/kubernetes:Kubernetes"
        return Rendering([resource(kind, region=region, options=options)], {})

    found = compare("s", cluster("ewr", before), cluster("ord", after)).refused
    assert len(found) == refused
    assert all("as it is currently marked for protection" in each for each in found)


def test_what_is_protected_does_not_go():
    diff = compare("s", Rendering([resource(options={"protect": True})], {}), Rendering([], {}))
    assert "cannot be deleted because it is protected" in diff.refused[0]
    protected = Rendering([resource(options={"protect": True})], {})
    assert compare("s", protected, Rendering([], {}), ["by the program"]).refused == [
        "by the program"
    ]
    assert compare("s", Rendering([resource(options={"protect": True})], {}), None).refused == []


def test_a_comment_fits_and_says_what_was_cut():
    many = [resource(name=f"n{i}", text="x" * 90) for i in range(2000)]
    diff = compare("s", None, Rendering(many, {}))
    written = markdown(Comparison("main", [diff, diff], []))
    assert len(written) < COMMENT_LIMIT + 1000
    assert re.search(r"\d+ more lines: run `fleet render --diff`", written)


def test_no_value_ends_the_block_it_stands_in():
    old, new = resource(text="a\n```\nb"), resource(text="a\n```\nc\n")
    written = markdown(Comparison("main", [diff_of(old, new)], []))
    (opened,) = re.findall(r"^(`+)diff$", written, re.M)
    *within, closing = re.findall(r"^[ +-]*(`+)$", written, re.M)
    assert within
    assert closing == opened
    assert all(len(run) < len(opened) for run in within)
