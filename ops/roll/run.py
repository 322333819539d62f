"""Carrying a roll out, stack after stack."""

from collections.abc import Collection, Sequence
from pathlib import Path

from components.errors import EdgefleetError
from ops.guided.engine import Say, Stopped, up
from ops.guided.looking import Blocking, about, examine, wait_until_well
from ops.roll.asking import previewed
from ops.roll.plan import Key, Turn, known_before, left, new
from ops.roll.ways import Way

Pairs = Collection[tuple[str, str]]


def carry_out(project: Path, way: Way, turns: Sequence[Turn], let: Pairs, say: Say) -> None:
    """The turns that are left. Raises Stopped, with what is done and what isn't; SettingsError."""
    to_do = [at for at, turn in enumerate(turns) if not turn.done or turn.ours]
    if not to_do:
        return
    names = dict.fromkeys(name for at in to_do for name in turns[at].looked_at)
    known = known_before(examine(project, [*names], symptoms=True), turns, let)
    for number, at in enumerate(to_do, start=1):
        turn = turns[at]
        say(f"{number}/{len(to_do)} {turn.stack}")
        try:
            _one(way, turn, known, let, say)
        except EdgefleetError as error:
            raise Stopped(f"{turn.stack}: {error}\n\n{left(turns, at)}\n") from None


def _one(way: Way, turn: Turn, known: Collection[Key], let: Pairs, say: Say) -> None:
    folder = way.folder(turn)
    if not turn.done:
        # Anew: since the plan was made somebody may have changed something.
        would = previewed(folder, turn.stack)
        if refusal := would.failed or way.refusal(turn, would):
            raise Stopped(refusal)
        if would.steps:
            up(folder, turn.stack, turn.minutes, say)
    say(f"    fleet doctor {' '.join(turn.looked_at)}")

    def ask() -> Sequence[Blocking]:
        return new(about(examine(folder, turn.looked_at), turn.looked_at), known, let)

    wait_until_well(ask, say)
