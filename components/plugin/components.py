"""The plugin's components and functions: what is given from outside, given to Python's."""

import json
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

import pulumi
from pulumi.provider import ConstructResult, Provider
from pulumi.provider.provider import InvokeResult
from pulumi.resource import DependencyResource

from ..arguments import refuse_arguments
from ..vendors.credentials import vultr_key
from ..vendors.vultr import VultrApi
from .published import (
    COMPONENTS,
    FUNCTIONS,
    RESULTS,
    arguments,
    camel,
    outputs,
    published,
    result,
)
from .spelling import from_outside, to_outside

deleted_with: ContextVar[str] = ContextVar("deleted_with", default="")
"""The URN of what a component goes with."""


class Components(Provider):
    """`config`: credentials by the names that they have in a Python program's configuration."""

    def __init__(self, schema: str) -> None:
        super().__init__(json.loads(schema)["version"], schema)
        self.config: Mapping[str, str] = {}

    def construct(
        self,
        name: str,
        resource_type: str,
        inputs: Mapping[str, Any],
        options: pulumi.ResourceOptions | None = None,
    ) -> ConstructResult:
        kind = resource_type.split(":")[-1]
        if kind not in COMPONENTS:
            raise pulumi.RunError(f"{name}: {resource_type} isn't among this release's components")
        shape = arguments(kind)
        args = from_outside(shape, inputs)
        refuse_arguments(kind, name, shape, args, camel)
        if urn := deleted_with.get():
            gone = pulumi.ResourceOptions(deleted_with=DependencyResource(urn))
            options = pulumi.ResourceOptions.merge(options, gone)
        made = published(kind)(name, args, options, **self._besides(kind))
        state = {
            camel(key): to_outside(hint, getattr(made, key)) for key, hint in outputs(kind).items()
        }
        return ConstructResult(made.urn, state)

    def invoke(self, token: str, args: Mapping[str, Any]) -> InvokeResult:
        names = {camel(name): name for name in FUNCTIONS}
        name = names[token.split(":")[-1]]
        shape = arguments(name)
        known = from_outside(shape, args)
        refuse_arguments(token, "", shape, known, camel)
        found = published(name)(**known)
        return InvokeResult({RESULTS[name]: to_outside(result(name), found)})

    def _besides(self, kind: str) -> Mapping[str, Any]:
        """What a component isn't told by its arguments: this process has no stack's configuration
        when it destroys, so what is read now is read by the same key."""
        if kind == "VkeCluster":
            return {"reader": VultrApi(vultr_key(self.config.get))}
        return {}
