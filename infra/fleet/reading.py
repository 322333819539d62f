"""The project's files read into an inventory, with every mistake that they make."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypedDict, TypeVar

from pydantic import BaseModel, ValidationError

from components.json_object import Json, is_list, is_object
from infra.errors import SettingsError
from infra.fleet.collisions import collisions
from infra.fleet.files import FLEET_KEYS, meant, project_values, read_yaml, stack_config
from infra.fleet.inventory import CA_FILE, EdgeStack, Inventory, RegionStack, Stack
from infra.pins.catalog import catalog
from infra.settings.cluster import ExistingCluster
from infra.settings.edge import Edge
from infra.settings.fleet import SECRETS, FleetValues
from infra.settings.mistakes import problems
from infra.settings.region import Region

M = TypeVar("M", bound=BaseModel)


class _Common(TypedDict):
    """What a stack is of whatever kind: the fields of `Stack`."""

    name: str
    file: str
    fleet: FleetValues
    config: Json
    secrets: frozenset[str]


def load(project_dir: Path, current: str | None = None) -> Inventory:
    """Read the project's files.

    Only files that git tracks, that `edgefleet:stacks` names, or the `current` stack's own enter
    the fleet: somebody's Pulumi.dev.yaml must not end up in production routing. Outside a git
    checkout nothing can tell them apart, and all count.

    Raises SettingsError with every mistake found in them.
    """
    project = read_yaml(project_dir / "Pulumi.yaml")
    name = str(project.get("name", "edgefleet"))
    defaults, mistakes = project_values(project)
    warnings: list[str] = []
    stacks: dict[str, Stack] = {}
    for path in _stack_files(project_dir, current, _named(defaults), warnings):
        stack, wrong = _read_stack(path, name, defaults)
        mistakes += wrong
        if stack:
            stacks[stack.name] = stack
            warnings += [*_unknown_to_catalog(stack), *_unestablished(stack)]
    ca = project_dir / CA_FILE
    origin_ca = ca.read_text() if ca.exists() else None
    inventory = Inventory(name, stacks, tuple(warnings), origin_ca, project_dir)
    mistakes += collisions(inventory)
    if mistakes:
        # What Pulumi.yaml says is wrong for every stack alike.
        raise SettingsError(list(dict.fromkeys(mistakes)))
    if current and current not in stacks:
        hint = meant(current, stacks)
        raise SettingsError(
            [f"Pulumi.{current}.yaml: there is no such file in {project_dir}{hint}"]
        )
    return inventory


def _named(defaults: Mapping[str, Any]) -> set[str]:
    named = defaults.get("stacks")
    return {str(stack) for stack in named} if is_list(named) else set()


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
    path: Path, project: str, defaults: Mapping[str, Any]
) -> tuple[Stack | None, list[str]]:
    own, wrong = stack_config(path.name, read_yaml(path), project)
    if own is None:
        return None, wrong
    secrets = {key: own.pop(key) for key in SECRETS if key in own}
    said = {k: v for k, v in own.items() if k in FLEET_KEYS}
    where = f"{path.name}: {project}:"
    fleet, more = _parse(FleetValues, {**defaults, **said})
    wrong += [_blamed(problem, where, said) for problem in more]
    rest = {key: value for key, value in own.items() if key not in FLEET_KEYS}
    wrong += [
        f"{path.name}: {project}:{key}: stands there for everybody to read; make another one and "
        f"`pulumi config set --secret {key}`"
        for key, value in secrets.items()
        if not is_object(value) or set(value) != {"secure"}
    ]
    if "edge" in rest:
        settings, more = _parse(Edge, rest.pop("edge") or {})
        wrong += [f"{where}edge.{problem}" for problem in more]
        wrong += [
            f"{where}{key}: does not go with {project}:edge, which makes this the edge stack"
            for key in rest
        ]
    else:
        settings, more = _parse(Region, rest)
        wrong += [f"{where}{problem}" for problem in more]
    if wrong or not fleet or not settings:
        return None, wrong
    name = path.name.removeprefix("Pulumi.").removesuffix(".yaml")
    common: _Common = {
        "name": name,
        "file": path.name,
        "fleet": fleet,
        "config": own,
        "secrets": frozenset(secrets),
    }
    if isinstance(settings, Edge):
        return EdgeStack(**common, settings=settings), []
    said = None if isinstance(settings.cluster, ExistingCluster) else settings.cluster.label
    label = said or f"{project}-{name}"
    return RegionStack(**common, settings=settings, label=label), []


def _blamed(problem: str, where: str, said: Mapping[str, Any]) -> str:
    """A mistake in what every stack shares, told of the file that makes it."""
    key = re.split(r"[:.\[]", problem, maxsplit=1)[0]
    ours = key in said or key not in FLEET_KEYS
    return f"{where if ours else 'Pulumi.yaml: config.'}{problem}"


def _parse(model: type[M], value: object) -> tuple[M | None, list[str]]:
    try:
        return model.model_validate(value), []
    except ValidationError as error:
        return None, list(problems(error, model))


def _unknown_to_catalog(stack: Stack) -> Iterator[str]:
    if not isinstance(stack, RegionStack):
        return
    known, cluster = catalog(), stack.vke
    if cluster is None:
        return
    where = f"{stack.file}: edgefleet:cluster"
    if cluster.location not in known.locations:
        yield (
            f"{where}.location: {cluster.location!r} is not in the list of {known.read} "
            f"({', '.join(sorted(known.locations))}); Vultr will say whether it exists"
            f"{meant(cluster.location, known.locations)}"
        )
    for index, pool in enumerate(cluster.pools):
        if pool.plan not in known.plans:
            yield (
                f"{where}.pools[{index}].plan: {pool.plan!r} is not in the list of {known.read}; "
                f"Vultr will say whether it exists{meant(pool.plan, known.plans)}"
            )


def _unestablished(stack: Stack) -> Iterator[str]:
    if not isinstance(stack, RegionStack) or stack.vke is None:
        return
    encapsulation = stack.settings.calico.encapsulation
    if encapsulation in ("none", "crossSubnet"):
        yield (
            f"{stack.file}: edgefleet:calico.encapsulation: {encapsulation!r} on VKE: nobody has "
            "established whether Vultr forwards pods' addresses between nodes. Try a pod that asks "
            "one on another node before visitors come; vxlan needs nothing of the network"
        )
