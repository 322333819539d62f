"""What puts a cluster of a new stack file on air: sentences, from the fleet without and with it."""

from collections.abc import Iterator
from dataclasses import replace

from infra.fleet.inventory import Inventory, RegionStack


def steps(before: Inventory, drained: Inventory, name: str) -> list[str]:
    """What to do next. `drained` is the fleet with the stack `name`, which drains."""
    new = drained.stacks[name]
    assert isinstance(new, RegionStack)
    lifted = _lifted(drained, new)
    on_air = list(_who(before, drained, lifted, name))
    return [
        _begins(drained, new),
        f"  1. git add {new.file}",
        f"     pulumi stack init {name}",
        f"     pulumi up --stack {name}{_edge_meanwhile(before, drained, new)}",
        f"  2. Take `drain: true` out of {new.file}{', then:' if on_air else '.'}",
        *(f"     pulumi up --stack {stack}: {why}" for stack, why in on_air),
        f"Leaving goes the other way: drain, the same ups, `pulumi destroy --stack {name}`, "
        f"remove {new.file}.",
    ]


def _edge_meanwhile(before: Inventory, drained: Inventory, new: RegionStack) -> str:
    """What the edge stack has to do with a cluster that drains."""
    edge = drained.edge(new.fleet.domain)
    if not edge:
        return ""
    if _table(before, new) == _table(drained, new):
        return f" ({edge.name} doesn't change)"
    if not drained.siblings(new):
        return f", then `pulumi up --stack {edge.name}`: it is known there, drained."
    return (
        f", then `pulumi up --stack {edge.name}`: region {new.region} is placed where the first of "
        f"its stacks by name lies, and that is {new.name} now."
    )


def _begins(drained: Inventory, new: RegionStack) -> str:
    """What drained means here."""
    others = [stack.name for stack in drained.siblings(new)]
    if not others:
        return f"It starts drained: no visitor is sent to {new.region} until that is lifted."
    named, host = ", ".join(others), new.hostname
    if drained.withdrawn(new):
        serving = ", ".join(each.name for each in drained.siblings(new) if not each.settings.drain)
        return (
            f"It starts drained: region {new.region} goes on with {serving}, and the new nodes "
            f"have no records in {host} until that is lifted."
        )
    return (
        f"It starts drained, as all of region {new.region} does ({named}): its nodes' records join "
        f"{host}, but the Worker sends nobody there until that is lifted."
    )


def _who(
    before: Inventory, drained: Inventory, lifted: Inventory, name: str
) -> Iterator[tuple[str, str]]:
    """The stacks that change once the new one drains no longer, and why."""
    new = lifted.stacks[name]
    assert isinstance(new, RegionStack)
    old = drained.stacks[name]
    assert isinstance(old, RegionStack)
    if drained.withdrawn(old):
        yield name, f"its nodes' records join {new.hostname}."
    edge = lifted.edge(new.fleet.domain)
    if edge and _table(drained, new) != _table(lifted, new):
        yield edge.name, f"visitors are sent to {new.region}."
    for sibling in lifted.siblings(new):
        if lifted.withdrawn(sibling) and not drained.withdrawn(sibling):
            yield sibling.name, f"it goes on draining: its records leave {new.hostname}."


def _lifted(drained: Inventory, new: RegionStack) -> Inventory:
    settings = new.settings.model_copy(update={"drain": False})
    stacks = {**drained.stacks, new.name: replace(new, settings=settings)}
    return replace(drained, stacks=stacks)


def _table(inventory: Inventory, stack: RegionStack) -> list[object]:
    """What the edge stack's Worker knows."""
    # Here, because it loads the providers' SDKs, and this comes after a rendering.
    from infra.stacks.edge import region_table

    return [*region_table(inventory, stack.fleet.domain)]
