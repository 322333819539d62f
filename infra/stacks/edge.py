"""The edge stack: one Worker for the site's hosts, its region table made from the stack files."""

import re
from pathlib import Path
from typing import cast

import pulumi

from components.edge.origin_pulls import OriginPulls
from components.edge.router import EdgeRouter
from components.edge.table import EdgeMistake, RegionRow, WorkerOptions
from components.edge.worker_filter import WorkerFilter
from components.edge.zone_settings import ZoneSettings
from components.ingress.contract import HEALTH_PATH
from infra.errors import SettingsError
from infra.fleet.inventory import EdgeStack, Inventory, RegionStack
from infra.pins.catalog import catalog
from infra.settings.edge import Edge
from infra.stacks.origin_trust import ReadSecret, fingerprint, issuer, pulls_step, worker_secret
from infra.state.checkpoint import StackState
from infra.state.edge_refusals import deployed


def region_table(inventory: Inventory, domain: str) -> list[RegionRow]:
    """The logical regions of a domain, those with less than full weight first, as a canary must
    stand before its neighbour; then by name.

    Stacks that share a region make one row, placed where the first of them lies that says it; the
    row drains when all of them do. Raises SettingsError where a location isn't in the catalog.
    """
    first: dict[str, RegionStack] = {}
    for stack in sorted(inventory.regions(domain), key=lambda stack: not _says_where(stack)):
        first.setdefault(stack.region, stack)
    rows = [_row(inventory, stack) for _, stack in sorted(first.items())]
    return sorted(rows, key=lambda row: row.get("weight", 100))


def _row(inventory: Inventory, stack: RegionStack) -> RegionRow:
    latitude, longitude = _place(stack)
    row = RegionRow(
        name=stack.region,
        host=stack.hostname,
        lat=latitude,
        lon=longitude,
        drain=inventory.drains(stack),
    )
    # Only what is said: a variable of a Worker holds 5 KB.
    said = inventory.routing(stack).model_dump(exclude_defaults=True)
    return cast(RegionRow, {**row, **said})


def _says_where(stack: RegionStack) -> bool:
    return stack.vke is not None or stack.settings.coordinates is not None


def _place(stack: RegionStack) -> tuple[float, float]:
    if said := stack.settings.coordinates:
        return said.latitude, said.longitude
    if stack.vke is None:
        raise SettingsError(
            [
                f"{stack.file}: edgefleet:coordinates: is required, as nobody else knows where an "
                "existing cluster lies: {latitude: …, longitude: …} in degrees"
            ]
        )
    location = stack.vke.location
    place = catalog().locations.get(location)
    if not place:
        raise SettingsError(
            [
                f"{stack.file}: edgefleet:coordinates: is required, as the list of "
                f"{catalog().read} doesn't know where {location!r} lies: "
                "{latitude: …, longitude: …} in degrees"
            ]
        )
    return place.latitude, place.longitude


def deploy(stack: EdgeStack, inventory: Inventory, secret: ReadSecret, state: StackState) -> None:
    """Register the stack's resources and its outputs. Raises SettingsError."""
    regions = region_table(inventory, stack.fleet.domain)
    if not regions:
        raise SettingsError(
            [f"{stack.file}: no region stack has the domain {stack.fleet.domain}: nothing to route"]
        )
    closed = stack.settings.closed(stack.fleet.hosts)
    if all(region["drain"] for region in regions) and not closed:
        raise SettingsError(
            [
                f"{stack.file}: every region of {stack.fleet.domain} drains, and the Worker would "
                "have nowhere to send visitors. Lift edgefleet:drain in one stack file, or say "
                "`maintenance: true` in edgefleet:edge"
            ]
        )
    fleet, settings = stack.fleet, stack.settings
    origin_secret = worker_secret(stack, secret)
    if pulls_step(stack, inventory) != "off":
        certificate, key = issuer(stack, inventory, secret)
        pulls = OriginPulls(
            f"{stack.name}-origin-pulls",
            {
                "zone_id": fleet.zone_id,
                "ca_certificate": certificate,
                "ca_key": key,
            },
        )
        pulumi.export("originPullsCa", pulls.ca_certificate.apply(fingerprint))
        pulumi.export("originPullsCertificateExpires", pulls.expires_on)
    if wanted := settings.zone_settings.wanted():
        ZoneSettings(
            f"{stack.name}-zone",
            {"zone_id": fleet.zone_id, "settings": wanted},
        )
    if settings.block_foreign_workers:
        WorkerFilter(
            f"{stack.name}-filter",
            {
                "zone_id": fleet.zone_id,
                "zone": fleet.domain,
                "hosts": [region["host"] for region in regions],
                "health_path": stack.settings.health_path or HEALTH_PATH,
            },
        )
    router = _router(stack, inventory, regions, origin_secret, status_token(stack, secret), state)
    pulumi.export("hosts", router.hosts)
    pulumi.export("regions", router.regions)


