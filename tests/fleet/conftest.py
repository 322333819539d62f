"""One sandbox and one fleet for all these tests: a cluster takes seconds, not milliseconds."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.fleet.fleet import Fleet


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory, ends_with_group: ExitStack) -> Fleet:
    """us, eu and edge, up."""
    fleet = Fleet.make(tmp_path_factory.mktemp("fleet"))
    ends_with_group.callback(fleet.stop)
    for ran in fleet.up("us", "eu"):
        ran.require()
    fleet.up("edge")[0].require()
    return fleet


@pytest.fixture
def fleet(running: Fleet) -> Iterator[Fleet]:
    """The running fleet; stack files and faults are put back afterwards."""
    yield running
    running.restore()
    running.healthy()
