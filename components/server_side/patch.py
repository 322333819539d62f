"""`ServerSidePatch`: our fields on an object that somebody else owns.

The provider's own Patch resources never settle on lists that others fill too, because they compare
them by position (docs/facts/real-providers.md, Kubernetes 1), and leave behind what they had forced
(Kubernetes 5). This resource applies the fields server-side, compares them by merge key (a
container and an environment variable by its name), remembers what they were, and hands them back.
What it does not name, it does not touch.

The provider runs in a process of its own (Pulumi's dynamic provider) and may block.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)

from ..arguments import refuse_arguments
from ..progress import say
from ..vendors.credentials import forgets_the_unreachable
from .api import Refused, ServerObject, Unreachable
from .fields import MISSING, SECTIONS, Leaf, leaves, live, value_at
from .patch_args import ServerSidePatchArgs
from .plan import (
    Before,
    before,
    conflict_message,
    mistakes,
    restoration,
    taken_away,
    where,
)
from .resource import ClusterResource

FIELD_MANAGER = "edgefleet"
_IDENTITY = ("kind", "namespace", "object_name", "field_manager")
_STORED = ("kubeconfig", "cluster_version", "force", "create_missing", *SECTIONS)


class _Provider(ResourceProvider):
    """Pickled by reference to this module, so a state outlives changes of the code."""

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Ask the API server, without changing anything, whether the patch would go through.

        Only where something is to change, and only where a cluster answers: a preview of a cluster
        that is still to be made has nobody to ask.
        """
        problem = _objection(olds, news) if _known(news) and not _same(olds, news) else None
        return CheckResult(news, [CheckFailure("force", problem)] if problem else [])

    def create(self, props: dict[str, Any]) -> CreateResult:
        name = "/".join([props["kind"], props.get("namespace") or "", props["object_name"]])
        return CreateResult(name, self._settle(props, None, []))

    def update(self, _id: str, olds: dict[str, Any], props: dict[str, Any]) -> UpdateResult:
        kept = {leaf.at for leaf in leaves(props)}
        dropped = [leaf for leaf in leaves(olds) if leaf.at not in kept]
        return UpdateResult(self._settle(props, olds, dropped))

    def _settle(
        self, props: dict[str, Any], olds: Mapping[str, Any] | None, dropped: list[Leaf]
    ) -> dict[str, Any]:
        wanted, manager = leaves(props), _manager(props)
        if not wanted and not dropped:
            return {**props, **Before({}, {}).outputs(), "generation": 0}
        obj: dict[str, Any] | None = None
        server = _connect(props)
        try:
            obj = server.get() if props.get("create_missing") else server.appear()
            known = Before.of(olds) if olds else None
            remembered = before(obj, wanted, known, manager)
            given_up = restoration(obj or {"metadata": {}}, dropped, known, manager)
            fields = [*wanted, *given_up.fields]
            # Nothing is forced that isn't ours but what `force` says: what is set back is ours, and
            # so is what was taken away since.
            force = bool(props.get("force")) or taken_away(obj, wanted, olds, manager)
            after = server.apply(fields, manager, obj, force=force)
            server.hand_back(manager, given_up.back)
        except Refused as refused:
            raise RuntimeError(_refusal(props, obj, refused)) from None
        except Unreachable as error:
            raise RuntimeError(f"{server.where}: {error}") from None
        return {
            **props,
            **live(props, after),
            **remembered.outputs(),
            "created": obj is None or bool((olds or {}).get("created")),
            "generation": after["metadata"].get("generation", 0),
        }

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        if not leaves(props):
            return ReadResult(id_, props)
        server = _connect(props)
        try:
            obj = server.get()
        except (Refused, Unreachable) as error:
            if isinstance(error, Unreachable) and forgets_the_unreachable():
                return ReadResult("", {})
            raise RuntimeError(
                f"{server.where}: {error}. A refresh reads with the kubeconfig that the last "
                "`pulumi up` stored; where it was rotated since, `pulumi up` without --refresh "
                "stores the new one"
            ) from None
        if obj is None:
            return ReadResult("", {})
        found = live(props, obj)
        kept = {key: value for key, value in props.items() if key not in SECTIONS}
        # As inputs too: the preview after a refresh then shows the drift field by field.
        inputs = {key: kept[key] for key in (*_IDENTITY, *_STORED) if key in kept}
        # An empty section that was asked for isn't drift.
        empty = {key: props[key] for key in SECTIONS if key in props and not props[key]}
        return ReadResult(id_, {**kept, **empty, **found}, inputs={**inputs, **empty, **found})

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        identity = [key for key in _IDENTITY if _stored(olds, key) != _stored(news, key)]
        changed = not _same(olds, news) or _drifted(news)
        return DiffResult(
            changes=bool(identity) or changed, replaces=identity, delete_before_replace=True
        )

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Give the fields up: each becomes what it was, with the owner that it had."""
        wanted, manager = leaves(props), _manager(props)
        if not wanted:
            return
        server = _connect(props)
        try:
            obj = server.get()
            if obj is None:
                return
            given_up = restoration(obj, wanted, Before.of(props), manager)
            after = server.apply(given_up.fields, manager, obj, force=False)
            server.hand_back(manager, given_up.back)
            if props.get("created") and not after["metadata"].get("managedFields"):
                server.delete()
        except Refused as refused:
            raise RuntimeError(f"{server.where}: can't be given back: {refused}") from None
        except Unreachable as error:
            if forgets_the_unreachable():
                return
            raise RuntimeError(
                f"{server.where}: {error}. This stack's state holds the kubeconfig of the last "
                "`pulumi up`; where it was rotated since, run `pulumi up` once, which stores the "
                "new one. Where the cluster is gone for good, PULUMI_K8S_DELETE_UNREACHABLE=true "
                "forgets this patch"
            ) from None


def _connect(props: Mapping[str, Any]) -> ServerObject:
    try:
        return ServerObject(props)
    except Unreachable as error:
        raise RuntimeError(str(error)) from None


def _manager(props: Mapping[str, Any]) -> str:
    return props.get("field_manager") or FIELD_MANAGER


def _stored(props: Mapping[str, Any], key: str) -> Any:
    # What the program leaves out, and what it says to be the default, are the same.
    default = FIELD_MANAGER if key == "field_manager" else "" if key == "namespace" else False
    return props.get(key) or default


def _same(olds: Mapping[str, Any], news: Mapping[str, Any]) -> bool:
    if any(_stored(olds, key) != _stored(news, key) for key in _STORED[:4]):
        return False
    old, new = ({leaf.at: leaf.value for leaf in leaves(props)} for props in (olds, news))
    return old == new


def _drifted(props: Mapping[str, Any]) -> bool:
    """Whether somebody has changed our fields since: read at each preview and update, as the owner
    of an object may write it anew. Says which; false where the cluster doesn't tell."""
    if not _known(props) or not (wanted := leaves(props)):
        return False
    try:
        server = ServerObject(props, patient=False)
        obj = server.get()
    except (Refused, Unreachable):
        return False
    if obj is None:
        return False
    found = [
        f"{leaf.label} is {'gone' if present is MISSING else repr(present)}, not {leaf.value!r}"
        for leaf in wanted
        if (present := value_at(obj, leaf.path)) != leaf.value
    ]
    if found:
        say(f"{server.where}: somebody changed it: {'; '.join(found)}")
    return bool(found)


