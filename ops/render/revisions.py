"""A project's renderings at another git revision.

That revision's files are taken out of git into a folder of their own, and that revision's program
renders them in a process of its own: so a comparison also shows what the program changed.
"""

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from infra.errors import SettingsError
from ops.command import CommandError
from ops.render.resources import Registered, Rendering

HERE = Path(__file__).resolve().parents[2]
_PROGRAM = Path("ops", "render", "__main__.py")


class RevisionError(CommandError):
    """A revision that can't be rendered; the text is for a person."""


@dataclass(frozen=True)
class Fleet:
    """A project's stacks, rendered. `notes` say what isn't as it was asked for."""

    stacks: dict[str, Rendering]
    notes: list[str] = field(default_factory=list)


def render_folder(project: Path, names: list[str]) -> dict[str, Rendering]:
    """Render a project's folder with the program that stands there, or with this one where the
    folder has only stack files. Raises SettingsError, RevisionError."""
    if project.resolve() == HERE or not (project / _PROGRAM).exists():
        return _render_with_this(project, names)
    return _render_with_its_own(project, names)


def render_revision(project: Path, revision: str) -> Fleet:
    """Render a project as it was at a revision. Raises RevisionError."""
    # The project's folder, which need not be the repository's; `archive` takes its tree only where
    # that doesn't also name a folder below.
    top = Path(_git(project, "rev-parse", "--show-toplevel").decode().strip())
    short = _short(project, revision)
    tree = _git(project, "rev-parse", "--verify", f"{revision}:./").decode().strip()
    with tempfile.TemporaryDirectory(prefix="edgefleet-") as folder:
        here = Path(folder).resolve()
        with tarfile.open(fileobj=io.BytesIO(_git(top, "archive", tree))) as archive:
            archive.extractall(here, filter="data")
        named = short if short == revision else f"{revision} ({short})"
        if not (here / "Pulumi.yaml").exists():
            return Fleet({}, [f"{named} has no Pulumi.yaml here: everything is new"])
        try:
            return Fleet(_render_with_its_own(here, []))
        except RevisionError as error:
            return _fall_back(here, project, named, str(error))
        except SettingsError as error:
            raise RevisionError(
                f"{named} can't be rendered, its files are wrong: {error}"
            ) from None


def _fall_back(folder: Path, project: Path, named: str, why: str) -> Fleet:
    note = (
        f"{named} has no program that renders offline ({why}): its stack files were rendered "
        "with today's program, so what the program changed doesn't show"
    )
    try:
        return Fleet(_render_with_todays(folder, project), [note])
    except (SettingsError, RevisionError) as error:
        raise RevisionError(
            f"{named} can't be rendered, neither with its own program ({why}) nor with today's: "
            f"{error}"
        ) from None


def _render_with_todays(folder: Path, project: Path) -> dict[str, Rendering]:
    """An old revision's stack files with the program that renders the files of today."""
    if not (project / _PROGRAM).exists():
        # From the project's folder, or each file that the program names would look moved.
        return _render_with_this(folder, [], project)
    for name in ("components", "infra", "ops"):
        shutil.rmtree(folder / name, ignore_errors=True)
        shutil.copytree(project / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return _render_with_its_own(folder, [])


def _render_with_this(
    folder: Path, names: list[str], working_dir: Path | None = None
) -> dict[str, Rendering]:
    # Here, because it takes a second to import and only a rendering needs it.
    from ops.render.offline import render_project

    return render_project(folder, names, working_dir)


def _render_with_its_own(folder: Path, names: list[str]) -> dict[str, Rendering]:
    if not (folder / _PROGRAM).exists():
        raise RevisionError(f"{_PROGRAM} is missing")
    # Above the folder may lie somebody's checkout, which must not be taken for this one's.
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [sys.executable, "-m", "ops.render", *names],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    problem = done.stderr.strip()
    if done.returncode and "Traceback" not in problem:
        raise SettingsError(problem.splitlines())
    try:
        found = json.loads(done.stdout)
        return {
            name: Rendering(
                [_registered(resource) for resource in stack["resources"]],
                stack["outputs"],
                stack["messages"],
                stack.get("secrets", {}),
            )
            for name, stack in found.items()
        }
    except (ValueError, TypeError, KeyError):
        last = problem.splitlines()[-1] if problem else "it printed no rendering"
        raise RevisionError(last) from None


def _registered(resource: Mapping[str, Any]) -> Registered:
    """What another revision's program says of a resource; what only that one knows is left out."""
    known = {each.name for each in fields(Registered)}
    return Registered(**{key: value for key, value in resource.items() if key in known})


def _short(project: Path, revision: str) -> str:
    try:
        asked = f"{revision}^{{commit}}"
        return _git(project, "rev-parse", "--verify", "--short", asked).decode().strip()
    except RevisionError:
        raise RevisionError(
            f"{revision}: git knows no such revision in {project}. A shallow checkout may lack it: "
            f"`git fetch origin {revision}`, and compare with FETCH_HEAD"
        ) from None


def _git(project: Path, *command: str) -> bytes:
    try:
        return subprocess.run(
            ["git", "-C", str(project), *command], capture_output=True, check=True
        ).stdout
    except FileNotFoundError:
        raise RevisionError("git is not installed, and a comparison reads from it") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        if said and "not a git repository" in said[0]:
            raise RevisionError(
                f"{project}: is in no git repository, and a comparison reads from one"
            ) from None
        raise RevisionError(
            f"{project}: git {' '.join(command)}: {said[0] if said else error.returncode}"
        ) from None
