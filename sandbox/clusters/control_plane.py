"""Real Kubernetes control planes for emulated clusters: one etcd, and four processes a cluster."""

import contextlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sandbox.clusters import commands, etcd, kubeadm, service_addresses
from sandbox.clusters.api import ApiError, ClusterApi
from sandbox.clusters.backend import ClusterBackend, NodeSpec
from sandbox.clusters.cluster import Cluster
from sandbox.clusters.disruptions import undisruptable
from sandbox.clusters.host_endpoints import keep_host_endpoints
from sandbox.clusters.pki import OWNER, kubeconfig, make_pki, rotate_owner
from sandbox.clusters.record import Record, endpoint
from sandbox.clusters.service_announcements import say_announcements
from sandbox.processes import Child, Processes, ProcessFailed, free_port

BINARIES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")

_ETCD_SECONDS, _API_SECONDS, _RETRY_SECONDS = 60, 180, 5


class ControlPlanes(ClusterBackend):
    """Clusters under ``folder``, started with ``binaries`` (name → path, see ``BINARIES``).

    ``say`` gets a line for what a user may wait for. ``metallb`` is its controller's program, where
    it is built: clusters of servers run it when they have its pod.
    """

    def __init__(
        self,
        folder: Path,
        processes: Processes,
        binaries: Mapping[str, Path],
        say: Callable[[str], None] = lambda _: None,
        metallb: Path | None = None,
    ) -> None:
        self._folder = folder
        self._metallb = metallb
        self._processes = processes
        self._binaries = binaries
        self._say = say
        self._clusters: dict[str, Cluster] = {}
        self._lock = threading.Lock()
        # Starting an API server keeps a core busy: more at once only makes all of them late.
        self._boots = threading.Semaphore(max(2, os.cpu_count() or 2))
        self._etcd: Child | None = None
        self._etcd_port = 0

    def start(self) -> None:
        """Start etcd, then, in the background, every cluster on disk. Raises ProcessFailed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._start_etcd()
        for file in sorted(self._folder.glob("*/cluster.json")):
            record = Record(**json.loads(file.read_text()))
            cluster = Cluster(file.parent, record, self._processes)
            with self._lock:
                self._clusters[record.id] = cluster
            self._background(cluster, self._boot)

    def create(
        self,
        cluster_id: str,
        label: str,
        version: str,
        nodes: list[NodeSpec],
        made_by: str = "vke",
    ) -> None:
        with self._lock:
            if cluster_id in self._clusters:
                return
            record = Record(cluster_id, label, version, free_port(), made_by=made_by)
            cluster = Cluster(self._folder / cluster_id, record, self._processes)
            cluster.save()
            self._clusters[cluster_id] = cluster
        self._background(cluster, self._boot)
        if nodes:
            self.sync_nodes(cluster_id, nodes)

    def kubeconfig(self, cluster_id: str) -> str | None:
        cluster = self._clusters.get(cluster_id)
        if cluster is None or not cluster.ready.is_set():
            return None
        server = f"https://{endpoint(cluster_id)}:6443"
        return kubeconfig(
            cluster.pki, OWNER, server, f"{cluster.record.made_by}-{cluster_id}", "admin"
        )

    def rotate(self, cluster_id: str) -> None:
        if cluster := self._clusters.get(cluster_id):
            rotate_owner(cluster.pki)

    def undisruptable(self, cluster_id: str) -> list[str]:
        cluster, found = self._clusters.get(cluster_id), list[str]()
        if cluster:
            cluster.ask(lambda api: found.extend(undisruptable(api)))
        return found

    def all_ready(self, cluster_id: str) -> bool:
        """Whether the cluster has nodes, and each of them is ready."""
        cluster, found = self._clusters.get(cluster_id), list[bool]()
        if cluster:
            with contextlib.suppress(ApiError):
                cluster.ask(lambda api: found.append(kubeadm.all_ready(api)))
        return found == [True]

    def sync_nodes(self, cluster_id: str, nodes: list[NodeSpec]) -> None:
        if cluster := self._clusters.get(cluster_id):
            cluster.nodes = nodes
            self._background(cluster, self._sync)

    def upgrade(self, cluster_id: str, version: str) -> None:
        """Nodes that come from now on run ``version``, and what VKE ships is applied anew; the API
        server stays what it is."""
        if cluster := self._clusters.get(cluster_id):
            cluster.record.version = version
            cluster.save()
            self._background(cluster, self._ship)

    def delete(self, cluster_id: str) -> None:
        with self._lock:
            cluster = self._clusters.pop(cluster_id, None)
        if cluster:
            cluster.stopping = True
            cluster.worker.submit(self._remove, cluster)
            cluster.worker.shutdown(wait=False)

    def address(self, host: str) -> tuple[str, int] | None:
        """Where the API server behind ``<cluster id>.vultr-k8s.com`` listens, if there is one."""
        cluster = self._clusters.get(host.removesuffix(".vultr-k8s.com"))
        return ("127.0.0.1", cluster.record.port) if cluster else None

    def settled(self) -> bool:
        """Whether every cluster is ready, or has failed to start."""
        return all(each.ready.is_set() or each.error for each in list(self._clusters.values()))

    def status(self) -> list[dict[str, str]]:
        """id, label, version and state of each cluster."""
        return [
            {
                "id": each.record.id,
                "label": each.record.label,
                "version": each.record.version,
                "state": each.error or ("ready" if each.ready.is_set() else "starting"),
            }
            for each in list(self._clusters.values())
        ]

    def revive(self) -> None:
        """Start again what has ended or failed, and do what Calico's controllers would; to be
        called every second or so."""
        if self._etcd and self._etcd.exit_code() is not None:
            self._say("etcd ended; starting it again")
            self._start_etcd()
        for cluster in list(self._clusters.values()):
            if (dead := cluster.ended()) and cluster.ready.is_set():
                self._say(f"{', '.join(dead)} of {cluster.record.label} ended; starting it again")
                cluster.ready.clear()
                self._background(cluster, self._boot)
            elif cluster.error and time.monotonic() > cluster.retry_at:
                cluster.retry_at = time.monotonic() + _RETRY_SECONDS
                self._background(cluster, self._boot)
            elif cluster.ready.is_set():
                self._background(cluster, self._control)

    def stop(self) -> None:
        """Stop all processes; clusters come back with the next start."""
        clusters = list(self._clusters.values())
        for cluster in clusters:
            cluster.stopping = True
            cluster.worker.shutdown(wait=False, cancel_futures=True)
        with ThreadPoolExecutor(max_workers=8) as pool:
            pool.map(Child.stop, [c for each in clusters for c in list(each.children.values())])
        for cluster in clusters:
            cluster.disconnect()
        if self._etcd:
            self._etcd.stop()

    def _background(self, cluster: Cluster, work: Callable[[Cluster], None]) -> None:
        def run() -> None:
            try:
                work(cluster)
                cluster.error = ""
            except (ProcessFailed, ApiError, OSError, ValueError) as error:
                if not cluster.stopping:
                    cluster.error = f"failed: {error}"
                    cluster.retry_at = time.monotonic() + _RETRY_SECONDS
                    self._say(f"cluster {cluster.record.label}: {error}")

        with contextlib.suppress(RuntimeError):  # The cluster is being deleted.
            cluster.worker.submit(run)

    def _boot(self, cluster: Cluster) -> None:
        record, pki = cluster.record, cluster.pki
        with self._boots:
            if cluster.stopping:
                return
            make_pki(pki, endpoint(record.id), commands.SERVICE_IP)
            for name, child in list(cluster.children.items()):
                if child.exit_code() is not None:
                    del cluster.children[name]
            if "kube-apiserver" not in cluster.children:
                record.port = free_port(record.port)
                cluster.save()
                cluster.start(
                    "kube-apiserver",
                    commands.kube_apiserver(
                        self._binaries["kube-apiserver"],
                        pki,
                        record.port,
                        self._etcd_port,
                        _prefix(record.id),
                    ),
                )
            api = cluster.connect()
            cluster.children["kube-apiserver"].wait_until(
                lambda: cluster.stopping or api.ready(), _API_SECONDS, what="/readyz"
            )
            if cluster.stopping:
                return
            cluster.start_clients(self._binaries)
            if not record.seeded:
                record.maker.seed(api, record.version, endpoint(record.id))
                record.seeded = True
                cluster.save()
        cluster.ready.set()
        self._say(f"cluster {record.label} ({record.id}) ready on 127.0.0.1:{record.port}")
        self._sync(cluster)

    def _sync(self, cluster: Cluster) -> None:
        if (nodes := cluster.nodes) is not None:
            made, version = cluster.record.maker, cluster.record.version
            cluster.ask(lambda api: made.sync_nodes(api, nodes, version))

    def _ship(self, cluster: Cluster) -> None:
        record = cluster.record
        cluster.ask(lambda api: record.maker.seed(api, record.version, endpoint(record.id)))

    def _control(self, cluster: Cluster) -> None:
        def work(api: ClusterApi) -> None:
            keep_host_endpoints(api)
            if cluster.record.made_by == "kubeadm":
                self._give_addresses(cluster, api)

        with contextlib.suppress(ApiError):  # Tried again within a second.
            cluster.ask(work)

    def _give_addresses(self, cluster: Cluster, api: ClusterApi) -> None:
        """MetalLB's controller runs while its pod does."""
        name, pod = service_addresses.NAME, service_addresses.controller_pod(api)
        if pod is None:
            cluster.told = False
            if child := cluster.children.pop(name, None):
                child.stop()
        elif name not in cluster.children:
            if self._metallb is None:
                if not cluster.told:
                    self._say(
                        f"cluster {cluster.record.label}: MetalLB isn't built here, and no Service "
                        "gets its address: `make metallb`, and start the sandbox again"
                    )
                cluster.told = True
                return
            file = cluster.kubeconfig_file(OWNER)
            cluster.start(
                name,
                service_addresses.command(self._metallb, pod, free_port()),
                service_addresses.environment(file, pod),
            )
        else:
            say_announcements(api, service_addresses.NAMESPACE)

    def _remove(self, cluster: Cluster) -> None:
        cluster.disconnect()
        for child in list(cluster.children.values()):
            child.stop()
        etcd.forget(self._etcd_port, _prefix(cluster.record.id))
        shutil.rmtree(cluster.folder, ignore_errors=True)

    def _start_etcd(self) -> None:
        ports = self._folder / "etcd.ports"
        old = ports.read_text().split() if ports.exists() else []
        preferred = self._etcd_port or (int(old[0]) if old else 0)
        self._etcd_port = free_port(preferred)
        ports.write_text(f"{self._etcd_port}\n")
        command = commands.etcd(
            self._binaries["etcd"], self._folder / "etcd", self._etcd_port, free_port()
        )
        self._etcd = self._processes.start("etcd", command, commands.GO_ENVIRONMENT)
        self._etcd.wait_until(lambda: etcd.ready(self._etcd_port), _ETCD_SECONDS, what="health")


def _prefix(cluster_id: str) -> str:
    return f"/{cluster_id}"
