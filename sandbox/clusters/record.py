"""What is remembered of a cluster, and what its maker puts into it."""

from dataclasses import dataclass
from types import ModuleType

from sandbox.clusters import kubeadm, seed


def endpoint(cluster_id: str) -> str:
    """Host name of a cluster's API server: the vendor's, or of its own where its id is one."""
    return cluster_id if "." in cluster_id else f"{cluster_id}.vultr-k8s.com"


@dataclass
class Record:
    """What is remembered of a cluster between two starts."""

    id: str
    label: str
    version: str
    port: int
    seeded: bool = False
    made_by: str = "vke"

    @property
    def maker(self) -> ModuleType:
        """What puts objects and nodes into it."""
        return kubeadm if self.made_by == "kubeadm" else seed
