"""A difference of the files, held against what the engine would do about it."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, chdir, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import yaml

from components.firewall import cloudflare_ranges
from infra.errors import SettingsError
from infra.fleet.files import FLEET_KEYS
from infra.fleet.reading import load
from infra.pins import images
from ops.approval.steps import Planned, PreviewError, parse, planned
from ops.render.cli import comparison
from ops.render.diff import StackDiff
from ops.render.offline import render_stack
from ops.render.resources import Rendering
from ops.render.revisions import Fleet as Rendered
from tests.fleet.fleet import Fleet, Ran
from tests.fleet.mutations import IMAGES, RANGES, SHARED, Files
from tests.projects import git

PROJECT = "edgefleet"
_PINS = {RANGES: cloudflare_ranges.PIN, IMAGES: images.LOCK}
NODE_RECORD = "edgefleet:index:RegionalDns$cloudflare:index/dnsRecord:DnsRecord"
_THE_ENGINES = re.compile(r"could not unmarshal '[^']+/(Pulumi\.yaml)'")
"""The engine reads Pulumi.yaml before the program, and refuses another type in its own words."""
_FOLLOW = re.compile(r"(\d+) records follow")

ONLY_LIVE = (
    # What Vultr, or the cluster's API server, has now and no file tells.
    "Vultr doesn't offer that for cluster",
    "the firewall would shut the cluster from itself",
    "is in the cluster already and isn't edgefleet's",
    "without autoscale this would delete",
    "Vultr doesn't upgrade a cluster of one node",
    "somebody else manages what this stack wants to set",
    # A zone or an account that these credentials don't reach.
    "403: Authentication error",
)
"""Refusals of a preview that no file tells."""


def read(project: Path) -> Files:
    """The values of this project in a folder's files, as `mutations` take them."""
    files: Files = {}
    for path in sorted(project.glob("Pulumi.*.yaml")):
        config = yaml.safe_load(path.read_text())["config"]
        own = {k.partition(":")[2]: v for k, v in config.items() if k.startswith(f"{PROJECT}:")}
        files[path.name.split(".")[1]] = own
    shared = yaml.safe_load((project / "Pulumi.yaml").read_text())["config"]
    files[SHARED] = {key: shared[key]["default"] for key in shared if key in FLEET_KEYS}
    for name, pin in _PINS.items():
        files[name] = json.loads((project / _in_project(pin)).read_text())
    return files


def write(project: Path, files: Files) -> None:
    """The files of a git checkout, with these values; a stack that isn't there goes."""
    for path in project.glob("Pulumi.*.yaml"):
        if path.name.split(".")[1] not in files:
            git(project, "rm", "-q", "--cached", path.name)
            path.unlink()
    for name, values in files.items():
        if name in _PINS:
            (project / _in_project(_PINS[name])).write_text(json.dumps(values, indent=2))
        elif name == SHARED:
            document = yaml.safe_load((project / "Pulumi.yaml").read_text())
            for key, value in values.items():
                document["config"][key]["default"] = value
            (project / "Pulumi.yaml").write_text(yaml.safe_dump(document))
        else:
            path = project / f"Pulumi.{name}.yaml"
            config = {f"{PROJECT}:{key}": value for key, value in values.items()}
            path.write_text(yaml.safe_dump({"config": config}))
            git(project, "add", path.name)


def _in_project(pin: Path) -> Path:
    return pin.relative_to(Path(__file__).resolve().parents[2])


def restore(project: Path) -> None:
    """The files as they were committed."""
    git(project, "reset", "-q", "--hard")


@contextmanager
def pins_of(project: Path) -> Iterator[None]:
    """What is pinned beside the program is read where the project's copy of it lies."""
    with ExitStack() as patched:
        for module, pin in ((cloudflare_ranges, cloudflare_ranges.PIN), (images, images.LOCK)):
            path, load = project / _in_project(pin), module.load
            patched.enter_context(
                patch.object(module, "load", lambda path=path, load=load: load(path))
            )
        yield


@dataclass
class Promise:
    """What `fleet render --diff` says of a changed fleet: of each stack, or what is wrong.

    It tells nothing of any stack where something is wrong about one; a preview of the others goes
    through all the same, unless the files themselves are wrong.
    """

    stacks: dict[str, StackDiff] = field(default_factory=dict[str, StackDiff])
    renderings: dict[str, Rendering] = field(default_factory=dict[str, Rendering])
    wrong: dict[str, list[str]] = field(default_factory=dict[str, list[str]])


