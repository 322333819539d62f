"""MetalLB's controller and speaker, built from source: for tests with real packets.

All come from the Go module proxy. MetalLB's release wants frr-k8s v0.0.27, whose files the proxy
doesn't give (403); v0.0.26 differs in one field, for longer AS paths, which nothing here says. So
that is taken out of MetalLB's part that speaks to frr-k8s; the rest is as released.
"""

import json
import shutil
from dataclasses import asdict, dataclass

from sandbox.toolchain.go_build import BuildFailed, writable_copy
from sandbox.toolchain.source_build import SourceBuild, Workshop

PACKAGES = ("frr", "iproute2", "util-linux")
"""Debian's packages that the programs run with."""
_MODULE, _FRR_K8S = "go.universe.tf/metallb", "github.com/metallb/frr-k8s"
_PATCHED = "internal/bgp/frrk8s/frrk8s.go"


@dataclass(frozen=True)
class _Recipe:
    version: str
    frr_k8s: str
    dropped: tuple[str, ...]
    """Lines of `_PATCHED` that hold one of these go; and the function of that name."""
    function: str


RECIPE = _Recipe(
    version="v0.16.2",
    frr_k8s="v0.0.26",
    dropped=(
        "PrefixesWithAsPathPrepend:",
        "ToAdvertise.PrefixesWithAsPathPrepend =",
    ),
    function="toAdvertiseWithAsPathPrepend",
)
_VERSION = RECIPE.version.removeprefix("v")


def _build(shop: Workshop) -> None:
    tree = shop.work / "metallb"
    writable_copy(shop.module(_MODULE, RECIPE.version), tree)
    patched = tree / _PATCHED
    patched.write_text(without_longer_paths(patched.read_text()))
    older = f"-replace={_FRR_K8S}={_FRR_K8S}@{RECIPE.frr_k8s}"
    shop.run_go(tree, "mod", "edit", older, "-toolchain=none")
    flags = ("-mod=mod", "-buildvcs=false", "-ldflags", "-s -w")
    shop.run_go(tree, "build", *flags, "-o", f"{shop.result}/", "./controller", "./speaker")
    shutil.copytree(tree / "config/crd/bases", shop.result / "crds")


BUILD = SourceBuild("metallb", _VERSION, json.dumps(asdict(RECIPE)), 3, _build)
"""Leaves ``controller``, ``speaker`` and ``crds``."""


def without_longer_paths(text: str) -> str:
    """The source without the field that frr-k8s v0.0.26 doesn't have. Raises BuildFailed."""
    for dropped in RECIPE.dropped:
        if text.count(dropped) != 1:
            raise BuildFailed(f"{_PATCHED} doesn't have this once: {dropped}")
    start = text.find(f"func {RECIPE.function}(")
    end = text.find("\n}\n", start)
    if start < 0 or end < 0:
        raise BuildFailed(f"{_PATCHED} has no function {RECIPE.function}")
    text = text[:start] + text[end + 3 :]
    lines = [line for line in text.splitlines() if not any(d in line for d in RECIPE.dropped)]
    return "\n".join([*lines, ""])
