"""`python -m bench [NAME…]`: run the benchmarks, write bench/results.json and docs/benchmarks.md.

A benchmark is a module of this package with `run() -> list[dict]`; each entry has `name`, `ratio`,
`baseline`, `figure` and `unit`, and `ratio` is figure / baseline unless the name says otherwise.
Without a name all of them run, one after the other.
"""

import importlib
import pkgutil
import re
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import report

HERE = Path(__file__).resolve().parent
Run = Callable[[], list[dict[str, Any]]]


def benchmarks() -> list[str]:
    """The modules of this package that say that they can run, in the order in which they do."""
    found = (module.name for module in pkgutil.iter_modules([str(HERE)]))
    runs = re.compile(r"^def run\(", re.MULTILINE)
    return sorted(name for name in found if runs.search((HERE / f"{name}.py").read_text()))


def load(name: str) -> Run:
    """A module's `run`. Raises what its import raises."""
    return importlib.import_module(f"bench.{name}").run


def measure(names: Sequence[str], done: Callable[[list[dict[str, Any]]], None]) -> list[str]:
    """Run benchmarks, print their entries and give them to `done`; the names of those that
    failed."""
    failed: list[str] = []
    for name in names:
        print(f"--- {name}", flush=True)
        try:
            entries = load(name)()
            print("".join(f"{line(entry)}\n" for entry in entries), end="", flush=True)
            done(entries)
        except Exception:  # noqa: BLE001 (whatever one does wrong, the others run)
            traceback.print_exc()
            failed.append(name)
    return failed


def line(entry: Mapping[str, Any]) -> str:
    """A result on a terminal."""
    return (
        f"{entry['ratio']:7.3f}  {entry['name']}: {entry['figure']:.4g} {entry['unit']}"
        f" (beside {entry['baseline']:.4g})"
    )


def main(names: Sequence[str]) -> int:
    """Exit code: 0, 1 where a benchmark failed, 2 for a name that none has."""
    known = benchmarks()
    if unknown := [name for name in names if name not in known]:
        print(f"error: {unknown[0]}: no such benchmark; one of {', '.join(known)}", file=sys.stderr)
        return 2
    files = HERE / "results.json", HERE.parent / "docs" / "benchmarks.md"
    measured: dict[str, report.Result] = {}

    def done(entries: list[dict[str, Any]]) -> None:
        # At once: what one took minutes to measure isn't lost when another is interrupted.
        measured.update(report.results(entries))
        report.write({**report.read(files[0]), **measured}, *files)

    failed = measure([name for name in known if name in names or not names], done)
    if not names and not failed:
        # What nobody measures any more goes.
        report.write(measured, *files)
    for name in failed:
        print(f"error: benchmark {name} failed, see above", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    # A sandbox of ours must not outlive us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main(sys.argv[1:]))
