"""Addresses of the emulated nodes: unique over the fleet, and the same on every machine.

They lie in ranges that Vultr announces, since the ranges reserved for documentation count as
private (Python's ``ipaddress``, Cloudflare's proxy) and a node's address may not.
"""

import ipaddress
from dataclasses import dataclass
from functools import cache

BLOCKS = range(1, 255)
HOSTS = range(10, 255)


@dataclass(frozen=True)
class Addresses:
    """One node's addresses, in the form in which the API shows them."""

    main_ip: str
    gateway_v4: str
    v6_main_ip: str
    v6_network: str
    internal_ip: str
    mac_address: str


@cache
def node_addresses(block: int, host: int, network: str) -> Addresses:
    """The addresses of node ``host`` (one of HOSTS) of the cluster that has ``block``.

    ``network`` is the private network of the cluster (CIDR), which clusters may share.
    """
    private = ipaddress.IPv4Network(network)
    prefix = f"2001:19f0:{block:x}:{host:x}"
    return Addresses(
        main_ip=f"45.76.{block}.{host}",
        gateway_v4=f"45.76.{block}.1",
        v6_main_ip=ipaddress.IPv6Address(f"{prefix}:5400:5ff:fe{block:02x}:{host:x}").compressed,
        v6_network=ipaddress.IPv6Address(f"{prefix}::").compressed,
        internal_ip=str(private[(block * 256 + host) % private.num_addresses]),
        mac_address=f"5a:00:05:00:{block:02x}:{host:02x}",
    )


def next_free(last: int, used: set[int], numbers: range) -> int:
    """The number after ``last`` that isn't ``used``, going round; so that what was given back is
    given out again as late as possible. Raises ``ValueError`` when all are used."""
    after = [n for n in numbers if n > last] + [n for n in numbers if n <= last]
    for number in after:
        if number not in used:
            return number
    raise ValueError(f"all {len(numbers)} are in use")
