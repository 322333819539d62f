"""`fleet import`: what exists already, as a stack file and a list for `pulumi import`.

The stack file is made from the live cluster. Then the program is rendered with the live nodes, so
that names and parents come from the program itself, and each resource that Vultr or Cloudflare has
is given its id. Reads only; what is printed does the work.
"""

import json
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import yaml

from infra.errors import SettingsError
from infra.fleet.inventory import Inventory, RegionStack
from infra.fleet.reading import load
from infra.stacks.node_table import VULTR_VPCS
from ops.files import stack_path, trial
from ops.importing import live_cluster
from ops.importing.account import Account
from ops.importing.ids import entries, ids, in_the_way
from ops.importing.live_cluster import ImportRefused
from ops.render.resources import Registered


@dataclass(frozen=True)
class Takeover:
    """What to do: the stack file's text, None where it stands there already; shell lines that come
    before the import; the import file's entries; and what a person must know."""

    stack: str
    file: str
    text: str | None
    before: list[str]
    entries: list[dict[str, Any]]
    remarks: list[str]

    def script(self) -> str:
        """Shell lines that write both files and import."""
        name = shlex.quote(self.stack)
        lines = [
            "set -eu",
            *(f"# {remark}" for remark in self.remarks),
            *self._file(),
            *self.before,
            f"pulumi stack select --create {name}",
            *(self._import(name) if self.entries else ["# There is nothing to import."]),
            f"pulumi preview --stack {name}",
        ]
        return "\n".join(lines) + "\n"

    def _file(self) -> list[str]:
        if self.text is None:
            return []
        return [f"cat > {shlex.quote(self.file)} <<'END'", self.text.rstrip("\n"), "END"]

    def _import(self, name: str) -> list[str]:
        return [
            f"cat > import.{name}.json <<'END'",
            json.dumps({"resources": self.entries}, indent=2),
            "END",
            f"pulumi import --stack {name} --file import.{name}.json --protect=false "
            "--generate-code=false --yes",
        ]


def plan_takeover(
    project: Path, name: str, account: Account, cluster: str | None, region: str | None
) -> Takeover:
    """Find what a stack is to take over.

    Args:
        cluster: the live cluster's id or label; needed where there is no stack file yet.
        region: the logical region of a new stack file; the stack's name without one.

    Raises SettingsError, ImportRefused, VendorError.
    """
    path = stack_path(project, name)
    if path.exists():
        text = path.read_text()
        live = _cluster_of_file(project, name, account, cluster, region)
        remarks: list[str] = []
    elif cluster is None:
        raise SettingsError(
            [f"{path.name}: there is no such file: say which cluster it is, --cluster ID_OR_LABEL"]
        )
    else:
        live = account.cluster(cluster)
        live_cluster.check(live)
        named = yaml.safe_load((project / "Pulumi.yaml").read_text()).get("name", "edgefleet")
        vpc, nodes_in, remarks = _vpc(live, account)
        text = live_cluster.stack_file(str(named), region or name, live, vpc, nodes_in)
    try:
        inventory, resources = _rendered(project, path.name, text, name, account)
    except SettingsError as error:
        if path.exists():
            raise
        raise ImportRefused(f"what is there fits no stack file: {error}") from None
    found, missing = ids(resources, live, account)
    if found:
        owned, unread = _owned(project, name)
        found = {urn: each for urn, each in found.items() if urn not in owned}
        missing += unread
    before: list[str] = []
    if live:
        before = live_cluster.mark_default_pool(live)
        remarks += live_cluster.pool_remarks(live)
        rules = account.vultr.firewall_rules(live["firewall_group_id"])
        remarks += live_cluster.rule_remarks(rules)
    else:
        remarks += in_the_way(inventory.stacks[name], account)
    new = None if path.exists() else text
    return Takeover(name, path.name, new, before, entries(resources, found), remarks + missing)


