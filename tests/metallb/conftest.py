"""Fixtures of the tests with MetalLB's own programs."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from sandbox.toolchain import frr_k8s, metallb
from sandbox.toolchain.install import default_cache
from tests.metallb.frr_k8s import FrrWorld
from tests.metallb.world import FRR, World

PASSWORD = "hunter2"


def lacking() -> str | None:
    """Why MetalLB can't be run here, or None."""
    if os.geteuid() != 0:
        return "needs root"
    if not (FRR / "bgpd").exists() or not shutil.which("vtysh"):
        return f"needs the Debian packages {' '.join(metallb.PACKAGES)}"
    if metallb.BUILD.built(default_cache()):
        return None
    return "MetalLB isn't built: `make metallb` makes it, in three minutes, once"


def lacking_frr_k8s() -> str | None:
    """Why MetalLB with frr-k8s can't be run here, or None."""
    if reason := lacking():
        return reason
    if not (FRR / "frr-reload.py").exists():
        return f"needs the Debian packages {' '.join(frr_k8s.PACKAGES)}"
    if frr_k8s.BUILD.built(default_cache()):
        return None
    return "frr-k8s isn't built: `make metallb` makes it, in three minutes, once"


def _skip(reason: str | None) -> None:
    """Fails where all is asked for and it can't be had, else skips."""
    if not reason:
        return
    if os.environ.get("THOROUGH") == "1" or os.environ.get("EDGEFLEET_REQUIRE_ALL") == "1":
        pytest.fail(f"the tests with MetalLB must run here, but: {reason}")
    pytest.skip(f"no MetalLB on this machine: {reason}")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Two nodes without speakers, a router, and the controller."""
    _skip(lacking())
    built = metallb.BUILD.built(default_cache())
    assert built
    with ExitStack() as stack:
        yield World(tmp_path_factory.mktemp("metallb"), built, stack, PASSWORD)


@pytest.fixture(scope="module")
def frr_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FrrWorld]:
    """The same, where frr-k8s speaks BGP, with BFD."""
    _skip(lacking_frr_k8s())
    built, beside = metallb.BUILD.built(default_cache()), frr_k8s.BUILD.built(default_cache())
    assert built
    assert beside
    with ExitStack() as stack:
        yield FrrWorld(tmp_path_factory.mktemp("frr-k8s"), built, beside, stack, PASSWORD)
