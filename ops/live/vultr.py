"""What Vultr's account holds: clusters and nodes in two requests, and two for each cluster."""

from typing import NamedTuple

from components.json_object import Json
from components.vendors.vultr import VultrApi
from components.vendors.vultr_cluster import LiveCluster
from ops.live.facts import VultrFacts


class Account(NamedTuple):
    """All clusters of the account: as the API gives them, and with their nodes."""

    clusters: tuple[tuple[Json, LiveCluster], ...]

    def labelled(self, label: str) -> list[tuple[Json, LiveCluster]]:
        """The clusters of a label, the oldest first."""
        found = [each for each in self.clusters if each[1].label == label]
        return sorted(found, key=lambda each: str(each[0].get("date_created")))


def read_account(vultr: VultrApi) -> Account:
    """Raises VultrError."""
    return Account(tuple(vultr.live_clusters().values()))


def read_vultr(vultr: VultrApi, account: Account, label: str, known: str = "") -> VultrFacts:
    """A stack's cluster: that of the id that is `known`, else of its label. Raises VultrError."""
    found = account.labelled(label)
    mine = [each for each in found if each[1].id == known] or found[:1]
    if not mine:
        return VultrFacts(None)
    raw, cluster = mine[0]
    group = cluster.firewall_group_id
    return VultrFacts(
        cluster,
        created=str(raw.get("date_created") or ""),
        rules=tuple(vultr.firewall_rules(group)) if group else (),
        upgrades=tuple(vultr.upgrades(cluster.id)),
        twins=len(found) - 1,
    )
