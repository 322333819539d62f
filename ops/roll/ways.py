"""The two ways of a roll: forth to the files as they are, and back to how it was."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from components.cluster.drained_pool import DRAIN_MINUTES
from infra.errors import SettingsError
from infra.fleet.files import meant
from infra.fleet.inventory import Inventory, RegionStack
from infra.fleet.reading import load
from ops.approval import report
from ops.approval.comparison import Verdict
from ops.approval.history import Since, brought_up, earlier, since
from ops.approval.holding import Approval, is_here
from ops.guided.steps import EDGE_MINUTES, STARTS_MINUTES
from ops.listing import waves
from ops.roll.asking import Previewed, all_previewed, past
from ops.roll.checkouts import Checkouts, Files, commit_of, files_of
from ops.roll.plan import Turn, in_order

History = Sequence[Mapping[str, Any]]


class Way(Protocol):
    """Where to. All raise SettingsError, RevisionError, PulumiFailed, HistoryError."""

    def turns(self) -> list[Turn]:
        """Whose turn it is, planned from what is."""
        ...

    def folder(self, turn: Turn, /) -> Path:
        """The files that a stack is brought up from."""
        ...

    def refusal(self, turn: Turn, would: Previewed, /) -> str:
        """Why a stack isn't brought up: "" where it would do what the files say."""
        ...


class Forth:
    """To the files as they are."""

    def __init__(
        self, project: Path, names: Sequence[str], canary: str | None, agreed: str
    ) -> None:
        self._project = project
        self._stacks = _stacks(load(project), names, canary, back=False)
        self._agreed = agreed
        self._approval = Approval(project)
        self._files = files_of(project)

    def turns(self) -> list[Turn]:
        asked = all_previewed({turn.stack: self._project for turn in self._stacks})
        return [self._turn(turn, asked[turn.stack]) for turn in self._stacks]

    def _turn(self, turn: Turn, would: Previewed) -> Turn:
        if would.failed:
            return replace(turn, refused=would.failed)
        history = past(self._project, turn.stack)
        ours = brought_up(history, self._files.commit, self._files.dirty)
        refused = self._unapproved(turn, would, history)
        return replace(
            turn, changes=would.names, warnings=would.warnings, ours=ours, refused=refused
        )

    def folder(self, turn: Turn) -> Path:
        return self._project

    def refusal(self, turn: Turn, would: Previewed) -> str:
        return self._unapproved(turn, would, past(self._project, turn.stack)) if would.steps else ""

    def _unapproved(self, turn: Turn, would: Previewed, history: History) -> str:
        if not would.steps:
            return ""
        against = since(history, lambda commit: is_here(self._project, commit))
        verdict = self._approval.held(turn.stack, against, list(would.steps))
        return _said(turn.stack, against, verdict, self._agreed)


class Back:
    """To how the stacks were before these files were brought up: each to its own commit, or all to
    the one that somebody names."""

    def __init__(
        self,
        project: Path,
        names: Sequence[str],
        canary: str | None,
        agreed: str,
        checkouts: Checkouts,
        to: str | None = None,
    ) -> None:
        self._project = project
        self._stacks = _stacks(load(project), names, canary, back=True)
        self._agreed = agreed
        self._checkouts = checkouts
        self._approval = Approval(project)
        self._backs: dict[str, Approval] = {}
        self._to = commit_of(project, to) if to else None
        self._files = files_of(project)

    def turns(self) -> list[Turn]:
        found = [self._from(turn) for turn in self._stacks]
        folders = {turn.stack: self.folder(turn) for turn in found if turn.commit}
        asked = all_previewed(folders)
        return [self._turn(turn, asked[turn.stack]) if turn.commit else turn for turn in found]

    def _from(self, turn: Turn) -> Turn:
        was = earlier(past(self._project, turn.stack), self._files.commit, self._files.dirty)
        if was.touched and was.new:
            return replace(turn, stays=_new(turn.stack))
        # One that wasn't is asked about, too: a run that was killed isn't in every history.
        if commit := (self._to if was.touched else None) or was.commit:
            return replace(turn, commit=commit, ours=was.touched)
        if not was.touched:
            return _untouched(turn)
        return replace(turn, ours=True, refused=_unknown(turn.stack, self._files))

    def _turn(self, turn: Turn, would: Previewed) -> Turn:
        if would.failed:
            return _untouched(turn) if not turn.ours else replace(turn, refused=would.failed)
        refused = self.refusal(turn, would)
        if not turn.ours and (refused or not would.steps):
            return _untouched(turn)
        return replace(turn, changes=would.names, refused=refused, ours=False)

    def folder(self, turn: Turn) -> Path:
        return self._checkouts.at(turn.commit)

    def refusal(self, turn: Turn, would: Previewed) -> str:
        if not would.steps:
            return ""
        back = self._backs.setdefault(turn.commit, Approval(self.folder(turn)))
        verdict = back.held_from(turn.stack, self._approval, list(would.steps))
        return _said(turn.stack, Since(self._files.commit), verdict, self._agreed)


def _stacks(
    inventory: Inventory, names: Sequence[str], canary: str | None, *, back: bool
) -> list[Turn]:
    known = sorted(inventory.stacks)
    if unknown := [name for name in names if name not in known]:
        raise SettingsError(
            [
                f"{name}: is no stack of this fleet; these are: {', '.join(known) or 'none'}"
                f"{meant(name, known)}"
                for name in unknown
            ]
        )
    order = in_order(waves(inventory, canary), names, back=back)
    return [replace(_of(inventory, name), wave=wave) for name, wave in order]


def _of(inventory: Inventory, name: str) -> Turn:
    stack = inventory.stacks[name]
    if not isinstance(stack, RegionStack):
        return Turn(name, "edge", minutes=EDGE_MINUTES)
    edge, limits = inventory.edge(stack.fleet.domain), stack.settings.cluster.timeouts
    longest = max(DRAIN_MINUTES, *limits.model_dump().values())
    return Turn(name, "rest", edge.name if edge else "", longest + STARTS_MINUTES)


def _said(stack: str, against: Since, verdict: Verdict, agreed: str) -> str:
    if not verdict.unapproved or verdict.agreed_to(stack, agreed):
        return ""
    return report.text(stack, against, verdict, agreed=False)


def _untouched(turn: Turn) -> Turn:
    return replace(turn, commit="", ours=False, stays="stays: it isn't as these files say")


def _new(stack: str) -> str:
    return (
        "stays: there was nothing before. To be rid of it, drain it and `pulumi destroy -s "
        f"{stack}`"
    )


def _unknown(stack: str, files: Files) -> str:
    return (
        f"{stack}: how it was before {files.commit[:12]} can't be known: it was brought up from "
        "files that no commit has, or outside of git. Name the commit that has them by now: "
        f"fleet roll --back {stack} --to COMMIT"
    )


def refused(turns: Sequence[Turn]) -> list[str]:
    """Why nothing is begun."""
    return [turn.refused.strip() for turn in turns if turn.refused]
