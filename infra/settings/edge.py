"""What the edge stack's file may say, and what region stacks say to the Worker."""

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from infra.settings.countries import COUNTRIES, Continent
from infra.settings.section import Section, matching


def _country(code: str) -> str:
    if code not in COUNTRIES:
        hint = " (the United Kingdom is GB)" if code == "UK" else ""
        raise ValueError(f"must be a country by ISO 3166-1, like DE{hint}")
    return code


class Routing(Section):
    """Which visitors a region gets first; of the stacks that share a region one says it.

    `weight`: percent of the visitors for whom the region comes first that it takes. `strict`: its
    visitors go to no region that isn't strict for them, too.
    """

    countries: list[Annotated[str, AfterValidator(_country)]] = Field(default=[])
    continents: list[Continent] = Field(default=[])
    weight: int = Field(default=100, ge=0, le=100)
    strict: bool = False


class ZoneSettings(Section):
    """Settings of the whole zone: they hold for hosts that aren't ours, too."""

    ssl: Literal["full", "strict"] | None = None
    min_tls_version: Literal["1.0", "1.1", "1.2", "1.3"] | None = None
    always_use_https: bool | None = None
    http3: bool | None = None
    zero_rtt: bool | None = None

    def wanted(self) -> dict[str, str]:
        """Values by Cloudflare's names; what isn't said stays as it is."""
        spelled = {True: "on", False: "off"}
        said: dict[str, str | bool] = self.model_dump(exclude_none=True)
        if "zero_rtt" in said:
            said["0rtt"] = said.pop("zero_rtt")
        return {
            name: value if isinstance(value, str) else spelled[value]
            for name, value in said.items()
        }


class Deployment(Section):
    """A gradual deployment: `percentage` of the requests go to the newest version of the Worker,
    the others to the one before it."""

    percentage: int = Field(ge=0, le=100)


_File = Annotated[
    str, matching(r"[^/\\\s][^\\]*\.html", "must be a file in the project's folder, like down.html")
]
_Path = Annotated[str, matching(r"/[^\s#]*", "must be a path that begins with /")]


class Host(Section):
    """What one of the site's hosts has of its own: what it says goes before the edge's.

    `health_path` is its application's: a region whose application says that it isn't well gets none
    of this host's visitors. `regions` are those that serve the host; without it all do.
    """

    health_path: _Path | None = None
    hedge_after_ms: int | None = Field(default=None, ge=0, le=18000)
    retry_on_5xx: bool | None = Field(default=None, alias="retryOn5xx")
    retry_idempotency_key: bool | None = None
    maintenance: bool | None = None
    regions: list[str] | None = Field(default=None, min_length=1)


class OutlierDetection(Section):
    """When a region is ejected for a host because its application is dead, in Envoy's words.

    So many gateway failures (502, 503, 504) in a row, or such a percentage of at least so many
    requests within ten seconds. At most `max_ejection_percent` of a host's regions are ejected, for
    `base_ejection_ms`, and longer each time.
    """

    consecutive_gateway_failure: int = Field(default=5, ge=1, le=1000)
    failure_percentage_threshold: int = Field(default=50, ge=0, le=100)
    failure_percentage_request_volume: int = Field(default=20, ge=1, le=1000000)
    max_ejection_percent: int = Field(default=50, ge=0, le=100)
    base_ejection_ms: int = Field(default=30000, ge=1, le=600000)


class Metrics(Section):
    """Counts per region, written to this table of Workers Analytics Engine."""

    dataset: Annotated[
        str,
        matching(
            r"[A-Za-z_][A-Za-z0-9_]{0,62}",
            "must be the name of a table: letters, digits and underscores, at most 63",
        ),
    ]


class Logs(Section):
    """Workers Logs: of which share of the requests anything is kept, and whether each of these is a
    line of its own, besides what the Worker says."""

    head_sampling_rate: float = Field(default=1, ge=0, le=1)
    invocation_logs: bool = False


class Pages(Section):
    """Files with the site's own pages, beside Pulumi.yaml: HTML of at most 5000 bytes each.

    `maintenance` and `unavailable` (no region can be reached) are answered with 503, `unclear` (the
    connection broke under a request that may have been carried out) with 502, `error` with 500.
    """

    maintenance: _File | None = None
    unavailable: _File | None = None
    unclear: _File | None = None
    error: _File | None = None


class Edge(Section):
    """The edge stack. `script` is the Worker's name in the account.

    `hedge_after_ms`: how long a region may be silent before the next is asked as well, 0: never.
    `retry_on_5xx`: 502, 503 and 504 of a region's ingress move on to the next region.
    `retry_idempotency_key`: what has the header Idempotency-Key may be sent again.
    `default_regions`: the order for visitors of whom no place is known; the others follow.
    `health_path`: asked under the regions' own names; without it the ingress's own.
    `maintenance`: visitors get a page, with `maintenance_retry_after` in seconds, and no region a
    request.
    `affinity_seconds`: how long a cookie keeps a visitor in his region, 0: none.
    `response_headers`: what answers say of their way.
    `down_ms`: how long a failure holds a region back. `probes`: every region is asked each minute.
    `block_foreign_workers`: a WAF rule keeps other zones' Workers from the regions' host names.
    """

    script: Annotated[
        str,
        matching(
            r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
            "must be lower-case letters, digits and hyphens, at most 63",
        ),
    ] = "edgefleet"
    hedge_after_ms: int = Field(default=3000, ge=0, le=18000)
    retry_on_5xx: bool = Field(default=True, alias="retryOn5xx")
    retry_idempotency_key: bool = False
    health_path: _Path | None = None
    hosts: dict[str, Host] = Field(default={})
    default_regions: list[str] = Field(default=[])
    outlier_detection: OutlierDetection = OutlierDetection()
    maintenance: bool = False
    maintenance_retry_after: int = Field(default=3600, ge=1, le=604800)
    pages: Pages = Pages()
    affinity_seconds: int = Field(default=0, ge=0, le=2592000)
    response_headers: Literal["region", "server-timing", "none"] = "region"
    down_ms: int = Field(default=10000, ge=1, le=600000)
    probes: bool = True
    metrics: Metrics | None = None
    logs: Logs = Logs()
    deployment: Deployment | None = None
    block_foreign_workers: bool = False
    zone_settings: ZoneSettings = ZoneSettings()

    def closed(self, hosts: Iterable[str]) -> bool:
        """Whether all of these hosts are in maintenance."""
        said = (self.hosts.get(host, Host()).maintenance for host in hosts)
        return all(self.maintenance if here is None else here for here in said)
