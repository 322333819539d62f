"""A resource that programs in any language make themselves: its provider, spelled as they do."""

from collections.abc import Mapping
from typing import Any, cast

from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)
from pulumi.output import Unknown

from ..arguments import mistakes
from .published import arguments, camel, outputs, published
from .spelling import from_outside, to_outside


class Outside(ResourceProvider):
    """Holds the arguments against their type, too, as the resource's class does in Python."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._given = arguments(name)
        self._made = {**self._given.__annotations__, **outputs(name)}
        self._named = {camel(key): key for key in self._made}
        self._defaults: Mapping[str, Any] = published(name).DEFAULTS
        self._inner: ResourceProvider = published(name).provided_by()

    def configure(self, req: ConfigureRequest) -> None:
        self._inner.configure(req)

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        if not _has_unknown(news):
            found = mistakes(self._given, from_outside(self._given, news), spelled=camel)
            if failures := [CheckFailure("", text) for text in found]:
                return CheckResult(news, failures)
        checked = self._inner.check(self._in(olds), self._in(news))
        failures = [CheckFailure(camel(each.property), each.reason) for each in checked.failures]
        return CheckResult(self._out(checked.inputs), failures)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        found = self._inner.diff(_id, self._in(_olds), self._in(_news))
        found.replaces = [camel(key) for key in found.replaces or []]
        return found

    def create(self, props: dict[str, Any]) -> CreateResult:
        made = self._inner.create(self._in(props))
        return CreateResult(made.id, self._out(made.outs))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        found = self._inner.read(id_, self._in(props))
        inputs = None if found.inputs is None else self._out(found.inputs)
        return ReadResult(found.id, self._out(found.outs), inputs)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        made = self._inner.update(_id, self._in(_olds), self._in(_news))
        return UpdateResult(self._out(made.outs))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        self._inner.delete(_id, self._in(_props))

    def _in(self, props: Mapping[str, Any]) -> dict[str, Any]:
        known = {self._named.get(key, key): value for key, value in props.items()}
        return {
            **self._defaults,
            **{key: from_outside(self._made.get(key, Any), one) for key, one in known.items()},
        }

    def _out(self, props: Mapping[str, Any] | None) -> dict[str, Any]:
        items = (props or {}).items()
        return {camel(key): to_outside(self._made.get(key, Any), one) for key, one in items}


def _has_unknown(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_has_unknown(each) for each in cast(Mapping[str, Any], value).values())
    if isinstance(value, list):
        return any(_has_unknown(each) for each in cast("list[Any]", value))
    return isinstance(value, Unknown)
