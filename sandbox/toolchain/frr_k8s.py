"""frr-k8s, which writes FRR's configuration on a node, built from source: it speaks BGP for MetalLB
in the mode that is its chart's default, the one with BFD.

Of its pod there are the program and the script that has FRR take a new configuration. FRR itself is
Debian's. The version is the one that MetalLB is built against (metallb.py).
"""

import json
import shutil
from dataclasses import asdict, dataclass

from sandbox.toolchain import metallb
from sandbox.toolchain.go_build import writable_copy
from sandbox.toolchain.source_build import SourceBuild, Workshop

PACKAGES = (*metallb.PACKAGES, "frr-pythontools")
"""Debian's packages that it runs with: the last has what the script calls."""
FILES = ("frr-k8s", "frr-reloader.sh", "crds")
_MODULE = "github.com/metallb/frr-k8s"


@dataclass(frozen=True)
class _Recipe:
    version: str
    program: str
    script: str


RECIPE = _Recipe(
    version=metallb.RECIPE.frr_k8s,
    program="./cmd/frr-k8s-controller",
    script="cmd/reloader/frr-reloader.sh",
)
_VERSION = RECIPE.version.removeprefix("v")


def _build(shop: Workshop) -> None:
    tree, program = shop.work / "frr-k8s", shop.result / FILES[0]
    writable_copy(shop.module(_MODULE, RECIPE.version), tree)
    shop.run_go(tree, "mod", "edit", "-toolchain=none")
    flags = ("-mod=mod", "-buildvcs=false", "-ldflags", "-s -w")
    shop.run_go(tree, "build", *flags, "-o", str(program), RECIPE.program)
    # The proxy's archive has no executables: who runs the script names its shell.
    shutil.copyfile(tree / RECIPE.script, shop.result / FILES[1])
    shutil.copytree(tree / "config/crd/bases", shop.result / FILES[2])


BUILD = SourceBuild("frr-k8s", _VERSION, json.dumps(asdict(RECIPE)), 3, _build)
"""Leaves `FILES`."""
