"""MetalLB's controller and speaker, built from source: for tests with real packets.

All come from the Go module proxy. MetalLB's release wants frr-k8s v0.0.27, whose files the proxy
doesn't give (403); v0.0.26 differs in one field, for longer AS paths, which nothing here says. So
that is taken out of MetalLB's part that speaks to frr-k8s; the rest is as released.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from sandbox.toolchain import go_build
from sandbox.toolchain.go_build import BuildFailed
from sandbox.toolchain.placing import ToolchainError, placed
from sandbox.toolchain.tools import ARCH, OS

PACKAGES = ("frr", "iproute2", "util-linux")
"""Debian's packages that the programs run with."""
FILES = ("controller", "speaker", "crds")
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


def folder() -> str:
    """Name of what this recipe makes: version and digest of the recipe."""
    digest = hashlib.sha256(json.dumps(asdict(RECIPE)).encode()).hexdigest()[:10]
    return f"metallb-{RECIPE.version[1:]}-{digest}-{OS}-{ARCH}"


def built(cache: Path) -> Path | None:
    """Where this recipe's `FILES` lie, if they were made."""
    found = cache / folder()
    return found if found.is_dir() else None


def make(cache: Path, say: Callable[[str], None]) -> Path:
    """The folder in the cache, built unless it is there. Raises ToolchainError."""

    def build(result: Path, work: Path) -> None:
        say(f"building MetalLB {RECIPE.version} from source, about 3 minutes; once")
        try:
            with FileLock(cache / "go.lock"):
                go = go_build.find_go(cache, say)
            _build(go, result, work, cache / "logs" / f"metallb-{RECIPE.version}.log", say)
        except (BuildFailed, OSError) as error:
            raise ToolchainError(f"can't make MetalLB {RECIPE.version}: {error}") from error

    return placed(cache, f"metallb {RECIPE.version}", folder(), build, say)


def _build(go: Path, result: Path, work: Path, log: Path, say: Callable[[str], None]) -> None:
    work.mkdir(parents=True)
    (work / "go.mod").write_text("module work\n")
    tree, env = work / "metallb", go_build.environment()
    source = go_build.module_folder(_MODULE, RECIPE.version, go, work)
    # The module cache is read-only, and its copy is not to be.
    shutil.copytree(source, tree, copy_function=shutil.copyfile)
    for path in (tree, *(path for path in tree.rglob("*") if path.is_dir())):
        path.chmod(0o755)
    patched = tree / _PATCHED
    patched.write_text(without_longer_paths(patched.read_text()))
    log.unlink(missing_ok=True)

    def run(*command: str) -> None:
        go_build.run([str(go), *command], tree, env, log, say)

    run("mod", "edit", f"-replace={_FRR_K8S}={_FRR_K8S}@{RECIPE.frr_k8s}", "-toolchain=none")
    flags = ("-mod=mod", "-buildvcs=false", "-ldflags", "-s -w")
    run("build", *flags, "-o", f"{result}/", "./controller", "./speaker")
    shutil.copytree(tree / "config/crd/bases", result / "crds", copy_function=shutil.copyfile)


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
