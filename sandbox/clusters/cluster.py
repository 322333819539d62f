"""One emulated cluster: its files, its processes, and the thread that works for it."""

import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType

from sandbox.clusters import commands
from sandbox.clusters.api import ClusterApi
from sandbox.clusters.backend import NodeSpec
from sandbox.clusters.pki import kubeconfig
from sandbox.clusters.record import Record
from sandbox.processes import Child, Processes

STAGES = Path(__file__).with_name("manifests") / "kwok-stages.yaml"


class Cluster:
    """A cluster in `folder`, whose processes are among `processes`."""

    def __init__(self, folder: Path, record: Record, processes: Processes) -> None:
        self.folder = folder
        self.record = record
        self.pki = folder / "pki"
        self.children: dict[str, Child] = {}
        self.api: ClusterApi | None = None
        self.ready = threading.Event()
        self.stopping = False
        self.error = ""
        self.retry_at = 0.0
        self.nodes: list[NodeSpec] | None = None
        self.told = False
        """Whether somebody was told that MetalLB isn't built."""
        self.worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix=record.id)
        self._processes = processes

    def save(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / "cluster.json.new"
        partial.write_text(json.dumps(asdict(self.record), indent=1))
        partial.rename(self.folder / "cluster.json")

    def start(
        self, name: str, command: list[str], env: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Start the child `name`."""
        self.children[name] = self._processes.start(
            f"{self.record.id}-{name}", command, {**commands.GO_ENVIRONMENT, **env}
        )

    def start_clients(self, binaries: Mapping[str, Path]) -> None:
        """Start what works against the API server, unless it runs."""
        for name in ("kube-controller-manager", "kube-scheduler", "kwok"):
            if name in self.children:
                continue
            file, binary = self.kubeconfig_file(name), binaries[name]
            if name == "kube-controller-manager":
                command = commands.kube_controller_manager(binary, self.pki, file)
            elif name == "kube-scheduler":
                command = commands.kube_scheduler(binary, file)
            else:
                command = commands.kwok(binary, file, STAGES)
            self.start(name, command)

    def ended(self) -> list[str]:
        """Names of children that have ended. Its thread may start others meanwhile."""
        return [n for n, child in list(self.children.items()) if child.exit_code() is not None]

    def kubeconfig_file(self, user: str) -> Path:
        """A kubeconfig for a process on this machine."""
        server = f"https://127.0.0.1:{self.record.port}"
        file = self.pki / f"{user}.kubeconfig"
        file.touch(mode=0o600)
        file.write_text(kubeconfig(self.pki, user, server, "sandbox"))
        return file

    def ask(self, work: Callable[[ClusterApi], None]) -> None:
        """Have `work` done with the API, unless the cluster is starting or stopping."""
        if self.api and self.ready.is_set() and not self.stopping:
            work(self.api)

    def connect(self) -> ClusterApi:
        """Have the API's client, whose connections stay open: it is asked twice a second, and a
        handshake costs more than an answer."""
        self.disconnect()
        self.api = ClusterApi(self.record.port, self.pki)
        return self.api

    def disconnect(self) -> None:
        """Close what `connect` opened."""
        if self.api:
            self.api.close()
