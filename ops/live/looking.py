"""Asking all that concerns some stacks, beside each other: first what the rest is found by."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from components.cluster.kubeconfig import is_refused
from components.vendors.cloudflare import CloudflareApi
from components.vendors.vultr import VultrApi
from ops.expected import EdgeExpected, Member, RegionExpected
from ops.live import outside
from ops.live.addresses import addresses
from ops.live.apis import cloudflare_api, vultr_api
from ops.live.asking import SECONDS, Unasked, beside, known
from ops.live.certificates import key_ends
from ops.live.cloudflare import read_edge, read_records
from ops.live.cluster import read_cluster
from ops.live.facts import ClusterFacts, GivenFacts, Record, StateFacts, VultrFacts
from ops.live.given import given_kubeconfig, given_members, read_given, require_own
from ops.live.outputs import backend_url, pulumi, read_outputs, read_state
from ops.live.probe_facts import ProbeFacts
from ops.live.seen import NOT_ASKED, EdgeSeen, RegionSeen, Seen, Wanted
from ops.live.status_page import read_status
from ops.live.vultr import Account, read_account, read_vultr
from ops.pulumi_cli import PulumiFailed

KINDS = ("A", "AAAA")
PROBE_SECONDS = 60


def look(
    project: Path,
    regions: Sequence[RegionExpected],
    edges: Sequence[EdgeExpected],
    wanted: Wanted,
    waiting: Callable[[list[str]], None] = lambda _: None,
) -> Seen:
    """Ask everybody. What can't be asked is in the facts; nothing is raised."""
    first: dict[str, Callable[[], Any]] = {"Cloudflare": cloudflare_api}
    given = given_members(regions)
    if any(member.given is None for region in regions for member in region.members):
        first["Vultr"] = lambda: _vultr_account()
    if wanted.state:
        first["Pulumi's state"] = lambda: backend_url(project)
    if _visits(wanted):
        pages = [edge.stack for edge in edges if edge.status_page]
        first |= {f"{name}: token": partial(_status_token, project, name) for name in pages}
    # Which cluster a stack was made in stands in its outputs alone, where Vultr doesn't say it.
    names = [r.stack for r in regions] if wanted.clusters and wanted.outputs else []
    first |= {f"{n}: outputs": partial(read_outputs, project, n) for n in {*names, *given}}
    first |= {f"{n}: key": partial(given_kubeconfig, project, m) for n, m in given.items()}
    found = beside(first, SECONDS, waiting)
    second: dict[str, Callable[[], Any]] = {
        f"{name}: nodes": _or(found[f"{name}: key"], partial(_given, member, found))
        for name, member in given.items()
    }
    for region in regions:
        second |= _of_region(region, found, wanted)
    for edge in edges:
        second |= _of_edge(edge, found, wanted)
    if wanted.state:
        backend = found["Pulumi's state"]
        for each in (*regions, *edges):
            key = f"{each.stack}: state"
            second[key] = _or(backend, partial(_read_state, project, each.stack))
    # A probe's pods have to be made, run and deleted.
    seconds = SECONDS + (PROBE_SECONDS if wanted.probe else 0)
    answers = beside(second, seconds, waiting)
    return Seen(
        tuple(_region(region, answers, found.get("Vultr", NOT_ASKED)) for region in regions),
        tuple(_edge(edge, answers) for edge in edges),
    )


def _vultr_account() -> tuple[VultrApi, Account]:
    api = vultr_api()
    return api, read_account(api)


def _read_state(project: Path, stack: str, backend: str) -> StateFacts:
    return read_state(project, stack, backend)


def _visits(wanted: Wanted) -> bool:
    """Whether to ask what visitors meet at the edge."""
    return wanted.edge and wanted.outside


def _status_token(project: Path, stack: str) -> str:
    return pulumi(project, stack, "config", "get", "statusToken").strip()


def _or(needed: Any, ask: Callable[[Any], Any]) -> Callable[[], Any]:
    """Ask with what was found before; where that is missing, its cause is the answer."""
    return (lambda: needed) if isinstance(needed, Unasked) else partial(ask, needed)


