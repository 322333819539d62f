"""How an ingress knows our own edge among all that comes from Cloudflare.

Any customer of Cloudflare's reaches an origin that admits Cloudflare's addresses
(docs/facts/cloudflare.md §5). A client certificate of our own CA, or a header that only our Worker
knows, tells us apart. Each goes in steps: `off`; `observe` asks, logs, and lets everybody in;
`require` refuses.
"""

import re
from dataclasses import asdict, dataclass
from typing import Literal, NotRequired, TypedDict

Step = Literal["off", "observe", "require"]

SECRET_HEADER = "X-Edgefleet-Origin"  # noqa: S105 (its name)
LEAF_NAME, LEAF_ORGANIZATION = "edgefleet origin pulls", "edgefleet"
"""Subject of the client certificate that our edge shows; components/edge/origin_pulls.py."""
# As long as nginx' map takes a key in its default bucket of 64 bytes.
_SECRET = re.compile(r"[A-Za-z0-9_-]{32,43}")


class TrustArgs(TypedDict):
    """What the origin asks for, so that it knows our own edge. Each step: off; observe asks, logs,
    and lets everybody in; require refuses. A change rolls the pods."""

    pulls: NotRequired[Step]
    """The client certificate (Authenticated Origin Pulls). Default: off."""
    ca: NotRequired[str]
    """PEM certificates of the CAs that may have signed it; needed unless `pulls` is off."""
    header: NotRequired[Step]
    """The secret header that the Worker sends. Default: off."""


@dataclass(frozen=True)
class EdgeTrust:
    """What the origin asks for.

    `pulls` is the client certificate (Authenticated Origin Pulls), `ca` the PEM certificates of the
    CAs that may have signed it. `header` is `SECRET_HEADER`, which the Worker sends.
    """

    pulls: Step = "off"
    ca: str = ""
    header: Step = "off"

    @property
    def asks(self) -> bool:
        """Whether anything is asked for."""
        return self.pulls != "off" or self.header != "off"


def trust_of(args: TrustArgs | None) -> EdgeTrust:
    """What arguments ask for."""
    return EdgeTrust(**(args or {}))


def trust_args(trust: EdgeTrust) -> TrustArgs:
    """The same as arguments."""
    return TrustArgs(**asdict(trust))


def origin_secrets(text: str) -> tuple[str, ...]:
    """The values of a secret header: one, or the new and the old one, apart by white space.

    Raises ValueError, without the values.
    """
    values = tuple(text.split())
    if not 1 <= len(values) <= 2:
        raise ValueError(f"{len(values)} values: one, or during a rotation the new and the old one")
    for number, value in enumerate(values, 1):
        if not _SECRET.fullmatch(value):
            raise ValueError(
                f"value {number} has {len(value)} characters: 32 to 43 of A-Z, a-z, 0-9, - and _ "
                "are needed, as `openssl rand -hex 20` gives"
            )
    return values