def status_token(stack: EdgeStack, secret: ReadSecret) -> pulumi.Output[str] | None:
    """What opens the Worker's status page; None where the stack has no such key."""
    if "statusToken" not in stack.secrets:
        return None
    return secret("statusToken").apply(lambda token: _long_enough(stack, token))


def _long_enough(stack: EdgeStack, token: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]{20,}", token):
        raise pulumi.RunError(
            f"{stack.file}: edgefleet:statusToken: {len(token)} characters: at least 20 of ASCII "
            "without blanks are needed, as `openssl rand -hex 20` gives"
        )
    return token


def _router(
    stack: EdgeStack,
    inventory: Inventory,
    regions: list[RegionRow],
    origin_secret: pulumi.Output[str] | None,
    token: pulumi.Output[str] | None,
    state: StackState,
) -> EdgeRouter:
    edge, gradual = stack.settings, stack.settings.deployment
    unknown = sorted(set(edge.hosts) - set(stack.fleet.hosts))
    if unknown:
        raise SettingsError(
            [
                f"{stack.file}: edgefleet:edge.hosts.{host}: is none of the site's hosts "
                f"(edgefleet:hosts): {', '.join(stack.fleet.hosts)}"
                for host in unknown
            ]
        )
    if gradual and gradual.percentage < 100:
        pulumi.log.info(
            f"{edge.script}: {gradual.percentage} % of the requests go to the newest version of "
            "the Worker, and only those see what changed in the region table: drains, too"
        )
    if closed := [host for host in stack.fleet.hosts if edge.closed([host])]:
        pulumi.log.warn(
            f"{stack.file}: edgefleet:edge: {', '.join(closed)}: in maintenance: visitors get a "
            "page with 503, and no region a request"
        )
    try:
        return EdgeRouter(
            stack.name,
            {
                "account_id": stack.fleet.account_id,
                "zone_id": stack.fleet.zone_id,
                "script_name": edge.script,
                "hosts": stack.fleet.hosts,
                "regions": regions,
                "options": worker_options(edge),
                "origin_secret": origin_secret,
                "status_token": token,
                "pages": _pages(stack, inventory.folder),
                "probes": edge.probes,
                "metrics_dataset": edge.metrics and edge.metrics.dataset,
                "logs": {
                    "head_sampling_rate": edge.logs.head_sampling_rate,
                    "invocation_logs": edge.logs.invocation_logs,
                },
                "gradual": gradual
                and {"percentage": gradual.percentage, "deployed": deployed(state)},
            },
        )
    except EdgeMistake as mistake:
        raise SettingsError([f"{stack.file}: edgefleet:edge: {mistake}"]) from None


def worker_options(edge: Edge) -> WorkerOptions:
    """What the Worker is told besides its regions."""
    # Only where they say something: a variable of a Worker holds 5 KB.
    rarely = edge.model_dump(
        include={
            "maintenance",
            "maintenance_retry_after",
            "affinity_seconds",
            "response_headers",
        },
        exclude_defaults=True,
    )
    return {
        "health_path": edge.health_path or HEALTH_PATH,
        "hedge_after_ms": edge.hedge_after_ms,
        "retry_on_5xx": edge.retry_on_5xx,
        "retry_idempotency_key": edge.retry_idempotency_key,
        "down_ms": edge.down_ms,
        "default_regions": edge.default_regions,
        "hosts": {
            host: said.model_dump(by_alias=True, exclude_none=True)
            for host, said in sorted(edge.hosts.items())
        },
        "outlier_detection": edge.outlier_detection.model_dump(
            by_alias=True, exclude_defaults=True
        ),
        **cast(WorkerOptions, rarely),
    }


def _pages(stack: EdgeStack, folder: Path) -> dict[str, str]:
    """The site's own pages. Raises SettingsError where a file can't be read."""
    found: dict[str, str] = {}
    wrong: list[str] = []
    files: dict[str, str] = stack.settings.pages.model_dump(exclude_none=True)
    for name, file in files.items():
        try:
            found[name] = (folder / file).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it isn't text in UTF-8"
            wrong.append(f"{stack.file}: edgefleet:edge.pages.{name}: {folder / file}: {why}")
    if wrong:
        raise SettingsError(wrong)
    return found
