"""Building what its module alone doesn't give: from a recipe, whose digest is in the folder's name,
so that another recipe is another build."""

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from sandbox.toolchain import go_build
from sandbox.toolchain.go_build import BuildFailed
from sandbox.toolchain.placing import ToolchainError, placed
from sandbox.toolchain.tools import ARCH, OS

Say = Callable[[str], None]


def folder(name: str, version: str, recipe: str) -> str:
    """Name of what a recipe makes; `recipe` is everything that decides what comes out, as text."""
    return f"{name}-{version}-{hashlib.sha256(recipe.encode()).hexdigest()[:10]}-{OS}-{ARCH}"


def kept(cache: Path, folder: str) -> Path | None:
    """Where it lies, if it was made."""
    found = cache / folder
    return found if found.is_dir() else None


class Workshop:
    """A folder to work in (`work`), and Go; what is to be kept goes to `result`."""

    def __init__(self, go: Path, result: Path, work: Path, log: Path, say: Say) -> None:
        self.go, self.result, self.work = go, result, work
        self._log, self._say = log, say
        self.env = go_build.environment()
        work.mkdir(parents=True)
        (work / "go.mod").write_text("module work\n")

    def module(self, path: str, version: str, expected: str | None = None) -> Path:
        """A module's files, which can't be written; with `expected` of that sum, for which Go's
        checksum database isn't asked. Raises BuildFailed."""
        found = go_build.download(path, version, self.go, self.work, self.env)
        if expected is not None and found["Sum"] != expected:
            raise BuildFailed(f"{path}@{version} has the sum {found['Sum']}, not {expected}")
        return Path(found["Dir"])

    def run(self, command: list[str], cwd: Path) -> None:
        """Raises BuildFailed."""
        go_build.run(command, cwd, self.env, self._log, self._say)

    def run_go(self, cwd: Path, *arguments: str) -> None:
        """Raises BuildFailed."""
        self.run([str(self.go), *arguments], cwd)


def patch(file: Path, old: str, new: str) -> None:
    """Put `new` in the place of `old`, which is there once. Raises BuildFailed."""
    text = file.read_text()
    if text.count(old) != 1:
        raise BuildFailed(f"{file.name} doesn't have this once: {old.strip()}")
    file.write_text(text.replace(old, new))


def make(
    cache: Path,
    program: str,
    folder: str,
    minutes: int,
    build: Callable[[Workshop], None],
    say: Say,
) -> Path:
    """The folder in the cache, built unless it is there; `program` (``felix 3.31.0``) is what is
    told of it. Raises ToolchainError."""

    def fill(result: Path, work: Path) -> None:
        say(f"building {program} from source, about {minutes} minutes; once")
        log = cache / "logs" / f"{program.replace(' ', '-')}.log"
        log.unlink(missing_ok=True)
        try:
            with FileLock(cache / "go.lock"):
                go = go_build.find_go(cache, say)
            build(Workshop(go, result, work, log, say))
        except (BuildFailed, OSError, subprocess.SubprocessError) as error:
            raise ToolchainError(f"can't make {program}: {error}") from error

    return placed(cache, program, folder, fill, say)
