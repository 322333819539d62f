"""What a cluster has to be like before something in it is changed."""

import time
from collections.abc import Mapping
from typing import Any

from pulumi.dynamic import CheckFailure, CheckResult

from .api import APPEAR_SECONDS, Refused, Unreachable
from .waiting import Awaited

_POLL_SECONDS = 1.0


class Precondition(Awaited):
    """Refuses in the preview, where the cluster is there, and before what comes after it; asks
    again with another `generation`."""

    key: str
    """The argument that a refusal is about."""
    subject: str
    """What is asked, as "are not known" follows on it."""
    spared: str
    """A sentence: what was left as it is."""

    def problem(self, props: Mapping[str, Any], *, patient: bool) -> str | None:
        """What speaks against it. Raises Refused and Unreachable."""
        raise NotImplementedError

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """In a preview too, of a cluster that is there."""
        problem = None
        known = isinstance(news.get("kubeconfig"), str) and isinstance(news.get("generation"), str)
        if known and olds.get("generation") != news["generation"]:
            try:
                problem = self.problem(news, patient=False)
            except (Refused, Unreachable):
                # Whoever makes something there will say more.
                problem = None
        return CheckResult(news, [CheckFailure(self.key, problem)] if problem else [])

    def wait(self, props: Mapping[str, Any]) -> None:
        deadline = time.monotonic() + APPEAR_SECONDS
        while True:
            try:
                problem = self.problem(props, patient=True)
                break
            except (Refused, Unreachable) as error:
                if time.monotonic() > deadline:
                    raise RuntimeError(
                        f"after {APPEAR_SECONDS // 60} minutes {self.subject} are not known: "
                        f"{error}. {self.spared}"
                    ) from None
            time.sleep(_POLL_SECONDS)
        if problem:
            raise RuntimeError(problem)
