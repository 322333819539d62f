"""What VKE ships: against Calico's real manifest, and by cluster version."""

from typing import Any

import pytest

from sandbox.clusters import seed
from sandbox.clusters.backend import NodeSpec
from tests.data import manifest

NODE: NodeSpec = {
    "id": "cb676a46-66fd-4dfb-b839-443f2e6c0b60",
    "label": "edge-1a2b3c",
    "pool_id": "e97bdee9-2781-4f31-be03-60fc75f399ae",
    "pool_label": "edge",
    "main_ip": "203.0.113.7",
    "v6_main_ip": "2001:db8::7",
    "internal_ip": "10.1.96.3",
    "labels": {"tier": "edge"},
    "taints": [],
    "plan": "vc2-2c-4gb",
    "region": "ewr",
}


def named(objects: list[Any], kind: str, name: str) -> Any:
    return next(o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name)


def calico_node(version: str) -> Any:
    found = named(seed.objects(version, "x.vultr-k8s.com"), "DaemonSet", "calico-node")
    return found["spec"]["template"]["spec"]


@pytest.mark.parametrize(
    ("version", "ebpf"),
    [
        ("v1.28.15+1", False),
        ("v1.29.9+1", False),
        ("v1.29.10+1", True),
        ("v1.30.5+1", False),
        ("v1.30.6+1", True),
        ("v1.31.1+1", False),
        ("v1.31.2+1", True),
        ("v1.35.5+1", True),
    ],
)
def test_ebpf_came_with_these_versions(version: str, ebpf: bool) -> None:
    assert seed.has_ebpf(version) is ebpf
    names = {entry["name"] for entry in calico_node(version)["containers"][0]["env"]}
    assert ("FELIX_BPFENABLED" in names) is ebpf
    objects = seed.objects(version, "x.vultr-k8s.com")
    parked = named(objects, "DaemonSet", "kube-proxy")["spec"]["template"]["spec"]["nodeSelector"]
    assert ("non-calico" in parked) is ebpf
    maps = {o["metadata"]["name"] for o in objects if o["kind"] == "ConfigMap"}
    assert ("kubernetes-services-endpoint" in maps) is ebpf


def test_one_version_does_not_leak_into_the_next() -> None:
    before = seed.objects("v1.30.5+1", "x.vultr-k8s.com")
    seed.objects("v1.35.5+1", "x.vultr-k8s.com")
    assert seed.objects("v1.30.5+1", "x.vultr-k8s.com") == before


def test_a_version_that_is_none() -> None:
    with pytest.raises(ValueError, match=r"'latest' is no VKE version, as v1\.35\.5\+1 is"):
        seed.has_ebpf("latest")


def test_node_as_the_cloud_controller_leaves_it() -> None:
    node = seed.node_object(NODE, "v1.35.5+1")
    assert node["metadata"]["name"] == "edge-1a2b3c"
    assert node["spec"]["providerID"] == f"vultr://{NODE['id']}"
    labels = node["metadata"]["labels"]
    assert labels["vke.vultr.com/node-id"] == NODE["id"]
    assert labels["vke.vultr.com/node-pool"] == "edge"
    assert labels["kubernetes.io/hostname"] == "edge-1a2b3c"
    assert labels["topology.kubernetes.io/region"] == "ewr"
    assert labels["tier"] == "edge"
    assert [(a["type"], a["address"]) for a in node["status"]["addresses"]] == [
        ("Hostname", "edge-1a2b3c"),
        ("InternalIP", "10.1.96.3"),
        ("ExternalIP", "203.0.113.7"),
        ("ExternalIP", "2001:db8::7"),
    ]
    assert node["status"]["capacity"] == {"cpu": "2", "memory": "4Gi", "pods": "110"}
    assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.35.5"


def test_a_node_without_public_address_shows_its_private_one() -> None:
    node = seed.node_object({**NODE, "main_ip": "", "v6_main_ip": ""}, "v1.35.5+1")
    external = [a["address"] for a in node["status"]["addresses"] if a["type"] == "ExternalIP"]
    assert external == ["10.1.96.3"]


class TestAgainstCalicosManifest:
    @pytest.fixture
    def real(self) -> list[Any]:
        return manifest("calico")

    @pytest.fixture
    def real_pod(self, real: list[Any]) -> Any:
        return named(real, "DaemonSet", "calico-node")["spec"]["template"]["spec"]

    def test_containers_and_volumes(self, real_pod: Any) -> None:
        ours = calico_node("v1.30.5+1")
        for part in ("initContainers", "containers", "volumes", "tolerations"):
            assert [e.get("name") for e in ours[part]] == [e.get("name") for e in real_pod[part]]
        assert ours["hostNetwork"] is real_pod["hostNetwork"] is True

    def test_environment(self, real_pod: Any) -> None:
        ours = calico_node("v1.30.5+1")
        for part in ("initContainers", "containers"):
            for mine, theirs in zip(ours[part], real_pod[part], strict=True):
                assert mine.get("env") == theirs.get("env")
                assert mine.get("envFrom") == theirs.get("envFrom")
                assert mine.get("volumeMounts") == theirs.get("volumeMounts")
                assert mine["image"].rsplit("/", 1)[1].split(":")[0] in theirs["image"]

    def test_custom_resources(self, real: list[Any]) -> None:
        theirs = {
            (o["spec"]["names"]["kind"], o["spec"]["names"]["plural"], o["spec"]["scope"])
            for o in real
            if o["kind"] == "CustomResourceDefinition"
            and o["spec"]["group"] == "crd.projectcalico.org"
        }
        ours = {
            (o["spec"]["names"]["kind"], o["spec"]["names"]["plural"], o["spec"]["scope"])
            for o in seed.custom_resources()
        }
        assert ours == theirs

    def test_felix_fields(self, real: list[Any]) -> None:
        def fields(objects: list[Any]) -> set[str]:
            name = "felixconfigurations.crd.projectcalico.org"
            found = named(objects, "CustomResourceDefinition", name)
            schema = found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
            return set(schema["properties"]["spec"]["properties"])

        assert fields(seed.custom_resources()) == fields(real)

    def test_everything_else_is_there(self, real: list[Any]) -> None:
        theirs = {
            (o["kind"], o["metadata"]["name"])
            for o in real
            if o["kind"] != "CustomResourceDefinition"
        }
        ours = {(o["kind"], o["metadata"]["name"]) for o in seed.objects("v1.30.5+1", "x")}
        assert theirs <= ours
