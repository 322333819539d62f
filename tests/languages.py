"""What tests of programs in TypeScript and YAML run with, and whether it is here."""

import os
import shutil
from pathlib import Path

import pytest

from sandbox.toolchain import nodejs_sdk
from sandbox.toolchain.install import default_cache
from sandbox.toolchain.tools import ARCH, OS, PULUMI_YAML
from tests.projects import ROOT

NODE_MODULES = ROOT / "examples" / "typescript-one-cluster" / "node_modules"
_BUILT = (
    default_cache() / f"pulumi-yaml-{PULUMI_YAML}-{OS}-{ARCH}",
    default_cache() / nodejs_sdk.BUILD.folder,
)
"""What an official CLI has."""
_missing = [
    str(each)
    for each in (
        NODE_MODULES / "installed",
        *(_BUILT if shutil.which("pulumi-language-yaml") is None else ()),
    )
    if not each.exists()
]

needs_languages = pytest.mark.skipif(
    bool(_missing), reason=f"{', '.join(_missing)}: missing, `make languages`"
)


def node_modules(folder: Path) -> None:
    """Put the example's packages into `folder`: as links to the same files where that can be, but
    for npm's own list, which it writes in place."""

    def same(source: str, target: str) -> None:
        try:
            if os.path.basename(source) != ".package-lock.json":
                os.link(source, target)
                return
        except OSError:
            pass
        shutil.copy2(source, target)

    shutil.copytree(NODE_MODULES, folder / NODE_MODULES.name, symlinks=True, copy_function=same)