def _known(props: Mapping[str, Any]) -> bool:
    if not isinstance(props.get("kubeconfig"), str):
        return False
    if any(not isinstance(props.get(key) or {}, Mapping | list) for key in SECTIONS):
        return False
    return all(isinstance(leaf.value, str | int | float | list | dict) for leaf in leaves(props))


def _objection(olds: Mapping[str, Any], props: Mapping[str, Any]) -> str | None:
    wanted = leaves(props)
    if not wanted:
        return None
    obj: dict[str, Any] | None = None
    try:
        server = ServerObject(props, patient=False)
        obj = server.get()
        if obj is None and not props.get("create_missing"):
            return None
        if obj and (found := mistakes(obj, wanted)):
            return f"{server.where}: {'; '.join(found)}"
        # What is given up now is set back to what it was, which isn't known here: it stays.
        kept = {leaf.at for leaf in wanted}
        dropped = [leaf for leaf in leaves(olds) if leaf.at not in kept]
        staying = [
            Leaf(leaf.at, leaf.path, value)
            for leaf in dropped
            if (value := value_at(obj or {}, leaf.path)) is not MISSING
        ]
        fields = [*wanted, *staying]
        manager = _manager(props)
        force = bool(props.get("force")) or taken_away(obj, wanted, olds, manager)
        server.apply(fields, manager, obj, force=force, dry_run=True)
    except Unreachable:
        return None
    except Refused as refused:
        # What isn't installed yet may be by the time it is patched.
        return (
            None
            if refused.status in (404, 429, *range(500, 600))
            else _refusal(props, obj, refused)
        )
    return None


def _refusal(props: Mapping[str, Any], obj: Mapping[str, Any] | None, refused: Refused) -> str:
    if refused.status == 409 and obj:
        return conflict_message(props, obj, refused.answer, _manager(props))
    return f"{where(props)}: the API server refuses the patch: {refused}"


class ServerSidePatch(ClusterResource, name="ServerSidePatch", provider=_Provider):
    """Our fields on an object that somebody else owns.

    Creating it waits for the object to appear. It does not wait for pods: `Rollout` does, given
    `generation`, the object's after the patch.
    """

    DEFAULTS: ClassVar[Mapping[str, Any]] = {"force": False}
    generation: pulumi.Output[int]
    """The object's after the patch."""

    def __init__(
        self, name: str, args: ServerSidePatchArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        refuse_arguments("ServerSidePatch", name, ServerSidePatchArgs, args)
        props = {**self.DEFAULTS, **args, "generation": None}
        super().__init__(name, props, opts)
