"""Coroutines in tests of a thread whose event loop others want: `asyncio.run` takes it away."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")


def done(what: Coroutine[Any, Any, _Result]) -> _Result:
    """What it returns, run to its end in a loop of its own."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(what)
    finally:
        loop.close()
