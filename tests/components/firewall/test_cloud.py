"""Rules of the cloud firewall: what the provider holds, what we hold, and what happens between."""

from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from requests.adapters import BaseAdapter
from werkzeug.test import Client

from components.errors import VultrError
from components.firewall import cloudflare_ranges
from components.firewall.cloud import _require_group, split_rules
from components.firewall.cloud_rules import FirewallGroup, _Provider, match_of, settle
from components.firewall.renderings.vultr import VULTR_RULE_LIMIT, VultrRule
from components.firewall.rule_table import Rule, node_rules
from components.vendors.vultr import BASE, VultrApi
from sandbox.vendors.faults import AnswerLost
from sandbox.vendors.vultr.api import API_KEY, create_app
from tests.faults import unmet
from tests.projects import copy_project, region, write_stack
from tests.rendered import of_type, rendered

RANGES = cloudflare_ranges.load().cidrs
OURS = "pulumi-python:dynamic/index:VultrFirewallRules"
PROVIDERS = "vultr:index/firewallRule:FirewallRule"


def table(**changes: Any) -> list[Rule]:
    settings: dict[str, Any] = {
        "ssh_sources": ["198.51.100.0/24", "2001:db8:5::/48"],
        "node_networks": ["10.20.0.0/20"],
        "pod_networks": ["10.244.0.0/16"],
    }
    return node_rules(**{**settings, **changes})


def test_the_provider_holds_what_vultr_keeps_and_we_hold_the_rest():
    held, others = split_rules(table())
    assert {(r["ip_type"], r.get("port")) for r in held.values()} == {
        (family, port) for family in ("v4", "v6") for port in ("80", "443")
    }
    assert all(rule.get("source") == "cloudflare" for rule in held.values())
    assert all("source" not in rule for rule in others.values())
    assert {rule["subnet"] for rule in others.values() if rule.get("port") == "22"} == {
        "198.51.100.0",
        "2001:db8:5::",
    }


def test_ranges_spelled_out_are_ours_and_counted_with_the_rest():
    held, others = split_rules(table(web_ports=[443]), RANGES)
    assert held == {}
    web = [rule for rule in others.values() if rule.get("port") == "443"]
    assert {f"{rule['subnet']}/{rule['subnet_size']}" for rule in web} == set(RANGES)
    assert len(others) > len(RANGES)
    with pytest.raises(
        ValueError, match=rf"rules for a Vultr firewall group that holds {VULTR_RULE_LIMIT}"
    ):
        split_rules(table(), RANGES)
    many = [f"198.51.{i}.0/24" for i in range(VULTR_RULE_LIMIT - len(others) + 2)]
    split_rules(table(web_ports=[443], ssh_sources=many), RANGES)
    with pytest.raises(ValueError, match=r"51 rules .* 22 cloudflare"):
        split_rules(table(web_ports=[443], ssh_sources=[*many, "203.0.113.0/24"]), RANGES)


def test_a_cluster_without_a_managed_group_is_refused_with_the_way_out():
    with pytest.raises(
        Exception, match=r"no managed firewall group.*goes on waiting.*new cluster beside it"
    ):
        _require_group("")


# --- stacks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["cloudflare", "explicit"])
def test_a_stacks_settings_reach_the_group(tmp_path: Path, source: str):
    project = copy_project(tmp_path)
    ports = [80, 443] if source == "cloudflare" else [443]
    firewall = {"source": source, "webPorts": ports, "adminCidrs": ["198.51.100.7/32"]}
    write_stack(project, "us", {**region(), "firewall": firewall})
    stack = rendered(project, "us")
    (ours,) = of_type(stack, OURS).values()
    rules: Mapping[str, Any] = ours.inputs["rules"]
    ssh = [rule["subnet"] for rule in rules.values() if rule.get("port") == "22"]
    assert ssh == ["198.51.100.7"]
    assert len(of_type(stack, PROVIDERS)) == (4 if source == "cloudflare" else 0)
    web = [rule for rule in rules.values() if rule.get("port") in ("80", "443")]
    assert len(web) == (0 if source == "cloudflare" else len(RANGES))


def test_ssh_is_shut_to_everybody_unless_somebody_is_named(tmp_path: Path):
    (ours,) = of_type(rendered(copy_project(tmp_path), "us"), OURS).values()
    assert not [rule for rule in ours.inputs["rules"].values() if rule.get("port") == "22"]


# --- against the emulated API ------------------------------------------------------------------


class Wsgi(BaseAdapter):
    """Requests to a WSGI app, without a network."""

    def __init__(self, app: Any) -> None:
        super().__init__()
        self._client = Client(app)

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:  # pyright: ignore[reportIncompatibleMethodOverride]
        assert request.method
        assert request.path_url
        headers = [(str(k), str(v)) for k, v in request.headers.items()]
        try:
            answer = self._client.open(
                request.path_url, method=request.method, data=request.body, headers=headers
            )
        except AnswerLost as error:
            raise requests.ConnectionError(str(error), request=request) from error
        response = requests.Response()
        response.status_code = answer.status_code
        response.raw = BytesIO(answer.data)
        response.request = request
        return response

    def close(self) -> None:
        pass


