"""What this stack's own state already holds, for the program that is about to change it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import pulumi

from components.json_object import object_at

_Answer = TypeVar("_Answer")
_PAUSES = (0.1, 0.2, 0.4, 0.8)
"""Seconds between attempts at reading the state."""


@dataclass(frozen=True)
class StackState:
    """The outputs of each resource in the stack's last checkpoint, by URN."""

    outputs: Mapping[str, Mapping[str, Any]]

    def of_type(self, type_token: str) -> dict[str, Mapping[str, Any]]:
        """The resources of one type: outputs by name."""
        return {
            name: outputs
            for urn, outputs in self.outputs.items()
            for kind, name in [urn.split("::", 3)[2:]]
            if kind.rpartition("$")[2] == type_token
        }


def read_state() -> StackState:
    """Ask the engine for the stack's last checkpoint.

    `pulumi:pulumi:readStackResourceOutputs` is what the engine itself offers for this; it needs no
    plugin and no lock.
    """
    stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    answer = _whole(
        lambda: (
            pulumi.runtime.invoke(
                "pulumi:pulumi:readStackResourceOutputs", {"stackName": stack}
            ).value
        )
    )
    found = object_at(answer, "outputs")
    return StackState({urn: object_at(entry, "outputs") for urn, entry in found.items()})


def _whole(ask: Callable[[], _Answer]) -> _Answer:
    """The answer; asked again where the engine, which keeps stacks in files, read a checkpoint
    that it was itself just writing ("failed to load checkpoint: EOF")."""
    for pause in _PAUSES:
        try:
            return ask()
        except Exception as error:
            if "failed to load checkpoint" not in str(error):
                raise
            time.sleep(pause)
    return ask()