def _of_region(
    region: RegionExpected, found: Mapping[str, Any], wanted: Wanted
) -> dict[str, Callable[[], Any]]:
    stack, name = region.stack, region.hostname
    questions: dict[str, Callable[[], Any]] = {}
    if region.given is None:
        made_in = partial(_vultr, region.label, _made_in(stack, found))
        questions[f"{stack}: Vultr"] = _or(found["Vultr"], made_in)
    if wanted.clusters:
        questions[f"{stack}: cluster"] = lambda: _cluster(region, found, wanted)
    if wanted.dns:
        questions[f"{stack}: records"] = _or(
            found["Cloudflare"], lambda api: read_records(api, region.zone_id, name)
        )
    if wanted.outside:
        for kind in KINDS:
            questions[f"{stack}: {kind}"] = partial(outside.resolve, name, kind)
        url = f"https://{name}{region.health_path}"
        questions[f"{stack}: web"] = partial(outside.fetch, url)
        if region.given is None:
            questions[f"{stack}: ports"] = _or(
                found["Vultr"], lambda vultr: _open_ports(vultr[1], region)
            )
        else:
            questions[f"{stack}: ports"] = _or(
                found[f"{stack}: key"], lambda key: _knock(_serving(region, key, found), region)
            )
    return questions


def _made_in(stack: str, found: Mapping[str, Any]) -> str:
    """The identity of the cluster that the state knows; "" where it isn't known."""
    outputs: Mapping[str, Any] = known(found.get(f"{stack}: outputs", NOT_ASKED)) or {}
    return str(outputs.get("clusterId") or "")


def _given(member: Member, found: Mapping[str, Any], kubeconfig: str) -> GivenFacts:
    assert member.given
    return read_given(kubeconfig, member.given, _made_in(member.stack, found))


def _serving(region: RegionExpected, kubeconfig: str, found: Mapping[str, Any]) -> list[str]:
    facts = _given(region.members[0], found, kubeconfig)
    return [node.ipv4 for node in facts.nodes.serving]


def _of_edge(
    edge: EdgeExpected, found: Mapping[str, Any], wanted: Wanted
) -> dict[str, Callable[[], Any]]:
    questions: dict[str, Callable[[], Any]] = {}
    if wanted.edge:
        questions[f"{edge.stack}: Worker"] = _or(
            found["Cloudflare"],
            lambda api: read_edge(
                api, edge.zone_id, edge.account_id, edge.script, edge.main_module
            ),
        )
    for host in edge.hosts:
        if wanted.dns:
            questions[f"{edge.stack}: {host} records"] = _or(
                found["Cloudflare"], partial(_records, edge.zone_id, host)
            )
        if _visits(wanted) and edge.status_page:
            token = found[f"{edge.stack}: token"]
            questions[f"{edge.stack}: {host} status"] = _or(token, partial(read_status, host))
        if wanted.outside:
            questions[f"{edge.stack}: {host} A"] = partial(outside.resolve, host, "A")
            questions[f"{edge.stack}: {host} web"] = partial(outside.fetch, f"https://{host}/")
    return questions


def _vultr(label: str, identity: str, vultr: tuple[VultrApi, Account]) -> VultrFacts:
    return read_vultr(*vultr, label, identity)


def _records(zone_id: str, host: str, api: CloudflareApi) -> tuple[Record, ...]:
    return read_records(api, zone_id, host)


@dataclass(frozen=True)
class _Opened:
    """A cluster's facts, and how the way in was found."""

    facts: ClusterFacts
    stale: bool
    key_ends: Mapping[str, datetime]
    probes: Mapping[str, ProbeFacts | Unasked]


