"""Whether this machine can have a twin: elsewhere tests that need one are skipped, and say why."""

import os

import pytest

from sandbox.twin.namespaces import missing


def require() -> None:
    """Skip, or fail where everything has to run."""
    if reason := missing():
        if os.environ.get("CI") == "true" or os.environ.get("EDGEFLEET_REQUIRE_ALL") == "1":
            pytest.fail(f"the twin's tests must run here, but: {reason}")
        pytest.skip(f"no twin on this machine: {reason}")
