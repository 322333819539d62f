"""The addresses Cloudflare connects from, pinned in the repository.

Pinned, not fetched: a preview is the same tomorrow, and a wrong answer from the network can never
open or close a firewall by itself. `cloudflare_ranges.json` says when and where the list was read.
"""

import json
from dataclasses import dataclass
from datetime import date
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

PIN = Path(__file__).with_name("cloudflare_ranges.json")


@dataclass(frozen=True)
class CloudflareRanges:
    """One reading of https://api.cloudflare.com/client/v4/ips.

    `etag` is the API's own version of the list, None where the list came from another mirror.
    """

    ipv4: tuple[IPv4Network, ...]
    ipv6: tuple[IPv6Network, ...]
    fetched: date
    etag: str | None

    @property
    def cidrs(self) -> tuple[str, ...]:
        """Every range as text, IPv4 first, each family in numerical order."""
        return tuple(str(network) for network in (*self.ipv4, *self.ipv6))


def load(path: Path = PIN) -> CloudflareRanges:
    """The pinned ranges. Raises ValueError naming the file where it is malformed."""
    try:
        pin = json.loads(path.read_text())
        return CloudflareRanges(
            ipv4=tuple(sorted(IPv4Network(cidr) for cidr in pin["ipv4_cidrs"])),
            ipv6=tuple(sorted(IPv6Network(cidr) for cidr in pin["ipv6_cidrs"])),
            fetched=date.fromisoformat(pin["fetched"]),
            etag=pin["etag"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: not a valid pin of Cloudflare's ranges: {error}") from error


def cloudflare_networks() -> list[str]:
    """The CIDRs that Cloudflare connects from, both families, as this release has them pinned."""
    return [*load().cidrs]
