"""What is read from pods' logs, through the API server: felix's fallback, and whether Cloudflare's
client certificate comes. The API server asks the kubelets for them, which it may not reach."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import islice

from components.dataplane import felix_words
from components.ingress.trust import LEAF_NAME, LEAF_ORGANIZATION
from components.json_object import is_object
from components.server_side.api import Refused
from ops.live.asking import Unasked
from ops.live.facts import Workload

Log = Callable[[str], str]
"""Gives a path's text: `ServerObject.text`. Raises Refused and Unreachable."""

_LEAF = frozenset({f"CN={LEAF_NAME}", f"O={LEAF_ORGANIZATION}"})
_FELIX_BYTES = 1_000_000
"""Of the beginning of a log: what felix says of eBPF it says when it starts."""
_ACCESS_LINES = 500
_ACCESS_PODS = 5
"""So many ingress pods are asked: what Cloudflare shows to some it shows to all."""
_SHOWN = "client_certificate"
"""The field of nginx' access log; components/ingress/nginx/trust.py."""
_SUBJECT = "TLSClientSubject"
"""Traefik's, of whatever certificate was shown; components/ingress/traefik/options.py."""


def fell_back(ask: Log, calico: Workload | None) -> tuple[str, ...] | Unasked:
    """Nodes whose felix said that it gave eBPF up. Raises Unreachable."""
    found: list[str] = []
    for pod in calico.pods if calico else ():
        query = f"?container=calico-node&limitBytes={_FELIX_BYTES}"
        try:
            log = ask(f"/api/v1/namespaces/kube-system/pods/{pod.name}/log{query}")
        except Refused as refused:
            return Unasked(f"felix's log on {pod.node}: {_short(refused)}")
        if felix_words.fell_back(log):
            found.append(pod.node)
    return tuple(found)


def shown(ask: Log, ingress: Iterable[Workload], hosts: Iterable[str]) -> Counter[str] | Unasked:
    """What visitors' last requests showed of Cloudflare's client certificate, counted: SUCCESS,
    NONE, FAILED:why; from Traefik, SUCCESS for our leaf's subject. Raises Unreachable."""
    names, of = frozenset(hosts), [(w, pod) for w in ingress for pod in w.pods if pod.ready]
    found: Counter[str] = Counter()
    for workload, pod in islice(of, _ACCESS_PODS):
        query = f"?container={[*workload.images][-1]}&tailLines={_ACCESS_LINES}"
        try:
            log = ask(f"/api/v1/namespaces/{workload.namespace}/pods/{pod.name}/log{query}")
        except Refused as refused:
            return Unasked(f"the ingress's log on {pod.node}: {_short(refused)}")
        found += verdicts(log, names)
    return found


def _short(refused: Refused) -> str:
    """Without the whole request that the API server made to the kubelet."""
    return str(refused).rpartition('": ')[2][:150]


def verdicts(log: str, hosts: frozenset[str]) -> Counter[str]:
    """Of the lines of an access log that are about `hosts`; all else in it is left out."""
    found: Counter[str] = Counter()
    for line in log.splitlines():
        said = _object(line) if line.startswith("{") else {}
        if said.get("host") in hosts and said.get(_SHOWN):
            found[str(said[_SHOWN])] += 1
        elif said.get("RequestHost") in hosts and said.get("RequestScheme") == "https":
            found[_by_subject(str(said.get(_SUBJECT) or ""))] += 1
    return found


def _by_subject(subject: str) -> str:
    """As nginx would say it, as far as Traefik tells."""
    if not subject:
        return "NONE"
    parts = frozenset(part.strip() for part in subject.split(","))
    return "SUCCESS" if parts == _LEAF else "FAILED:another subject"


def _object(line: str) -> Mapping[str, object]:
    try:
        found: object = json.loads(line)
    except ValueError:
        return {}
    return found if is_object(found) else {}
