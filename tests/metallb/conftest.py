"""Fixtures of the tests with MetalLB's own programs."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from sandbox.toolchain import metallb
from sandbox.toolchain.install import default_cache
from tests.metallb.world import FRR, World

PASSWORD = "hunter2"


def lacking() -> str | None:
    """Why MetalLB can't be run here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    if not (FRR / "bgpd").exists() or not shutil.which("vtysh"):
        return f"needs the Debian packages {' '.join(metallb.PACKAGES)}"
    if metallb.built(default_cache()):
        return None
    return "MetalLB isn't built: `make metallb` makes it, in three minutes, once"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two nodes without speakers, a router, and the controller. Fails where all is asked for and
    it can't be had, else skips."""
    if reason := lacking():
        if os.environ.get("THOROUGH") == "1" or os.environ.get("EDGEFLEET_REQUIRE_ALL") == "1":
            pytest.fail(f"the tests with MetalLB must run here, but: {reason}")
        pytest.skip(f"no MetalLB on this machine: {reason}")
    built = metallb.built(default_cache())
    assert built
    with ExitStack() as stack:
        yield World(tmp_path_factory.mktemp("metallb"), built, stack, PASSWORD)