def rendered(project: Path) -> tuple[dict[str, Rendering], dict[str, list[str]]]:
    """What `fleet render` renders, by stack; and what is wrong, of those that can't be rendered.
    Raises SettingsError."""
    found: dict[str, Rendering] = {}
    wrong: dict[str, list[str]] = {}
    with pins_of(project), chdir(project):
        inventory = load(project)
        for name, stack in inventory.stacks.items():
            try:
                found[name] = render_stack(inventory, stack)
            except SettingsError as error:
                wrong[name] = error.mistakes
    return found, wrong


def promised(project: Path, before: Mapping[str, Rendering]) -> Promise:
    """The difference of a project's files from those that were rendered as `before`."""
    try:
        after, wrong = rendered(project)
    except SettingsError as error:
        return Promise(wrong=dict.fromkeys(read(project), error.mistakes))
    if not after:
        # No stack's name stands for all of them.
        return Promise(wrong=wrong)
    compared = comparison(project, "HEAD", Rendered(dict(before)), after, sorted(after))
    return Promise({diff.stack: diff for diff in compared.stacks}, after, wrong)


def operations(diff: StackDiff) -> set[Planned]:
    """A difference as the engine's operations."""
    return {
        *(Planned(each.urn, "create") for each in diff.added),
        *(Planned(each.urn, "delete") for each in diff.removed),
        *(Planned(each.urn, "update", bool(each.replaced)) for each in diff.changed),
    }


def disagreement(fleet: Fleet, stack: str, promise: Promise, nodes: int) -> str | None:
    """How the difference of a stack isn't what its preview says; None where they are the same.

    Not held against each other, as no file tells: records of nodes one by one (their number is),
    and refusals for what is live (`ONLY_LIVE`). What the engine refuses of Pulumi.yaml it says in
    its own words: both are to refuse that file.

    Args:
        nodes: how many records of nodes the stack has.
    """
    ran = fleet.pulumi(stack, "preview", "--json")
    diff = promise.stacks.get(stack)
    sentences = diff.refused if diff else promise.wrong[stack]
    try:
        document = parse(ran.output)
        found = planned(document)
    except PreviewError:
        return _refusals(ran, sentences)
    if sentences:
        return f"refused ({'; '.join(sentences)}), and the preview goes through"
    assert diff
    records = {each for each in found if f"::{NODE_RECORD}::" in each.urn}
    said = operations(diff)
    wrong = [f"only the engine: {_told(each)}" for each in sorted(found - said - records)]
    wrong += [f"only the diff: {_told(each)}" for each in sorted(said - found)]
    told = promise.renderings[stack].messages
    wanted = _following(told)
    come = sum(each.operation == "create" for each in records)
    go = sum(each.operation == "delete" for each in records)
    there = (
        nodes
        + come
        - go
        + _following([str(each.get("message")) for each in document.get("diagnostics") or []])
    )
    if wanted != there:
        wrong.append(f"records of nodes: the diff says {wanted}, the engine {there}")
    return "\n".join(wrong) or None


def _following(messages: list[str]) -> int:
    return sum(int(match[1]) for text in messages if (match := _FOLLOW.search(text)))


def _refusals(ran: Ran, sentences: list[str]) -> str | None:
    said = _flat(" ".join(_diagnostics(ran)))
    if (file := _THE_ENGINES.search(said)) and any(each.startswith(file[1]) for each in sentences):
        return None
    if missing := [each for each in sentences if _flat(each) not in said]:
        return f"only the diff refuses: {missing}; the preview says: {said}"
    live = any(sentence in said for sentence in ONLY_LIVE)
    return None if sentences or live else f"only the preview refuses: {said}"


def _diagnostics(ran: Ran) -> list[str]:
    try:
        found = parse(ran.output).get("diagnostics") or []
    except PreviewError:
        return [ran.output]
    return [str(each.get("message")) for each in found]


def _flat(text: str) -> str:
    return " ".join(text.split())


def _told(each: Planned) -> str:
    return f"{each.operation}{' (replaced)' if each.replaced else ''} {each.urn.split('::', 2)[2]}"
