"""Day two on a sandbox of its own: how long the doctor looks, whom it and `reconcile` ask and how
often, and how soon records are right after a node was recycled. Takes about three minutes.
"""

import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.report import entry
from components.server_side.api import ServerObject
from tests.fleet.fleet import Fleet, Ran
from tests.projects import git

LOOK_SECONDS = 10
"""Within which a fault is to be found."""
_NAMED = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32}|(?<=/rules/)\d+")
_POD = re.compile(r"(?<=/pods/)[a-z0-9.-]+")
_WAITS = 120


def run() -> list[dict[str, Any]]:
    """Seconds and calls. Raises RuntimeError."""
    with tempfile.TemporaryDirectory(prefix="edgefleet-bench-") as folder:
        fleet = Fleet.make(Path(folder))
        try:
            git(fleet.project, "rm", "-q", "Pulumi.eu.yaml", "Pulumi.apac.yaml")
            for ran in fleet.up("us", "edge"):
                ran.require()
            return list(measured(fleet))
        finally:
            fleet.stop()


def measured(fleet: Fleet) -> Iterator[dict[str, Any]]:
    """Of a region of three nodes and the edge, that are up."""
    took, asked = _counted(fleet, lambda: command(fleet, "doctor", "us", "edge", "--all"))
    yield entry("fleet doctor of a region and the edge, of its limit", took, LOOK_SECONDS)
    preview, by_preview = _counted(fleet, lambda: fleet.pulumi("us", "preview").require())
    yield entry("fleet doctor of a region and the edge beside a preview of us", took, preview)
    took, by_reconcile = _counted(fleet, lambda: command(fleet, "reconcile", "us"))
    for name, calls in (("doctor us edge --all", asked), ("reconcile us", by_reconcile)):
        for whom in ("Vultr", "Cloudflare", "the cluster"):
            made = {what: n for (system, what), n in calls.items() if system == whom}
            beside = sum(n for (system, _), n in by_preview.items() if system == whom)
            if made:
                yield {
                    **entry(
                        f"calls to {whom} in fleet {name}, beside a preview of us",
                        sum(made.values()),
                        max(1, beside),
                        "calls",
                    ),
                    "calls": made,
                }
    yield entry("fleet reconcile with nothing to do beside a preview", took, preview)
    yield entry("from a recycled node that runs to right records, beside a preview",
                recycled(fleet), preview)  # fmt: skip


def recycled(fleet: Fleet) -> float:
    """Recycle a node; seconds from the moment that the new one runs to the end of the `reconcile`
    that makes the records right. A schedule's pause comes on top."""
    cluster = fleet.cluster("us")
    pool = cluster["node_pools"][0]
    gone = pool["nodes"][0]["id"]
    path = f"/v2/kubernetes/clusters/{cluster['id']}/node-pools/{pool['id']}/nodes/{gone}/recycle"
    fleet.vultr("POST", path)
    _until(lambda: gone not in {n["id"] for n in _running(fleet)} and len(_running(fleet)) == 3)
    began = time.perf_counter()
    command(fleet, "reconcile", "us")
    took = time.perf_counter() - began
    if sorted(fleet.records("us.example.com").values()) != fleet.addresses("us"):
        raise RuntimeError("the records aren't those of the nodes")
    return took


def _running(fleet: Fleet) -> list[dict[str, Any]]:
    return [node for node in fleet.nodes("us") if node["status"] == "active"]


def _until(so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _WAITS
    while not so():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {_WAITS} s")
        time.sleep(0.2)


def command(fleet: Fleet, *words: str) -> Ran:
    """A command of `fleet` in this process, so that its calls to clusters can be counted."""
    from contextlib import chdir
    from unittest.mock import patch

    from typer.testing import CliRunner

    from ops.cli import application

    with chdir(fleet.project), patch.dict("os.environ", fleet.environment):
        done = CliRunner().invoke(application(words[0]), words)
    if done.exit_code:
        raise RuntimeError(f"fleet {' '.join(words)}: {done.output}")
    return Ran(done.exit_code, done.output)


def _counted(fleet: Fleet, do: Callable[[], object]) -> tuple[float, Counter[tuple[str, str]]]:
    """Seconds that it took, and its calls by system and kind."""
    vendors = (("Vultr", fleet.vultr), ("Cloudflare", fleet.cloudflare))
    for _, vendor in vendors:
        vendor("DELETE", "/_sandbox/requests")
    found: Counter[tuple[str, str]] = Counter()
    with _watched(found):
        began = time.perf_counter()
        do()
        took = time.perf_counter() - began
    for name, vendor in vendors:
        for request in vendor("GET", "/_sandbox/requests")["requests"]:
            found[name, kind(str(request["method"]), str(request["path"]))] += 1
    return took, found


@contextmanager
def _watched(found: Counter[tuple[str, str]]) -> Iterator[None]:
    """Count calls to clusters that leave this process; an engine's are not seen."""
    real = ServerObject._data

    def counting(self: ServerObject, method: str, path: str, *more: Any, **others: Any) -> bytes:
        found["the cluster", kind(method, path)] += 1
        return real(self, method, path, *more, **others)

    ServerObject._data = counting
    try:
        yield
    finally:
        ServerObject._data = real


def kind(method: str, path: str) -> str:
    """A call without what is another each time: ids, queries, names of pods."""
    plain = path.partition("?")[0].removeprefix("/client/v4")
    return f"{method} {_POD.sub('…', _NAMED.sub('…', plain))}"
