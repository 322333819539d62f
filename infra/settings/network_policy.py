"""What a stack file says about policies for its namespaces."""

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from components.dataplane.network_baseline import (
    ORDER,
    VARIANT,
    PolicyMistake,
    Variant,
    checked,
    kubernetes_policies,
)
from components.dataplane.policy import TIER
from components.json_object import is_list
from infra.settings.section import Section


def _namespaces(value: object) -> object:
    if is_list(value) and value and all(isinstance(item, str) for item in value):
        try:
            return checked(value)
        except PolicyMistake as mistake:
            raise ValueError(str(mistake).removeprefix("namespaces: ")) from None
    return value


class NetworkPolicy(Section):
    """Default deny for namespaces that exist; none, and there are no policies. See
    `components.dataplane.network_baseline`."""

    namespaces: Annotated[list[str], BeforeValidator(_namespaces)] = Field(default=[])
    variant: Variant = VARIANT
    sources: list[str] = Field(default=[])
    ingress_selector: str | None = None
    order: float = ORDER
    tier: str = TIER

    @property
    def by_host_endpoints(self) -> bool:
        """Whether the ingress is known by the nodes' automatic host endpoints."""
        return bool(self.namespaces) and self.variant == "calico" and not self.ingress_selector

    @model_validator(mode="after")
    def _served(self) -> "NetworkPolicy":
        if self.namespaces and self.variant == "kubernetes":
            try:
                kubernetes_policies(self.sources)
            except PolicyMistake as mistake:
                raise ValueError(str(mistake)) from None
        return self
