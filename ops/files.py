"""The project's folder, and files in it."""

import os
import tempfile
from pathlib import Path

from infra.inventory import SettingsError


def project_dir(start: Path | None = None) -> Path:
    """The folder with Pulumi.yaml: this one, or the nearest above it. Raises SettingsError."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "Pulumi.yaml").exists():
            return folder
    raise SettingsError([f"{here}: there is no Pulumi.yaml here or above"])


def write_atomically(path: Path, text: str) -> None:
    """Write a file for everybody to read; nobody ever sees half of it."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w") as file:
        file.write(text)
    os.chmod(temporary, 0o644)
    os.replace(temporary, path)
