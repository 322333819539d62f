"""Which right at Vultr a call needs, and the policies of docs/policies.

The rights are those of Vultr's IAM policy actions map, read 2026-11-21
(https://docs.vultr.com/platform/iam/policies/iam-policy-actions-map; pages of April 2026). Which
call needs which isn't published: it is concluded from their descriptions.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from tests.projects import ROOT

POLICIES = ROOT / "docs" / "policies"

PUBLISHED = {
    f"{resource}.{operation}"
    for resource in ("compute.instance", "kubernetes.cluster", "network.firewall")
    for operation in ("Create", "Delete", "List", "Read", "Update")
}
"""Actions that Vultr's pages list, of the three services in use here."""
CONCLUDED = {
    f"network.vpc.{operation}" for operation in ("Create", "Delete", "List", "Read", "Update")
}
"""The page's section on VPCs wasn't there to be read; these are made after its pattern."""

_ID = r"[^/]+"
_RIGHTS: list[tuple[str, str, str | None]] = [
    # Public: no key needed.
    ("GET", "/v2/(regions|plans|kubernetes/versions)", None),
    ("GET", "/v2/kubernetes/clusters", "kubernetes.cluster.List"),
    ("POST", "/v2/kubernetes/clusters", "kubernetes.cluster.Create"),
    ("GET", f"/v2/kubernetes/clusters/{_ID}(/.*)?", "kubernetes.cluster.Read"),
    ("DELETE", f"/v2/kubernetes/clusters/{_ID}", "kubernetes.cluster.Delete"),
    ("PUT", f"/v2/kubernetes/clusters/{_ID}", "kubernetes.cluster.Update"),
    # "Update cluster or node pool": pools, their labels, nodes, upgrades.
    (
        "POST|PATCH|PUT|DELETE",
        f"/v2/kubernetes/clusters/{_ID}/(node-pools|upgrades)(/.*)?",
        "kubernetes.cluster.Update",
    ),
    ("GET", "/v2/instances", "compute.instance.List"),
    ("GET", f"/v2/instances/{_ID}", "compute.instance.Read"),
    ("GET", "/v2/firewalls", "network.firewall.List"),
    ("GET", f"/v2/firewalls/{_ID}(/rules(/{_ID})?)?", "network.firewall.Read"),
    # "Create firewall group or rule", "Delete firewall group or rule".
    ("POST", f"/v2/firewalls(/{_ID}/rules)?", "network.firewall.Create"),
    ("DELETE", f"/v2/firewalls/{_ID}(/rules/{_ID})?", "network.firewall.Delete"),
    ("PUT", f"/v2/firewalls/{_ID}", "network.firewall.Update"),
    ("GET", "/v2/vpcs", "network.vpc.List"),
    ("GET", f"/v2/vpcs/{_ID}", "network.vpc.Read"),
    ("POST", "/v2/vpcs", "network.vpc.Create"),
    ("PUT", f"/v2/vpcs/{_ID}", "network.vpc.Update"),
    ("DELETE", f"/v2/vpcs/{_ID}", "network.vpc.Delete"),
]


def needed(method: str, path: str) -> str | None:
    """The action that a call needs, None where it needs no key. Raises KeyError for a call that
    stands in no line: then it isn't known who may make it."""
    plain = path.partition("?")[0]
    if plain.startswith("/_sandbox/"):
        return None
    for methods, pattern, action in _RIGHTS:
        if re.fullmatch(methods, method) and re.fullmatch(pattern, plain):
            return action
    raise KeyError(f"{method} {plain}")


@dataclass(frozen=True)
class Policy:
    """A policy document of docs/policies."""

    name: str
    actions: frozenset[str]

    @classmethod
    def read(cls, name: str) -> "Policy":
        (statement,) = json.loads((POLICIES / f"{name}.json").read_text())["Statement"]
        return cls(name, frozenset(statement["Action"]))

    @classmethod
    def all(cls) -> list[Path]:
        return sorted(POLICIES.glob("*.json"))