def _cluster_of_file(
    project: Path, name: str, account: Account, cluster: str | None, region: str | None
) -> dict[str, Any] | None:
    """The live cluster of a stack that has a file; None for an edge stack."""
    inventory = load(project, current=name)
    stack = inventory.stacks[name]
    if region is not None:
        raise SettingsError([f"--region {region}: {stack.file} is there already, and says it"])
    if not isinstance(stack, RegionStack):
        if cluster is not None:
            raise SettingsError([f"--cluster {cluster}: {name} is an edge stack and has none"])
        return None
    if stack.vke is None:
        raise ImportRefused(
            f"{stack.file}: edgefleet:cluster.existing: there is nothing at Vultr to take over. "
            f"`pulumi up -s {name}` works on the cluster as it is; records of {stack.hostname} "
            "that somebody else made have to go first, as Cloudflare refuses a second one of the "
            "same content"
        )
    live = account.cluster(cluster or stack.label)
    live_cluster.check(live)
    if live["label"] != stack.label:
        raise SettingsError(
            [
                f"--cluster {cluster}: is labelled {live['label']!r}, and the cluster of "
                f"{stack.file} {stack.label!r}: put `label: {live['label']}` "
                "under edgefleet:cluster"
            ]
        )
    return live


def _owned(project: Path, name: str) -> tuple[set[str], list[str]]:
    """The URNs in the stack's state: `pulumi import` refuses what is there. And a remark, where
    the state can't be read."""
    command = ["pulumi", "stack", "export", "--stack", name, "--non-interactive"]
    try:
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return set(), ["pulumi is not on PATH, and what follows needs it"]
    if done.returncode == 0:
        state = json.loads(done.stdout)["deployment"] or {}
        return {resource["urn"] for resource in state.get("resources") or []}, []
    if "no stack named" in done.stderr:
        return set(), []
    said = " ".join(done.stderr.split()).removeprefix("error: ")
    return set(), [f"the stack's state can't be read, so it is taken to be empty: {said}"]


def _vpc(live: Mapping[str, Any], account: Account) -> tuple[str | None, str | None, list[str]]:
    """The network of the cluster's own VPC; that of another's which its nodes are in; remarks.

    The API doesn't say which VPC a cluster is in (docs/facts/vultr.md §1): its nodes' addresses do.
    """
    nodes = [node["id"] for pool in live["node_pools"] for node in pool.get("nodes") or []]
    addresses = account.vultr.private_addresses(nodes)
    for vpc in account.vultr.vpcs():
        network = f"{vpc['v4_subnet']}/{vpc['v4_subnet_mask']}"
        holds = addresses and all(ip_address(a) in ip_network(network) for a in addresses)
        if vpc["id"] != live.get("vpc_id") and not (holds and vpc["region"] == live["region"]):
            continue
        if vpc.get("description") == live["label"]:
            return network, None, []
        said = f"VPC {vpc['description']!r} ({vpc['id']}) stays as it is, outside this stack"
        return None, network, [said]
    strange = [a for a in addresses if ip_address(a) not in ip_network(VULTR_VPCS)]
    if not strange:
        return None, None, []
    said = (
        f"nodes have private addresses ({', '.join(strange)}) in no VPC that the account has: "
        "name their network, edgefleet:firewall: {nodeNetworks: […]}, or `pulumi up` stops before "
        "it closes them"
    )
    return None, None, [said]


def _rendered(
    project: Path, file: str, text: str, name: str, account: Account
) -> tuple[Inventory, list[Registered]]:
    # Here, because it takes a second to import and only a rendering needs it.
    from ops.render.offline import render_stack

    fleet = [stack.file for stack in load(project).stacks.values()]
    with trial(project, fleet, file, text) as folder:
        inventory = load(folder, current=name)
        rendering = render_stack(inventory, inventory.stacks[name], lambda: account.vultr)
    return inventory, rendering.resources
