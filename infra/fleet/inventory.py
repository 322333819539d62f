"""The fleet as its files say: every stack file of the project, read and held against each other."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from infra.fleet.collisions import collisions
from infra.fleet.yaml_core import CoreLoader
from infra.pins.catalog import catalog
from infra.settings.edge import Edge, Routing
from infra.settings.mistakes import problems
from infra.settings.region import SECRETS, FleetValues, RegionStack

M = TypeVar("M", bound=BaseModel)

CA_FILE = "origin-pulls-ca.pem"
"""The CA of Authenticated Origin Pulls: its certificate, committed beside Pulumi.yaml."""

_FLEET_KEYS = {field.alias for field in FleetValues.model_fields.values()}


class SettingsError(Exception):
    """A mistake in the project's files; its text is for the person who made it."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


@dataclass(frozen=True)
class Stack:
    """One stack file. Exactly one of `region` and `edge` is set.

    `config` holds the file's own keys of this project as they stand there; `secrets` the names of
    those that are encrypted.
    """

    name: str
    file: str
    fleet: FleetValues
    region: RegionStack | None
    edge: Edge | None
    config: dict[str, Any]
    secrets: frozenset[str] = frozenset()

    @property
    def hostname(self) -> str:
        """The logical region's host name (us.example.com)."""
        assert self.region
        return f"{self.region.region}.{self.fleet.domain}"


@dataclass(frozen=True)
class Inventory:
    """The project's stacks. `warnings` are sentences for the person; nothing is wrong with them.

    `origin_ca` is the content of `CA_FILE`, None where there is none.
    """

    project: str
    stacks: dict[str, Stack]
    warnings: tuple[str, ...]
    origin_ca: str | None = None

    def cluster_label(self, stack: Stack) -> str:
        """What Vultr calls the stack's cluster: the fleet's own name, unless the file says one."""
        assert stack.region
        return stack.region.cluster.label or f"{self.project}-{stack.name}"

    def siblings(self, stack: Stack) -> list[Stack]:
        """The other clusters of the stack's logical region."""
        assert stack.region
        return [
            other
            for other in self.regions(stack.fleet.domain)
            if other.region and other.region.region == stack.region.region and other is not stack
        ]

    def routing(self, stack: Stack) -> Routing:
        """What the stack's logical region says to the Worker: one of its clusters says it, or all
        the same."""
        said = [other.region.routing for other in [stack, *self.siblings(stack)] if other.region]
        return next((routing for routing in said if routing), Routing())

    def withdrawn(self, stack: Stack) -> bool:
        """Whether the stack's nodes leave the region's host name: it drains, and another cluster
        of the region goes on. A region whose clusters all drain keeps its records: the Worker
        takes it out of rotation, and the host name goes on answering."""
        assert stack.region
        return stack.region.drain and any(
            other.region and not other.region.drain for other in self.siblings(stack)
        )

    def regions(self, domain: str) -> list[Stack]:
        """The region stacks of one domain, in the order of their names."""
        return [
            stack
            for _, stack in sorted(self.stacks.items())
            if stack.region and stack.fleet.domain == domain
        ]


def load(project_dir: Path, current: str | None = None) -> Inventory:
    """Read the project's files.

    Only files that git tracks, that `edgefleet:stacks` names, or the `current` stack's own enter
    the fleet: somebody's Pulumi.dev.yaml must not end up in production routing. Outside a git
    checkout nothing can tell them apart, and all count.

    Raises SettingsError with every mistake found in them.
    """
    project = _read_yaml(project_dir / "Pulumi.yaml")
    name = str(project.get("name", "edgefleet"))
    defaults = _project_values(project)
    mistakes: list[str] = []
    warnings: list[str] = []
    stacks: dict[str, Stack] = {}
    for path in _stack_files(project_dir, current, _named(defaults), warnings):
        stack, wrong = _read_stack(path, name, defaults)
        mistakes += wrong
        if stack:
            stacks[stack.name] = stack
            warnings += _unknown_to_catalog(stack)
    ca = project_dir / CA_FILE
    origin_ca = ca.read_text() if ca.exists() else None
    inventory = Inventory(name, stacks, tuple(warnings), origin_ca)
    mistakes += collisions(inventory)
    if mistakes:
        raise SettingsError(mistakes)
    if current and current not in stacks:
        raise SettingsError([f"Pulumi.{current}.yaml: there is no such file in {project_dir}"])
    return inventory


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        document = yaml.load(path.read_text("utf-8"), CoreLoader)  # noqa: S506 (it is a safe one)
    except FileNotFoundError:
        raise SettingsError([f"{path}: there is no such file"]) from None
    except yaml.YAMLError as error:
        raise SettingsError([f"{path.name}: not valid YAML: {error}"]) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"{path.name}: can't be read: {error}"]) from None
    if not isinstance(document or {}, dict):
        raise SettingsError([f"{path.name}: must be a mapping"])
    return document or {}


