"""Checkouts of earlier commits, for as long as a command runs.

Clones, and no worktrees: a command that is killed leaves nothing in the project's own repository.
"""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from components.json_object import object_at
from infra.fleet.files import read_yaml
from ops.render.revisions import RevisionError


@dataclass(frozen=True)
class Files:
    """What a project's files are: those of a commit, or `dirty` with changes that it hasn't."""

    commit: str
    dirty: bool


def files_of(project: Path) -> Files:
    """Raises RevisionError where the project is in no git repository."""
    commit = _git(project, "rev-parse", "HEAD")
    # As Pulumi asks for what it writes into the history: what git doesn't know counts, too.
    return Files(commit, bool(_git(project, "status", "--porcelain")))


def commit_of(project: Path, ref: str) -> str:
    """The commit that somebody names. Raises RevisionError."""
    try:
        return _git(project, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    except RevisionError:
        raise RevisionError(f"{ref}: git knows no such commit in {project}") from None


class Checkouts:
    """The project's folder at other commits; a context, at whose end they are gone."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._folder = tempfile.TemporaryDirectory(prefix="edgefleet-")
        self._made: dict[str, Path] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._folder.cleanup()

    def at(self, commit: str) -> Path:
        """The project at a commit, with the packages of today. Raises RevisionError."""
        if commit not in self._made:
            self._made[commit] = self._make(commit)
        return self._made[commit]

    def _make(self, commit: str) -> Path:
        top = _git(self._project, "rev-parse", "--show-toplevel")
        there = Path(self._folder.name).resolve() / commit
        _git(self._project, "clone", "--quiet", "--no-checkout", top, str(there))
        _git(there, "checkout", "--quiet", "--detach", commit)
        folder = there / self._project.resolve().relative_to(Path(top).resolve())
        if not (folder / "Pulumi.yaml").exists():
            raise RevisionError(f"{commit[:12]} has no Pulumi.yaml here")
        for name in _environments(self._project):
            if (self._project / name).exists() and not (folder / name).exists():
                (folder / name).symlink_to((self._project / name).resolve())
                # What git doesn't know would make it another than the commit, in Pulumi's history.
                with (there / ".git" / "info" / "exclude").open("a") as exclude:
                    exclude.write(f"{name}\n")
        return folder


def _environments(project: Path) -> list[str]:
    """Where the program's packages are, as Pulumi.yaml says."""
    options = object_at(read_yaml(project / "Pulumi.yaml"), "runtime", "options")
    return [str(options["virtualenv"])] if options.get("virtualenv") else []


def _git(folder: Path, *command: str) -> str:
    if shutil.which("git") is None:
        raise RevisionError("git is not installed, and the way back reads from it")
    done = subprocess.run(
        ["git", "-C", str(folder), *command], capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or [str(done.returncode)]
        raise RevisionError(f"{folder}: git {command[0]}: {said[-1]}")
    return done.stdout.strip()
