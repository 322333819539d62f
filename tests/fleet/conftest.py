"""One sandbox and one fleet for all these tests: a cluster takes seconds, not milliseconds."""

from collections.abc import Iterator

import pytest

from tests.fleet.fleet import Fleet


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A started sandbox with nothing up."""
    fleet = Fleet.make(tmp_path_factory.mktemp("fleet"))
    yield fleet
    fleet.stop()


@pytest.fixture(scope="session")
def running(sandbox: Fleet) -> Fleet:
    """us, eu and edge, up."""
    for ran in sandbox.up("us", "eu"):
        ran.require()
    sandbox.up("edge")[0].require()
    return sandbox


@pytest.fixture
def fleet(running: Fleet) -> Iterator[Fleet]:
    """The running fleet; stack files and faults are put back afterwards."""
    yield running
    running.healthy()
    running.restore()