def _project_values(project: dict[str, Any]) -> dict[str, Any]:
    """Values that Pulumi.yaml gives to every stack, by key without namespace."""
    values = {}
    for key, entry in (project.get("config") or {}).items():
        namespace, _, short = key.rpartition(":")
        if namespace not in ("", project.get("name")):
            continue
        if not isinstance(entry, dict):
            values[short] = entry
        elif "value" in entry or "default" in entry:
            values[short] = entry.get("value", entry.get("default"))
    return values


def _named(defaults: dict[str, Any]) -> set[str]:
    named = defaults.get("stacks") or []
    return {str(stack) for stack in named} if isinstance(named, list) else set()


def _stack_files(
    project_dir: Path, current: str | None, named: set[str], warnings: list[str]
) -> Iterator[Path]:
    tracked = _tracked(project_dir)
    for path in sorted(project_dir.glob("Pulumi.*.yaml")):
        stack = path.name.removeprefix("Pulumi.").removesuffix(".yaml")
        if tracked is None or path.name in tracked or stack == current or stack in named:
            yield path
        else:
            warnings.append(
                f"{path.name} is not tracked by git and not part of the fleet: "
                f"`git add {path.name}`, or name {stack} in edgefleet:stacks"
            )


def _tracked(project_dir: Path) -> set[str] | None:
    """The file names that git tracks here, None outside a checkout or without git."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--", "Pulumi.*.yaml"],
            cwd=project_dir,
            capture_output=True,
            check=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return {name for name in listed.stdout.split("\0") if name}


def _read_stack(
    path: Path, project: str, defaults: dict[str, Any]
) -> tuple[Stack | None, list[str]]:
    config = _read_yaml(path).get("config") or {}
    if not isinstance(config, dict):
        return None, [f"{path.name}: config: must be a mapping"]
    own = {
        key.removeprefix(f"{project}:"): value
        for key, value in config.items()
        if isinstance(key, str) and key.startswith(f"{project}:")
    }
    secrets = {key: own.pop(key) for key in SECRETS if key in own}
    fleet, wrong = _parse(
        path,
        project,
        FleetValues,
        {k: v for k, v in {**defaults, **own}.items() if k in _FLEET_KEYS},
    )
    rest = {key: value for key, value in own.items() if key not in _FLEET_KEYS}
    wrong += [
        f"{path.name}: {project}:{key}: stands there for everybody to read; make another one and "
        f"`pulumi config set --secret {key}`"
        for key, value in secrets.items()
        if not isinstance(value, dict) or set(value) != {"secure"}
    ]
    region = edge = None
    if "edge" in rest:
        edge, more = _parse(path, project, Edge, rest.pop("edge") or {}, "edge")
        more += [
            f"{path.name}: {project}:{key}: does not go with {project}:edge, which makes this "
            "the edge stack"
            for key in rest
        ]
    else:
        region, more = _parse(path, project, RegionStack, rest)
    wrong += more
    if wrong or not fleet:
        return None, wrong
    name = path.name.removeprefix("Pulumi.").removesuffix(".yaml")
    return Stack(name, path.name, fleet, region, edge, own, frozenset(secrets)), []


def _parse(
    path: Path, project: str, model: type[M], value: Any, below: str = ""
) -> tuple[M | None, list[str]]:
    try:
        return model.model_validate(value), []
    except ValidationError as error:
        prefix = f"{path.name}: {project}:" + (f"{below}." if below else "")
        return None, [prefix + problem for problem in problems(error, model)]


def _unknown_to_catalog(stack: Stack) -> Iterator[str]:
    if not stack.region:
        return
    known = catalog()
    cluster = stack.region.cluster
    where = f"{stack.file}: edgefleet:cluster"
    if cluster.location not in known.locations:
        yield (
            f"{where}.location: {cluster.location!r} is not in the list of {known.read} "
            f"({', '.join(sorted(known.locations))}); Vultr will say whether it exists"
        )
    for index, pool in enumerate(cluster.pools):
        if pool.plan not in known.plans:
            yield (
                f"{where}.pools[{index}].plan: {pool.plan!r} is not in the list of {known.read}; "
                "Vultr will say whether it exists"
            )
