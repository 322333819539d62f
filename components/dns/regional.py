"""`RegionalDns`: one proxied A and one AAAA record for each node of a region."""

from collections.abc import Callable, Sequence
from typing import Any, TypedDict

import pulumi

from ..arguments import refuse_arguments
from ..cluster.contract import Node, ServingNode
from ..vendors import cloudflare_resources as cloudflare

Follow = Callable[[Callable[[Sequence[Node]], None]], None]
"""A cluster's `follow`: hands over nodes that come while it changes."""
AUTOMATIC_TTL = 1
"""The only TTL Cloudflare takes for a proxied record (docs/facts/cloudflare.md §1)."""


class RegionalDnsArgs(TypedDict):
    """Whose addresses, under which name."""

    zone_id: pulumi.Input[str]
    """Cloudflare's id of the zone. Another one: the records are made anew there."""
    hostname: str
    """Gets the records (us.example.com); several clusters may share it. Changes in place."""
    owner: str
    """Says in the records' comments whose they are. Changes in place."""
    nodes: pulumi.Input[Sequence[ServingNode]]
    """Live nodes, as a cluster's `nodes` gives them. One that is new gets a pair of records; those
    of one that is gone go."""
    expected_nodes: pulumi.Input[int]
    """How many nodes there will be: a preview says what is still to follow."""


class Record(TypedDict):
    """A DNS record as Cloudflare has it."""

    type: str
    content: str
    comment: str


def records(owner: str, nodes: Sequence[Node]) -> dict[str, Record]:
    """The records of `nodes`, by a name that stays with the node.

    Named by node, not by number: a replaced node takes its own pair along, and no other record
    changes. Two records alike are refused by Cloudflare (81058).
    """
    return {
        f"{node.id}-{kind.lower()}": Record(
            type=kind, content=address, comment=f"edgefleet {owner} node {node.id}"
        )
        for node in sorted(nodes, key=lambda node: node.id)
        for kind, address in (("A", node.ipv4), ("AAAA", node.ipv6))
        if address
    }


def to_follow(hostname: str, known: int, expected: int) -> str | None:
    """The sentence for records that a preview can't show yet, None when it shows them all."""
    missing = expected - known
    if missing <= 0:
        return None
    return (
        f"{hostname}: {2 * missing} records follow (A and AAAA for {missing} "
        f"node{'s' if missing > 1 else ''}) once Vultr has made the nodes"
    )


class RegionalDns(pulumi.ComponentResource):
    """Proxied records for the nodes of one cluster; several clusters may share the host name.

    Args:
        follow: the cluster's: nodes that come while it changes get their records at once, and else
            once it has changed.
    """

    hostname: pulumi.Output[str]
    """The name that has the records."""

    def __init__(
        self,
        name: str,
        args: RegionalDnsArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        follow: Follow | None = None,
    ) -> None:
        refuse_arguments("RegionalDns", name, RegionalDnsArgs, args)
        # Its records wait for what they depend on; it itself doesn't, or records that come while
        # an upgrade goes on would wait for that.
        after = opts.depends_on if opts else None
        opts = pulumi.ResourceOptions.merge(opts, None)
        opts.depends_on = None
        super().__init__("edgefleet:index:RegionalDns", name, None, opts)
        self._name = name
        self._args = args
        self._registered: set[str] = set()
        self.hostname = pulumi.Output.from_input(args["hostname"])
        if follow:
            # While an upgrade goes on, what the last records wait for waits for its end.
            follow(lambda nodes: self._register(nodes, []))
        pulumi.Output.all(args["nodes"], args["expected_nodes"]).apply(
            lambda known: self._finish(known[0], known[1], after)
        )

    def _register(self, nodes: Sequence[Node], after: Any) -> None:
        name, args = self._name, self._args
        for key, record in records(args["owner"], nodes).items():
            if key in self._registered:
                continue
            self._registered.add(key)
            cloudflare.DnsRecord(
                f"{name}-{key}",
                zone_id=args["zone_id"],
                name=args["hostname"],
                type=record["type"],
                content=record["content"],
                comment=record["comment"],
                proxied=True,
                ttl=AUTOMATIC_TTL,
                # Addresses are plain strings and carry no dependency (docs/architecture.md, "Node
                # addresses come from one call").
                opts=pulumi.ResourceOptions(parent=self, depends_on=after),
            )

    def _finish(self, nodes: Sequence[ServingNode], expected: int, after: Any) -> None:
        self._register([Node(**node) for node in nodes], after)
        if pulumi.runtime.is_dry_run() and (
            text := to_follow(self._args["hostname"], len(nodes), expected)
        ):
            pulumi.log.info(text, self)
        self.register_outputs({"hostname": self.hostname})
