"""The emulated Vultr's state together with the clusters that really run."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sandbox.clusters.backend import ClusterBackend
from sandbox.vendors.store import Document, Store
from sandbox.vendors.vultr.http import NO_RESOURCE, refuse
from sandbox.vendors.vultr.lifecycle import Cluster, advance, clusters, node_specs, nodes


def find_cluster(document: Document, cluster_id: str) -> Cluster:
    """The cluster, or 404."""
    if cluster_id not in clusters(document):
        raise refuse(404, NO_RESOURCE)
    return clusters(document)[cluster_id]


class VultrFleet:
    """State that is brought up to date whenever it is looked at, and told to the backend.

    ``clock`` gives Unix time in seconds. What the backend was told is part of the state
    (``told``), so that after a crash it is told again what it may not know.
    """

    def __init__(self, store: Store, backend: ClusterBackend, clock: Callable[[], float]) -> None:
        self._store = store
        self._backend = backend
        self._telling = threading.Lock()
        self.now = clock

    def read(self) -> Document:
        """A copy of the state as it is now."""
        self.tick()
        return self._store.read()

    @contextmanager
    def change(self) -> Iterator[Document]:
        """The state as it is now, to be changed; the backend is told afterwards."""
        self.tick()
        with self._store.transaction() as document:
            yield document
        self.tick()

    def kubeconfig(self, cluster_id: str) -> str | None:
        """The backend's kubeconfig of a cluster, or None until its API server answers."""
        return self._backend.kubeconfig(cluster_id)

    def rotate(self, cluster_id: str) -> None:
        """A new kubeconfig; the API server refuses the one before."""
        self._backend.rotate(cluster_id)

    def preflight(self, cluster: Cluster) -> list[str]:
        """What keeps the vendor from upgrading the cluster, in its words."""
        failed = [
            f"check pdb {name}: does not allow disruptions (allowed: 0): no disruptions allowed"
            for name in self._backend.undisruptable(cluster["id"])
        ]
        if len(nodes(cluster)) == 1:
            failed.append(
                "check cluster ready-nodes: operations may cause service disruption: single node "
                "cluster"
            )
        return failed

    def tick(self) -> None:
        """Let time have passed, and tell the backend what has changed."""
        waiting = [
            cluster_id
            for cluster_id, cluster in clusters(self._store.read()).items()
            if not cluster["answers"]
        ]
        answering = {i for i in waiting if self._backend.kubeconfig(i)}
        with self._store.transaction() as document:
            for cluster_id in answering & clusters(document).keys():
                clusters(document)[cluster_id]["answers"] = True
            advance(document, self.now())
        with self._telling:
            self._tell()

    def _tell(self) -> None:
        document = self._store.read()
        told = document.get("told", {})
        for cluster_id in told.keys() - clusters(document).keys():
            self._backend.delete(cluster_id)
            self._remember(cluster_id, None)
        for cluster_id, cluster in clusters(document).items():
            before = told.get(cluster_id)
            now = {"version": cluster["version"], "nodes": node_specs(cluster)}
            if before == now:
                continue
            if before is None:
                self._backend.create(cluster_id, cluster["label"], cluster["version"], [])
            elif before["version"] != now["version"]:
                self._backend.upgrade(cluster_id, cluster["version"])
            if now["nodes"] != (before or {"nodes": []})["nodes"]:
                self._backend.sync_nodes(cluster_id, node_specs(cluster))
            self._remember(cluster_id, now)

    def _remember(self, cluster_id: str, told: Document | None) -> None:
        with self._store.transaction() as document:
            document.setdefault("told", {})[cluster_id] = told
            if told is None:
                del document["told"][cluster_id]
