"""Holding previews against what the files say: each revision is rendered once, for all stacks."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from ops.approval.comparison import Verdict, approved, compare
from ops.approval.history import Since
from ops.approval.steps import Planned, Step
from ops.command import say
from ops.render.cli import comparison
from ops.render.resources import Rendering
from ops.render.revisions import Fleet, RevisionError, render_folder, render_revision


class Approval:
    """What the files of a folder say, against those of other revisions.

    The files are taken as they are when they are first asked for: what somebody writes into them
    later isn't approved. Raises SettingsError, RevisionError.
    """

    def __init__(self, project: Path) -> None:
        self._project = project
        self._after: Mapping[str, Rendering] | None = None
        self._before: dict[str, Fleet] = {"": Fleet({})}

    def held(self, stack: str, against: Since, would: list[Step]) -> Verdict:
        """Hold a preview's steps against what changed since."""
        after = self.rendered()
        diffs: list[set[Planned]] = []
        for revision in (against.base or "", *against.tried):
            if revision not in self._before:
                say(f"rendering {revision} …")
                self._before[revision] = render_revision(self._project, revision)
            diffs += self._said(stack, revision, self._before[revision], after)
        return compare(diffs, would, against.unfinished)

    def held_from(self, stack: str, before: "Approval", would: list[Step]) -> Verdict:
        """Hold them against what differs from another folder, from which some may be left."""
        diffs = self._said(stack, "", Fleet({**before.rendered()}), self.rendered())
        return compare(diffs, would, unfinished=True)

    def rendered(self) -> Mapping[str, Rendering]:
        """The folder's own stacks."""
        if self._after is None:
            say("rendering the files as they are …")
            self._after = render_folder(self._project, [])
        return self._after

    def _said(
        self, stack: str, revision: str, before: Fleet, after: Mapping[str, Rendering]
    ) -> list[set[Planned]]:
        found = comparison(self._project, revision or "nothing", before, dict(after), [stack])
        return [approved(each) for each in found.plain()["stacks"]]


def is_here(project: Path, commit: str) -> bool:
    """Whether git has the commit as the one that is checked out, or before it. Raises
    RevisionError."""
    command = ["git", "-C", str(project), "merge-base", "--is-ancestor", commit, "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise RevisionError("git is not installed, and a comparison reads from it") from None
    if done.returncode and _is_shallow(project):
        raise RevisionError(
            f"{commit[:12]}, which the stack was brought up from, isn't in this shallow checkout: "
            "`git fetch --unshallow` (actions/checkout: `fetch-depth: 0`)"
        )
    return done.returncode == 0


def _is_shallow(project: Path) -> bool:
    command = ["git", "-C", str(project), "rev-parse", "--is-shallow-repository"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() == "true"
