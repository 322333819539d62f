"""What follows from a change: values that come from a changed resource aren't known any more.

The engine learns from a provider what a resource's outputs will be, and takes each that isn't known
yet for a change of what uses it. Offline no output is known, so it is looked at where a value comes
from: whether that resource's outputs stay what they are, which is up to its kind.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ops.render.replacing_fields import EVERY, force_new, noticed, replacing, within
from ops.render.resources import SECRET, UNKNOWN, Registered

_DYNAMIC = "pulumi-python:dynamic/index:"
_KUBERNETES = "kubernetes:"
_WITHOUT_OUTPUTS = frozenset(
    _DYNAMIC + name
    for name in (
        "ClusterVersion",
        "DrainedPool",
        "HostEndpointsMade",
        "NodeNetworks",
        "OwnNames",
        "PoolSettings",
        "Rollout",
    )
)
"""Ours that give back nothing but what they were given: others only wait for them."""
_ANEW_IN_PLACE = frozenset([f"{_DYNAMIC}ServerSidePatch"])
"""Whose outputs an update in place makes anew. Vultr's provider keeps those that it knows, and
what Cloudflare's makes anew (times, etags) nobody here uses."""

_THE_SERVERS = {f"{_DYNAMIC}NodesInStep": "generation"}
"""Inputs that a rendering has as 0, as the API server alone gives a workload its generation."""


@dataclass
class Following:
    """What changes, and is replaced, of the resources of both renderings.

    `paths` are those of the inputs that change, by URN; `replaced` says why; `sources` which
    changed resources the unknown inputs come from, by URN and input.
    """

    paths: dict[str, list[str]]
    replaced: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    sources: dict[str, dict[str, list[str]]] = field(
        default_factory=dict[str, dict[str, list[str]]]
    )


def follow(
    resources: Mapping[str, Registered],
    changed: Mapping[str, list[str]],
    added: Mapping[str, str],
    secrets: Collection[str] = (),
) -> Following:
    """Carry changes on until nothing more follows.

    Args:
        resources: those of both renderings, as they will be, by URN.
        changed: paths of what differs by itself, by URN.
        added: the type of each new resource, by URN.
        secrets: URNs that stand for secrets with another value.
    """
    come = {**added, **dict.fromkeys(secrets, "")}
    found = Following({urn: list(paths) for urn, paths in changed.items()})
    for urn, paths in changed.items():
        if reasons := replacing(resources[urn].type, paths):
            found.replaced[urn] = reasons
    while more := [
        (urn, path, sources)
        for urn, resource in resources.items()
        for path, sources in _unknown(resource, resources, found, come)
        if path not in found.sources.get(urn, {})
    ]:
        for urn, path, sources in more:
            _take(found, resources[urn], path, sources)
    return found


def _take(found: Following, resource: Registered, path: str, sources: list[str]) -> None:
    found.sources.setdefault(resource.urn, {})[path] = sources
    found.paths.setdefault(resource.urn, []).append(path)
    names = ", ".join(name(urn) for urn in sources)
    if path == _PROVIDER:
        found.replaced.setdefault(resource.urn, []).append(f"its provider {names} is replaced")
        return
    fixed = [each for each in force_new(resource.type) if each.split(".")[0] in (path, EVERY)]
    known = resource.urn in found.replaced and not found.sources[resource.urn].keys() - {path}
    if known or not any(_vague(_at(resource.inputs, path, each)) for each in fixed):
        return
    because = "replaced" if any(urn in found.replaced for urn in sources) else "new"
    reason = f"{path} comes from {names}, which is {because}"
    found.replaced.setdefault(resource.urn, []).append(reason)


_PROVIDER = "(provider)"


def _unknown(
    resource: Registered,
    resources: Mapping[str, Registered],
    found: Following,
    added: Mapping[str, str],
) -> Iterator[tuple[str, list[str]]]:
    """Inputs of a resource whose values aren't known, with the changed resources they come from."""
    provider = str(resource.options.get("provider", "")).rpartition("::")[0]
    if provider in found.replaced:
        yield _PROVIDER, [provider]
    for key, urns in resource.sources.items():
        if any(within(key, ignored) for ignored in resource.options.get("ignoreChanges", ())):
            continue
        known = not _vague(resource.inputs.get(key)) and _THE_SERVERS.get(resource.type) != key
        if known or not noticed(resource.type, key):
            continue
        if sources := [urn for urn in urns if _anew(urn, resources, found, added)]:
            yield key, sources


def _anew(
    urn: str, resources: Mapping[str, Registered], found: Following, added: Mapping[str, str]
) -> bool:
    """Whether outputs of this resource won't be what they are."""
    if urn in added:
        return added[urn] not in _WITHOUT_OUTPUTS
    if urn not in resources or resources[urn].type in _WITHOUT_OUTPUTS:
        return False
    if urn in found.replaced:
        return True
    kind, paths = resources[urn].type, found.paths.get(urn, [])
    if kind.startswith(_KUBERNETES):
        # A new spec is a new generation.
        return any(path.split(".")[0] == "spec" for path in paths)
    return bool(paths) and kind in _ANEW_IN_PLACE


def _vague(value: Any) -> bool:
    """Whether it holds something that isn't known offline."""
    if isinstance(value, Mapping):
        return any(map(_vague, value.values()))
    if isinstance(value, list):
        return any(map(_vague, value))
    return value in (UNKNOWN, SECRET)


def _at(inputs: Mapping[str, Any], path: str, field: str) -> Any:
    """The value of an input, or of a field below it."""
    value: Any = inputs
    for part in path.split(".") if field == EVERY else field.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def name(urn: str) -> str:
    """The last part of a URN."""
    return urn.rpartition("::")[2]
