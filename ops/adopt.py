"""`fleet import`: what exists already, as a stack file and a list for `pulumi import`.

The stack file is made from the live cluster. Then the program is rendered with the live nodes, so
that names and parents come from the program itself, and each resource that Vultr or Cloudflare has
is given its id. Reads only; what is printed does the work.
"""

import json
import shlex
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from infra.adopt import RECORD, ROUTE, RULE
from infra.guard import CLUSTER, POOL, VPC
from infra.inventory import CA_FILE, Inventory, SettingsError, Stack, load
from ops.account import Account
from ops.resources import Registered

SCRIPT = "cloudflare:index/workersScript:WorkersScript"

_PLUGINS = {
    # As the SDKs say it: another version or address would be another provider in the state.
    "vultr": ("ediri-vultr", "github://api.github.com/dirien/pulumi-vultr"),
    "cloudflare": ("pulumi-cloudflare", ""),
}


class ImportRefused(Exception):
    """What exists can't be taken over as it is; the text is for a person."""


@dataclass(frozen=True)
class Adoption:
    """What to do: the stack file's text, the import file's entries, and what a person must know."""

    stack: str
    file: str
    text: str
    entries: list[dict[str, Any]]
    remarks: list[str]

    def script(self) -> str:
        """Shell lines that write both files and import."""
        listed = json.dumps({"resources": self.entries}, indent=2)
        name = shlex.quote(self.stack)
        return "\n".join(
            [
                *(f"# {remark}" for remark in self.remarks),
                f"cat > {shlex.quote(self.file)} <<'END'",
                self.text.rstrip("\n"),
                "END",
                f"cat > import.{name}.json <<'END'",
                listed,
                "END",
                f"pulumi stack select --create {name}",
                f"pulumi import --stack {name} --file import.{name}.json --protect=false "
                "--generate-code=false --yes",
                f"pulumi preview --stack {name} --diff",
                "",
            ]
        )


def adopt(
    project: Path, name: str, account: Account, cluster: str | None, region: str | None
) -> Adoption:
    """Find what a stack is to take over.

    Args:
        cluster: the live cluster's id or label; needed where there is no stack file yet.
        region: the logical region of a new stack file; the stack's name without one.

    Raises SettingsError, ImportRefused, VultrError, CloudflareError.
    """
    path = project / f"Pulumi.{name}.yaml"
    remarks: list[str] = []
    live: dict[str, Any] | None = None
    if path.exists():
        text = path.read_text()
        inventory = load(project, current=name)
        stack = inventory.stacks[name]
        if stack.region:
            live = account.cluster(cluster or inventory.cluster_label(stack))
    elif cluster is None:
        raise SettingsError(
            [f"{path.name}: there is no such file: say which cluster it is, --cluster ID_OR_LABEL"]
        )
    else:
        live = account.cluster(cluster)
        named = yaml.safe_load((project / "Pulumi.yaml").read_text()).get("name", "edgefleet")
        vpc = _vpc(live, account, remarks)
        text = stack_file(str(named), region or name, live, vpc)
    if live:
        _adoptable(live)
    with tempfile.TemporaryDirectory(prefix="edgefleet-") as folder:
        inventory, resources = _rendered(project, Path(folder), path.name, text, name, account)
    entries = _entries(resources, _ids(resources, live, account, remarks))
    if inventory.stacks[name].edge:
        remarks += _in_the_way(inventory.stacks[name], account)
    return Adoption(name, path.name, text, entries, remarks)


def stack_file(project: str, region: str, live: Mapping[str, Any], vpc: str | None) -> str:
    """The stack file of a live cluster. `vpc` is its VPC's network, where it has one of its own."""
    pools = []
    for pool in live["node_pools"]:
        entry: dict[str, Any] = {
            "label": pool["label"],
            "plan": pool["plan"],
            "nodes": pool["node_quantity"],
        }
        if pool.get("auto_scaler"):
            entry["autoscale"] = {"min": pool["min_nodes"], "max": pool["max_nodes"]}
        if pool.get("labels"):
            entry["labels"] = dict(pool["labels"])
        pools.append(entry)
    cluster: dict[str, Any] = {
        "label": live["label"],
        "location": live["region"],
        "version": live["version"],
        "pools": pools,
    }
    if live.get("ha_controlplanes"):
        cluster["highAvailability"] = True
    if vpc:
        cluster["vpc"] = {"cidr": vpc}
    return yaml.safe_dump(
        {"config": {f"{project}:region": region, f"{project}:cluster": cluster}},
        sort_keys=False,
        default_flow_style=None,
        width=100,
    )


def _adoptable(live: Mapping[str, Any]) -> None:
    label = live["label"]
    if live["status"] != "active":
        raise ImportRefused(f"cluster {label}: is {live['status']}, not active yet")
    if not live.get("firewall_group_id"):
        raise ImportRefused(
            f"cluster {label}: was made without a managed firewall, and Vultr adds none later: its "
            "nodes can't be closed to all but Cloudflare. Make a new cluster beside it (a new "
            "stack file with the same region), move, and delete this one"
        )


