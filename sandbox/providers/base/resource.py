"""Plugins with a fixed set of resource types: one ``Resource`` object for each."""

from collections.abc import Callable, Mapping
from typing import Any, Generic

import pulumi

from sandbox.providers.base import schema
from sandbox.providers.base.diff import Diff, compare, merged
from sandbox.providers.base.operations import Call, Failure, Plugin, PluginError, ReadResult, S
from sandbox.providers.base.outputs import fit_resource, fit_result
from sandbox.providers.base.values import UNKNOWN, Properties, conceal_keys

Function = Callable[[S, Call, Properties], Properties]
"""A function of the package: session, call, arguments → result."""


class Resource(Generic[S]):
    """One resource type: its rules as class attributes, its requests as methods."""

    sdk: type[pulumi.CustomResource]
    """The class of the package's Python SDK."""
    replaces: frozenset[str] = frozenset()
    """Inputs whose change needs a new resource."""
    optional: frozenset[str] = frozenset()
    """Inputs that the API must not fill in: a value in the state that the program doesn't give
    counts as a change (Terraform: Optional without Computed)."""
    whole: frozenset[str] = frozenset()
    """Object inputs where a field that the API adds counts as a change after a refresh."""
    volatile: bool = False
    """Whether computed outputs are unknown in the preview of an update (Terraform's plugin
    framework) or keep their old values (its SDKv2)."""

    def complete(self, inputs: Properties) -> Properties:
        """Inputs with what the provider adds to them before it compares."""
        return inputs

    def check(self, inputs: Properties) -> list[Failure]:
        """Rules beyond names and types. Values may be UNKNOWN."""
        return []

    def diff(self, olds: Properties, old_inputs: Properties, news: Properties) -> Diff:
        """Compare the state with the inputs."""
        filled = {key: olds[key] for key in self.optional if olds.get(key)}
        return compare(olds, news, old_inputs={**filled, **old_inputs}, replaces=self.replaces)

    def plan_create(self, inputs: Properties) -> Properties:
        """The outputs that a preview of create shows: what isn't an input is unknown."""
        return {**dict.fromkeys(schema.output_names(self.sdk), UNKNOWN), **inputs}

    def plan_update(self, olds: Properties, news: Properties) -> Properties:
        """The outputs that a preview of update shows."""
        if not self.volatile:
            return merged(olds, news)
        inputs = schema.inputs_of(self.sdk).properties
        kept = {key: value for key, value in olds.items() if key in inputs}
        computed = schema.output_names(self.sdk) - inputs.keys()
        return {**dict.fromkeys(computed, UNKNOWN), **kept, **news}

    def create(self, session: S, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """Create; returns id and outputs."""
        raise NotImplementedError

    def read(self, session: S, call: Call, id: str, state: Properties) -> ReadResult | None:
        """Look up by id; ``state`` is empty when importing. ``inputs`` of the result hold all
        that the API tells; the plugin drops those that the program doesn't set."""
        raise NotImplementedError

    def update(
        self, session: S, call: Call, id: str, olds: Properties, news: Properties
    ) -> Properties:
        """Change in place; returns the outputs."""
        raise NotImplementedError

    def delete(self, session: S, call: Call, id: str, state: Properties) -> None:
        """Delete."""
        raise NotImplementedError


class ResourcePlugin(Plugin[S]):
    """Sends each call to the Resource of its type token."""

    provider_sdk: type[pulumi.ProviderResource]

    def __init__(
        self,
        resources: list[Resource[S]],
        functions: Mapping[str, Function[S]] | None = None,
    ) -> None:
        self._resources = {schema.token(resource.sdk): resource for resource in resources}
        self._functions = dict(functions or {})

    def check_config(self, call: Call, news: Properties) -> tuple[Properties, list[Failure]]:
        """Refuse arguments that the SDK's Provider class doesn't have."""
        known = schema.inputs_of(self.provider_sdk).properties.keys() | {"version"}  # type: ignore[arg-type]
        allowed = ", ".join(sorted(known - {"version"}))
        failures = [
            Failure(key, f"could not validate provider configuration: Invalid or unknown key "
                    f"{key!r}; the provider takes: {allowed}")
            for key in news
            if key not in known and not key.startswith("__")
        ]  # fmt: skip
        return news, failures

    def check(
        self, session: S, call: Call, news: Properties, olds: Properties
    ) -> tuple[Properties, list[Failure]]:
        """Check against the SDK's classes, then by the resource's own rules."""
        resource = self._resource(call.type)
        inputs, failures = schema.validate(schema.inputs_of(resource.sdk), news)
        failures = failures or resource.check(inputs)
        return inputs if failures else resource.complete(inputs), failures

    def diff(
        self, session: S, call: Call, id: str, olds: Properties, old_inputs: Properties,
        news: Properties,
    ) -> Diff:  # fmt: skip
        """Compare the state with the inputs by the resource's rules."""
        return self._resource(call.type).diff(olds, old_inputs, news)

    def create(self, session: S, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """Create, or plan it."""
        resource = self._resource(call.type)
        if call.preview:
            return "", self._finish(resource, resource.plan_create(inputs))
        id, outputs = resource.create(session, call, inputs)
        return id, self._finish(resource, outputs)

    def read(
        self, session: S, call: Call, id: str, inputs: Properties, properties: Properties
    ) -> ReadResult | None:
        """Look up; inputs that the program doesn't set stay unset unless importing."""
        resource = self._resource(call.type)
        found = resource.read(session, call, id, properties)
        if found is None:
            return None
        importing = not inputs and not properties
        if importing:
            kept = {key: value for key, value in found.inputs.items() if value not in ("", [], {})}
        else:
            kept = _refreshed(resource, inputs, found.inputs)
        return ReadResult(found.id, self._finish(resource, found.outputs), kept)

    def update(
        self, session: S, call: Call, id: str, olds: Properties, old_inputs: Properties,
        news: Properties,
    ) -> Properties:  # fmt: skip
        """Update, or plan it."""
        resource = self._resource(call.type)
        if call.preview:
            return self._finish(resource, resource.plan_update(olds, news))
        return self._finish(resource, resource.update(session, call, id, olds, news))

    def delete(self, session: S, call: Call, id: str, properties: Properties) -> None:
        """Delete."""
        self._resource(call.type).delete(session, call, id, properties)

    def invoke(self, session: S, call: Call, token: str, args: Properties) -> Properties:
        """Call the function of that token."""
        function = self._functions.get(token)
        if function is None:
            known = ", ".join(sorted(self._functions)) or "none"
            raise PluginError(f"the sandbox's {self.package} plugin lacks {token}; it has: {known}")
        result = function(session, call, args)
        package = self.provider_sdk.__module__.partition(".")[0]
        return fit_result(package, token.rpartition(":")[2], result)

    def _resource(self, type_token: str) -> Resource[S]:
        resource = self._resources.get(type_token)
        if resource is None:
            known = ", ".join(sorted(self._resources))
            raise PluginError(
                f"the sandbox's {self.package} plugin doesn't emulate {type_token}; it has: {known}"
            )
        return resource

    def _finish(self, resource: Resource[S], outputs: Properties) -> Properties:
        fitting = fit_resource(resource.sdk, outputs)
        return conceal_keys(fitting, schema.secret_outputs(resource.sdk))


def _refreshed(resource: Resource[Any], inputs: Properties, found: Properties) -> Properties:
    """The program's inputs with what the API says now, object by object."""
    result = {
        key: found.get(key, value)
        if key in resource.whole
        else _shaped(value, found.get(key, value))
        for key, value in inputs.items()
    }
    for key in resource.optional & found.keys() - result.keys():
        if found[key]:
            result[key] = found[key]
    return result


def _shaped(given: Any, found: Any) -> Any:
    if isinstance(given, Mapping) and isinstance(found, Mapping) and given:
        return {key: _shaped(value, found.get(key, value)) for key, value in given.items()}
    if isinstance(given, list) and isinstance(found, list):
        return [
            _shaped(given[index], item) if index < len(given) else item
            for index, item in enumerate(found)
        ]
    return found