def _cluster(region: RegionExpected, found: Mapping[str, Any], wanted: Wanted) -> _Opened:
    if region.given:
        kubeconfig, stale = _given_key(region, found), False
    else:
        outputs = found.get(f"{region.stack}: outputs", NOT_ASKED)
        kubeconfig, stale = _kubeconfig(region, outputs, found["Vultr"])
    hosts = region.hosts if _visits(wanted) and region.pulls != "off" else ()
    facts = read_cluster(kubeconfig, region.namespace, felix_log=wanted.logs, hosts=hosts)
    probes = wanted.probe(kubeconfig, facts) if wanted.probe else {}
    return _Opened(facts, stale, key_ends(kubeconfig), probes)


def _given_key(region: RegionExpected, found: Mapping[str, Any]) -> str:
    """Raises OtherCluster, and PulumiFailed where there is none."""
    key = found[f"{region.stack}: key"]
    if isinstance(key, Unasked):
        raise PulumiFailed(key.cause)
    require_own(_given(region.members[0], found, key))
    return key


def _kubeconfig(
    region: RegionExpected,
    outputs: Mapping[str, Any] | Unasked,
    vultr: tuple[VultrApi, Account] | Unasked,
) -> tuple[str, bool]:
    """The state's; Vultr's where that is refused or there is none. Raises VendorError."""
    kept = str((known(outputs) or {}).get("kubeconfig") or "")
    stale = bool(kept) and is_refused(kept)
    if kept and not stale:
        return kept, False
    answer = known(vultr)
    if answer is None:
        why = vultr.cause if isinstance(vultr, Unasked) else ""
        raise PulumiFailed(f"no kubeconfig: the state has none that is taken, and: {why}")
    api, account = answer
    found = account.labelled(region.label)
    if not found:
        raise PulumiFailed(f"no kubeconfig: Vultr has no cluster labelled {region.label!r}")
    return api.kubeconfig(found[0][1].id), stale


def _open_ports(account: Account, region: RegionExpected) -> tuple[str, ...]:
    nodes = [n for _, c in account.labelled(region.label)[:1] for n in c.nodes if n.ipv4]
    return _knock([node.ipv4 for node in nodes], region)


def _knock(addresses: Sequence[str], region: RegionExpected) -> tuple[str, ...]:
    """Knock at one node's web ports: what one takes, all take."""
    if not addresses:
        return ()
    address = addresses[0]
    return tuple(f"{address}:{port}" for port in region.web_ports if outside.knock(address, port))


def _region(
    region: RegionExpected,
    answers: Mapping[str, Any],
    vultr: tuple[VultrApi, Account] | Unasked,
) -> RegionSeen:
    stack = region.stack
    opened = answers.get(f"{stack}: cluster", NOT_ASKED)
    every, due, unlisted = addresses(region.members, answers, vultr)
    return RegionSeen(
        region,
        vultr=answers.get(f"{stack}: Vultr"),
        given=answers.get(f"{stack}: nodes"),
        cluster=opened if isinstance(opened, Unasked) else opened.facts,
        records=answers.get(f"{stack}: records", NOT_ASKED),
        answers={kind: answers.get(f"{stack}: {kind}", NOT_ASKED) for kind in KINDS},
        open_ports=answers.get(f"{stack}: ports", NOT_ASKED),
        addresses=every,
        due=due,
        unlisted=unlisted,
        state=answers.get(f"{stack}: state", NOT_ASKED),
        web=answers.get(f"{stack}: web", NOT_ASKED),
        probes={} if isinstance(opened, Unasked) else opened.probes,
        stale_key=not isinstance(opened, Unasked) and opened.stale,
        key_ends={} if isinstance(opened, Unasked) else opened.key_ends,
    )


def _edge(edge: EdgeExpected, answers: Mapping[str, Any]) -> EdgeSeen:
    stack = edge.stack

    def of_hosts(what: str) -> dict[str, Any]:
        return {h: answers.get(f"{stack}: {h} {what}", NOT_ASKED) for h in edge.hosts}

    return EdgeSeen(
        edge,
        facts=answers.get(f"{stack}: Worker", NOT_ASKED),
        records=of_hosts("records"),
        answers=of_hosts("A"),
        state=answers.get(f"{stack}: state", NOT_ASKED),
        web=of_hosts("web"),
        status=of_hosts("status") if edge.status_page else {},
    )