class Group(FirewallGroup):
    """A firewall group of the emulated Vultr."""

    def __init__(self, app: Any, group_id: str) -> None:
        vultr = VultrApi(API_KEY)
        vultr._session._session.mount(BASE, Wsgi(app))
        super().__init__(vultr, group_id)


@pytest.fixture
def app(tmp_path: Path) -> Any:
    return create_app(tmp_path, None)  # pyright: ignore[reportArgumentType]


@pytest.fixture
def client(app: Any) -> Iterator[Any]:
    client: Any = Client(app)
    yield client
    assert unmet(client.get("/_sandbox/faults").json["faults"]) == []


def call(client: Any, method: str, path: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {API_KEY}"}
    return client.open(path, method=method, json=body, headers=headers).json


@pytest.fixture
def group(app: Any, client: Any) -> Group:
    made = call(client, "POST", "/v2/firewalls", {"description": "us"})["firewall_group"]
    return Group(app, made["id"])


def ssh(network: str, **changes: Any) -> VultrRule:
    subnet, size = network.split("/")
    family = "v6" if ":" in network else "v4"
    rule: Any = {"ip_type": family, "protocol": "tcp", "port": "22", "subnet": subnet}
    made: Any = {**rule, "subnet_size": int(size), "notes": "ssh", **changes}
    return made


A, B, C = (ssh(f"198.51.{i}.0/24") for i in range(3))


def live(group: Group) -> set[str]:
    return {rule["subnet"] for rule in group.rules().values()}


def writes(client: Any) -> list[str]:
    log = client.get("/_sandbox/requests").json["requests"]
    return [entry["method"] for entry in log if entry["method"] in ("POST", "DELETE")]


def test_rules_come_and_go_and_opening_precedes_closing(group: Group, client: Any):
    ids = settle(group, {"a": A, "b": B}, {}, {})
    assert live(group) == {A["subnet"], B["subnet"]}
    client.delete("/_sandbox/requests")
    kept = settle(group, {"b": B, "c": C}, {"a": A, "b": B}, ids)
    assert live(group) == {B["subnet"], C["subnet"]}
    assert kept["b"] == ids["b"]
    assert writes(client) == ["POST", "DELETE"]
    client.delete("/_sandbox/requests")
    assert settle(group, {"b": B, "c": C}, {"b": B, "c": C}, kept) == kept
    assert writes(client) == []


def test_a_rule_whose_answer_was_lost_is_taken_over(group: Group, client: Any):
    fault = {"match": {"method": "POST", "path_regex": "rules$"}, "action": "lose_answer"}
    client.post("/_sandbox/faults", json={**fault, "times": 1})
    ids = settle(group, {"a": A}, {}, {})
    assert list(group.rules()) == [ids["a"]]
    # Lost for good: the run died before it could look. The next one finds the rule.
    assert settle(group, {"a": A}, {}, {}) == ids
    assert len(group.rules()) == 1


def test_numbers_from_the_engine_are_floats(group: Group):
    settle(group, {"a": ssh("198.51.0.0/24", subnet_size=24.0)}, {}, {})
    (rule,) = group.rules().values()
    assert rule["subnet_size"] == 24
    assert match_of(rule) == match_of(A)


def test_a_rule_for_cloudflare_is_not_taken_for_one_for_everybody(group: Group, client: Any):
    by_vultr = {**ssh("0.0.0.0/0"), "port": "443", "source": "cloudflare"}
    call(client, "POST", f"/v2/firewalls/{group.id}/rules", by_vultr)
    (rule,) = group.rules().values()
    assert match_of(rule) != match_of(ssh("0.0.0.0/0", port="443"))


def test_what_cannot_fit_is_refused_before_anything_is_sent(group: Group, client: Any):
    others = {str(i): ssh(f"203.0.{i}.0/24") for i in range(VULTR_RULE_LIMIT - 1)}
    settle(group, others, {}, {})
    client.delete("/_sandbox/requests")
    with pytest.raises(VultrError, match=r"51 rules where it holds 50: 2 .* and 49 that others"):
        settle(group, {"a": A, "b": B}, {}, {})
    assert writes(client) == []
    assert settle(group, {"a": A}, {}, {})


def test_in_a_full_group_one_closes_before_the_next_opens(group: Group):
    first = {str(i): ssh(f"203.0.{i}.0/24") for i in range(VULTR_RULE_LIMIT)}
    ids = settle(group, first, {}, {})
    settle(group, {**{k: v for k, v in first.items() if k != "0"}, "a": A}, first, ids)
    assert A["subnet"] in live(group)
    assert len(group.rules()) == VULTR_RULE_LIMIT


def test_a_rule_of_somebody_elses_that_has_our_number_stays(group: Group):
    ids = settle(group, {"a": A, "b": B}, {}, {})
    # Ours was removed by hand, and its number is now that of another rule.
    made = {"a": ssh("203.0.113.0/24"), "b": B}
    settle(group, {"b": B}, made, ids)
    assert ids["a"] in group.rules()
    settle(group, {"b": B}, {"a": A, "b": B}, ids)
    assert ids["a"] not in group.rules()


def test_a_refusal_names_the_rule_and_not_the_key(group: Group, client: Any):
    fault = {"match": {"method": "POST"}, "action": "status", "status": 500, "body": {"error": "x"}}
    client.post("/_sandbox/faults", json=fault)
    with pytest.raises(VultrError, match=r"tcp port 22 from 198\.51\.0\.0/24 .* 500") as caught:
        settle(group, {"a": A}, {}, {})
    assert API_KEY not in str(caught.value)


class Dynamic(_Provider):
    """The dynamic provider, with its group at the emulated Vultr."""

    def __init__(self, group: Group) -> None:
        super().__init__()
        self._there = group

    def _group(self, props: Mapping[str, Any]) -> FirewallGroup:
        return self._there


@pytest.fixture
def made(group: Group) -> tuple[Dynamic, str, dict[str, Any]]:
    provider = Dynamic(group)
    created = provider.create({"group_id": group.id, "rules": {"a": A, "b": B}, "ids": None})
    assert created.outs
    return provider, created.id, created.outs


def test_a_read_shows_what_is_gone_and_an_update_brings_it_back(
    made: tuple[Dynamic, str, dict[str, Any]], group: Group
):
    provider, id_, outs = made
    assert not provider.diff(id_, outs, {**outs, "ids": None}).changes
    group.remove(outs["ids"]["a"])
    read = provider.read(id_, outs)
    assert read.outs
    assert set(read.outs["rules"]) == {"b"}
    assert provider.diff(id_, read.outs, outs).changes
    provider.update(id_, read.outs, outs)
    assert live(group) == {A["subnet"], B["subnet"]}


def test_a_new_note_alone_changes_nothing(made: tuple[Dynamic, str, dict[str, Any]]):
    provider, id_, outs = made
    news = {**outs, "rules": {**outs["rules"], "a": {**A, "notes": "other words"}}}
    assert not provider.diff(id_, outs, news).changes


def test_deleting_forgives_what_is_gone(
    made: tuple[Dynamic, str, dict[str, Any]], group: Group, client: Any
):
    provider, id_, outs = made
    group.remove(outs["ids"]["a"])
    other = call(client, "POST", f"/v2/firewalls/{group.id}/rules", C)["firewall_rule"]
    provider.delete(id_, outs)
    assert list(group.rules()) == [str(other["id"])]
    group.remove("999")
    call(client, "DELETE", f"/v2/firewalls/{group.id}")
    assert provider.read(id_, outs).id == ""
    provider.delete(id_, outs)


def test_deleting_leaves_a_rule_that_only_has_the_id_of_ours(
    made: tuple[Dynamic, str, dict[str, Any]], group: Group, client: Any
):
    """Vultr numbers the rules of a group: somebody's rule may have the number that ours had."""
    provider, id_, outs = made
    theirs = call(client, "POST", f"/v2/firewalls/{group.id}/rules", C)["firewall_rule"]
    ours = {**outs["ids"], "a": str(theirs["id"])}
    provider.delete(id_, {**outs, "ids": ours})
    assert live(group) == {A["subnet"], C["subnet"]}


NETWORKS = st.sets(st.integers(0, 60), max_size=20)


@given(NETWORKS, NETWORKS, NETWORKS)
def test_whatever_stood_there_the_group_ends_with_what_is_wanted_and_what_others_made(
    others: set[int], before: set[int], after: set[int]
):
    held: dict[str, VultrRule] = {}

    class Memory(FirewallGroup):
        def __init__(self) -> None:
            self.id, self._next = "g", 0

        def rules(self) -> dict[str, dict[str, Any]]:
            return {i: dict(rule) for i, rule in held.items()}

        def add(self, rule: VultrRule) -> str:
            assert match_of(rule) not in [match_of(r) for r in held.values()]
            self._next += 1
            held[str(self._next)] = rule
            return str(self._next)

        def remove(self, rule_id: str) -> None:
            del held[rule_id]

    def rules(numbers: set[int]) -> dict[str, VultrRule]:
        return {f"r{i}": ssh(f"198.51.{i}.0/24") for i in numbers}

    group = Memory()
    for rule in rules(others - before).values():
        group.add(rule)
    ids = settle(group, rules(before), {}, {}, limit=99)
    settle(group, rules(after), rules(before), ids, limit=99)
    assert {r["subnet"] for r in held.values()} == {
        r["subnet"] for r in rules((others - before) | after).values()
    }
