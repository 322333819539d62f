"""How often a preview and an `up` without changes ask each vendor, by the size of the cluster.

On a sandbox of its own, from the log of its emulated vendors. Refreshing isn't counted: there the
providers read each resource.
"""

import tempfile
from pathlib import Path
from typing import Any

from bench.report import entry
from tests.fleet.fleet import Fleet

SIZES = (3, 30, 100)
COMMANDS = {"preview": ("preview",), "up": ("up", "--yes", "--skip-preview")}


def run() -> list[dict[str, Any]]:
    """Calls at each size beside those at the smallest. Raises RuntimeError."""
    with tempfile.TemporaryDirectory(prefix="edgefleet-bench-") as folder:
        fleet = Fleet.make(Path(folder))
        try:
            counted = {size: calls(fleet, size) for size in SIZES}
        finally:
            fleet.stop()
    first, *larger = SIZES
    return [
        entry(
            f"calls to {vendor} in a no-change {command} of {size} nodes, beside {first} nodes",
            counted[size][command, vendor],
            # None at all beside none is as good as one beside one.
            max(1, counted[first][command, vendor]),
            "calls",
        )
        for size in larger
        for command, vendor in counted[size]
    ]


def calls(fleet: Fleet, size: int) -> dict[tuple[str, str], int]:
    """Calls by command and vendor, with `size` nodes up in stack us."""
    fleet.change("us", pools=[{"label": "edge", "plan": "vc2-2c-4gb", "nodes": size}])
    fleet.up("us")[0].require()
    found: dict[tuple[str, str], int] = {}
    for name, command in COMMANDS.items():
        for vendor in (fleet.vultr, fleet.cloudflare):
            vendor("DELETE", "/_sandbox/requests")
        fleet.pulumi("us", *command).require()
        for vendor in (fleet.vultr, fleet.cloudflare):
            log = vendor("GET", "/_sandbox/requests")["requests"]
            found[name, vendor.__name__] = len(log)
    return found
