"""What a cluster's record keeping takes, without a cluster."""

from pathlib import Path
from typing import Any

from sandbox.clusters.cluster import Cluster
from sandbox.clusters.record import Record


class Child:
    def __init__(self, cluster: Cluster, code: int | None) -> None:
        self._cluster, self._code = cluster, code

    def exit_code(self) -> int | None:
        # As when the cluster's thread starts one in this very moment.
        self._cluster.children[f"another-{len(self._cluster.children)}"] = self  # pyright: ignore[reportArgumentType]
        return self._code


def test_what_ended_is_told_while_others_start(tmp_path: Path):
    processes: Any = None
    cluster = Cluster(tmp_path, Record("one", "one", "v1.35.5+1", 1), processes)
    cluster.children = {"etcd": Child(cluster, None), "kwok": Child(cluster, 1)}  # pyright: ignore[reportAttributeAccessIssue]
    assert cluster.ended() == ["kwok"]
    assert len(cluster.children) == 4
