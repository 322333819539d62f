"""The examples are projects of their own: read, rendered, and held against the root's."""

import shutil
from pathlib import Path

import pytest
import yaml

from infra.fleet.reading import load
from tests.projects import ROOT
from tests.rendered import of_type, rendered

METAL = ROOT / "examples" / "bare-metal"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Outside of git, which may not know a new file yet."""
    return Path(shutil.copytree(METAL, tmp_path / "metal", ignore=shutil.ignore_patterns(".*")))


def test_the_regions_on_servers_have_nothing_of_vultrs(project: Path):
    inventory = load(project)
    assert [stack.name for stack in inventory.region_stacks] == ["ber", "fra"]
    contents: list[str] = []
    for stack in inventory.region_stacks:
        assert stack.vke is None
        rendering = rendered(project, stack.name)
        assert [r.type for r in rendering.resources if r.type.startswith("vultr:")] == []
        records = of_type(rendering, "cloudflare:index/dnsRecord:DnsRecord").values()
        # MetalLB's one address, or an A and an AAAA for each node.
        assert len(records) == {"fra": 1, "ber": 6}[stack.name]
        contents += [str(record.inputs["content"]) for record in records]
        # Kubeconfigs lie where no checkout is.
        assert (
            stack.config["cluster"]["existing"]["kubeconfig"] == f"~/.kube/edgefleet/{stack.name}"
        )
    assert len({*contents}) == 7


def test_the_project_is_the_repositorys(project: Path):
    ours = yaml.safe_load((project / "Pulumi.yaml").read_text())
    root = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())
    assert ours["name"] == root["name"]
    assert {key: value["default"] for key, value in ours["config"].items()} == {
        key: root["config"][key]["default"] for key in ours["config"]
    }
    assert (project / "__main__.py").read_text() == (ROOT / "__main__.py").read_text()


def test_make_makes_the_clusters_that_the_files_name():
    recipe = (ROOT / "Makefile").read_text()
    for name in ("fra", "ber"):
        made = f"fleet sandbox kubeadm {name} --kubeconfig ~/.kube/edgefleet/{name}"
        assert made in recipe
