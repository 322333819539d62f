"""felix's build: what names it, and what it says where it can't be had."""

import re
from pathlib import Path

import pytest

from sandbox.felix.node import TOOLS
from sandbox.toolchain import felix
from sandbox.toolchain.placing import ToolchainError

MAKEFILE = Path(__file__).parents[3] / "Makefile"


def test_what_is_missing_is_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(felix, "OS", "linux")
    with pytest.raises(ToolchainError, match=r"felix 3\.31\.0 can't be built: no clang-19, llc-19"):
        felix.BUILD.make(tmp_path, lambda _: None)
    assert list(tmp_path.iterdir()) == []


def test_every_patch_says_why() -> None:
    assert all(patch.old and patch.why for patch in felix.RECIPE.patches)


def test_ci_installs_what_it_is_built_and_run_with() -> None:
    said = re.search(r"^DEBIAN_PACKAGES := ((?:.*\\\n)*.*)", MAKEFILE.read_text(), re.MULTILINE)
    assert said
    assert {*felix.PACKAGES, *TOOLS.values()} <= set(said[1].split())
