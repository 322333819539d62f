"""Asking many systems at once."""

import threading
import time

from components.errors import VultrError
from components.server_side.api import Unreachable
from ops.live.asking import Unasked, beside, known


def fail(error: Exception) -> None:
    raise error


def test_answers_come_in_the_order_of_the_questions():
    assert list(beside({"b": lambda: 2, "a": lambda: 1}).items()) == [("b", 2), ("a", 1)]


def test_what_cannot_be_asked_is_a_fact():
    found = beside(
        {
            "refused": lambda: fail(VultrError("Vultr refused the API key (401)", 401)),
            "down": lambda: fail(Unreachable("the API server does not answer")),
            "strange": lambda: fail(KeyError("result")),
        }
    )
    assert found["refused"] == Unasked("Vultr refused the API key (401)")
    assert found["down"] == Unasked("the API server does not answer")
    assert found["strange"] == Unasked("it answered what can't be read: KeyError('result')")
    assert known(found["down"]) is None


def test_all_are_asked_at_once_and_one_that_hangs_holds_nobody_up():
    together, never = threading.Barrier(3), threading.Event()
    awaited: list[list[str]] = []

    def question() -> str:
        # Passes only when the others are asked meanwhile.
        together.wait(timeout=10)
        return "met"

    questions = dict.fromkeys(("a", "b", "c"), question)
    began = time.monotonic()
    found = beside({**questions, "hangs": never.wait}, seconds=1, waiting=awaited.append)
    assert time.monotonic() - began < 10
    assert [found[name] for name in "abc"] == ["met"] * 3
    assert found["hangs"] == Unasked("no answer within 1 s")
    assert awaited[-1] == ["hangs"]
    never.set()
