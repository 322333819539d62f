"""Cloudflare's own lists of its addresses, fetched and doubted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import pairwise

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from components.firewall.cloudflare_ranges import CloudflareRanges
from components.vendors.causes import why
from ops.command import CommandError

Network = IPv4Network | IPv6Network

BACKOFF = 0.5
"""Seconds before the second attempt; each further one waits twice as long."""
_TIMEOUT = (5, 20)
"""Seconds to connect, and between two bytes of an answer."""
# What no server on the internet has (IANA's special-purpose registries), and multicast.
_NOT_PUBLIC = [
    ip_network(cidr)
    for cidr in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
        "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
    )
]  # fmt: skip
_PUBLIC_IPV6 = IPv6Network("2000::/3")


class RangesError(CommandError):
    """The lists can't be had, or must not be used; the text is for a person."""


@dataclass(frozen=True)
class Source:
    """Where the lists are (docs/facts/cloudflare.md §3). The three must say the same."""

    api: str = "https://api.cloudflare.com/client/v4/ips"
    ipv4: str = "https://www.cloudflare.com/ips-v4"
    ipv6: str = "https://www.cloudflare.com/ips-v6"


def fetch(source: Source, today: date) -> CloudflareRanges:
    """What Cloudflare says now. Raises RangesError where it is no usable list."""
    with requests.Session() as session:
        retry = Retry(
            total=4,
            backoff_factor=BACKOFF,
            status_forcelist=(429, 500, 502, 503, 504),
            allowed_methods=("GET",),
            raise_on_status=False,
        )
        for scheme in ("https://", "http://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        answer = _get(session, source.api)
        texts = [_get(session, url).text.split() for url in (source.ipv4, source.ipv6)]
    try:
        result = answer.json()["result"]
        listed = [list(result["ipv4_cidrs"]), list(result["ipv6_cidrs"])]
        etag = result["etag"]
    except (ValueError, KeyError, TypeError):
        raise RangesError(f"{source.api}: not the API's answer: {answer.text[:200]!r}") from None
    found = []
    for family, cidrs, text, url in zip(
        (4, 6), listed, texts, (source.ipv4, source.ipv6), strict=True
    ):
        networks = parse(source.api, cidrs, family)
        if set(networks) != set(parse(url, text, family)):
            raise RangesError(f"{source.api} and {url} say different things: try again later")
        found.append(networks)
    return CloudflareRanges(found[0], found[1], fetched=today, etag=str(etag))


def parse(where: str, cidrs: Sequence[object], family: int) -> tuple:
    """The networks of one family, in numerical order. Raises RangesError naming what is wrong."""
    if not cidrs:
        raise RangesError(f"{where}: no IPv{family} ranges at all")
    networks = []
    for cidr in cidrs:
        try:
            network = ip_network(cidr)  # pyright: ignore[reportArgumentType]
        except ValueError as error:
            raise RangesError(f"{where}: {str(cidr)[:100]!r} is no range: {error}") from None
        if not isinstance(cidr, str) or network.version != family:
            raise RangesError(f"{where}: {cidr!r} is no IPv{family} range")
        if any(_overlap(network, other) for other in _NOT_PUBLIC) or (
            isinstance(network, IPv6Network) and not network.subnet_of(_PUBLIC_IPV6)
        ):
            raise RangesError(f"{where}: {network} is not public unicast space")
        networks.append(network)
    networks.sort()
    for one, other in pairwise(networks):
        if one.overlaps(other):
            raise RangesError(f"{where}: {one} and {other} overlap")
    return tuple(networks)


def leaps(old: CloudflareRanges, new: CloudflareRanges) -> Iterable[str]:
    """Where a list shrinks or grows by more than half, in ranges or in addresses: a mistake of
    somebody's, more likely than news."""
    for family, before, after in (("IPv4", old.ipv4, new.ipv4), ("IPv6", old.ipv6, new.ipv6)):
        for what, was, now in (
            ("ranges", len(before), len(after)),
            ("addresses", _addresses(before), _addresses(after)),
        ):
            if not was / 2 <= now <= was * 1.5:
                yield f"{family} goes from {was} to {now} {what}"


def diff(old: CloudflareRanges, new: CloudflareRanges) -> list[str]:
    """What changes, a line a range: `+` new, `-` gone."""
    added, gone = set(new.cidrs) - set(old.cidrs), set(old.cidrs) - set(new.cidrs)
    ordered = sorted(added | gone, key=lambda cidr: (":" in cidr, ip_network(cidr)))
    return [f"{'+' if cidr in added else '-'} {cidr}" for cidr in ordered]


def _addresses(networks: Iterable[Network]) -> int:
    return sum(network.num_addresses for network in networks)


def _overlap(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)


def _get(session: requests.Session, url: str) -> requests.Response:
    try:
        answer = session.get(url, timeout=_TIMEOUT)
    except requests.RequestException as error:
        raise RangesError(f"{url} did not answer: {why(error)}") from None
    if not answer.ok:
        raise RangesError(f"{url} answered {answer.status_code}: {answer.text[:200]!r}")
    return answer
