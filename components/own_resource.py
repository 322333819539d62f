"""A resource whose provider is Python of this package.

In a Python program it is a dynamic resource: Pulumi runs the provider in a process beside the
program. Where this package's plugin makes it, for a program in another language, there is no such
process, and the plugin serves the provider itself (`plugin/own_resources.py`).
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pulumi
from pulumi.dynamic import Resource, ResourceProvider

_made_by_the_plugin = False


def are_made_by_the_plugin() -> None:
    """From now on every one that this process makes is of the plugin's package."""
    global _made_by_the_plugin
    _made_by_the_plugin = True


class OwnResource(Resource):
    """Subclasses say their kind and who provides it. Providers have no state of their own: they are
    pickled by reference to their module, so a state outlives changes of the code."""

    kind: ClassVar[str] = ""
    provided_by: ClassVar[type[ResourceProvider]] = ResourceProvider

    def __init_subclass__(
        cls, *, name: str = "", provider: type[ResourceProvider] = ResourceProvider
    ) -> None:
        super().__init_subclass__(module="index", name=name)  # pyright: ignore[reportUnknownMemberType]
        cls.kind, cls.provided_by = name, provider

    def __init__(
        self, name: str, props: Mapping[str, Any], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        if _made_by_the_plugin:
            pulumi.CustomResource.__init__(self, token(self.kind), name, {**props}, opts)
        else:
            super().__init__(self.provided_by(), name, {**props}, opts)


def token(kind: str) -> str:
    """The type of a resource that the plugin makes."""
    return f"edgefleet:internal:{kind}"


def kinds(of: type[OwnResource] = OwnResource) -> Iterator[type[OwnResource]]:
    """Those of all modules that have been loaded."""
    for each in of.__subclasses__():
        if each.kind:
            yield each
        yield from kinds(each)
