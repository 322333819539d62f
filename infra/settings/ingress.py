"""What a stack file says about its ingress."""

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from components.ingress.mistake import IngressMistake
from components.ingress.nginx.options import INGRESS_CLASS, NginxTuning, nginx_config
from components.ingress.nginx.pod import NAMESPACE
from components.ingress.placing import RESOURCES, Resources
from components.ingress.traefik import options as traefik
from components.ingress.traefik.pod import NAMESPACE as TRAEFIK_NAMESPACE
from components.json_object import is_object
from infra.settings.section import LABEL, DnsLabel, Image, Section, in_camel_case, matching


class IngressTuning(Section):
    """A busy edge's limits; timeouts in seconds: `components.ingress.nginx.options.NginxTuning`."""

    worker_processes: int | Literal["auto"] | None = None
    worker_connections: int | None = None
    keepalive_timeout: int | None = None
    upstream_keepalive: int | None = None
    shutdown_timeout: int | None = None
    server_tokens: bool | None = None

    def options(self) -> NginxTuning:
        """As the component takes them: what isn't said is left to it, and so is "auto"."""
        said = self.model_dump(exclude_none=True)
        if self.worker_processes == "auto":
            del said["worker_processes"]
        return NginxTuning(**said)  # pyright: ignore[reportReturnType]


class TraefikTuning(Section):
    """Timeouts in seconds. See `components.ingress.traefik.options.TraefikTuning`."""

    idle_timeout: int | None = None
    read_timeout: int | None = None
    shutdown_timeout: int | None = None

    def options(self) -> traefik.TraefikTuning:
        """As the component takes them: what isn't said is left to it."""
        said = self.model_dump(exclude_none=True)
        return traefik.TraefikTuning(**said)  # pyright: ignore[reportReturnType]


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


class Controller(Section):
    """What both say."""

    resources: IngressResources = IngressResources()
    canary: IngressCanary | None = None
    custom_resources: bool = False
    default_class: bool = True
    metrics: bool = True


class Ingress(Controller):
    """F5 NGINX Ingress Controller on every node's :80 and :443."""

    controller: Literal["nginx"] = "nginx"
    image: Image = "nginx/nginx-ingress:5.6.1"
    tuning: IngressTuning = IngressTuning()
    config: dict[str, str] = Field(default={})
    namespace: DnsLabel = NAMESPACE
    ingress_class: DnsLabel = Field(default=INGRESS_CLASS, alias="class")

    @field_validator("controller", mode="before")
    @classmethod
    def _one_that_is_there(cls, value: object) -> object:
        if value != "nginx":
            raise ValueError("must be nginx or traefik")
        return value

    @model_validator(mode="after")
    def _known(self) -> "Ingress":
        try:
            nginx_config(["192.0.2.0/24"], self.tuning.options(), self.config)
        except IngressMistake as mistake:
            raise ValueError(in_camel_case(str(mistake))) from None
        return self


_HeaderName = Annotated[str, matching(r"[A-Za-z0-9-]+", "must be a header's name")]
_HeaderValue = Annotated[str, matching(r"[^\r\n]+", "must be a header's value: one line")]


class TraefikIngress(Controller):
    """Traefik on every node's :80 and :443.

    `response_headers` are in every answer. `nginx_class`: Ingresses of this class are read as
    kubernetes/ingress-nginx read them. `gateway`: the Gateway API.
    """

    controller: Literal["traefik"]
    image: Image = "traefik:v3.7.13"
    tuning: TraefikTuning = TraefikTuning()
    response_headers: dict[_HeaderName, _HeaderValue] = Field(
        default={"X-Content-Type-Options": "nosniff"}
    )
    nginx_class: DnsLabel | None = None
    gateway: bool = False
    namespace: DnsLabel = TRAEFIK_NAMESPACE
    ingress_class: DnsLabel = Field(default=traefik.INGRESS_CLASS, alias="class")

    @model_validator(mode="after")
    def _possible(self) -> "TraefikIngress":
        try:
            for name in traefik.BUSY_EDGE:
                traefik.seconds(self.tuning.options(), name)
        except IngressMistake as mistake:
            raise ValueError(in_camel_case(f"tuning.{mistake}")) from None
        if self.nginx_class == self.ingress_class:
            raise ValueError(
                f"nginxClass: {self.nginx_class!r}: is class, too: an Ingress means one or the "
                "other"
            )
        return self


def _controller(value: object) -> str:
    said = value.get("controller") if is_object(value) else getattr(value, "controller", None)
    # The other one says what may be said.
    return "(traefik)" if said == "traefik" else "(nginx)"


AnyIngress = Annotated[
    Annotated[Ingress, Tag("(nginx)")] | Annotated[TraefikIngress, Tag("(traefik)")],
    Discriminator(_controller),
]
"""Told apart by the key `controller`. The tags stand in no message."""


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
