"""Fixtures of the firewall tests: nodes with the real ufw."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from components.firewall import cloudflare_ranges
from tests.packets import netns
from tests.packets.worlds import SMALL, World, made, table_of


def pytest_runtest_setup(item: pytest.Item) -> None:
    if reason := netns.missing():
        if os.environ.get("CI") == "true" or os.environ.get("EDGEFLEET_REQUIRE_ALL") == "1":
            pytest.fail(f"the firewall tests must run here, but: {reason}")
        pytest.skip(f"no firewall tests on this machine: {reason}")


@pytest.fixture(scope="session")
def pinned() -> tuple[str, ...]:
    return cloudflare_ranges.load().cidrs


@pytest.fixture
def bare() -> Iterator[World]:
    """A node as it is before edgefleet comes: ufw is there, and off."""
    yield from made()


@pytest.fixture(scope="session")
def _kept(ends_with_group: ExitStack) -> World:
    node, outside = ends_with_group.enter_context(contextmanager(made)())
    assert node.sync(table_of(*SMALL)).state == "matches"
    node.keep()
    return node, outside


@pytest.fixture
def closed(_kept: World) -> Iterator[World]:
    """A node that was given the table of `SMALL`."""
    yield _kept
    _kept[0].put_back()
