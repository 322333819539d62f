"""The values that are ours, in the project's own chart, by the real helm."""

import json
import subprocess
from typing import Any

import pytest
import yaml

from components.load_balancer.metallb_objects import (
    CHART,
    IMAGES,
    NAMESPACE,
    REPOSITORY,
    VERSION,
    values,
)
from components.load_balancer.metallb_options import BgpMode
from sandbox.toolchain import charts
from sandbox.toolchain.install import Toolchain, default_cache


def rendered(given: Any) -> tuple[int, str]:
    cache = default_cache()
    folder = charts.unpacked(charts.find(REPOSITORY, CHART, VERSION), cache, print)
    helm = Toolchain(cache).binary("helm")
    command = [str(helm), "template", "metallb", str(folder), "-n", NAMESPACE, "-f", "-"]
    done = subprocess.run(
        command, input=json.dumps(given), capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout or done.stderr


@pytest.mark.parametrize(("mode", "frr"), [("native", False), ("frr-k8s", True)])
def test_the_chart_takes_our_values(mode: BgpMode, frr: bool):
    code, text = rendered(values(mode, True, IMAGES, "edgefleet"))
    assert code == 0, text
    objects = [obj for obj in yaml.load_all(text, Loader=yaml.CSafeLoader) if obj]
    daemon_sets = {o["metadata"]["name"]: o for o in objects if o["kind"] == "DaemonSet"}
    assert any("frr-k8s" in name for name in daemon_sets) == frr
    (speaker,) = daemon_sets["metallb-speaker"]["spec"]["template"]["spec"]["containers"]
    assert speaker["image"] == IMAGES["speaker"]
    assert "--lb-class=edgefleet" in speaker["args"]
    webhooks = [
        hook
        for obj in objects
        if obj["kind"] == "ValidatingWebhookConfiguration" and "frr" not in obj["metadata"]["name"]
        for hook in obj["webhooks"]
    ]
    assert {hook["failurePolicy"] for hook in webhooks} == {"Ignore"}


def test_its_schema_would_refuse_what_is_no_value():
    code, text = rendered({"speaker": {"logLevel": 3}})
    assert code
    assert "logLevel" in text
