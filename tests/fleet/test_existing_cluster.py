"""A cluster that somebody else made, beside Vultr's: up, a node set apart, and away again."""

from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.fleet import by_hand
from tests.fleet.fleet import Fleet

STACK, HOST = "fra", "fra.example.com"
CLUSTERS = "/v2/kubernetes/clusters"
APART = "node.kubernetes.io/exclude-from-external-load-balancers"


@pytest.fixture
def existing(fleet: Fleet, tmp_path: Path) -> Iterator[Fleet]:
    """The emulated Vultr made it; the stack has its kubeconfig and knows nothing of Vultr."""
    label = f"edgefleet-{STACK}"
    pool = {"label": "n", "plan": "vc2-2c-4gb", "node_quantity": 2}
    wanted = {"label": label, "region": "fra", "version": "v1.35.5+1", "node_pools": [pool]}
    fleet.vultr("POST", CLUSTERS, wanted)
    by_hand.until(lambda: by_hand.cluster(fleet, label)["status"] == "active")
    by_hand.until(lambda: "" not in fleet.addresses(STACK))
    path = f"{CLUSTERS}/{fleet.cluster(STACK)['id']}"
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_bytes(b64decode(fleet.vultr("GET", f"{path}/config")["kube_config"]))
    config = {
        "region": STACK,
        "coordinates": {"latitude": 50.11, "longitude": 8.68},
        "cluster": {"existing": {"kubeconfig": str(kubeconfig)}},
        "firewall": {"adminCidrs": ["198.51.100.0/24"], "nodeNetworks": ["10.0.0.0/8"]},
    }
    file = fleet.project / f"Pulumi.{STACK}.yaml"
    file.write_text(yaml.safe_dump({"config": {f"edgefleet:{k}": v for k, v in config.items()}}))
    fleet.reload()
    yield fleet
    fleet.pulumi(STACK, "destroy", "--yes", "--skip-preview").require()
    assert fleet.records(HOST) == {}
    # Whoever made it still has it.
    fleet.vultr("DELETE", path)
    file.unlink()


def test_it_comes_up_and_settles_and_follows_its_nodes(existing: Fleet):
    ran = existing.up(STACK)[0].require()
    assert "vultr:" not in ran.output
    assert len(existing.addresses(STACK)) == 4
    assert sorted(existing.records(HOST).values()) == existing.addresses(STACK)
    existing.preview(STACK, "--expect-no-changes", "--refresh").require()

    name = min(existing.outputs(STACK)["nodes"])
    existing.kubernetes(
        STACK,
        f"/api/v1/nodes/{name}",
        {"metadata": {"labels": {APART: ""}}},
        "PATCH",
        "application/merge-patch+json",
    )
    steps = existing.steps(STACK)
    assert steps == {"delete": [f"{STACK}-dns-{name}-a", f"{STACK}-dns-{name}-aaaa"]}
