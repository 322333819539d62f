"""What `fleet` does with clusters that Vultr didn't make, from the files alone."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from components.errors import EdgefleetError
from components.firewall import cloudflare_ranges
from infra.errors import SettingsError
from infra.fleet.reading import load
from ops.add import Place, add
from ops.cli import application
from ops.expected import chosen
from ops.expiries.endings import Asked, Ending, endings
from ops.guided.asking import region_of
from ops.importing.account import Account
from ops.importing.plan import plan_takeover
from ops.live.given import given_kubeconfig, given_members
from ops.live.seen import Seen
from tests.ops.live.healthy import NOW, changed, metal
from tests.projects import copy_project, write_stack

GIVEN = {
    "region": "us",
    "cluster": {"existing": {"kubeconfig": "/nowhere/kubeconfig"}},
    "firewall": {"adminCidrs": ["198.51.100.0/24"], "nodeNetworks": ["10.9.0.0/16"]},
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """With a further cluster of region us, on servers."""
    found = copy_project(tmp_path)
    write_stack(found, "us-metal", GIVEN)
    return found


def said(project: Path, *command: str) -> str:
    ran = CliRunner().invoke(application(command[0]), [*command, "--dir", str(project)])
    assert ran.exit_code == 0, ran.output
    return " ".join(ran.output.split())


def test_it_is_one_of_its_region_for_every_look(project: Path):
    regions, _ = chosen(load(project), [])
    us, of_metal = regions[-2:]
    assert [m.stack for m in us.members] == ["us", "us-metal"]
    assert [m.stack for m in of_metal.members] == ["us-metal", "us"]
    assert (us.given, of_metal.version, of_metal.rules) == (None, "", {})
    assert us.ingress_image == of_metal.ingress_image
    # A look at `us` alone asks the one beside it, too: its records are under the same name.
    (beside,) = given_members([us]).values()
    with pytest.raises(SettingsError, match=r"'/nowhere/kubeconfig': No such file or dir"):
        given_kubeconfig(project, beside)


def test_lists_and_costs(project: Path):
    assert "us-metal us (existing)" in said(project, "list")
    told = said(project, "cost")
    assert "Not counted: us-metal. Nothing is to be paid at Vultr" in told
    assert "each of 3 clusters" in told


def test_what_is_vultrs_alone_is_refused_with_a_sentence(project: Path):
    inventory = load(project)
    with pytest.raises(SettingsError, match="`fleet replace-pool` are for VKE clusters"):
        region_of(inventory, "us-metal")
    with pytest.raises(SettingsError, match=r"us-metal\.yaml has a cluster that Vultr didn't"):
        add(project, "us-3", "us-metal", Place("ord", "us", None))
    with pytest.raises(EdgefleetError, match=r"nothing at Vultr to take over\. `pulumi up"):
        plan_takeover(project, "us-metal", Account(), None, None)


def test_what_ends_there():
    asked = Asked(None, (), cloudflare_ranges.load(), ())
    found = endings(Seen((changed(metal(), "cluster", version="v1.35.9+k3s1"),)), asked, NOW)
    (release,) = (e for e in found if isinstance(e, Ending) and e.what.startswith("Kubernetes"))
    assert (release.what, str(release.ends)[:10]) == ("Kubernetes v1.35.9+k3s1", "2027-02-28")
    assert "docs/bare-metal.md" in release.do
