"""Writes results down: bench/results.json, and docs/benchmarks.md from it."""

import datetime
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

Result = dict[str, Any]
"""`ratio`, `baseline`, `figure`, `unit`; with some also `calls`: how often each was made."""

_HEAD = """\
# Benchmarks

Written by `make bench` from bench/results.json; don't edit. A ratio is the figure divided by what
it stands beside: a limit, or the same thing measured in another way in the same run. Figures come
from the sandbox, which emulates both vendors: they tell what Pulumi, this code and the API servers
cost, not how long Vultr takes to make a machine.
"""
_NOTES = """\
## What is compared

- *make demo*: the commands of `make demo`, everything being installed, on a project and a sandbox
  of their own: first with no sandbox, no clusters and empty stacks, then once more with all four
  stacks up. Its memory is taken twice a second; PSS counts a page that processes share once, RSS
  once for each of them.
- *preview of us*: `pulumi preview -s us` with nothing to change, from start to exit. The flat
  program (bench/flat) registers the same custom resources, type by type, with the same SDKs against
  the same sandbox: no components, no settings, node addresses written down. The empty program
  registers nothing. All run in turn, several times; the ratio is of the medians.
- *the Worker*: on workerd, beside a Worker of three lines that passes every request on; an answer
  of six bytes, six starts of each. It was to reach 0.9 of the requests a second: 0.83 to 0.90, by
  the run. A
  Worker of fifteen lines with nothing but what can't be left out (reading the visitor's address and
  place, naming the region's host, arming the timer of the hedge) reached 0.83 to 0.89, measured in
  the same way; of its 27 µs a request the timer takes 14. On Cloudflare this Worker's 0.05 ms more
  stand beside the network's 10 to 100 ms.
- *day two*: `fleet doctor`, `reconcile` and `compare` on a region of three nodes. A preview asks
  for what they ask for, too, and in a cluster its calls aren't counted: the engine makes them.
  From a recycled node to right records counts from the moment that the new machine runs; the
  schedule's pause comes on top. The twenty clusters are one, recorded, and said again by servers
  that pause before each answer, the slowest 0.1 s.
- *wide*: a stack of 100 live nodes has 200 records. The Worker takes 20 regions, which any number
  of stacks may share, as its table is one variable and a request may ask each region twice; its
  script is the same whatever the table holds. What 100 regions would cost is measured in Node.
- *twin*: real packets between namespaces, without distances. The whole path (TLS, the Worker,
  Cloudflare's network as emulated, the node's firewalls with felix, nginx, an application) stands
  beside its nginx asked directly, one connection each in turns. Then requests while nodes and
  regions fail: what shows of a fault counts up to the last request that took a second or more, a
  second region, or failed; the hedge is what the Worker waits before it asks another region.

## The suite

`make test` without what it builds, on two cores, as CI has it (400 examples a property), on
2026-11-22: 31:38 with three workers (5,742 tests, 3,190 seconds of CPU), where two workers had
taken 41 to 47 minutes, and left a third of the cores idle. `make test FAST=1`: 74 s. By process
accounting (`accton`), in a run that three of the longest tests left early, 2,850 s:

| what | CPU | processes |
|---|--:|--:|
| Python: tests, programs, providers, the sandbox, `fleet` | 1,566 s | 4,074 |
| API servers, with etcd, controllers, kwok | 525 s | 172 |
| Pulumi's engine | 413 s | 1,198 |
| felix, by five sixths the kernel's verifier of its programs | 180 s | 57 |
| Node and workerd | 113 s | 332 |

Ten minutes were asked, which are 1,200 s of two cores: what isn't Python, and is the real thing,
takes as much alone. Pythons are forked from one that has the SDKs loaded. With this repository's
modules loaded, too, a program names files by other paths than a user's, and previews show changes.

## Mutations

mutmut 3.8.1 over the pure modules (`[tool.mutmut]` in pyproject.toml says which; `pip install
mutmut`, `mutmut run`, ten mutants a second), with the tests that start nothing. On 2026-11-21, cut
off after 2,345 of 4,318 mutants: **2,072 made a test fail, 88 %**; 273 survived. Of 26 of these,
drawn by lot, 6 change nothing (`next(…, )` for `next(…, None)`), 7 are met by tests that were left
out, as they need an API server or an engine (names of an object's fields, ids that an emulated
vendor is asked by), and 13 were gaps, closed since: the shape of Calico's policies, a cluster that
has `highAvailability` already, a registry with a port, web ports opened by a rule for any protocol,
what a key without prefix is told.
"""


