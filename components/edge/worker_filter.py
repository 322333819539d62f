"""`WorkerFilter`: a WAF rule that keeps other zones' Workers from the regions' host names.

Whoever has a Worker at Cloudflare can ask a region by its name, with headers of his choice, and
comes to the origin from Cloudflare's addresses (docs/facts/cloudflare.md §5).
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import pulumi

from ..arguments import refuse_arguments
from ..json_object import objects_at
from ..vendors import cloudflare_resources as cloudflare

PHASE = "http_request_firewall_custom"
REF = "edgefleet_other_zones_workers"
"""By which the rule is known as ours; Cloudflare gives a rule without one its id."""


class WorkerFilterArgs(TypedDict):
    """Whose Workers may ask for which hosts. All of it changes in place."""

    zone_id: pulumi.Input[str]
    """Cloudflare's id of the zone. Another one: the rules are made anew there."""
    zone: str
    """The zone's name (example.com): its own Workers pass."""
    hosts: Sequence[str]
    """Host names of the regions, which nobody else's Worker may ask."""
    health_path: str
    """The path that every Worker may ask (/nginx-health)."""


def expression(zone: str, hosts: Sequence[str], health_path: str) -> str:
    """The rule in Cloudflare's language.

    The health path is open to every Worker: our probe runs by cron, where no route names a zone,
    and no source says what `cf.worker.upstream_zone` holds there. It answers anybody else, too.
    """
    listed = " ".join(f'"{host}"' for host in sorted(hosts))
    return (
        f'(http.host in {{{listed}}} and cf.worker.upstream_zone ne "" '
        f'and cf.worker.upstream_zone ne "{zone}" and http.request.uri.path ne "{health_path}")'
    )


def foreign_rules(ruleset: Mapping[str, Any] | None) -> list[str]:
    """What the rules of a phase's entrypoint are called that aren't ours."""
    return [
        str(rule.get("description") or rule.get("ref") or rule.get("id"))
        for rule in objects_at(ruleset, "rules")
        if rule.get("ref") != REF
    ]


class WorkerFilter(pulumi.ComponentResource):
    """The rule, in a ruleset that owns all of the zone's custom rules
    (docs/facts/real-providers.md, Cloudflare 8): only for a zone that has none besides.

    Once a zone: there is one such ruleset.
    """

    def __init__(
        self, name: str, args: WorkerFilterArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        refuse_arguments("WorkerFilter", name, WorkerFilterArgs, args)
        super().__init__("edgefleet:index:WorkerFilter", name, None, opts)
        cloudflare.Ruleset(
            f"{name}-rules",
            zone_id=args["zone_id"],
            kind="zone",
            phase=PHASE,
            name="edgefleet",
            description="Made by edgefleet, which owns all of it",
            rules=[
                {
                    "ref": REF,
                    "action": "block",
                    "description": "edgefleet: no other zone's Workers at the regions",
                    "enabled": True,
                    "expression": expression(args["zone"], args["hosts"], args["health_path"]),
                }
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
