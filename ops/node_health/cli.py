"""`fleet node-health`: the nodes' own health, before anything is blamed on the network."""

import json
import signal
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from components.server_side.api import Refused, Unreachable
from infra.errors import SettingsError
from infra.fleet.inventory import RegionStack
from infra.fleet.reading import load
from ops.command import COULD_NOT, FOUND, Folder, Json, failed, say, stack_names
from ops.doctor.finding import Finding, Note
from ops.doctor.text import told
from ops.expected import unknown_stacks
from ops.files import project_dir
from ops.live.asking import Unasked
from ops.live.outputs import read_outputs
from ops.node_health import scripts
from ops.node_health.pods import Nodes, Printed
from ops.node_health.verdict import CHECKS, Check, Context, Told, judge
from ops.pulumi_cli import PulumiFailed

_SECONDS = 60
_FIO_SECONDS = 330
_LIGHT: tuple[Check, ...] = ("etcd", "steal", "mtu", "limits", "ipvs")
_PEERS = 8
"""Neighbours that each node asks for large packets."""
_FIO_SAYS = (
    "fio writes 22 MB with 10,000 syncs, node after node, and deletes them: from seconds to five "
    "minutes each"
)


def command(
    stack: Annotated[
        str | None, typer.Argument(help="A region stack.", autocompletion=stack_names)
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", help=f"One check, or several: {', '.join(CHECKS)}."),
    ] = None,
    fio: Annotated[
        bool, typer.Option("--fio", help="Measure each node's disk, too, by writing to it.")
    ] = False,
    beside_etcd: Annotated[
        bool, typer.Option("--beside-etcd", help="With --fio: also where an etcd runs.")
    ] = False,
    kubeconfig: Annotated[
        Path | None, typer.Option("--kubeconfig", help="A cluster that is in no stack yet.")
    ] = None,
    show: Annotated[
        str | None, typer.Option("--print", help="Print a check's script, to run it by hand.")
    ] = None,
    here: Annotated[bool, typer.Option("--here", help="Check this machine.")] = False,
    folder: Folder = None,
    as_json: Json = False,
) -> None:
    """Look at the nodes themselves: etcd's disk, stolen CPU, MTUs, ring and conntrack, IPVS.

    On each node runs one pod for about half a minute; it changes nothing there and is deleted. With
    --fio it writes to the disk. By hand: `fleet node-health --print steal | ssh root@NODE sh -s`.

    Exit code: 0 where nothing was found, 1 where something was, 2 where a node couldn't be asked.
    """
    if show is not None:
        typer.echo(scripts.script(_check(show)), nl=False)
        return
    checks: list[Check] = [_check(name) for name in only] if only else [*_LIGHT]
    if fio and "disk" not in checks:
        checks.append("disk")
    if "disk" in checks and not fio:
        raise failed(f"--only disk: {_FIO_SAYS}. Say --fio, too")
    if beside_etcd and not fio:
        raise failed("--beside-etcd: goes with --fio")
    variables = {"SCHEDULER": "rr", **({"BESIDE_ETCD": "yes"} if beside_etcd else {})}
    context = Context(stack or "cluster", ipvs="ipvs" in (only or ()))
    if here:
        if stack or kubeconfig:
            raise failed("--here: checks this machine, and no stack's nodes: say one")
        printed: dict[str, Printed] = {"here": [scripts.here(c, variables) for c in checks]}
    else:
        context, text = _cluster(folder, stack, kubeconfig, context, variables)
        # As a workflow ends what it cancels: the pods are to go then, too.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            printed = _on_nodes(text, checks, variables)
        except (Refused, Unreachable) as error:
            raise failed(f"{context.stack}: its API server: {error}") from None
    _report(context, printed, as_json)


def _check(name: str) -> Check:
    for known in CHECKS:
        if known == name:
            return known
    raise failed(f"{name!r}: is no check; these are: {', '.join(CHECKS)}")


