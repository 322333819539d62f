"""Asking many systems at once, each with a limit of time."""

import threading
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import requests

from components.errors import EdgefleetError
from components.server_side.api import Refused, Unreachable

SECONDS = 20.0
"""How long one system may take in all; each of its calls has a limit of its own, too."""
_FAILS = (EdgefleetError, Refused, Unreachable, requests.RequestException, OSError)
_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError)
_POLL_SECONDS = 0.1

Key = TypeVar("Key", bound=Hashable)
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Unasked:
    """A system couldn't be asked; `cause` is for a person."""

    cause: str


def beside(
    questions: Mapping[Key, Callable[[], Answer]],
    seconds: float = SECONDS,
    waiting: Callable[[list[Key]], None] = lambda _: None,
) -> dict[Key, Answer | Unasked]:
    """Ask all at once; the answers by key, in the order of the questions.

    `waiting` is told from time to time whose answers are missing. A question that isn't answered in
    time is left alone: its thread ends with the process.
    """
    found: dict[Key, Answer | Unasked] = {}

    def ask(key: Key, question: Callable[[], Answer]) -> None:
        try:
            found[key] = question()
        except _FAILS as error:
            found[key] = Unasked(str(error))
        except _UNREADABLE as error:
            found[key] = Unasked(f"it answered what can't be read: {error!r}")

    threads = {
        key: threading.Thread(target=ask, args=(key, question), daemon=True)
        for key, question in questions.items()
    }
    for thread in threads.values():
        thread.start()
    deadline = time.monotonic() + seconds
    while alive := [key for key, thread in threads.items() if thread.is_alive()]:
        if time.monotonic() > deadline:
            break
        waiting(alive)
        threads[alive[0]].join(_POLL_SECONDS)
    late = Unasked(f"no answer within {seconds:g} s")
    return {key: found.get(key, late) for key in questions}


def known(answer: Answer | Unasked) -> Answer | None:
    """The answer, None where there is none."""
    return None if isinstance(answer, Unasked) else answer
