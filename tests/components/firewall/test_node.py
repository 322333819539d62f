"""What `NodeFirewall` registers. What its script does to a node is in tests/packets."""

import asyncio
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pulumi
import pytest
from pulumi.runtime import mocks

from components.firewall import cloudflare_ranges
from components.firewall.node import (
    CAPABILITIES,
    Mode,
    NodeFirewall,
    NodeFirewallArgs,
    config_data,
    files_name,
    pod_spec,
    render_table,
)
from components.firewall.rule_data import rule_data
from components.firewall.rule_table import Rule, node_rules

CLOUDFLARE = cloudflare_ranges.load().cidrs
RULES = node_rules(
    ssh_sources=["198.51.100.0/24"], node_networks=["10.20.0.0/20"], pod_networks=["10.244.0.0/16"]
)


class _Engine(mocks.Mocks):
    def __init__(self) -> None:
        self.registered: dict[str, tuple[str, dict[str, Any]]] = {}

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[Any, Any]]:
        self.registered[args.name] = (args.typ, dict(args.inputs))
        outputs = {
            **args.inputs,
            "metadata": {"name": args.name, "generation": 1, **args.inputs.get("metadata", {})},
        }
        return args.name, outputs if args.typ.startswith("kubernetes") else args.inputs

    def call(self, args: mocks.MockCallArgs) -> dict[Any, Any]:
        return {}


@pytest.fixture
def engine() -> _Engine:
    asyncio.set_event_loop(asyncio.new_event_loop())
    engine = _Engine()
    mocks.set_mocks(engine, preview=False)
    return engine


def registered(engine: _Engine, mode: Mode = "enforce", **more: Any) -> dict[str, dict[str, Any]]:
    @pulumi.runtime.test
    def program() -> None:
        rules = pulumi.Output.from_input("later").apply(lambda _: rule_data(RULES))
        args: NodeFirewallArgs = {
            "kubeconfig": "{}",
            "rules": rules,
            "cloudflare": CLOUDFLARE,
            "mode": mode,
        }
        NodeFirewall("wall", cast(NodeFirewallArgs, {**args, **more}))

    program()
    return {typ.split(":")[-1]: inputs for typ, inputs in engine.registered.values()}


def test_the_daemon_set_runs_everywhere_on_the_node_s_own_network(engine: _Engine) -> None:
    made = registered(engine)
    assert set(made) == {
        "NodeFirewall", "NodeNetworks", "ConfigMap", "DaemonSet", "NodesInStep",
        # Nobody gave one: the kubeconfig says which cluster it is, and `kubectl`'s doesn't.
        "kubernetes",
    }  # fmt: skip
    assert made["kubernetes"]["kubeconfig"]["value"] == "{}", "as a secret"
    pod = made["DaemonSet"]["spec"]["template"]["spec"]
    assert (pod["hostNetwork"], pod["hostPID"]) == (True, True)
    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert pod["volumes"][0]["configMap"]["name"] == made["ConfigMap"]["metadata"]["name"]
    assert made["ConfigMap"]["metadata"]["namespace"] == "kube-system"
    assert made["DaemonSet"]["metadata"]["namespace"] == "kube-system"
    selector = made["DaemonSet"]["spec"]["selector"]["matchLabels"]
    assert selector.items() <= made["DaemonSet"]["spec"]["template"]["metadata"]["labels"].items()


def test_the_pod_may_do_no_more_than_it_must() -> None:
    pod = pod_spec("files", "enforce", "busybox:1", 60)
    (container,) = pod["containers"]
    security = container["securityContext"]
    assert security["capabilities"] == {"drop": ["ALL"], "add": list(CAPABILITIES)}
    assert "privileged" not in security
    assert security["readOnlyRootFilesystem"] is True
    assert pod["automountServiceAccountToken"] is False
    assert not [volume for volume in pod["volumes"] if "hostPath" in volume]


