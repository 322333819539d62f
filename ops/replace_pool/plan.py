"""The steps of a pool's replacement, from what is: pure.

Nothing is written down between two runs but a line in the stack file that says which pool takes the
place of which. What is done is read off the files, the state, Vultr and the cluster each time.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from components.cluster.drained_pool import DRAIN_MINUTES
from ops.guided.steps import Step, lines, look_step, up_to


@dataclass(frozen=True)
class World:
    """What is.

    Attributes:
        old, new: labels of the pool and of the one that takes its place.
        plan, nodes: of the new one; `was` is the old one's plan.
        first: whether the old one was made with the cluster, and so stays, with one node.
        there: how many nodes the old one has at Vultr.
        minutes: how long nodes may take without a change.
        added: the file has the new one, by this command.
        gone: the file no longer has the old one, or with one node alone.
        busy: nodes of the old one that may get pods, or have some that have to move; 0 too where
            that isn't asked.
        rest: names of what `pulumi up` of the stack would change with the file as it is.
        monthly: list prices of the pool before and after, in dollars.
    """

    stack: str
    file: str
    hostname: str
    edge: str | None
    old: str
    new: str
    was: str
    plan: str
    nodes: int
    first: bool
    there: int
    minutes: int
    added: bool = False
    gone: bool = False
    busy: int = 0
    rest: tuple[str, ...] = ()
    monthly: tuple[float, float] = (0.0, 0.0)

    @property
    def fresh(self) -> bool:
        """Whether nothing has begun."""
        return not self.added


def plan(world: World) -> list[Step]:
    """All steps, in their order; those that are done say so."""
    steps = [_add(world), look_step(world.stack, world.edge, world.gone)]
    if world.first:
        steps += [_drain(world), _shrink(world)]
    else:
        steps.append(_remove(world))
    return [*steps, look_step(world.stack, world.edge, done=False)]


def _add(world: World) -> Step:
    count = _nodes(world.nodes)
    does = (
        f"add pool {world.new}: {count} of plan {world.plan} into {world.file}, `pulumi up -s "
        f"{world.stack}`. They get their records once they are ready"
    )
    undo = f"take pool {world.new} and the line with `fleet replace-pool` out of {world.file}, then"
    return Step(
        "add",
        does,
        up_to(world.minutes),
        f"{undo} pulumi up -s {world.stack}",
        world.stack,
        world.added and (world.gone or not world.rest),
    )


def _drain(world: World) -> Step:
    does = (
        f"drain pool {world.old}: its nodes take no new pods, and what runs there is evicted, as "
        "PodDisruptionBudgets allow"
    )
    waits = f"for the pods to be gone: at most {DRAIN_MINUTES} minutes; who holds it up is named"
    undo = "kubectl uncordon, of each of its nodes"
    done = world.added and (world.gone or (not world.busy and not world.rest))
    return Step("drain", does, waits, undo, "", done)


def _shrink(world: World) -> Step:
    does = (
        f"shrink pool {world.old} to one node: `nodes: 1` into {world.file}, `pulumi up -s "
        f"{world.stack}`. The records of nodes that go leave at the end of that. The node that is "
        "left takes pods again"
    )
    undo = f"nodes: {world.there} into {world.file}, then pulumi up -s {world.stack}"
    done = world.gone and not world.rest and not world.busy
    return Step("shrink", does, up_to(world.minutes), undo, world.stack, done)


def _remove(world: World) -> Step:
    does = (
        f"remove pool {world.old} from {world.file}, `pulumi up -s {world.stack}`. The records of "
        "its nodes go, its nodes are drained, as PodDisruptionBudgets allow, and Vultr deletes them"
    )
    minutes = max(world.minutes, DRAIN_MINUTES)
    undo = (
        f"until Vultr deletes it: put the pool back into {world.file}, pulumi up -s {world.stack}"
    )
    done = world.gone and not world.rest
    return Step("remove", does, up_to(minutes), undo, world.stack, done)


def refusals(world: World) -> list[str]:
    """Why nothing is begun, from what a preview of the stack would do."""
    if not world.fresh or not world.rest:
        return []
    names = ", ".join(world.rest[:5]) + (f" and {len(world.rest) - 5} more" * (len(world.rest) > 5))
    return [
        f"{world.stack}: `pulumi up` would change something already: {names}. Bring that up first: "
        f"pulumi up -s {world.stack}"
    ]


def successor(label: str, taken: Collection[str]) -> str:
    """A label for the pool that takes another's place: edge-2 of edge, edge-3 of edge-2."""
    stem, _, number = label.rpartition("-")
    if not (stem and number.isdigit()):
        stem, number = label, "1"
    count = int(number) + 1
    while f"{stem}-{count}" in taken:
        count += 1
    return f"{stem}-{count}"


def text(world: World, steps: Sequence[Step]) -> str:
    """What is known before it begins, then the steps."""
    before, after = world.monthly
    cost = f", ${before:.2f} → ${after:.2f} a month" if before and after else ""
    told = [
        f"{world.stack}: pool {world.old} ({world.was}) → pool {world.new} ({world.plan}), "
        f"{_nodes(world.nodes)}{cost}. While both are there, both cost.",
    ]
    if world.first:
        told.append(
            f"The cluster was made with {world.old}: that pool stays, with one node. To be rid of "
            "it, make a cluster beside this one."
        )
    return "\n".join([*told, "", *lines(steps)])


def document(world: World, steps: Sequence[Step]) -> dict[str, Any]:
    """The plan for a program."""
    return {
        "stack": world.stack,
        "old": world.old,
        "new": world.new,
        "plan": world.plan,
        "nodes": world.nodes,
        "steps": [asdict(step) for step in steps],
    }


def _nodes(count: int) -> str:
    return f"{count} node{'s' if count > 1 else ''}"
