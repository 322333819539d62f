"""What Pulumi says of a stack: what it would do, and what it did."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.errors import EdgefleetError
from components.json_object import objects_at
from ops.approval.history import parse
from ops.approval.steps import Step, names, steps
from ops.live.outputs import pulumi
from ops.pulumi_cli import AT_ONCE
from ops.reconcile.engine import preview

_HISTORY = ("stack", "history", "--json", "--page-size", "100")


@dataclass(frozen=True)
class Previewed:
    """What `pulumi up` would do, what the preview warned of, and why there is none."""

    steps: tuple[Step, ...] = ()
    warnings: tuple[str, ...] = ()
    failed: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """What it would change."""
        return names(self.steps)


def previewed(folder: Path, stack: str) -> Previewed:
    """Ask the engine; it changes nothing."""
    try:
        document = preview(folder, stack)
        would = tuple(steps(document))
    except EdgefleetError as error:
        return Previewed(failed=f"{stack}: {error}")
    said = [
        str(each.get("message", "")).strip().removeprefix("warning: ")
        for each in objects_at(document, "diagnostics")
        if each.get("severity") == "warning"
    ]
    return Previewed(would, tuple(dict.fromkeys(said)))


def past(folder: Path, stack: str) -> Sequence[Mapping[str, Any]]:
    """The stack's history, the newest first. Raises PulumiFailed, HistoryError."""
    return parse(pulumi(folder, stack, *_HISTORY))


def all_previewed(folders: Mapping[str, Path]) -> dict[str, Previewed]:
    """Several stacks beside each other, each from its folder."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        asked = pool.map(previewed, folders.values(), folders)
        return dict(zip(folders, asked, strict=True))