def test_the_script_gets_its_mode_interval_and_the_node_s_first_process() -> None:
    (container,) = pod_spec("files", "observe", "busybox:1", 30)["containers"]
    assert container["args"][:3] == ["observe", "30", "1"]


def test_a_change_of_the_table_or_the_script_is_another_config_map(engine: _Engine) -> None:
    made = registered(engine)["ConfigMap"]
    assert made["immutable"] is True
    data = made["data"]
    assert made["metadata"]["name"] == files_name(data)
    assert re.fullmatch("edgefleet-node-firewall-[0-9a-f]{10}", files_name(data))
    for file in data:
        assert files_name({**data, file: data[file] + "#"}) != files_name(data)


def test_pods_are_replaced_one_by_one_whatever_the_mode(engine: _Engine) -> None:
    for mode in ("enforce", "observe", "remove"):
        daemon_set = registered(engine, mode=mode)["DaemonSet"]
        strategy = daemon_set["spec"]["updateStrategy"]["rollingUpdate"]
        assert strategy == {"maxUnavailable": 1}
        # Waiting is for what tells which node it was, and doesn't fail.
        assert daemon_set["metadata"]["annotations"] == {"pulumi.com/skipAwait": "true"}


@pytest.mark.parametrize(
    ("mode", "state", "ready"),
    [
        ("enforce", "matches", True),
        ("enforce", "blocked", False),
        ("enforce", "held", False),
        ("remove", "matches", True),
        ("remove", "failed", False),
        ("observe", "differs", True),
        ("observe", "unsupported", True),
        ("observe", "", False),
    ],
)
def test_a_pod_that_observes_is_ready_whatever_it_sees(
    tmp_path: Path, mode: Mode, state: str, ready: bool
) -> None:
    (container,) = pod_spec("files", mode, "busybox:1", 60)["containers"]
    (tmp_path / "state").write_text(f"state={state} mode={mode}\n" if state else "")
    probe = container["readinessProbe"]["exec"]["command"]
    told = [part.replace("/status/", f"{tmp_path}/") for part in probe]
    assert (subprocess.run(told, capture_output=True).returncode == 0) == ready


def test_the_image_is_pinned_and_can_be_another(engine: _Engine) -> None:
    def image(**more: Any) -> str:
        spec = registered(engine, **more)["DaemonSet"]["spec"]["template"]["spec"]
        return spec["containers"][0]["image"]

    assert image() == "docker.io/library/busybox:1.37.0"
    assert image(image="mirror.example.com/busybox:1.37.0") == "mirror.example.com/busybox:1.37.0"


def test_the_config_map_holds_both_scripts_and_the_table() -> None:
    table = render_table(RULES, CLOUDFLARE)
    data = config_data(table)
    assert data["table"] == table
    assert data["sync.sh"].startswith("#!/bin/sh")
    assert data["loop.sh"].startswith("#!/bin/sh")
    # A ConfigMap holds 1 MiB.
    assert sum(map(len, data.values())) < 100_000


def test_the_table_as_text() -> None:
    lines = render_table(RULES, CLOUDFLARE).splitlines()
    assert lines[0] == "web\t80,443"
    assert len([line for line in lines if "--dports 80,443" in line and "-s " in line]) == 22
    for family in "46":
        assert any(line.startswith(f"block{family}\t-A edgefleet-input -i lo") for line in lines)


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ([rule for rule in RULES if rule.source != "cloudflare"], "0 rules for Cloudflare"),
        ([*RULES, RULES[1]], "2 rules for Cloudflare"),
        ([*RULES, Rule("all", "tcp", (), ("0.0.0.0/0",), "")], "all admits 0.0.0.0/0 to port 80"),
        (
            [*RULES, Rule("some", "tcp", ((100, 500),), ("::/0",), "")],
            "some admits ::/0 to port 443",
        ),
        ([Rule("cloudflare", "tcp", (), "cloudflare", "")], "names no ports"),
    ],
)
def test_a_table_that_opens_the_web_ports_never_reaches_a_node(
    rules: Sequence[Rule], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        render_table(rules, CLOUDFLARE)
