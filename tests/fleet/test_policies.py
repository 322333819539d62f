"""The policy pack in the real engine: a stack that breaks every promise, and the fleet's own."""

import subprocess
import textwrap
from pathlib import Path

import pytest
import yaml

from tests.fleet.fleet import Fleet, Ran
from tests.projects import ROOT

PACK = ROOT / "policies"
pytestmark = pytest.mark.skipif(
    not (ROOT / ".venv" / "policies" / "installed").exists(),
    reason=".venv/policies is missing: `make policies`",
)
BROKEN = """
    import base64
    import ediri_vultr as vultr
    import pulumi_cloudflare as cloudflare
    import pulumi_kubernetes as kubernetes
    from pathlib import Path

    for name, port in (("web", "443"), ("ssh", "22")):
        vultr.FirewallRule(
            name, firewall_group_id="00000000-0000-0000-0000-000000000000", ip_type="v4",
            protocol="tcp", subnet="0.0.0.0", subnet_size=0, port=port,
        )
    vultr.Kubernetes(
        "cluster", label="mine", region="ewr", version="v1.35.5+1",
        node_pools=vultr.KubernetesNodePoolsArgs(label="a", plan="vc2-2c-4gb", node_quantity=1),
    )
    for name in ("shop", "mail"):
        cloudflare.DnsRecord(
            name, zone_id="ZONE", name=f"{name}.example.com", type="A", content="192.0.2.1",
            ttl=60, proxied=False,
        )
    reach = kubernetes.Provider("reach", kubeconfig=Path("kubeconfig").read_text())
    kubernetes.core.v1.Pod(
        "pod",
        metadata={"namespace": "default"},
        spec={"containers": [{"name": "web", "image": "nginx:latest"}]},
        opts=__import__("pulumi").ResourceOptions(provider=reach),
    )
"""


class Project:
    """A program beside the fleet, with the same vendors and the same backend."""

    def __init__(self, fleet: Fleet, folder: Path) -> None:
        self.fleet, self.folder = fleet, folder
        options = {"toolchain": "pip", "virtualenv": str(ROOT / ".venv")}
        manifest = {"name": "shop", "runtime": {"name": "python", "options": options}}
        (folder / "Pulumi.yaml").write_text(yaml.safe_dump(manifest))
        (folder / "__main__.py").write_text(textwrap.dedent(BROKEN))
        (folder / "kubeconfig").write_text(
            fleet.pulumi("us", "stack", "output", "kubeconfig", "--show-secrets").require().output
        )

    def pulumi(self, *args: str) -> Ran:
        ran = subprocess.run(
            ["pulumi", *args, "--non-interactive", "--color=never"],
            cwd=self.folder,
            env=self.fleet.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return Ran(ran.returncode, ran.stdout + ran.stderr)


def test_a_stack_that_breaks_every_promise_is_refused_with_each_by_its_name(
    fleet: Fleet, tmp_path: Path
) -> None:
    shop = Project(fleet, tmp_path)
    shop.pulumi("stack", "init", "dev").require()

    config = tmp_path / "policies.json"
    config.write_text('{"records-are-proxied": {"except": ["mail.example.com"]}}')
    refused = shop.pulumi(
        "preview", "-s", "dev", "--policy-pack", str(PACK), "--policy-pack-config", str(config)
    )

    assert refused.code != 0
    for said in (
        "web-only-from-cloudflare",
        "0.0.0.0/0 may reach :443, and isn't Cloudflare",
        "no-public-ssh",
        "0.0.0.0/0 may reach :22",
        "clusters-are-protected",
        "this cluster isn't protected",
        "records-are-proxied",
        "A shop.example.com isn't proxied",
        "images-have-tags",
        "container 'web' runs 'nginx:latest'",
        "kubeconfigs-are-secret",
    ):
        assert said in refused.output, refused.output
    assert "A mail.example.com" not in refused.output


def test_the_fleet_keeps_them(fleet: Fleet) -> None:
    for stack in ("us", "edge"):
        ran = fleet.pulumi(stack, "preview", "--policy-pack", str(PACK)).require()
        assert "edgefleet" in ran.output.split("Policies:")[1], ran.output
        assert "violation" not in ran.output, ran.output
