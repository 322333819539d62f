"""Secrets of a stack file that change: approved with the file, and invisible in its rendering."""

from collections.abc import Iterator
from typing import Any, cast

import yaml

from ops.approval.steps import Planned
from ops.render.resources import SECRET, UNKNOWN, Rendering

_MADE_ANEW = {
    "kubernetes:core/v1:ConfigMap",
    "kubernetes:core/v1:Secret",
    "cloudflare:index/workerVersion:WorkerVersion",
    "cloudflare:index/workersDeployment:WorkersDeployment",
}
"""Replaced where their content is another one."""
_WITHOUT = ("pulumi-python:dynamic/", "pulumi:providers:", "vultr:")
"""Types that hold no secret of a stack file: what is masked there is an id, or a kubeconfig."""


def ciphertexts(stack_file: str) -> set[str]:
    """The encrypted values of a stack file; none where it is no YAML."""
    try:
        return set(_secure(yaml.safe_load(stack_file)))
    except yaml.YAMLError:
        return set()


def may_follow(rendering: Rendering) -> Iterator[Planned]:
    """What another secret may change: resources that hold one, or what is computed from one. A
    rendering shows neither, so that its difference can't."""
    for resource in rendering.resources:
        if resource.custom and not resource.type.startswith(_WITHOUT) and _masked(resource.inputs):
            yield Planned(resource.urn, "update")
            if resource.type in _MADE_ANEW:
                yield Planned(resource.urn, "update", True)


def _masked(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_masked, cast("dict[str, Any]", value).values()))
    if isinstance(value, list):
        return any(map(_masked, cast("list[Any]", value)))
    return isinstance(value, str) and (SECRET in value or UNKNOWN in value)


def _secure(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in cast("dict[str, Any]", value).items():
            if key == "secure" and isinstance(item, str):
                yield item
            else:
                yield from _secure(item)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _secure(item)
