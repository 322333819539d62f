"""Changes that somebody might make to a fleet's files, by a seed.

What may change is read off the settings' own models: an option that is new is changed as soon as it
has a type that says what it may be, or an example.
"""

import json
import random
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from infra.settings.edge import Edge
from infra.settings.fleet import SECRETS, FleetValues
from infra.settings.region import Region
from tests.fleet.made_up import EXAMPLES, OTHER_LOCATIONS, section, section_in, value

Files = dict[str, dict[str, Any]]
"""Values of this project by stack; those that every stack shares under SHARED; what is pinned under
RANGES and IMAGES."""
SHARED: Final = ""
RANGES, IMAGES = "(ranges)", "(images)"

WRONG: tuple[Any, ...] = ("nonsense", -1, [], {"no": "such"}, True, 1.5)
"""What somebody types by mistake."""


class Above(NamedTuple):
    """A section above a field: at which key of the one above, and whether in a list ("[]") or in a
    mapping ("{}") there."""

    key: str
    kind: str
    model: type[BaseModel]


@dataclass(frozen=True)
class Leaf:
    """A field of the settings, below those sections."""

    above: tuple[Above, ...]
    model: type[BaseModel]
    name: str

    @property
    def field(self) -> FieldInfo:
        """As the model has it."""
        return self.model.model_fields[self.name]

    @property
    def key(self) -> str:
        """As a file has it."""
        return self.field.alias or self.name


# All clusters made up here are VKE's, which have none of these.
_OF_EXISTING = frozenset(["load_balancer"])


def leaves(model: type[BaseModel], above: tuple[Above, ...] = ()) -> Iterator[Leaf]:
    """All fields of a section, and those of the sections in it."""
    for name, field in model.model_fields.items():
        if name in _OF_EXISTING:
            continue
        yield Leaf(above, model, name)
        if found := section_in(field.annotation):
            yield from leaves(found[1], (*above, Above(field.alias or name, *found)))


@dataclass(frozen=True)
class Change:
    """What was changed: in which stack's file (SHARED: Pulumi.yaml), where, and to what; a stack
    that comes or goes has no `where`. `to` is None for what was taken out."""

    stack: str
    where: str
    to: Any

    def __str__(self) -> str:
        file = f"Pulumi.{self.stack}.yaml" if self.stack else "Pulumi.yaml"
        said = "taken out" if self.to is None else json.dumps(self.to)
        return f"{file}: {self.where or 'the file'}: {said}"


def mutated(seed: str, files: Files, count: int) -> tuple[Files, list[Change]]:
    """The files with `count` changes, the same for the same seed."""
    rng = random.Random(seed)
    changed, changes = deepcopy(files), list[Change]()
    while len(changes) < count:
        changes.append(_change(rng, changed))
    return changed, changes


def _change(rng: random.Random, files: Files) -> Change:
    stacks = [name for name in files if name not in (SHARED, RANGES, IMAGES)]
    regions = sorted(name for name in stacks if "edge" not in files[name])
    edges = [name for name in stacks if "edge" in files[name]]
    kinds = {"setting": 57, "edge": 24, "shared": 6, "moved": 3, "new": 3, "gone": 2, "pin": 5}
    (kind,) = rng.choices(list(kinds), list(kinds.values()))
    if kind == "pin":
        return _pin(rng, files)
    if kind == "moved":
        moved = rng.choice(regions)
        to = {"location": rng.choice(OTHER_LOCATIONS), "replace": ["location"], "protect": False}
        files[moved]["cluster"] |= to
        return Change(moved, "cluster", to)
    if kind == "new":
        like = rng.choice(regions)
        name = f"{like}-{rng.randint(2, 9)}"
        files[name] = _beside(rng, files[like])
        return Change(name, "", files[name])
    if kind == "gone" and len(regions) > 1:
        gone = rng.choice(regions)
        del files[gone]
        return Change(gone, "", None)
    if kind == "shared":
        leaf = rng.choice(list(leaves(FleetValues)))
        change = _setting(rng, SHARED, files[SHARED], leaf, FleetValues)
        if leaf.name == "domain":
            files[SHARED]["hosts"] = [files[SHARED]["domain"]]
        return change
    if kind == "edge" and edges:
        leaf = rng.choice(list(leaves(Edge)))
        change = _setting(rng, edges[0], files[edges[0]]["edge"], leaf, Edge)
        return replace(change, where=f"edge.{change.where}")
    stack = rng.choice(regions)
    return _setting(rng, stack, files[stack], rng.choice(list(leaves(Region))), Region)


