"""What a preview costs: the fleet's, beside a flat program's and an empty one's."""

import json
import shutil
import statistics
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.report import entry
from tests.fleet.fleet import Fleet

FLAT = "flat"
NODES = 3
ROUNDS = 9
MEASURED_SECONDS = 110
"""No further round begins after this long."""

_EMPTY = """\
name: edgefleet-empty
runtime: {name: python, options: {toolchain: pip, virtualenv: .venv}}
"""


def previews(fleet: Fleet, folder: Path) -> list[dict[str, Any]]:
    """Medians of `pulumi preview` with nothing to change. Needs us and edge up; `folder` gets the
    programs that they are compared with. Raises RuntimeError."""
    flat, empty = flat_program(folder / FLAT, fleet), empty_program(folder / "empty", fleet)
    require_same_resources(custom_resources(fleet, "us"), custom_resources(flat, FLAT))
    programs = {"us": fleet, FLAT: flat, "edge": fleet, "empty": empty}
    for stack, program in programs.items():
        _preview(program, stack)  # fills caches
    seconds: dict[str, list[float]] = {stack: [] for stack in programs}
    deadline = time.monotonic() + MEASURED_SECONDS
    for turn in range(ROUNDS):
        # Alternating, so that neither always comes after the same one.
        for stack in sorted(programs, reverse=bool(turn % 2)):
            seconds[stack].append(_preview(programs[stack], stack))
        if time.monotonic() > deadline:
            break
    median = {stack: statistics.median(took) for stack, took in seconds.items()}
    return [
        entry("preview of us beside the flat program (at most 0.6)", median["us"], median[FLAT]),
        entry("preview of us beside an empty program", median["us"], median["empty"]),
        entry("preview of the flat program beside an empty one", median[FLAT], median["empty"]),
        entry("preview of edge beside an empty program", median["edge"], median["empty"]),
    ]


def _preview(program: Fleet, stack: str) -> float:
    begin = time.perf_counter()
    ran = program.pulumi(stack, "preview", "--expect-no-changes")
    took = time.perf_counter() - begin
    if ran.code:
        raise RuntimeError(f"preview of {stack} failed:\n{ran.output}")
    return took


def flat_program(project: Path, fleet: Fleet) -> Fleet:
    """bench/flat in `project`, up on the fleet's sandbox."""
    shutil.copytree(Path(__file__).with_name("flat"), project)
    for name in (".venv", "components", "infra"):
        (project / name).symlink_to(fleet.project / name)
    nodes = project / "nodes.json"
    nodes.write_text("[]")
    flat = Fleet(project, fleet.directory)
    flat.reload()
    _up(flat, FLAT)
    nodes.write_text(json.dumps(_addresses(flat)))
    _up(flat, FLAT)
    return flat


def _addresses(flat: Fleet) -> list[dict[str, str]]:
    ids = {node["id"] for node in flat.nodes(FLAT)}
    found = [
        {"id": instance["id"], "ipv4": instance["main_ip"], "ipv6": instance["v6_main_ip"]}
        for instance in flat.vultr("GET", "/v2/instances?per_page=500")["instances"]
        if instance["id"] in ids
    ]
    if len(found) != NODES or not all(all(node.values()) for node in found):
        raise RuntimeError(f"the flat program's cluster has other nodes than {NODES}: {found}")
    return sorted(found, key=lambda node: node["id"])


def empty_program(project: Path, fleet: Fleet) -> Fleet:
    """A program without a line in `project`, up on the fleet's sandbox."""
    project.mkdir()
    (project / "Pulumi.yaml").write_text(_EMPTY)
    (project / "Pulumi.empty.yaml").write_text("config: {}\n")
    (project / "__main__.py").touch()
    (project / ".venv").symlink_to(fleet.project / ".venv")
    empty = Fleet(project, fleet.directory)
    empty.reload()
    _up(empty, "empty")
    return empty


def _up(program: Fleet, stack: str) -> None:
    (ran,) = program.up(stack)
    if ran.code:
        raise RuntimeError(f"{stack} did not come up:\n{ran.output}")


def custom_resources(program: Fleet, stack: str) -> Counter[str]:
    """How many custom resources of each type a stack's state has, providers left out."""
    state = json.loads(program.pulumi(stack, "stack", "export").require().output)
    return Counter(
        resource["type"]
        for resource in state["deployment"]["resources"]
        if resource.get("custom") and not resource["type"].startswith("pulumi:")
    )


def require_same_resources(ours: Counter[str], flat: Counter[str]) -> None:
    """Raise RuntimeError, naming what differs, unless both have as many of each type."""
    if ours != flat:
        raise RuntimeError(
            "bench/flat/__main__.py no longer has the resources of stack us, which it is compared "
            f"with. It lacks: {_listed((ours - flat).elements())}. "
            f"It has besides: {_listed((flat - ours).elements())}"
        )


def _listed(types: Iterable[str]) -> str:
    return ", ".join(sorted(types)) or "nothing"
