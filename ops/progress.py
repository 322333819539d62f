"""What `pulumi up` of several stacks is doing while it does it.

On a terminal a table that is drawn anew, else a line for each stack every so often.
"""

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

EVERY_SECONDS = 10
"""Between two lines of a stack, where there is no terminal."""
_ASKED = 4
"""So many are named of those whose answers are awaited."""

_STEP = re.compile(
    r"\s*[-+~=<>!]+\s+(?P<type>[^\s:]+:[^\s:]*:[^\s:]+) (?P<name>\S+) "
    r"\**(?P<verb>[a-z]+)(?P<failed> failed)?\**(?: \([\d.]+s\))? ?(?P<said>[^\[]*)"
)
_FRAMES = ("pulumi:pulumi:", "edgefleet:index:")
"""Types of what only holds others together, and ends after them."""


@dataclass
class _Step:
    began: float
    said: str = ""


@dataclass
class Stack:
    """How far a stack's `up` is. Times are seconds of one clock; `began` is None until it begins,
    `ended` until it ends."""

    name: str
    began: float | None = None
    ended: float | None = None
    failed: bool = False
    _done: Counter[str] = field(default_factory=Counter[str])
    _counted: str = ""
    _busy: dict[tuple[str, str], _Step] = field(default_factory=dict[tuple[str, str], _Step])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def feed(self, line: str, now: float) -> None:
        """Take in a line that `pulumi up` printed."""
        step = _STEP.match(line)
        if step is None:
            return
        kind, verb = step["type"], step["verb"]
        with self._lock:
            if step["failed"] or verb.endswith("ed"):
                self._busy.pop((kind, step["name"]), None)
                self._done[f"{verb} failed" if step["failed"] else verb] += 1
            elif not kind.startswith(_FRAMES):
                busy = self._busy.setdefault((kind, step["name"]), _Step(now))
                busy.said = step["said"].strip() or busy.said

    def finish(self, counts: str) -> None:
        """Take over the engine's own count, of what stayed as it was too: `39 unchanged`."""
        with self._lock:
            self._counted = counts

    def counts(self) -> str:
        """What was done so far: `9 created, 1 updated`."""
        with self._lock:
            told = ", ".join(f"{number} {verb}" for verb, number in self._done.items())
            return self._counted or told

    def doing(self, now: float) -> str:
        """What has been under way longest, and what it waits for."""
        with self._lock:
            busy = sorted(self._busy.items(), key=lambda item: item[1].began)
        if not busy:
            return ""
        (kind, name), step = busy[0]
        more = f" and {len(busy) - 1} more" if len(busy) > 1 else ""
        said = f": {step.said}" if step.said else ""
        return f"{name} ({kind.rpartition(':')[2]}), {now - step.began:.0f} s{more}{said}"

    def seconds(self, now: float) -> float:
        """Since it began, until it ended."""
        began = now if self.began is None else self.began
        return (now if self.ended is None else self.ended) - began


@contextmanager
def watching(
    stacks: Sequence[Stack], say: Callable[[str], None], console: Console
) -> Iterator[None]:
    """Show how far `stacks` are while the context lasts."""
    if console.is_terminal:
        with Live(get_renderable=lambda: table(stacks, time.monotonic()), console=console):
            yield
        return
    over = threading.Event()
    teller = threading.Thread(target=_tell, args=(stacks, say, over), daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


@contextmanager
def asking() -> Iterator[Callable[[Sequence[str]], None]]:
    """Show, on a terminal, whose answers are awaited: the context's value is told them."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield lambda _: None
        return
    began = time.monotonic()
    with console.status("asking") as status:

        def waiting(whom: Sequence[str]) -> None:
            more = f" and {len(whom) - _ASKED} more" if len(whom) > _ASKED else ""
            seconds = time.monotonic() - began
            status.update(f"asking {', '.join(whom[:_ASKED])}{more} ({seconds:.0f} s)")

        yield waiting


def table(stacks: Sequence[Stack], now: float) -> Table:
    """A row a stack: name, time, what was done, what is being done."""
    rows = Table.grid(padding=(0, 2))
    for _ in range(3):
        rows.add_column(no_wrap=True)
    rows.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for stack in stacks:
        rows.add_row(*_row(stack, now))
    return rows


def line(stack: Stack, now: float) -> str:
    """The same for a log."""
    told = [f"{stack.seconds(now):.0f} s", stack.counts(), stack.doing(now)]
    return f"{stack.name}: {'; '.join(part for part in told if part)}"


def _row(stack: Stack, now: float) -> tuple[Text, ...]:
    clock = f"{stack.seconds(now):.0f} s"
    if stack.began is None:
        return Text(stack.name, "dim"), Text(""), Text(""), Text("after the regions", "dim")
    if stack.ended is None:
        doing = stack.doing(now) or ("" if stack.counts() else "the program starts")
        return Text(stack.name), Text(clock), Text(stack.counts()), Text(doing, "dim")
    colour = "red" if stack.failed else "green"
    ending = "failed" if stack.failed else "up"
    return Text(stack.name, colour), Text(clock), Text(stack.counts()), Text(ending, colour)


def _tell(stacks: Sequence[Stack], say: Callable[[str], None], over: threading.Event) -> None:
    while not over.wait(EVERY_SECONDS):
        now = time.monotonic()
        for stack in stacks:
            if stack.began is not None and stack.ended is None:
                say(line(stack, now))
