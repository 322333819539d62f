"""A cluster on plain servers, as kubectl would ask it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from kubernetes.client import ApiClient, Configuration
from kubernetes.config import new_client_from_config_dict

from tests.fleet.fleet import Fleet
from tests.fleet.wrong import MERGE, STRATEGIC


class Metal:
    """Its API server, as kubectl would ask it, and the file that the stack file names."""

    def __init__(self, fleet: Fleet, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        settings = Configuration()
        settings.proxy = fleet.environment["HTTPS_PROXY"]
        config = yaml.safe_load(kubeconfig.read_text())
        self._client: ApiClient = new_client_from_config_dict(config, client_configuration=settings)

    def call(self, method: str, path: str, body: object = None, kind: str = MERGE) -> Any:
        request = self._client.param_serialize(
            method, path, header_params={"Content-Type": kind}, body=body,
            auth_settings=["BearerToken"],
        )  # fmt: skip
        return json.loads(self._client.call_api(*request).read())

    def node(self, name: str, status: Mapping[str, Any] | None, **annotations: str | None) -> None:
        """Annotate a node, and patch its status."""
        path = f"/api/v1/nodes/{name}"
        self.call("PATCH", path, {"metadata": {"annotations": annotations}})
        if status:
            self.call("PATCH", f"{path}/status", {"status": status}, STRATEGIC)

    def rid_of_pods(self, node: str) -> None:
        """What was called not ready with its node is made anew: no kubelet says otherwise here."""
        for pod in self.call("GET", "/api/v1/pods")["items"]:
            meta = pod["metadata"]
            if pod["spec"].get("nodeName") == node:
                self.call("DELETE", f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}")

    def ready(self, name: str) -> bool:
        status = self.call("GET", f"/api/v1/nodes/{name}")["status"]
        conditions = status.get("conditions", [])
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
