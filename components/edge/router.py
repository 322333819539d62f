"""`EdgeRouter`: the Worker that sends each visitor to the nearest healthy region."""

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict

import pulumi

from ..arguments import refuse_arguments
from ..dns.regional import AUTOMATIC_TTL
from ..ingress.trust import SECRET_HEADER
from ..vendors import cloudflare_resources as cloudflare
from .deployment import (
    Binding,
    Deployed,
    GradualDeployment,
    Logs,
    deploy_gradually,
    deploy_script,
)
from .table import (
    EdgeMistake,
    RegionRow,
    WorkerOptions,
    fallback_region,
    in_maintenance,
    worker_config,
)

EVERY_MINUTE = "* * * * *"
EVERY_LINE: Logs = {"head_sampling_rate": 1, "invocation_logs": False}
"""All that the Worker says, which is nothing of a request that goes well."""
PAGES = ("maintenance", "unavailable", "unclear", "error")
"""What the Worker answers itself, and a site may say in its own words."""
PAGE_BYTES = 5000
"""A page is a variable of the Worker: Cloudflare's limit for one is 5 KB."""
NOWHERE = "100::"
"""The discard prefix (RFC 6666), which Cloudflare's documentation uses for hosts without an
origin."""


class EdgeRouterArgs(TypedDict):
    """The Worker, and the site's hosts that it answers. Changes go out as a new version of the
    Worker, all at once unless `gradual` says otherwise."""

    account_id: pulumi.Input[str]
    """Cloudflare's id of the account. Another one: the Worker is made anew there."""
    zone_id: pulumi.Input[str]
    """Cloudflare's id of the zone that the hosts are in. Another one: routes and records are made
    anew."""
    script_name: str
    """The Worker's name, unique in the account. Another one is another Worker."""
    hosts: Sequence[str]
    """The site's host names. Each gets a proxied record and a route; one that is taken out loses
    both."""
    regions: Sequence[RegionRow]
    """Where requests may go, 1 to 20."""
    options: WorkerOptions
    """How the Worker decides."""
    origin_secret: NotRequired[pulumi.Input[str] | None]
    """Goes along to the origins in a header, by which they know the Worker: 32 to 43 of A-Z, a-z,
    0-9, - and _, a secret. Default: no header."""
    status_token: NotRequired[pulumi.Input[str] | None]
    """Opens /.edge/status, a secret. Default: there is no such page."""
    pages: NotRequired[Mapping[str, str]]
    """The site's own pages, HTML of at most 5000 bytes, by their names: maintenance, unavailable,
    unclear, error. Default: the Worker's."""
    probes: NotRequired[bool]
    """A cron trigger asks every region each minute, and a KV namespace holds what it found.
    Default: true. Taken away, the namespace goes."""
    metrics_dataset: NotRequired[str | None]
    """Table of Analytics Engine that counts go to. Default: nothing is counted."""
    logs: NotRequired[Logs]
    """What goes to Workers Logs. Default: all that the Worker says, no line for each request."""
    gradual: NotRequired[GradualDeployment | None]
    """The newest version takes a part of the requests. Default: all of them."""


