"""Traefik, built from source: for tests of its ingress with real requests.

Its module lacks three things that a build needs: the dashboard's files, a module in a folder of its
own, and, on some module proxies, the versions of two libraries. And ACME's hundred DNS providers
would take longer to compile than all the rest; nobody here asks Let's Encrypt for anything.
Everything that decides what comes out is in `RECIPE`, whose digest is part of the folder's name.
"""

import hashlib
import json
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from sandbox.toolchain import go_build
from sandbox.toolchain.go_build import BuildFailed
from sandbox.toolchain.placing import ToolchainError, placed
from sandbox.toolchain.tools import ARCH, OS

VERSION = "3.7.13"
_MODULE = "github.com/traefik/traefik/v3"
_EXT = "pkg/config/dynamic/ext"


@dataclass(frozen=True)
class _Patch:
    file: str
    old: str
    new: str


@dataclass(frozen=True)
class _Recipe:
    module: str
    sum: str
    replaced: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, str], ...]
    patches: tuple[_Patch, ...]
    go: tuple[str, ...]


RECIPE = _Recipe(
    module=f"{_MODULE}@v{VERSION}",
    sum="h1:T8wy9KuaFzCkmXCqAzDy7t73pBDR1DHrJe3pqXpNXTw=",
    replaced=(
        # Basic and digest authentication, before their last change.
        (
            "github.com/abbot/go-http-auth",
            "github.com/containous/go-http-auth@v0.4.1-0.20200324110947-a37a7636d23e",
        ),
        ("github.com/go-acme/lego/v5", "github.com/go-acme/lego/v5@v5.3.1"),
    ),
    files=(
        ("webui/static/index.html", "<!doctype html><title>no dashboard</title>\n"),
        # A module within the module, which the proxy's archive leaves out; what upstream has there
        # are two empty structures for others to fill.
        (f"{_EXT}/go.mod", "module github.com/traefik/traefik/dynamic/ext\n\ngo 1.26.0\n"),
        (f"{_EXT}/ext.go", "package ext\n\ntype HTTP struct{}\n\ntype Router struct{}\n"),
    ),
    patches=(
        _Patch(
            "pkg/provider/acme/provider.go",
            '\t"github.com/go-acme/lego/v5/providers/dns"\n',
            "",
        ),
        _Patch(
            "pkg/provider/acme/provider.go",
            "dns.NewDNSChallengeProviderByName(p.DNSChallenge.Provider)",
            'nil, errors.New("built without the DNS providers of ACME")',
        ),
    ),
    go=(
        "-mod=mod",
        "-buildvcs=false",
        "-trimpath",
        "-ldflags",
        f"-s -w -X {_MODULE}/pkg/version.Version={VERSION}",
    ),
)


def folder() -> str:
    """Name of what this recipe makes: version and digest of the recipe."""
    text = json.dumps(asdict(RECIPE), sort_keys=True)
    return f"traefik-{VERSION}-{hashlib.sha256(text.encode()).hexdigest()[:10]}-{OS}-{ARCH}"


def built(cache: Path) -> Path | None:
    """Where this recipe's Traefik lies, if it was made: the program ``traefik``, and its
    definitions for an API server (``crds``)."""
    found = cache / folder()
    return found if found.is_dir() else None


def make(cache: Path, say: Callable[[str], None]) -> Path:
    """Traefik's folder in the cache, built unless it is there. Raises ToolchainError."""

    def build(result: Path, work: Path) -> None:
        say(f"building traefik {VERSION} from source, about 5 minutes; once")
        log = cache / "logs" / f"traefik-{VERSION}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("")
        try:
            with FileLock(cache / "go.lock"):
                go = go_build.find_go(cache, say)
            _build(go, work, result, log, say)
        except (BuildFailed, OSError, subprocess.SubprocessError) as error:
            raise ToolchainError(f"can't make traefik {VERSION}: {error}") from error

    return placed(cache, f"traefik {VERSION}", folder(), build, say)


def _build(go: Path, work: Path, result: Path, log: Path, say: Callable[[str], None]) -> None:
    env = {**go_build.environment(), "CGO_ENABLED": "0"}
    work.mkdir(parents=True)
    (work / "go.mod").write_text("module work\n")
    module, _, version = RECIPE.module.partition("@")
    found = go_build.download(module, version, go, work, env)
    if found["Sum"] != RECIPE.sum:
        raise BuildFailed(f"{RECIPE.module} has the sum {found['Sum']}, not {RECIPE.sum}")
    tree = work / "traefik"
    go_build.writable_copy(Path(found["Dir"]), tree)
    for name, content in RECIPE.files:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(content)
    for patch in RECIPE.patches:
        text = (tree / patch.file).read_text()
        if text.count(patch.old) != 1:
            raise BuildFailed(f"{patch.file} doesn't have this once: {patch.old.strip()}")
        (tree / patch.file).write_text(text.replace(patch.old, patch.new))
    for name, instead in RECIPE.replaced:
        go_build.run([str(go), "mod", "edit", f"-replace={name}={instead}"], tree, env, log, say)
    command = [str(go), "build", *RECIPE.go, "-o", str(result / "traefik"), "./cmd/traefik"]
    go_build.run(command, tree, env, log, say)
    definitions = "docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml"
    (result / "crds").mkdir()
    (result / "crds" / "traefik.yaml").write_bytes((tree / definitions).read_bytes())
