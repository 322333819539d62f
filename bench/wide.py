"""A hundred stacks of a hundred nodes: rendering, the edge's table, and the Worker's choice.

`python -m bench wide` runs it. The Worker takes 20 regions, which stacks share; what a hundred
would cost is measured with its own modules, in Node.
"""

import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.report import entry

ROOT = Path(__file__).resolve().parents[1]
WIDE = 100
ASKED = 20_000
_CHOICE = """
import { candidates } from '%s/routing.js';
const place = { country: 'DE', continent: 'EU', latitude: '52.5', longitude: '13.4' };
const regions = (count) => Array.from({ length: count }, (_, i) => ({
  name: `r${i}`, host: `r${i}.example.com`,
  lat: ((i * 37) %% 140) - 70, lon: ((i * 61) %% 360) - 180,
  drain: false, countries: [], continents: [], weight: 100, strict: false,
}));
const seconds = (table) => {
  const began = process.hrtime.bigint();
  for (let i = 0; i < %d; i++) candidates(table, place, `203.0.113.${i %% 256}`);
  return Number(process.hrtime.bigint() - began) / 1e9;
};
const found = {};
for (const count of [3, 20, 100]) {
  seconds(regions(count));
  found[count] = Math.min(...[1, 2, 3].map(() => seconds(regions(count))));
}
console.log(JSON.stringify(found));
"""


def run() -> list[dict[str, Any]]:
    """Measure: wall time, and bytes of the table."""
    return [*_renders(), *_choices(), *_tables()]


def _renders() -> list[dict[str, Any]]:
    from tests.projects import copy_project, region, write_stack
    from tests.rendered import live_nodes, rendered

    with tempfile.TemporaryDirectory(prefix="edgefleet-") as folder:
        project = copy_project(Path(folder))
        write_stack(project, "us", region())
        seconds: dict[int, float] = {}
        for nodes in (3, WIDE):
            live = live_nodes(nodes)
            found: list[float] = []
            for _ in range(3):
                began = time.perf_counter()
                shown = rendered(project, "us", live)
                found.append(time.perf_counter() - began)
            records = [r for r in shown.resources if r.type.endswith(":DnsRecord")]
            assert len(records) == 2 * nodes
            seconds[nodes] = min(found)
    return [entry(f"render of a stack of {WIDE} nodes beside 3 nodes", seconds[WIDE], seconds[3])]


def _choices() -> list[dict[str, Any]]:
    worker = ROOT / "components" / "edge" / "worker"
    with tempfile.TemporaryDirectory(prefix="edgefleet-") as folder:
        script = Path(folder) / "choice.mjs"
        script.write_text(_CHOICE % (worker, ASKED))
        ran = subprocess.run(["node", script], check=True, capture_output=True, text=True)
    micro = {int(count): 1e6 * s / ASKED for count, s in json.loads(ran.stdout).items()}
    return [
        entry(f"the Worker's choice among {count} regions beside 3", micro[count], micro[3], "µs")
        for count in (20, WIDE)
    ]


def _tables() -> list[dict[str, Any]]:
    from components.edge.table import CONFIG_BYTES, MAX_REGIONS, RegionRow

    def size(count: int) -> int:
        rows = [
            RegionRow(
                name=f"region{i}",
                host=f"region{i}.example.com",
                lat=(i * 37) % 140 - 70.25,
                lon=(i * 61) % 360 - 180.25,
                drain=False,
            )
            for i in range(count)
        ]
        return len(json.dumps({"regions": rows}, separators=(",", ":")))

    return [
        entry(f"table of {count} regions, of one variable's limit", size(count), CONFIG_BYTES, "B")
        for count in (MAX_REGIONS, WIDE)
    ]
