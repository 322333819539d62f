"""What a stack file says about its ingress."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from components.ingress.nginx.keys import IngressMistake
from components.ingress.nginx.options import INGRESS_CLASS, Tuning, nginx_config
from components.ingress.nginx.pod import NAMESPACE, RESOURCES, Resources
from infra.settings.section import LABEL, DnsLabel, Image, Section, in_camel_case, matching


class IngressTuning(Section):
    """A busy edge's limits; timeouts in seconds. See `components.ingress.nginx.options.Tuning`."""

    worker_processes: int | Literal["auto"] | None = None
    worker_connections: int | None = None
    keepalive_timeout: int | None = None
    upstream_keepalive: int | None = None
    shutdown_timeout: int | None = None
    server_tokens: bool | None = None

    def options(self) -> Tuning:
        """As the component takes them: what isn't said is left to it."""
        return Tuning(**self.model_dump(exclude_none=True))  # pyright: ignore[reportReturnType]


class IngressResources(Section):
    """Kubernetes quantities by resource."""

    requests: dict[str, str] | None = None
    limits: dict[str, str] | None = None

    def options(self) -> Resources:
        """As the component takes them: what isn't said is left to it."""
        return {
            "requests": RESOURCES["requests"] if self.requests is None else self.requests,
            "limits": RESOURCES["limits"] if self.limits is None else self.limits,
        }


class IngressCanary(Section):
    """Another image on the nodes that have all of these labels."""

    image: Image
    node_selector: dict[str, str] = Field(min_length=1)


class Ingress(Section):
    """F5 NGINX Ingress Controller on every node's :80 and :443."""

    image: Image = "nginx/nginx-ingress:5.6.1"
    tuning: IngressTuning = IngressTuning()
    config: dict[str, str] = Field(default={})
    resources: IngressResources = IngressResources()
    canary: IngressCanary | None = None
    custom_resources: bool = False
    default_class: bool = True
    metrics: bool = True
    namespace: DnsLabel = NAMESPACE
    ingress_class: DnsLabel = Field(default=INGRESS_CLASS, alias="class")

    @model_validator(mode="after")
    def _known(self) -> "Ingress":
        try:
            nginx_config(["192.0.2.0/24"], self.tuning.options(), self.config)
        except IngressMistake as mistake:
            raise ValueError(in_camel_case(str(mistake))) from None
        return self


class Tls(Section):
    """The ingress's default certificate: of Cloudflare's Origin CA, unless `secret` names one.

    `secret` is a `kubernetes.io/tls` secret as NAMESPACE/NAME, or a NAME in the ingress's
    namespace, that somebody else keeps: cert-manager, or a person.
    """

    secret: (
        Annotated[
            str, matching(rf"({LABEL}/)?{LABEL}(\.{LABEL})*", "must be NAME or NAMESPACE/NAME")
        ]
        | None
    ) = None
    validity_days: Literal[7, 30, 90, 365, 730, 1095, 5475] = 1095
