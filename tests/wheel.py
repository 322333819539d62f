"""The library as others install it, in a Python of its own."""

import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

from tests.projects import ROOT


def installed(folder: Path) -> Path:
    """One that has the wheel and its dependencies, and nothing of this checkout."""
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    # From a copy: setuptools leaves a build folder beside what it builds.
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "components"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for file in filter(None, files):
        if (ROOT / file).is_file():
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / file).read_bytes())
    subprocess.run([*build, "--wheel-dir", str(folder), str(folder / "components")], check=True)
    (wheel,) = folder.glob("edgefleet-*.whl")
    venv.create(folder / "venv", with_pip=False)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    zipfile.ZipFile(wheel).extractall(site)
    # A folder named in a .pth file is searched; .pth files in it, this checkout's, are not read.
    (site / "dependencies.pth").write_text(
        "\n".join(path for path in sys.path if path.endswith("site-packages"))
    )
    return folder / "venv" / "bin" / "python"


def example(name: str, folder: Path, python: Path) -> Path:
    """A copy of an example outside of the checkout, that runs with this Python of `installed`."""
    copy = folder / name
    shutil.copytree(ROOT / "examples" / name, copy, ignore=shutil.ignore_patterns("venv"))
    (copy / "venv").symlink_to(python.parents[1])
    return copy