def entry(name: str, figure: float, baseline: float, unit: str = "s") -> dict[str, Any]:
    """What a benchmark gives: a figure, and what it stands beside."""
    ratio = figure / baseline
    return {"name": name, "ratio": ratio, "baseline": baseline, "figure": figure, "unit": unit}


def read(file: Path) -> dict[str, Result]:
    """Results by name; none where there is no file yet."""
    try:
        return json.loads(file.read_text())
    except FileNotFoundError:
        return {}


def results(entries: Iterable[Mapping[str, Any]]) -> dict[str, Result]:
    """Results by name. Raises ValueError where two entries share one."""
    found: dict[str, Result] = {}
    for entry in entries:
        if entry["name"] in found:
            raise ValueError(f"two benchmarks give {entry['name']!r}")
        kept = ("ratio", "baseline", "figure", "unit", "calls")
        found[entry["name"]] = {key: entry[key] for key in kept if key in entry}
    return found


def write(results: Mapping[str, Result], file: Path, document: Path) -> None:
    """Write both files."""
    file.write_text(json.dumps(results, indent=1) + "\n")
    document.parent.mkdir(exist_ok=True)
    document.write_text(markdown(results, machine()))


def markdown(results: Mapping[str, Result], machine: Mapping[str, str]) -> str:
    """The document."""
    rows = ["| what | ratio | figure | beside |", "|---|--:|--:|--:|"]
    for name, result in results.items():
        figure, baseline = (
            f"{_number(result[k])} {result['unit']}" for k in ("figure", "baseline")
        )
        rows.append(f"| {name.replace('|', '/')} | {result['ratio']:.3f} | {figure} | {baseline} |")
    on = [f"- {what}: {value}" for what, value in machine.items()]
    where = (
        "## The machine\n\nOf the last run; a run of some benchmarks only keeps the others' rows."
    )
    return "\n".join([_HEAD, *rows, "", *_calls(results), _NOTES, where, "", *on, ""])


def _calls(results: Mapping[str, Result]) -> list[str]:
    """Which calls those are that were counted, where it was told."""
    told = {name: result["calls"] for name, result in results.items() if result.get("calls")}
    if not told:
        return []
    lines = ["## Which calls", ""]
    for name, calls in told.items():
        lines += [f"{name.partition(', beside')[0]}:", "", "| call | times |", "|---|--:|"]
        lines += [f"| `{call}` | {times} |" for call, times in sorted(calls.items())]
        lines.append("")
    return lines


def _number(value: float) -> str:
    """Three digits that count, without an exponent."""
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}" if value else "0"


def machine() -> dict[str, str]:
    """What it ran on."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "date": datetime.date.today().isoformat(),
        "CPU": f"{_cpu_model()}, {len(os.sched_getaffinity(0))} cores",
        "memory": f"{pages * size / 1e9:.1f} GB",
        "load when written": f"{os.getloadavg()[1]:.1f} (mean of 5 minutes, this run included)",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "Go": _version("go", "version").removeprefix("go version "),
        "Node": _version("node", "--version"),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, "") or platform.processor() or platform.machine()


def _version(*command: str) -> str:
    if not shutil.which(command[0]):
        return "not on PATH"
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or "unknown"
