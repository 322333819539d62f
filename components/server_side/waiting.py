"""A resource that is there when something has come about in a cluster."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from pulumi.dynamic import CreateResult, DiffResult, ReadResult, ResourceProvider, UpdateResult

from .api import Refused, Unreachable


class Awaited(ResourceProvider):
    """Waits when it is created, and again when the patch that it waits for is a new one.

    Its own resource beside that patch on purpose: what fails here must leave the patch in Pulumi's
    state, where it can be changed or taken back. Subclasses are pickled by reference to their
    module, so a state outlives changes of the code.
    """

    identity: tuple[str, ...] = ()
    """Properties that say what is awaited; with another it is another resource."""

    def wait(self, props: Mapping[str, Any]) -> None:
        """Return when it is so. Raises RuntimeError after a time that is long enough."""
        raise NotImplementedError

    def name(self, props: Mapping[str, Any]) -> str:
        """The resource's id."""
        return "/".join(props[key] for key in self.identity)

    def create(self, props: dict[str, Any]) -> CreateResult:
        self.wait(props)
        return CreateResult(self.name(props), props)

    def update(self, _id: str, _olds: dict[str, Any], props: dict[str, Any]) -> UpdateResult:
        self.wait(props)
        return UpdateResult(props)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        return ReadResult(id_, props)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        identity = [key for key in self.identity if olds.get(key) != news.get(key)]
        # Credentials alone are no reason to wait, but the newest are to be kept.
        changed = [k for k in ("kubeconfig", "generation") if olds.get(k) != news.get(k)]
        return DiffResult(changes=bool(identity or changed), replaces=identity)


def lasting(look: Callable[[], str | None], seconds: float, poll: float) -> str | None:
    """What is still wrong after so many seconds; None as soon as `look` finds nothing wrong.

    A server that refuses or isn't reached is wrong, too. `poll` are the seconds between two looks.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            problem = look()
        except (Refused, Unreachable) as error:
            problem = str(error)
        if problem is None or time.monotonic() > deadline:
            return problem
        time.sleep(poll)
