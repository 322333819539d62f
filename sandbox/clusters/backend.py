"""What the Vultr emulator asks of whatever runs the Kubernetes API servers."""

from typing import Protocol, TypedDict


class NodeSpec(TypedDict):
    """One active worker node of a cluster, as the vendor's API and its node object show it."""

    id: str
    label: str
    pool_id: str
    pool_label: str
    main_ip: str
    v6_main_ip: str
    internal_ip: str
    labels: dict[str, str]
    taints: list[dict[str, str]]
    plan: str
    region: str


class ClusterBackend(Protocol):
    """Runs one Kubernetes API server per emulated cluster.

    Every method returns at once (what takes long goes on in the background) and is idempotent:
    the emulator repeats a call after a restart, when it can't know whether it was carried out.
    None of them is called while the emulator holds its state locked.
    """

    def create(self, cluster_id: str, label: str, version: str, nodes: list[NodeSpec]) -> None:
        """Begin to bring up the API server of a cluster, seeded with ``nodes``.

        ``version`` is the vendor's, for example ``v1.35.5+1``. ``nodes`` is usually empty: nodes
        come with ``sync_nodes`` once they are active. A cluster that exists is left as it is.
        """
        ...

    def kubeconfig(self, cluster_id: str) -> str | None:
        """The cluster's kubeconfig (YAML), or None until its API server answers requests."""
        ...

    def rotate(self, cluster_id: str) -> None:
        """Make another kubeconfig; what was given out before is refused from then on."""
        ...

    def undisruptable(self, cluster_id: str) -> list[str]:
        """PodDisruptionBudgets (``namespace/name``) that allow no disruption now."""
        ...

    def sync_nodes(self, cluster_id: str, nodes: list[NodeSpec]) -> None:
        """Make the cluster have exactly ``nodes``: node objects come, change and go."""
        ...

    def upgrade(self, cluster_id: str, version: str) -> None:
        """Begin to upgrade the control plane to the vendor's ``version``."""
        ...

    def delete(self, cluster_id: str) -> None:
        """Stop the API server and forget its data. An unknown cluster is no error."""
        ...
