"""Building what its module alone doesn't give: from a recipe, whose digest is in the folder's name,
so that another recipe is another build."""

import hashlib
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from sandbox.toolchain import go_build
from sandbox.toolchain.go_build import BuildFailed
from sandbox.toolchain.placing import ToolchainError, placed
from sandbox.toolchain.tools import ARCH, OS

Say = Callable[[str], None]


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


@dataclass(frozen=True)
class SourceBuild:
    """A program and the recipe that it is built by.

    Attributes:
        name, version: as people call it (felix, 3.31.0).
        recipe: everything that decides what comes out, as text.
        minutes: that it takes on two idle cores.
        steps: build it, and leave in the workshop's `result` what is to be kept.
        lacking: says why it can't be built on this machine, or None.
    """

    name: str
    version: str
    recipe: str
    minutes: int
    steps: Callable[[Workshop], None]
    lacking: Callable[[], str | None] = lambda: None

    @property
    def folder(self) -> str:
        """Name of what the recipe makes: another for another recipe."""
        digest = hashlib.sha256(self.recipe.encode()).hexdigest()[:10]
        return f"{self.name}-{self.version}-{digest}-{OS}-{ARCH}"

    def built(self, cache: Path) -> Path | None:
        """Where what this recipe makes lies, if it was made."""
        found = cache / self.folder
        return found if found.is_dir() else None

    def make(self, cache: Path, say: Say) -> Path:
        """Its folder in the cache, built unless it is there. Raises ToolchainError."""
        if found := self.built(cache):
            return found
        program = f"{self.name} {self.version}"
        if why := self.lacking():
            raise ToolchainError(f"{program} can't be built: {why}")

        def fill(result: Path, work: Path) -> None:
            say(f"building {program} from source, about {self.minutes} minutes; once")
            log = cache / "logs" / f"{program.replace(' ', '-')}.log"
            log.unlink(missing_ok=True)
            try:
                with FileLock(cache / "go.lock"):
                    go = go_build.find_go(cache, say)
                self.steps(Workshop(go, result, work, log, say))
            except (BuildFailed, OSError, subprocess.SubprocessError) as error:
                raise ToolchainError(f"can't make {program}: {error}") from error

        return placed(cache, program, self.folder, fill, say)
