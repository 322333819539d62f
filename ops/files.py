"""The project's folder, and files in it."""

import os
import re
import tempfile
from pathlib import Path

from infra.inventory import SettingsError

# What Pulumi takes (pkg/backend: a stack's name), less a leading sign, which would be an option.
_STACK = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


def project_dir(start: Path | None = None) -> Path:
    """The folder with Pulumi.yaml: this one, or the nearest above it. Raises SettingsError."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "Pulumi.yaml").exists():
            return folder
    raise SettingsError([f"{here}: there is no Pulumi.yaml here or above"])


def stack_path(project: Path, name: str) -> Path:
    """The file of the stack called `name`. Raises SettingsError where no stack can be called so."""
    if not _STACK.fullmatch(name):
        raise SettingsError(
            [f"{name!r}: is no name for a stack: letters, digits, '-', '_' and '.', at most 100"]
        )
    return project / f"Pulumi.{name}.yaml"


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
