"""What a stop and what destroy leave. Each test leaves the fleet as it found it."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fleet.fleet import Fleet

CALICO = "/apis/apps/v1/namespaces/kube-system/daemonsets/calico-node"


def of_vke(obj: dict[str, Any]) -> dict[str, Any]:
    """What VKE made of an object: all of it but what counts, dates and tells it apart."""
    metadata = {
        key: value
        for key, value in obj["metadata"].items()
        if key not in ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp")
    }
    metadata["annotations"] = {
        key: value
        for key, value in metadata.get("annotations", {}).items()
        if key != "deprecated.daemonset.template.generation"
    }
    return {"metadata": metadata, "spec": obj["spec"]}


def made_by_hand(fleet: Fleet, version: str) -> str:
    """The API's path of a cluster that nobody has touched."""
    pool = {"label": "edge", "plan": "vc2-2c-4gb", "node_quantity": 1}
    made = fleet.vultr(
        "POST",
        "/v2/kubernetes/clusters",
        {"label": "edgefleet-bare", "region": "sgp", "version": version, "node_pools": [pool]},
    )
    path = f"/v2/kubernetes/clusters/{made['vke_cluster']['id']}"
    deadline = time.monotonic() + 120
    while fleet.vultr("GET", path)["vke_cluster"]["status"] != "active":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return path


def test_a_sandbox_that_was_stopped_goes_on(fleet: Fleet):
    records = fleet.records("us.example.com")
    fleet.stop()
    fleet.start()
    assert fleet.records("us.example.com") == records
    fleet.preview("us", "--expect-no-changes", "--refresh").require()


def test_a_destroy_that_protection_stopped_is_mended_by_up(fleet: Fleet):
    """A plain destroy stops in the preview, and all of it stays. Without the preview Pulumi refuses
    the cluster alone: what is in it leaves the state, and its records go."""

    def kept() -> tuple[set[str], dict[str, str]]:
        exported = fleet.pulumi("us", "stack", "export").require().output
        resources = json.loads(exported)["deployment"]["resources"]
        return {resource["urn"] for resource in resources}, fleet.records("us.example.com")

    before = kept()
    ran = fleet.pulumi("us", "destroy", "--yes")
    assert ran.code != 0
    assert "cannot be deleted" in ran.output
    assert kept() == before

    ran = fleet.pulumi("us", "destroy", "--yes", "--skip-preview")
    assert ran.code != 0
    assert "cannot be deleted" in ran.output
    assert len(fleet.clusters("edgefleet-us")) == 1
    assert fleet.records("us.example.com") == {}
    fleet.up("us")[0].require()
    assert sorted(fleet.records("us.example.com").values()) == fleet.addresses("us")


@pytest.fixture
def old_version(fleet: Fleet) -> Iterator[str]:
    """One from before Vultr had eBPF: no FELIX_BPF* there (docs/facts/vultr.md
    §3)."""
    old = "v1.29.8+1"
    versions = fleet.vultr("GET", "/_sandbox/settings")["versions"]
    fleet.vultr("PUT", "/_sandbox/settings", {"versions": [*versions, old]})
    yield old
    fleet.vultr("PUT", "/_sandbox/settings", {"versions": versions})


def test_a_kept_cluster_is_as_vke_made_it_and_then_goes_alone(fleet: Fleet, old_version: str):
    """The cluster is protected: everything of ours goes, and nothing of VKE's. Unprotected, it goes
    too, and no other region notices."""
    fleet.change("apac", version=old_version)
    bare = made_by_hand(fleet, old_version)
    before = of_vke(fleet.kubernetes("bare", CALICO))
    fleet.vultr("DELETE", bare)

    fleet.up("apac")[0].require()
    assert of_vke(fleet.kubernetes("apac", CALICO)) != before
    fleet.pulumi("apac", "destroy", "--yes", "--skip-preview", "--exclude-protected").require()
    assert len(fleet.clusters("edgefleet-apac")) == 1
    assert of_vke(fleet.kubernetes("apac", CALICO)) == before
    namespaces = fleet.kubernetes("apac", "/api/v1/namespaces")["items"]
    assert "nginx-ingress" not in [n["metadata"]["name"] for n in namespaces]
    assert fleet.rules("apac") == []
    assert fleet.records("apac.example.com") == {}

    kept = fleet.records("us.example.com"), fleet.records("eu.example.com")
    fleet.pulumi("apac", "state", "unprotect", "--all", "--yes").require()
    fleet.pulumi("apac", "destroy", "--yes", "--skip-preview").require()
    assert fleet.clusters("edgefleet-apac") == []
    assert (fleet.records("us.example.com"), fleet.records("eu.example.com")) == kept
    fleet.preview("us", "--expect-no-changes", "--refresh").require()