def _vpc(live: Mapping[str, Any], account: Account, remarks: list[str]) -> str | None:
    for vpc in account.vpcs():
        if vpc["id"] == live.get("vpc_id"):
            if vpc.get("description") == live["label"]:
                return f"{vpc['v4_subnet']}/{vpc['v4_subnet_mask']}"
            remarks.append(
                f"VPC {vpc['description']!r} ({vpc['id']}) stays as it is, outside this stack"
            )
    return None


def _rendered(
    project: Path, trial: Path, file: str, text: str, name: str, account: Account
) -> tuple[Inventory, list[Registered]]:
    # Here, because it takes a second to import and only a rendering needs it.
    from ops.render import render

    for path in project.glob("Pulumi*.yaml"):
        shutil.copy(path, trial / path.name)
    if (project / CA_FILE).exists():
        shutil.copy(project / CA_FILE, trial / CA_FILE)
    (trial / file).write_text(text)
    rendering = render(trial, name, lambda: account.vultr)
    return load(trial, current=name), rendering.resources


def _ids(
    resources: Iterable[Registered],
    live: Mapping[str, Any] | None,
    account: Account,
    remarks: list[str],
) -> dict[str, str]:
    """The ids to import by, in the form each provider wants, by URN."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for resource in resources:
        for candidate in _candidates(resource, live, account):
            if candidate not in taken:
                taken.add(candidate)
                found[resource.urn] = candidate
                break
        else:
            if resource.type in (CLUSTER, POOL, VPC, RULE, RECORD, ROUTE, SCRIPT):
                remarks.append(f"{resource.name}: not there yet; `pulumi up` makes it")
    return found


def _candidates(
    resource: Registered, live: Mapping[str, Any] | None, account: Account
) -> Iterable[str]:
    inputs = resource.inputs
    if live and resource.type == CLUSTER:
        yield live["id"]
    elif live and resource.type == POOL:
        for pool in live["node_pools"]:
            if pool["label"] == inputs["label"]:
                yield f"{live['id']} {pool['id']}"
    elif resource.type == VPC:
        for vpc in account.vpcs():
            if (vpc["description"], vpc["region"]) == (inputs["description"], inputs["region"]):
                yield vpc["id"]
    elif live and resource.type == RULE:
        group = live["firewall_group_id"]
        keys = {"ip_type": "ipType", "protocol": "protocol", "port": "port", "source": "source"}
        for rule in account.vultr.firewall_rules(group):
            if all(rule.get(theirs) == inputs.get(ours) for theirs, ours in keys.items()):
                yield f"{group},{rule['id']}"
    elif resource.type == RECORD:
        # Whatever its comment says: that changes in place.
        for record in account.cloudflare.dns_records(inputs["zoneId"], inputs["name"]):
            if record["type"] == inputs["type"] and record["content"] == inputs["content"]:
                yield f"{inputs['zoneId']}/{record['id']}"
    elif resource.type == ROUTE:
        for route in account.cloudflare.worker_routes(inputs["zoneId"]):
            if route["pattern"] == inputs["pattern"]:
                yield f"{inputs['zoneId']}/{route['id']}"
    elif resource.type == SCRIPT and account.has_script(inputs["accountId"], inputs["scriptName"]):
        yield f"{inputs['accountId']}/{inputs['scriptName']}"


def _entries(resources: Iterable[Registered], ids: Mapping[str, str]) -> list[dict[str, Any]]:
    """Entries of `pulumi import --file`: what was found, and the components it lives in."""
    by_urn = {resource.urn: resource for resource in resources}
    wanted = set(ids)
    for urn in ids:
        while (parent := by_urn[urn].parent) in by_urn:
            wanted.add(parent)
            urn = parent
    order = sorted(wanted, key=lambda urn: (by_urn[urn].custom, urn))
    return [_entry(by_urn[urn], by_urn, ids.get(urn)) for urn in order]


def _entry(
    resource: Registered, by_urn: Mapping[str, Registered], found: str | None
) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "type": resource.type,
        # A record and a route may have one name; here each entry needs its own.
        "name": f"{resource.type.rpartition(':')[2]}-{resource.name}",
        "logicalName": resource.name,
    }
    if parent := by_urn.get(resource.parent):
        entry["parent"] = f"{parent.type.rpartition(':')[2]}-{parent.name}"
    if found is None:
        return entry | {"component": True}
    package, address = _PLUGINS[resource.type.partition(":")[0]]
    entry |= {"id": found, "version": version(package)}
    return entry | ({"pluginDownloadUrl": address} if address else {})


def _in_the_way(stack: Stack, account: Account) -> Iterable[str]:
    """Records that stand where the Worker's have to: only their owner can say when they go."""
    for host in stack.fleet.hosts:
        for record in account.cloudflare.dns_records(stack.fleet.zone_id, host):
            if record["type"] in ("A", "AAAA"):
                yield (
                    f"{host} is {record['type']} {record['content']} now. The Worker's host is a "
                    "CNAME, which Cloudflare refuses beside that: delete that record right before "
                    "`pulumi up`"
                )