class EdgeRouter(pulumi.ComponentResource):
    """The Worker, a route for each of the site's hosts, and the records that make them exist.

    A route is only asked where its host has a proxied record. Each host is a CNAME to a region, so
    that a request which passes the Worker by still arrives somewhere; where a region is strict, to
    a name that leads nowhere.

    Raises EdgeMistake for a table that the Worker could not work with.
    """

    hosts: pulumi.Output[Sequence[str]]
    """The site's host names, as they were given."""
    regions: pulumi.Output[Sequence[RegionRow]]
    """Where requests may go, as it was given."""

    def __init__(
        self, name: str, args: EdgeRouterArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        refuse_arguments("EdgeRouter", name, EdgeRouterArgs, args)
        super().__init__("edgefleet:index:EdgeRouter", name, None, opts)
        self._name = name
        self._child = pulumi.ResourceOptions(parent=self)
        config = worker_config(args["regions"], args["options"])
        probes = args.get("probes", True)
        bindings: list[Binding] = [
            {"name": "CONFIG", "type": "json", "json": config},
            *self._health(args, probes),
            *_secrets(args),
            *_metrics(args),
            *_pages(args.get("pages", {})),
        ]
        # In the order of their names: a new order is an update, too.
        deployed = self._deploy(args, sorted(bindings, key=lambda binding: binding["name"]))
        after = pulumi.ResourceOptions.merge(
            self._child, pulumi.ResourceOptions(depends_on=[deployed["serving"]])
        )
        # Without probes the list is empty, not missing: destroying a trigger sends nothing, and
        # the Worker would be woken for ever (docs/facts/real-providers.md, Cloudflare 3).
        cloudflare.WorkersCronTrigger(
            f"{name}-cron",
            account_id=args["account_id"],
            script_name=deployed["script"],
            schedules=[{"cron": EVERY_MINUTE}] if probes else [],
            opts=after,
        )
        content = self._bypass(args)
        for host in args["hosts"]:
            record = cloudflare.DnsRecord(
                f"{name}-{host}",
                zone_id=args["zone_id"],
                name=host,
                type="CNAME",
                content=content,
                comment="edgefleet site host, answered by the Worker",
                proxied=True,
                ttl=AUTOMATIC_TTL,
                opts=self._child,
            )
            cloudflare.WorkersRoute(
                f"{name}-{host}",
                zone_id=args["zone_id"],
                pattern=f"{host}/*",
                script=deployed["script"],
                # The host goes on air together with what answers it.
                opts=pulumi.ResourceOptions.merge(
                    after, pulumi.ResourceOptions(depends_on=[record])
                ),
            )
        self.hosts = pulumi.Output.from_input(list(args["hosts"]))
        self.regions = pulumi.Output.from_input(list(args["regions"]))
        self.register_outputs({"hosts": self.hosts, "regions": self.regions})

    def _health(self, args: EdgeRouterArgs, probes: bool) -> list[Binding]:
        if not probes:
            return []
        namespace = cloudflare.WorkersKvNamespace(
            f"{self._name}-health",
            account_id=args["account_id"],
            title=f"{args['script_name']}-health",
            opts=self._child,
        )
        return [{"name": "HEALTH", "type": "kv_namespace", "namespace_id": namespace.id}]

    def _deploy(self, args: EdgeRouterArgs, bindings: list[Binding]) -> Deployed:
        logs = args.get("logs", EVERY_LINE)
        target = (self._name, args["account_id"], args["script_name"], bindings, logs)
        if gradual := args.get("gradual"):
            return deploy_gradually(*target, gradual, self._child)
        return deploy_script(*target, self._child)

    def _bypass(self, args: EdgeRouterArgs) -> pulumi.Input[str]:
        """What the site's hosts point to."""
        closed = all(in_maintenance(host, args["options"]) for host in args["hosts"])
        fallback = fallback_region(args["regions"], closed=closed)
        if fallback:
            return fallback["host"]
        host = f"no-region.{args['regions'][0]['host'].partition('.')[2]}"
        if host in {row["host"] for row in args["regions"]} | set(args["hosts"]):
            raise EdgeMistake(f"{host} is needed for a record that leads nowhere; rename yours")
        # The hosts stay CNAMEs, which change in place: another type would take them off the air
        # for a moment.
        nowhere = cloudflare.DnsRecord(
            f"{self._name}-no-region",
            zone_id=args["zone_id"],
            name=host,
            type="AAAA",
            content=NOWHERE,
            comment="edgefleet: where nobody may pass the Worker by",
            proxied=True,
            ttl=AUTOMATIC_TTL,
            opts=self._child,
        )
        return nowhere.name


def _secrets(args: EdgeRouterArgs) -> list[Binding]:
    bindings: list[Binding] = []
    if (secret := args.get("origin_secret")) is not None:
        bindings.extend(
            [
                {"name": "ORIGIN_SECRET", "type": "secret_text", "text": secret},
                {"name": "ORIGIN_SECRET_HEADER", "type": "plain_text", "text": SECRET_HEADER},
            ]
        )
    if (token := args.get("status_token")) is not None:
        bindings.append({"name": "STATUS_TOKEN", "type": "secret_text", "text": token})
    return bindings


def _metrics(args: EdgeRouterArgs) -> list[Binding]:
    dataset = args.get("metrics_dataset")
    return [{"name": "METRICS", "type": "analytics_engine", "dataset": dataset}] if dataset else []


def _pages(pages: Mapping[str, str]) -> list[Binding]:
    bindings: list[Binding] = []
    for name, html in pages.items():
        if name not in PAGES:
            raise EdgeMistake(f"pages.{name}: the Worker has no such page: {', '.join(PAGES)}")
        if not 0 < (size := len(html.encode())) <= PAGE_BYTES:
            raise EdgeMistake(
                f"pages.{name}: {size} bytes: a page is a variable of the Worker, of 1 to "
                f"{PAGE_BYTES} bytes. Leave images and fonts to another host"
            )
        bindings.append({"name": f"PAGE_{name.upper()}", "type": "plain_text", "text": html})
    return bindings