def _beside(rng: random.Random, like: Mapping[str, Any]) -> dict[str, Any]:
    """A second cluster of a region."""
    made = {key: deepcopy(each) for key, each in like.items() if key not in ("routing", *SECRETS)}
    made.pop("originHeader", None)
    made["cluster"] |= {"location": rng.choice(OTHER_LOCATIONS)}
    made["cluster"].pop("label", None)
    return made


def _pin(rng: random.Random, files: Files) -> Change:
    if rng.random() < 0.5:
        ranges = files[RANGES]["ipv4_cidrs"]
        come = f"192.88.{rng.randint(0, 255)}.0/24"
        files[RANGES]["ipv4_cidrs"] = sorted([*ranges[1:], come])
        return Change(RANGES, "ipv4_cidrs", [come])
    image = rng.choice(["nginx/nginx-ingress:5.6.1", "nginx/nginx-ingress:5.6.0"])
    digest = f"sha256:{rng.randbytes(32).hex()}"
    files[IMAGES]["images"] = {**files[IMAGES]["images"], image: digest}
    return Change(IMAGES, image, digest)


def _setting(
    rng: random.Random, stack: str, config: dict[str, Any], leaf: Leaf, root: type[BaseModel]
) -> Change:
    """Change one field in place; into a value that goes with the others, if a few tries find one.
    What is left of mistakes, and the few that are made on purpose, is there to be refused."""
    wrong = rng.random() < 0.05
    known = {field.alias or name for name, field in root.model_fields.items()}
    for _ in range(12):
        tried = deepcopy(config)
        where, to = set_field(rng, tried, leaf, wrong)
        if wrong or (
            tried != config and valid(root, {k: v for k, v in tried.items() if k in known})
        ):
            break
    config.clear()
    config.update(tried)
    return Change(stack, where, to)


def valid(root: type[BaseModel], config: Mapping[str, Any]) -> bool:
    try:
        root.model_validate(config)
    except ValidationError:
        return False
    return True


def set_field(
    rng: random.Random, config: dict[str, Any], leaf: Leaf, wrong: bool
) -> tuple[str, Any]:
    at: Any = config
    where: list[str] = []
    for key, kind, model in leaf.above:
        where.append(key)
        if kind == "[]":
            items = at.setdefault(key, [])
            index = rng.randrange(len(items) or 1)
            items += [] if items else [section(rng, model)]
            at = items[index]
            where.append(str(index))
        elif kind == "{}":
            below = at.setdefault(key, {})
            one = rng.choice(sorted(below) or EXAMPLES[f"{_owner(leaf, key)}{{}}"])
            at = below.setdefault(one, section(rng, model))
            where.append(one)
        else:
            at = at.setdefault(key, section(rng, model))
    where.append(leaf.key)
    if leaf.key in at and not leaf.field.is_required() and rng.random() < 0.3:
        del at[leaf.key]
        return ".".join(where), None
    at[leaf.key] = rng.choice(WRONG) if wrong else _other(rng, leaf, at.get(leaf.key))
    return ".".join(where), at[leaf.key]


def _owner(leaf: Leaf, key: str) -> str:
    """The model and field that hold the section at `key`: its mapping's keys are in EXAMPLES."""
    number = next(i for i, each in enumerate(leaf.above) if each.key == key)
    owner = leaf.above[number - 1].model if number else Edge
    return f"{owner.__name__}.{key}"


def _other(rng: random.Random, leaf: Leaf, old: Any) -> Any:
    """Another value: of a list of sections one more item, one less, or in another order."""
    made = value(rng, leaf.model, leaf.name)
    found = section_in(leaf.field.annotation)
    if found and found[0] == "[]" and old:
        dice = rng.random()
        if dice < 0.5:
            return [*old, *made]
        return old[1:] if dice < 0.75 else old[::-1]
    if found and found[0] == "{}" and old:
        return {**old, **made}
    return made