def _cluster(
    folder: Folder,
    name: str | None,
    kubeconfig: Path | None,
    context: Context,
    variables: dict[str, str],
) -> tuple[Context, str]:
    """Whose nodes, and the way to them. Adds to the checks' variables what the file says."""
    if (name is None) == (kubeconfig is None):
        raise failed("name a stack, or a cluster's --kubeconfig; --here checks this machine")
    try:
        if kubeconfig is not None:
            return context, kubeconfig.expanduser().read_text()
        project = project_dir(folder)
        inventory = load(project)
        if unknown := unknown_stacks(inventory, [name or ""]):
            raise failed(unknown[0])
        stack = inventory.stacks[name or ""]
        if not isinstance(stack, RegionStack):
            raise failed(f"{stack.name}: is no region stack: it has no nodes")
        proxy = stack.settings.kube_proxy
        if proxy and proxy.mode == "ipvs":
            context = Context(stack.name, ipvs=True)
            variables["SCHEDULER"] = proxy.scheduler or "rr"
        outputs = read_outputs(project, stack.name)
    except (SettingsError, PulumiFailed, OSError, UnicodeDecodeError) as error:
        raise failed(error) from None
    if "kubeconfig" not in outputs:
        raise failed(f"{name}: has no kubeconfig yet: pulumi up -s {name}, or say --kubeconfig")
    return context, str(outputs["kubeconfig"])


def _on_nodes(
    kubeconfig: str, checks: Sequence[Check], variables: Mapping[str, str]
) -> dict[str, Printed]:
    with Nodes(kubeconfig) as nodes:
        known = nodes.addresses()
        if not known:
            raise failed("the cluster has no node that is ready")
        light: list[Check] = [check for check in checks if check != "disk"]
        names = sorted(known)
        found: dict[str, Printed] = {}
        if light:
            texts = {
                node: scripts.together(
                    light, {**variables, "PEERS": _neighbours(node, names, known)}
                )
                for node in names
            }
            found = nodes.run(texts, _SECONDS, lambda left: say(f"waiting for {', '.join(left)}"))
        if "disk" in checks:
            say(_FIO_SAYS)
            for node in names:
                say(f"{node}: fio")
                text = {node: scripts.script("disk", variables)}
                wrote = nodes.run(text, _FIO_SECONDS, lambda _: None)[node]
                before = found.get(node, [])
                if isinstance(before, Unasked) or isinstance(wrote, Unasked):
                    found[node] = before if isinstance(before, Unasked) else wrote
                else:
                    found[node] = [*before, *wrote]
    return found


def _neighbours(node: str, names: Sequence[str], addresses: Mapping[str, str]) -> str:
    """Those after it, in a ring: each is asked by as many, whatever there are."""
    at = names.index(node)
    ring = [*names[at + 1 :], *names[:at]]
    return " ".join(addresses[each] for each in ring[:_PEERS])


def _report(context: Context, printed: Mapping[str, Printed], as_json: bool) -> None:
    lines = {node: each for node, each in printed.items() if not isinstance(each, Unasked)}
    silent = {node: each.cause for node, each in printed.items() if isinstance(each, Unasked)}
    found = judge(context, lines)
    findings = [each for each in found if isinstance(each, Finding)]
    if as_json:
        told_so = {
            "findings": [asdict(each) for each in findings],
            "notes": [asdict(each) for each in found if isinstance(each, Note)],
            "silent": silent,
            "measured": lines,
        }
        typer.echo(json.dumps(told_so, indent=2))
    else:
        typer.echo(text(found, silent, len(lines)))
    if silent and not findings:
        raise typer.Exit(COULD_NOT)
    if findings:
        raise typer.Exit(FOUND)


def text(found: Sequence[Told], silent: Mapping[str, str], nodes: int) -> str:
    """The report as a person reads it."""
    findings = [each for each in found if isinstance(each, Finding)]
    shown = [line for each in findings for line in [*told(each), ""]]
    if silent:
        shown += ["Couldn't be asked:", *(f"  {n}: {why}" for n, why in sorted(silent.items())), ""]
    if notes := [each.text for each in found if isinstance(each, Note)]:
        shown += ["Not looked at, or worth knowing:", *(f"  {note}" for note in notes), ""]
    if not findings:
        shown.append(f"Nothing found on {nodes} node{'s' * (nodes != 1)}.")
    return "\n".join(shown).rstrip()
