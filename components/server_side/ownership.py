"""`OwnNames`: what is somebody else's is not taken.

The provider makes what isn't there and takes over what is (`upsertExistingObjects`, without which
an interrupted update could not be finished), so an object of the same name that isn't ours would
become ours, and go when ours go: a namespace with everything in it. And whoever comes first finds
the nodes' ports free (`host_ports.py`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    ResourceProvider,
    UpdateResult,
)

from ..json_object import Json, object_at
from .api import CLUSTER_LEVEL, Refused, ServerObject, Unreachable
from .host_ports import taken
from .plan import where
from .resource import ClusterResource

PORTS = (80, 443)
LABEL = ("app.kubernetes.io/part-of", "edgefleet")
"""What everything that is ours carries."""


class NamedObject(TypedDict):
    """An object by its kind and name; `instead` says how to choose another name."""

    kind: str
    object_name: str
    namespace: NotRequired[str]
    instead: NotRequired[str]


class OwnNamesArgs(TypedDict):
    """The names that will be ours, in a cluster by its kubeconfig."""

    kubeconfig: pulumi.Input[str]
    objects: Sequence[NamedObject]


def objection(named: Mapping[str, Any], live: Mapping[str, Any] | None) -> str | None:
    """Why `live`, the object of that name, can't be taken; None where there is none, or ours."""
    key, value = LABEL
    if live is None or object_at(live, "metadata", "labels").get(key) == value:
        return None
    kind, name = str(named["kind"]).lower(), named["object_name"]
    space = f" -n {named['namespace']}" if named.get("namespace") else ""
    instead = named.get("instead")
    return (
        f"{where(named)}: is in the cluster already and isn't edgefleet's: it has no label "
        f"{key}={value}. It would be taken over, and deleted with what it holds when this goes. "
        f"{f'Choose another name ({instead}), or delete' if instead else 'Delete'} it where nobody "
        f"needs it (`kubectl delete {kind}{space} {name}`). Where it may be edgefleet's: "
        f"`kubectl label {kind}{space} {name} {key}={value}`"
    )


def _new(olds: Mapping[str, Any], news: Mapping[str, Any]) -> list[Json]:
    """Those that weren't asked for before: the others are ours by now."""
    known = {where(named) for named in olds.get("objects") or ()}
    return [named for named in news["objects"] if where(named) not in known]


def _objections(kubeconfig: str, names: Iterable[Json], *, patient: bool) -> list[str]:
    found: list[str] = []
    for named in names:
        server = ServerObject({**named, "kubeconfig": kubeconfig}, patient=patient)
        if problem := objection(named, server.get()):
            found.append(problem)
    return found


def _problems(olds: Mapping[str, Any], news: Mapping[str, Any], *, patient: bool) -> list[str]:
    """Raises Refused and Unreachable."""
    found = _objections(news["kubeconfig"], _new(olds, news), patient=patient)
    if not olds.get("objects"):
        own = [each["object_name"] for each in news["objects"] if each["kind"] == "Namespace"]
        server = ServerObject({**CLUSTER_LEVEL, "kubeconfig": news["kubeconfig"]}, patient=patient)
        found += taken(server.items("/apis/apps/v1/daemonsets"), PORTS, own)
    return found


class _Provider(ResourceProvider):
    """Pickled by reference to this module, so a state outlives changes of the code."""

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """In a preview too, of a cluster that is there."""
        problems: list[str] = []
        if isinstance(news.get("kubeconfig"), str):
            try:
                problems = _problems(olds, news, patient=False)
            except (Unreachable, Refused):
                # Whoever makes something there will say more.
                problems = []
        return CheckResult(news, [CheckFailure("objects", problem) for problem in problems])

    def create(self, props: dict[str, Any]) -> CreateResult:
        self._require({}, props)
        return CreateResult("own-names", props)

    def update(self, _id: str, olds: dict[str, Any], props: dict[str, Any]) -> UpdateResult:
        self._require(olds, props)
        return UpdateResult(props)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        keys = ("objects", "kubeconfig")
        return DiffResult(changes=any(olds.get(key) != news.get(key) for key in keys))

    def _require(self, olds: Mapping[str, Any], props: Mapping[str, Any]) -> None:
        try:
            problems = _problems(olds, props, patient=True)
        except (Unreachable, Refused) as error:
            raise RuntimeError(f"names of the ingress: {error}") from None
        if problems:
            raise RuntimeError("\n".join(problems))


class OwnNames(ClusterResource, name="OwnNames", provider=_Provider):
    """Fails, in the preview where the cluster is there, when a name is somebody else's."""

    def __init__(
        self, name: str, args: OwnNamesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(name, args, opts)


def only_own_names(
    name: str,
    kubeconfig: pulumi.Input[str] | None,
    objects: Sequence[NamedObject],
    opts: pulumi.ResourceOptions,
) -> pulumi.ResourceOptions:
    """`opts` of what is made once nobody else has these names; without a kubeconfig nobody asks."""
    if not kubeconfig:
        return opts
    ours = OwnNames(f"{name}-names", {"kubeconfig": kubeconfig, "objects": objects}, opts)
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[ours]))
