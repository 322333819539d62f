"""The table of replacing fields, held against the providers' own schemas."""

import json
from pathlib import Path

import pytest

from ops.force_new import EVERY, FORCE_NEW, replacing
from ops.render import render_project
from tests.projects import ROOT, copy_project

DATA = ROOT.parent / "shared" / "data"
VULTR = DATA / "pulumi-vultr-schema.json"
CLOUDFLARE = DATA / "pulumi-cloudflare-schema-subset.json"


@pytest.mark.skipif(not VULTR.exists(), reason=f"{VULTR} is not there")
@pytest.mark.parametrize("token", [token for token in FORCE_NEW if token.startswith("vultr:")])
def test_vultrs_fields_are_the_schemas(token: str):
    inputs = json.loads(VULTR.read_text())["resources"][token]["inputProperties"]
    replaces = {name for name, spec in inputs.items() if spec.get("willReplaceOnChanges")}
    assert set(FORCE_NEW[token]) == replaces


@pytest.mark.skipif(not CLOUDFLARE.exists(), reason=f"{CLOUDFLARE} is not there")
@pytest.mark.parametrize("token", [token for token in FORCE_NEW if token.startswith("cloudflare:")])
def test_cloudflares_fields_exist(token: str):
    resources = json.loads(CLOUDFLARE.read_text())["resources"]
    if token not in resources:
        pytest.fail(f"{token} is not in the schema")
    assert set(FORCE_NEW[token]) - {EVERY} <= set(resources[token]["inputProperties"])


def test_every_vultr_and_cloudflare_resource_of_the_fleet_is_in_the_table(tmp_path: Path):
    rendered = render_project(copy_project(tmp_path))
    used = {
        resource.type
        for rendering in rendered.values()
        for resource in rendering.resources
        if resource.type.startswith(("vultr:", "cloudflare:"))
    }
    assert used <= set(FORCE_NEW)


CERTIFICATE = "cloudflare:index/originCaCertificate:OriginCaCertificate"
CLUSTER = "vultr:index/kubernetes:Kubernetes"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
DAEMON_SET = "kubernetes:apps/v1:DaemonSet"


@pytest.mark.parametrize(
    ("token", "paths", "expected"),
    [
        (CLUSTER, ["region", "version"], ["region"]),
        (CLUSTER, ["nodePools.plan"], []),
        (CERTIFICATE, ["hostnames[]"], ["hostnames[]"]),
        (DAEMON_SET, ["spec.selector.matchLabels.app"], ["spec.selector.matchLabels.app"]),
        (DAEMON_SET, ["spec.template.metadata.name"], []),
        (CONFIG_MAP, ["metadata.name", "data.x"], ["metadata.name"]),
        (CONFIG_MAP, ["metadata.namespaces"], []),
        ("some:other:Thing", ["name"], []),
    ],
)
def test_replacing(token: str, paths: list[str], expected: list[str]):
    assert replacing(token, paths) == expected
