"""Clusters that somebody else made: opened by their kubeconfigs, their nodes as they know them."""

from collections.abc import Iterable
from pathlib import Path

from components.cluster.existing import ask_api_server
from components.cluster.node_objects import NodeMistake, nodes_seen
from components.errors import EdgefleetError
from infra.fleet.kubeconfig import kubeconfig_file
from ops.expected import Given, Member, RegionExpected
from ops.live.facts import GivenFacts
from ops.live.outputs import pulumi


class OtherCluster(EdgefleetError):
    """A kubeconfig opens another cluster than the stack's."""


def given_members(regions: Iterable[RegionExpected]) -> dict[str, Member]:
    """The clusters that somebody else made, by stack: of these regions, and beside them."""
    members = (member for region in regions for member in region.members)
    return {member.stack: member for member in members if member.given}


def given_kubeconfig(project: Path, member: Member) -> str:
    """From where the stack file says: a path, else the stack's secret. Raises SettingsError,
    PulumiFailed."""
    path = member.given.kubeconfig if member.given else None
    if path is None:
        return pulumi(project, member.stack, "config", "get", "kubeconfig")
    return kubeconfig_file(member.stack, member.file, path)


def read_given(kubeconfig: str, given: Given, made_in: str) -> GivenFacts:
    """Ask the cluster who it is, and for its nodes. Raises Refused and Unreachable."""
    seen = ask_api_server(kubeconfig)
    if made_in and made_in != seen.identity:
        return GivenFacts(seen.identity, made_in)
    try:
        nodes = nodes_seen(seen.nodes, given.addresses, given.ipv6)
    except NodeMistake as mistake:
        return GivenFacts(seen.identity, made_in, mistake=str(mistake))
    return GivenFacts(seen.identity, made_in, nodes)


def require_own(found: GivenFacts) -> None:
    """Raises OtherCluster."""
    if found.other:
        raise OtherCluster(
            f"the kubeconfig opens another cluster ({found.identity}, by the UID of kube-system) "
            f"than the one that this stack was made in ({found.made_in})"
        )
