"""The library's examples of one cluster, with the wheel, on the sandbox's vendors: one that Vultr
makes, and one that somebody else made."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sandbox import servers
from tests.fleet.by_hand import until
from tests.fleet.fleet import COLD, ZONE, Fleet
from tests.fleet.metal import Metal
from tests.wheel import example, installed

HOST = "shop.example.com"
SERVERS = {
    f"shop-{n}": {"ipv4": f"45.76.204.{n}", "ipv6": f"2001:19f0:f4::{n}"} for n in range(1, 3)
}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A sandbox without a fleet."""
    made = Fleet.make(tmp_path_factory.mktemp("one"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(tmp_path_factory.mktemp("wheel"))


def project(
    fleet: Fleet, name: str, folder: Path, python: Path, config: Mapping[str, str]
) -> Fleet:
    """An example on this sandbox, with a stack."""
    one = Fleet(example(name, folder, python), fleet.directory)
    # As if PYTHONPATH weren't set: this checkout's modules aren't found.
    one.environment = {**fleet.environment, **COLD, "PYTHONPATH": ""}
    one.pulumi("one", "stack", "init").require()
    said = [
        part
        for key, value in config.items()
        for part in ("--secret" if key == "kubeconfig" else "--plaintext", f"{key}={value}")
    ]
    one.pulumi("one", "config", "set-all", "--path", *said).require()
    return one


def addresses(nodes: list[dict[str, str]]) -> list[str]:
    return sorted(node[family] for node in nodes for family in ("ipv4", "ipv6"))


def test_one_cluster_comes_up_answers_and_goes(fleet: Fleet, python: Path, tmp_path: Path):
    config = {"hostname": HOST, "zoneId": ZONE}
    one = project(fleet, "python-one-cluster", tmp_path, python, config)
    one.pulumi("one", "preview").require()
    one.pulumi("one", "up", "-y", "--skip-preview").require()
    nodes = one.outputs("one")["nodes"]
    assert len(nodes) == 2
    assert sorted(fleet.records(HOST).values()) == addresses(nodes)
    one.pulumi("one", "preview", "--expect-no-changes").require()
    one.pulumi("one", "destroy", "-y", "--skip-preview").require()
    assert fleet.records(HOST) == {}


def held(cluster: Metal) -> dict[str, Any]:
    """What there is in the cluster, of all kinds that the example makes some of."""
    paths = [
        *(f"/api/v1/{kind}" for kind in ("namespaces", "configmaps", "secrets")),
        "/apis/apps/v1/daemonsets",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles",
        "/apis/networking.k8s.io/v1/ingressclasses",
        "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    ]
    return {
        f"{path} {meta.get('namespace')}/{meta['name']}": {**each, "metadata": None, "status": None}
        for path in paths
        for each in cluster.call("GET", path)["items"]
        if (meta := each["metadata"])
    }


def test_somebodys_cluster_is_closed_serves_and_is_left_as_it_was(
    fleet: Fleet, python: Path, tmp_path: Path
):
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(servers.make(fleet.directory, "shop", len(SERVERS), print))
    cluster = Metal(fleet, kubeconfig)
    for name in SERVERS:
        until(lambda name=name: cluster.ready(name))
    before = held(cluster)
    system = cluster.call("GET", "/api/v1/namespaces/kube-system")["metadata"]["uid"]
    name = "existing-cluster-behind-cloudflare"
    config = {
        "kubeconfig": kubeconfig.read_text(),
        "clusterId": "0b6ad7c2-0000-4000-8000-000000000000",
        "hostname": HOST,
        "zoneId": ZONE,
        "adminCidrs[0]": "198.51.100.0/24",
        "nodeNetworks[0]": "10.9.0.0/24",
    }
    config |= {f"addresses.{n}.{key}": a for n, said in SERVERS.items() for key, a in said.items()}
    one = project(fleet, name, tmp_path, python, config)

    told = " ".join(one.pulumi("one", "up", "-y", "--skip-preview").output.split())
    assert f"cluster shop: the kubeconfig opens another cluster ({system}, by the UID" in told
    assert "Traceback" not in told
    assert (held(cluster), fleet.records(HOST)) == (before, {})

    one.pulumi("one", "config", "set", "clusterId", system).require()
    one.pulumi("one", "up", "-y", "--skip-preview").require()
    assert one.outputs("one")["nodes"] == [
        {"id": name, "name": name, **said} for name, said in SERVERS.items()
    ]
    assert sorted(fleet.records(HOST).values()) == addresses([*SERVERS.values()])
    one.pulumi("one", "preview", "--expect-no-changes").require()

    one.pulumi("one", "destroy", "-y", "--skip-preview").require()
    assert fleet.records(HOST) == {}
    assert held(cluster) == before
    servers.remove(fleet.directory, "shop")
