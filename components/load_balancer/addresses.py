"""Addresses to announce: written as networks or as ranges, one family each, nobody's twice."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from ..errors import OptionsError


class LoadBalancerMistake(OptionsError):
    """Options of a load balancer that can't be, or not together."""


@dataclass(frozen=True)
class AddressRange:
    """All addresses from `first` to `last`, which are of one family; `text` is how it was said."""

    first: IPv4Address | IPv6Address
    last: IPv4Address | IPv6Address
    text: str

    @property
    def family(self) -> int:
        """4 or 6."""
        return self.first.version

    def holds(self, address: IPv4Address | IPv6Address) -> bool:
        """Whether the address is one of them."""
        return self.family == address.version and int(self.first) <= int(address) <= int(self.last)

    def overlaps(self, other: "AddressRange") -> bool:
        """Whether an address is in both."""
        return self.family == other.family and (
            int(self.first) <= int(other.last) and int(other.first) <= int(self.last)
        )


def address_range(text: str) -> AddressRange:
    """What `text` says: 192.0.2.8/29, 192.0.2.8-192.0.2.15, 2001:db8::/120.

    Raises LoadBalancerMistake, without saying where.
    """
    what = "must be a network like 192.0.2.8/29 or a range like 192.0.2.8-192.0.2.15"
    try:
        if "-" not in text:
            network = ip_network(text)
            if "/" not in text:
                raise LoadBalancerMistake(f"{text!r}: {what}; a single address is {network}")
            return AddressRange(network[0], network[-1], text)
        first, last = (ip_address(side.strip()) for side in text.split("-", 1))
    except LoadBalancerMistake:
        raise
    except ValueError as error:
        raise LoadBalancerMistake(f"{text!r}: {what} ({error})") from None
    if first.version != last.version:
        raise LoadBalancerMistake(f"{text!r}: begins in IPv{first.version} and ends in the other")
    if int(first) > int(last):
        raise LoadBalancerMistake(f"{text!r}: ends before it begins")
    return AddressRange(first, last, text)


def ranges(pools: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, AddressRange]]:
    """Each pool's name with each of its ranges. Raises LoadBalancerMistake."""
    for name, items in pools.items():
        for text in items:
            try:
                yield name, address_range(text)
            except LoadBalancerMistake as mistake:
                raise LoadBalancerMistake(f"{name}: {mistake}") from None


def refuse_overlaps(
    pools: Mapping[str, Sequence[str]], others: Mapping[str, Sequence[str]] | None = None
) -> None:
    """No address is said twice, nor in one of `others` (both by whose they are).

    Raises LoadBalancerMistake.
    """
    seen: list[tuple[str, AddressRange]] = []
    theirs = list(ranges(others or {}))
    for name, mine in ranges(pools):
        for other, taken in seen:
            if mine.overlaps(taken):
                where = "itself" if other == name else other
                raise LoadBalancerMistake(
                    f"{name}: {mine.text} overlaps {taken.text} of {where}: an address would "
                    "be given twice"
                )
        for whose, taken in theirs:
            if mine.overlaps(taken):
                raise LoadBalancerMistake(
                    f"{name}: {mine.text} overlaps {taken.text} of {whose}: two clusters "
                    "would announce the same address"
                )
        seen.append((name, mine))


def refuse_taken(pools: Mapping[str, Sequence[str]], taken: Mapping[str, str]) -> None:
    """No address is one that a machine has (`taken`: whose, by address).

    Raises LoadBalancerMistake.
    """
    for name, mine in ranges(pools):
        for address, whose in taken.items():
            if mine.holds(ip_address(address)):
                raise LoadBalancerMistake(
                    f"{name}: {mine.text} holds {address}, which is {whose}'s own: its "
                    "neighbours would send other traffic there"
                )


def refuse_outside(pools: Mapping[str, Sequence[str]], addresses: Iterable[str]) -> None:
    """Each address is in a pool. Raises LoadBalancerMistake."""
    held = [held for _, held in ranges(pools)]
    for address in addresses:
        if not any(one.holds(ip_address(address)) for one in held):
            raise LoadBalancerMistake(
                f"{address} is in none of the pools ({', '.join(pools) or 'there are none'}): "
                "nobody would announce it"
            )
