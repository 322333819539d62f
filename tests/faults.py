"""Faults of the emulated APIs: a test that injects one also proves that it was met."""

from collections.abc import Iterable, Mapping
from typing import Any


def unmet(faults: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Of an emulator's list of faults, those that a test has not used up.

    One with `times` leaves the list when it was used up; one without has to have applied once.
    """
    return [fault for fault in faults if "times" in fault or not fault.get("met")]
