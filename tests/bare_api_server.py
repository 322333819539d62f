"""etcd and a real API server, no more: what controllers and kubelets would say is said by tests."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sandbox.clusters import commands, etcd
from sandbox.clusters.api import ClusterApi
from sandbox.clusters.pki import kubeconfig, make_pki
from sandbox.processes import Processes, free_port
from sandbox.toolchain.install import Toolchain, default_cache

MANAGER = "tests"
Object = Mapping[str, Any]


class BareApiServer:
    """Serves on 127.0.0.1:`port`, with the `definitions` of resources."""

    def __init__(
        self,
        folder: Path,
        processes: Processes,
        name: str,
        definitions: Iterable[Object],
        *more: str,
    ) -> None:
        toolchain = Toolchain(default_cache())
        pki = folder / "pki"
        make_pki(pki, "localhost", commands.SERVICE_IP)
        etcd_port, self.port = free_port(), free_port()
        store = commands.etcd(toolchain.binary("etcd"), folder / "etcd", etcd_port, free_port())
        child = processes.start("etcd", store, commands.GO_ENVIRONMENT)
        server = commands.kube_apiserver(
            toolchain.binary("kube-apiserver"), pki, self.port, etcd_port, f"/{name}"
        )
        # No controller makes service accounts.
        server += ["--disable-admission-plugins=ServiceAccount", *more]
        child.wait_until(lambda: etcd.ready(etcd_port), 60, what="health")
        child = processes.start("kube-apiserver", server, commands.GO_ENVIRONMENT)
        self.api = ClusterApi(self.port, pki)
        child.wait_until(self.api.ready, 180, what="/readyz")
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(kubeconfig(pki, "admin", f"https://127.0.0.1:{self.port}", name))
        for definition in definitions:
            self.apply(definition)

    def apply(self, obj: Object) -> None:
        """Apply it, and wait until its kind is served."""
        apply(self.api, obj)


def apply(api: ClusterApi, obj: Object) -> None:
    """Apply it, and wait until its kind is served."""
    api.apply_when_served(dict(obj), MANAGER, 60)
