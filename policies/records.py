"""A record that isn't proxied tells everybody where a node is, and leads visitors past the edge."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

_RECORDS = ("cloudflare:index/dnsRecord:DnsRecord", "cloudflare:index/record:Record")
_PROXIABLE = ("A", "AAAA", "CNAME")


def unproxied(kind: str, props: Mapping[str, Any], excepted: Collection[str] = ()) -> Iterator[str]:
    """What is wrong with a record, unless its name is one of `excepted`."""
    if kind not in _RECORDS or props["type"] not in _PROXIABLE or props.get("proxied"):
        return
    name = str(props["name"])
    # `_acme-challenge` and its like are asked for by name, and no proxy answers them.
    if name.startswith("_") or name in excepted:
        return
    yield (
        f"{props['type']} {name} isn't proxied: say `proxied: true`, or name it in this policy's "
        "`except` where visitors have to come past Cloudflare"
    )
