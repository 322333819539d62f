"""The project's folder, and files in it."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.errors import SettingsError
from infra.fleet.inventory import CA_FILE

_HERE = Path(__file__).resolve().parents[1]
# What Pulumi takes (pkg/backend: a stack's name), less a leading sign, which would be an option.
_STACK = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


def project_dir(start: Path | None = None) -> Path:
    """The folder with Pulumi.yaml: this one, or the nearest above it. Raises SettingsError."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "Pulumi.yaml").exists():
            return folder
    raise SettingsError([f"{here}: there is no Pulumi.yaml here or above"])


def program_file(file: Path, folder: Path | None = None) -> Path:
    """A file of this program as it is in the project's folder, the one of `--dir` or the nearest
    from here: a checkout has its own. Without a project, or where that has only stack files, this
    program's. Raises SettingsError where `folder` is no project's."""
    try:
        own = project_dir(folder) / file.relative_to(_HERE)
    except SettingsError:
        if folder:
            raise
        return file
    except ValueError:  # not this program's
        return file
    return own if own.exists() else file


def stack_path(project: Path, name: str) -> Path:
    """The file of the stack called `name`. Raises SettingsError where no stack can be called so."""
    if not _STACK.fullmatch(name):
        raise SettingsError(
            [f"{name!r}: is no name for a stack: letters, digits, '-', '_' and '.', at most 100"]
        )
    return project / f"Pulumi.{name}.yaml"


@contextmanager
def trial(project: Path, stack_files: Iterable[str], file: str, text: str) -> Iterator[Path]:
    """A folder with the project's own files and `file` as it would be: to try it, then gone."""
    with tempfile.TemporaryDirectory(prefix="edgefleet-") as folder:
        there = Path(folder)
        for each in ("Pulumi.yaml", CA_FILE, *stack_files):
            if (project / each).exists():
                shutil.copy(project / each, there / each)
        (there / file).write_text(text)
        yield there


def write_atomically(path: Path, text: str) -> None:
    """Write a file for everybody to read; nobody ever sees half of it. Raises SettingsError."""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise SettingsError([f"{path}: can't be written: {error.strerror}"]) from None
