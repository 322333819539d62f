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
_NEEDED = (
    NODE_MODULES / "installed",
    default_cache() / f"pulumi-yaml-{PULUMI_YAML}-{OS}-{ARCH}",
    default_cache() / nodejs_sdk.BUILD.folder,
)

needs_languages = pytest.mark.skipif(
    not all(each.exists() for each in _NEEDED) and shutil.which("pulumi-language-yaml") is None,
    reason=f"{' or '.join(map(str, _NEEDED))} is missing: `make languages`",
)


def node_modules(folder: Path) -> None:
    """Put the example's packages into `folder`, as links to the same files: npm, which may change
    what is there, writes files anew."""
    shutil.copytree(NODE_MODULES, folder / NODE_MODULES.name, symlinks=True, copy_function=os.link)
