"""This package's own resources, as the plugin serves them: a `ResourceProvider` for each type."""

import pkgutil
from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib import import_module

from pulumi.dynamic import ConfigureRequest, ResourceProvider
from pulumi.dynamic.config import Config

from ..own_resource import kinds, token
from .outside import Outside
from .published import PACKAGE, RESOURCES


class NoSuchType(LookupError):
    """A type of resource that this release has none of."""


def provider_of(type_: str, config: Mapping[str, str]) -> ResourceProvider:
    """Who provides resources of a type. Raises NoSuchType: a state may be another release's.

    Args:
        type_: its token.
        config: credentials by the names that they have in a Python program's configuration.
    """
    make = _served().get(type_)
    if make is None:
        raise NoSuchType(f"{type_} isn't among this release's resources")
    provider = make()
    provider.configure(ConfigureRequest(Config(dict(config), PACKAGE)))
    return provider


def load_all() -> None:
    """Load this package's modules, so that all of its kinds are known."""
    here = __name__.split(".")[0]
    for module in pkgutil.walk_packages(import_module(here).__path__, f"{here}."):
        import_module(module.name)


@cache
def _served() -> Mapping[str, Callable[[], ResourceProvider]]:
    load_all()
    own = {token(each.kind): each.provided_by for each in kinds()}
    return {**own, **{f"{PACKAGE}:index:{name}": partial(Outside, name) for name in RESOURCES}}
