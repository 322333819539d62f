"""What a stack file says about kube-proxy, in a cluster that has one of its own."""

from pydantic import model_validator

from components.dataplane.kube_proxy_options import (
    KubeProxyMistake,
    KubeProxyOptions,
    ProxyMode,
    refuse_kube_proxy,
)
from infra.settings.section import Section


class KubeProxy(Section):
    """Which way kube-proxy serves the cluster's services."""

    mode: ProxyMode
    scheduler: str | None = None

    def options(self) -> KubeProxyOptions:
        """As the component takes them."""
        return {"mode": self.mode, "scheduler": self.scheduler}

    @model_validator(mode="after")
    def _go_together(self) -> "KubeProxy":
        try:
            refuse_kube_proxy(self.options())
        except KubeProxyMistake as mistake:
            raise ValueError(str(mistake)) from None
        return self
