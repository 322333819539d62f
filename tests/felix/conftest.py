"""Fixtures of the tests with the real felix: two nodes, the world around them, a control plane."""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from sandbox.felix import node
from sandbox.toolchain import felix
from sandbox.toolchain.install import default_cache
from tests.felix.world import World
from tests.packets import netns


def lacking() -> str | None:
    """Why felix can't be run here, or None."""
    return netns.missing() or node.lacking(default_cache())


@pytest.fixture(scope="session")
def runs_felix() -> None:
    """For a test that starts felix: fails where CI asks for it and it can't be had, else skips."""
    if reason := lacking():
        if os.environ.get("CI") == "true" or os.environ.get("EDGEFLEET_REQUIRE_ALL") == "1":
            pytest.fail(f"the tests with felix must run here, but: {reason}")
        pytest.skip(f"no felix on this machine: {reason}")


@pytest.fixture(scope="module")
def world(runs_felix: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two nodes without felix, which a test starts with the variables that it wants."""
    built = felix.BUILD.built(default_cache())
    assert built
    with ExitStack() as stack:
        yield World(tmp_path_factory.mktemp("felix"), built, stack)
