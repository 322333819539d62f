"""What every stack shares, and which keys hold secrets."""

from typing import Annotated

from pydantic import Field, model_validator

from components.ingress.trust import Step
from infra.settings.section import Hostname, Section, matching

SECRETS = ("bgpPassword", "kubeconfig", "originPullsKey", "originSecret", "statusToken")
"""Keys that hold secrets: `bgpPassword` is that of nodes' sessions with routers, `kubeconfig` opens
a cluster that is there already, `originPullsKey` is the key of the CA whose certificate `fleet ca
init` writes, `originSecret` the value of the Worker's header, `statusToken` opens the Worker's
status page. Read with Pulumi's decryption only."""

CloudflareId = Annotated[
    str, matching(r"[0-9a-f]{32}", "must be Cloudflare's id: 32 hexadecimal digits")
]


class FleetValues(Section):
    """What every stack shares. It stands in Pulumi.yaml; a stack file may say otherwise.

    `origin_pulls` is Authenticated Origin Pulls: on the edge stack whether Cloudflare shows a
    client certificate, on a region stack what the ingress makes of it. `origin_header` is the
    Worker's secret header.
    """

    domain: Hostname
    hosts: list[Hostname] = Field(min_length=1)
    zone_id: CloudflareId
    account_id: CloudflareId
    stacks: list[str] = Field(default=[])
    origin_pulls: Step = "observe"
    origin_header: Step = "off"

    @model_validator(mode="after")
    def _hosts_in_zone(self) -> "FleetValues":
        for host in self.hosts:
            if host != self.domain and not host.endswith(f".{self.domain}"):
                raise ValueError(f"host {host} is not in the zone {self.domain}")
        if twice := sorted({host for host in self.hosts if self.hosts.count(host) > 1}):
            raise ValueError(f"host {', '.join(twice)} is listed twice")
        return self
