"""The steps of an upgrade, from what is: pure.

Nothing is written down between two runs. What is done already is read off the files, the state,
Vultr and the Worker each time; so a command that was killed is simply run again.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from ops.approval.steps import Step as Planned
from ops.approval.steps import kind_and_name
from ops.doctor.ladder import Report
from ops.guided.looking import Blocking, about
from ops.guided.steps import EDGE_MINUTES, Step, look_step, up_to

Way = Literal["edge", "twin", "none"]


@dataclass(frozen=True)
class World:
    """What is.

    Attributes:
        to: the version that is wanted; `said` is the file's, `kept` the state's, `live` Vultr's.
        nodes: how many the cluster has.
        minutes: how long an upgrade may take without a change.
        mark: the file drains, and this command has written that.
        drained: the file drains, and somebody else has.
        twins: other clusters of the region that serve.
        carriers: other regions that the Worker may send visitors to.
        edge: the edge stack, None where there is none.
        edge_drains: whether the Worker at Cloudflare takes the region as drained.
        published: whether nodes of this cluster have records.
        rest: names of what `pulumi up` of the stack would change with the file as it is.
    """

    stack: str
    file: str
    region: str
    hostname: str
    to: str
    said: str
    kept: str | None
    live: str
    nodes: int
    minutes: int
    mark: bool = False
    drained: bool = False
    twins: tuple[str, ...] = ()
    carriers: tuple[str, ...] = ()
    edge: str | None = None
    edge_drains: bool = False
    published: bool = True
    rest: tuple[str, ...] = ()

    @property
    def way(self) -> Way:
        """Who keeps visitors off the cluster meanwhile: the Worker, or another cluster of the
        region; nobody where it drains anyway, or nothing else is there."""
        if self.drained and not self.mark:
            return "none"
        if self.twins:
            return "twin"
        return "edge" if self.edge and self.carriers else "none"

    @property
    def upgraded(self) -> bool:
        """Whether `pulumi up` of the new version went to its end."""
        if {self.said, self.kept, self.live} != {self.to}:
            return False
        # A drain that the file no longer has and that wasn't carried out leaves records to make.
        undraining = self.way == "twin" and not self.mark
        return undraining or not self.rest

    @property
    def is_drained(self) -> bool:
        """Whether the drain is carried out."""
        if self.way == "twin":
            return self.mark and not self.published
        return self.mark and self.edge_drains

    @property
    def fresh(self) -> bool:
        """Whether nothing has begun."""
        return not self.mark and self.live != self.to


def plan(world: World) -> list[Step]:
    """All steps, in their order; those that are done say so."""
    # Where Vultr has upgraded by itself the nodes are made anew already: nobody is to be spared.
    by_itself = world.live == world.to and not (world.mark or world.upgraded)
    drains = world.way != "none" and not by_itself
    ready = world.is_drained or world.upgraded
    steps = [_drain(world, ready), _look(world, ready and world.said == world.to)] if drains else []
    steps += [_upgrade(world), _look(world, drains and world.upgraded and not world.mark)]
    if drains:
        steps += [_undrain(world), _look(world, False)]
    return steps


def _drain(world: World, done: bool) -> Step:
    if world.way == "twin":
        does = (
            f"drain {world.stack}: `drain: true` into {world.file}, `pulumi up -s {world.stack}`. "
            f"{', '.join(world.twins)} carry {world.hostname}"
        )
    else:
        does = (
            f"drain {world.region}: `drain: true` into {world.file}, `pulumi up -s {world.edge}`. "
            f"The Worker sends visitors to {', '.join(world.carriers)}"
        )
    stack = _over(world)
    undo = f"take the line with `fleet upgrade` out of {world.file}, then pulumi up -s {stack}"
    return Step("drain", does, _up(world, stack), undo, stack, done)


def _upgrade(world: World) -> Step:
    does = (
        f"upgrade {world.stack}: version {world.to} into {world.file}, "
        f"`pulumi up -s {world.stack}`. Its {world.nodes} nodes are made anew, and their records "
        "follow"
    )
    waits = f"for all nodes to be there anew: at most {world.minutes} minutes without a change"
    undo = "nothing: VKE doesn't go back. `pulumi up` goes on from where it is"
    return Step("upgrade", does, waits, undo, world.stack, world.upgraded)


def _undrain(world: World) -> Step:
    stack = _over(world)
    does = f"undrain: that line out of {world.file}, `pulumi up -s {stack}`"
    to_do = not world.published if world.way == "twin" else world.edge_drains
    if world.way == "twin" and world.rest:
        to_do = True
    done = world.upgraded and not world.mark and not to_do
    undo = f"`drain: true` into {world.file}, then pulumi up -s {stack}"
    return Step("undrain", does, _up(world, stack), undo, stack, done)


def _look(world: World, done: bool) -> Step:
    return look_step(world.stack, world.edge, done)


def _over(world: World) -> str:
    """The stack whose `up` drains."""
    return world.stack if world.way == "twin" else str(world.edge)


def _up(world: World, stack: str) -> str:
    return up_to(world.minutes if stack == world.stack else EDGE_MINUTES)


# --- what is refused --------------------------------------------------------------------------

_VERSION = "pulumi-python:dynamic/index:ClusterVersion"
_FOLLOWS_VERSION = {"cluster_version", "version"}
_OF_AN_UPGRADE = {"version-ended"}
_BEGUN = {"version-other", "cut-off", "locked"}


def beyond(steps: Collection[Planned]) -> list[str]:
    """Names of what a preview would do that isn't an upgrade's, of which some may stand in the
    file already."""
    return [kind_and_name(step.planned.urn)[1] for step in steps if not _of_an_upgrade(step)]


def _of_an_upgrade(step: Planned) -> bool:
    if step.planned.operation != "update" or step.planned.replaced:
        return False
    kind, _ = kind_and_name(step.planned.urn)
    return kind == _VERSION or (bool(step.differs) and set(step.differs) <= _FOLLOWS_VERSION)


def blocking(
    report: Report, world: World, carriers: Mapping[str, str], *, first: bool = False
) -> list[Blocking]:
    """What the doctor found that an upgrade has to wait for, as a finding or a sentence.

    `carriers` are the stacks that carry visitors meanwhile, with their regions: one that is well is
    enough. `first`: before the first step, where the file may say the version already.
    """
    own = {world.stack, world.edge}
    passing = _OF_AN_UPGRADE | (_BEGUN if first and world.said == world.to else set())
    found = about(report, own, passing)
    ill = {each.stack for each in (*report.findings, *report.blind)}
    if carriers and carriers.keys() <= ill:
        found.append(f"none of those that would carry visitors is well: {', '.join(carriers)}")
    return found


def refusals(world: World, undeployed: Collection[str], edges: Collection[str]) -> list[str]:
    """Why nothing is begun, from what a preview of the stack and of its edge would do."""
    if not world.fresh:
        return []
    what = ((world.stack, undeployed), (str(world.edge), edges))
    return [
        f"{stack}: `pulumi up` would change more than the version: {_some(names)}. Bring that up "
        f"first: pulumi up -s {stack}"
        for stack, names in what
        if names
    ]


def _some(names: Collection[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(sorted(names)[:most]) + more
