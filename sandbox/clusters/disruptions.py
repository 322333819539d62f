"""What the vendor looks at before it upgrades: PodDisruptionBudgets that allow nothing."""

from sandbox.clusters.api import ClusterApi


def undisruptable(api: ClusterApi) -> list[str]:
    """``namespace/name`` of each that allows no disruption now. Raises ApiError."""
    return [
        f"{budget['metadata']['namespace']}/{budget['metadata']['name']}"
        for budget in api.get("apis/policy/v1/poddisruptionbudgets")["items"]
        if not budget.get("status", {}).get("disruptionsAllowed")
    ]
