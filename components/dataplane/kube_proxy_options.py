"""kube-proxy's own configuration: which of its ways it goes, and what of a cluster forbids it.

Sources: docs/facts/calico-ingress.md §4.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NotRequired, TypedDict

import yaml

from ..errors import OptionsError
from ..json_object import is_object, object_at

ProxyMode = Literal["nftables", "ipvs", "iptables"]
SCHEDULER = "rr"
SCHEDULERS = ("rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "dh", "sed", "nq", "mh")
"""The kernel's; each is a module of its own, ip_vs_NAME."""
_KERNEL = (5, 13)
_NFTABLES_SINCE = (1, 31)
_IPVS_WARNS, _IPVS_OFF, _IPVS_GONE = (1, 35), (1, 40), (1, 43)


class KubeProxyOptions(TypedDict):
    """How kube-proxy serves services. A change rolls it."""

    mode: ProxyMode
    """nftables is today's; the others are for what a cluster is still to have. In ipvs strict ARP
    is always on: every node has every service's address on an interface, and would answer for those
    of load balancers, too."""
    scheduler: NotRequired[str | None]
    """Of ipvs. Default: kube-proxy's, rr."""


class KubeProxyMistake(OptionsError):
    """A way that kube-proxy can't go; the text says why."""


def refuse_kube_proxy(options: KubeProxyOptions) -> None:
    """Raise KubeProxyMistake for options that don't go together."""
    scheduler = options.get("scheduler")
    if scheduler is None:
        return
    if options["mode"] != "ipvs":
        raise KubeProxyMistake(
            f"scheduler {scheduler!r} means nothing with mode {options['mode']}: leave it out"
        )
    if scheduler not in SCHEDULERS:
        raise KubeProxyMistake(f"scheduler {scheduler!r}: one of {', '.join(SCHEDULERS)}")


def proxy_fields(options: KubeProxyOptions) -> dict[str, Any]:
    """Our fields of the KubeProxyConfiguration, by their path with dots."""
    if options["mode"] != "ipvs":
        return {"mode": options["mode"]}
    scheduler = options.get("scheduler") or SCHEDULER
    return {"mode": "ipvs", "ipvs.strictARP": True, "ipvs.scheduler": scheduler}


def document(text: str) -> dict[str, Any]:
    """The KubeProxyConfiguration in a ConfigMap's `config.conf`. Raises KubeProxyMistake."""
    try:
        found: object = yaml.safe_load(text)
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise KubeProxyMistake(f"config.conf is no single YAML document: {problem}") from None
    if not is_object(found) or found.get("kind") != "KubeProxyConfiguration":
        kind = found.get("kind") if is_object(found) else type(found).__name__
        raise KubeProxyMistake(f"config.conf holds no KubeProxyConfiguration, but {kind}")
    return {**found}


def values_of(text: str, paths: Iterable[str]) -> dict[str, Any]:
    """What the document has at these paths; without those that it doesn't have."""
    whole, found = document(text), dict[str, Any]()
    for path in paths:
        *above, key = path.split(".")
        if key in (here := object_at(whole, *above)):
            found[path] = here[key]
    return found


def with_fields(text: str, fields: Mapping[str, Any], dropped: Iterable[str] = ()) -> str:
    """The document with these fields, and without the dropped ones; the text as it is where that
    changes nothing. What else it says stays. Raises KubeProxyMistake."""
    gone = set(dropped) - set(fields)
    if values_of(text, [*fields, *gone]) == fields:
        return text
    whole = document(text)
    for path in (*fields, *gone):
        *above, key = path.split(".")
        here = whole
        for step in above:
            inner = here.get(step)
            here[step] = here = {**inner} if is_object(inner) else {}
        if path in fields:
            here[key] = fields[path]
        else:
            here.pop(key, None)
    return yaml.safe_dump(whole, sort_keys=False)


def obstacles(
    options: KubeProxyOptions, version: str, nodes: Iterable[Mapping[str, Any]]
) -> list[str]:
    """What of a cluster forbids the mode, as sentences. `version` is the API server's, like
    "v1.35.4+k3s1"; the kernels are the Node objects'."""
    release = _numbers(version)
    if options["mode"] == "ipvs" and release >= _IPVS_GONE:
        return [f"Kubernetes {version} has no IPVS any more (since 1.43). Say mode: nftables"]
    if options["mode"] != "nftables":
        return []
    found: list[str] = []
    if release < _NFTABLES_SINCE:
        found.append(
            f"Kubernetes {version} has nftables as an experiment only (beta since 1.31, stable "
            "since 1.33). Say mode: iptables"
        )
    old = [
        f"{object_at(node, 'metadata')['name']} ({kernel})"
        for node in nodes
        if (kernel := str(object_at(node, "status", "nodeInfo").get("kernelVersion", "")))
        and _numbers(kernel) < _KERNEL
    ]
    if old:
        found.append(
            f"nftables needs a kernel from 5.13 on, and some nodes have older ones: "
            f"{', '.join(sorted(old)[:5])}. Say mode: iptables, or bring them up"
        )
    return found


def ending(options: KubeProxyOptions, version: str) -> str | None:
    """What to know about a mode that nears its end, on this release of Kubernetes."""
    if options["mode"] != "ipvs":
        return None
    release = _numbers(version)
    now = (
        "is off by default since 1.40: its feature gate has to be on"
        if release >= _IPVS_OFF
        else "warns since 1.35"
        if release >= _IPVS_WARNS
        else "is deprecated from 1.35 on"
    )
    return (
        f"kube-proxy's IPVS {now}; it is off by default in 1.40 and removed in 1.43 (KEP-5495), "
        f"and this cluster runs {version}. nftables is what follows it"
    )


def _numbers(version: str) -> tuple[int, ...]:
    match = re.match(r"v?(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else (0, 0)
