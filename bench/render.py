"""What `fleet render` costs, as ratios to importing what it needs; one process, one run.

`python bench/render.py` prints them. An import of the three providers' packages is what every
`pulumi preview` of this program pays as well, so it is the baseline.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
STACKS = 100
NODES = 100
REGIONS = 20
"""As many as the Worker takes; stacks share them."""
_IMPORT = "import pulumi, pulumi_cloudflare, pulumi_kubernetes, ediri_vultr"


def run() -> list[dict[str, Any]]:
    """Measure: seconds of wall time, each against the import of the providers' packages."""
    # Imported here: where this file is only read, nothing of it is needed.
    from ops.render.cli import comparison
    from ops.render.markdown import markdown
    from ops.render.offline import render_project
    from ops.render.revisions import Fleet

    baseline = min(_seconds([sys.executable, "-c", _IMPORT]) for _ in range(3))
    fleet = [sys.executable, "-c", "from ops.cli import main; main()", "render", "us", "--json"]
    one = min(_seconds(fleet) for _ in range(3))
    with tempfile.TemporaryDirectory(prefix="edgefleet-") as folder:
        project = _project(Path(folder))
        began = time.perf_counter()
        before = render_project(project)
        many = time.perf_counter() - began
        for path in project.glob("Pulumi.r*.yaml"):
            path.write_text(path.read_text().replace("nodes: 100", "nodes: 99"))
        began = time.perf_counter()
        # The old revision's rendering is a process of its own that does the same.
        after = render_project(project)
        written = markdown(comparison(project, "main", Fleet(before), after))
        diff = many + time.perf_counter() - began
    assert "pool-edge-settings" in written
    return [
        _row("fleet render, one stack, as a command", one, baseline),
        _row(f"render of {STACKS} stacks of {NODES} nodes in one process", many, baseline),
        _row(
            f"fleet render --diff of {STACKS} stacks of {NODES} nodes, both sides", diff, baseline
        ),
    ]


def _row(name: str, figure: float, baseline: float) -> dict[str, Any]:
    return {
        "name": name,
        "ratio": round(figure / baseline, 2),
        "baseline": round(baseline, 3),
        "figure": round(figure, 3),
        "unit": "s",
    }


def _seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - began


def _project(folder: Path) -> Path:
    (folder / "Pulumi.yaml").write_text((ROOT / "Pulumi.yaml").read_text())
    (folder / "Pulumi.edge.yaml").write_text((ROOT / "Pulumi.edge.yaml").read_text())
    like = yaml.safe_load((ROOT / "Pulumi.us.yaml").read_text())["config"]
    for index in range(STACKS - 1):
        name = f"r{index:02}"
        pools = [{**like["edgefleet:cluster"]["pools"][0], "nodes": NODES}]
        cluster = {**like["edgefleet:cluster"], "pools": pools}
        region = f"region{index % REGIONS}"
        config = {**like, "edgefleet:region": region, "edgefleet:cluster": cluster}
        (folder / f"Pulumi.{name}.yaml").write_text(
            yaml.safe_dump({"config": config}, default_flow_style=None)
        )
    return folder


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']}: {row['figure']} s, {row['ratio']} × the import of the providers")
