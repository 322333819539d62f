"""The table of replacing fields, held against what decides: schemas, emulators, our own diffs.

The Kubernetes column is held against a real API server:
tests/api_server/test_immutable_fields.py.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pulumi.dynamic import ResourceProvider

from components.cluster import drained_pool, pool_settings
from components.cluster import version as cluster_version
from components.dataplane import host_endpoints
from components.edge import zone_memory
from components.firewall import cloud_rules as vultr_firewall_rules
from components.firewall import in_step, node_networks
from components.server_side import ownership
from components.server_side import patch as server_side_patch
from components.server_side import rollout as server_side_rollout
from infra.fleet.inventory import CA_FILE
from ops import ca
from ops.render.offline import render_project
from ops.render.replacing_fields import EVERY, FORCE_NEW, NOTICED, noticed, replacing
from sandbox.providers.base.resource import Resource
from sandbox.providers.base.schema import inputs_of, token
from sandbox.providers.cloudflare.plugin import CloudflarePlugin
from sandbox.providers.kubernetes.diff import force_new
from sandbox.providers.tls.plugin import TlsPlugin
from tests.data import table
from tests.projects import ROOT, copy_project, region, write_stack

# What terraform-provider-cloudflare (v5, internal/services/*/schema.go) marks RequiresReplace among
# the inputs, read 2026-11-21. Of WorkersScript the head of the file. Bindings of a WorkerVersion
# whose secret text alone differs are left out there. Pulumi's schema doesn't say any of it, and our
# table and the emulator may both be wrong.
CLOUDFLARE_MARKS: dict[str, set[str]] = {
    "authenticatedOriginPullsCertificate": {"certificate", "zoneId"},
    "authenticatedOriginPullsSettings": {"zoneId"},
    "dnsRecord": {"zoneId"},
    "originCaCertificate": {"csr", "hostnames", "requestType", "requestedValidity"},
    "worker": {"accountId"},
    "workerVersion": {
        "accountId",
        "bindings",
        "compatibilityDate",
        "mainModule",
        "modules",
        "workerId",
    },
    "workersCronTrigger": {"accountId", "scriptName"},
    "workersDeployment": {"accountId", "annotations", "scriptName", "strategy", "versions"},
    "workersKvNamespace": {"accountId"},
    "workersRoute": {"zoneId"},
    "workersScript": {"accountId", "scriptName"},
    "zoneSetting": {"settingId", "zoneId"},
}
# What the table has besides, and why.
CLOUDFLARE_BESIDES: dict[str, set[str]] = {
    # Seen when it ran (docs/facts/real-providers.md, Cloudflare 1): the API itself changes no type.
    "dnsRecord": {"type"},
    # A key's certificate comes with it, and that replaces.
    "authenticatedOriginPullsCertificate": {"privateKey"},
}
EMULATED: dict[str, Resource[Any]] = {
    token(each.sdk): each
    for plugin in (CloudflarePlugin(), TlsPlugin())
    for each in plugin._resources.values()
}

RULE = {"ip_type": "v4", "protocol": "tcp", "port": "1", "subnet": "192.0.2.0", "subnet_size": 24}
OTHER: dict[str, Any] = {"rules": {}, "force": True, "generation": 2}
OURS: dict[str, tuple[ResourceProvider, dict[str, Any]]] = {
    "ServerSidePatch": (
        server_side_patch._Provider(),
        {"kind": "a", "namespace": "a", "object_name": "a", "field_manager": "a", "force": False},
    ),
    "Rollout": (
        server_side_rollout._Provider(),
        {"kind": "a", "namespace": "a", "object_name": "a", "generation": 1},
    ),
    "VultrFirewallRules": (
        vultr_firewall_rules._Provider(),
        {"group_id": "a", "rules": {"a": RULE}},
    ),
    "ZoneMemory": (zone_memory._Provider(), {"zone_id": "a", "path": "a"}),
}


def tokens(*prefixes: str) -> list[str]:
    return [token for token in FORCE_NEW if token.startswith(prefixes)]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The types of a fleet with every option that makes a resource, with their inputs' names."""
    project = copy_project(tmp_path_factory.mktemp("everything"))
    key = rsa.generate_private_key(65537, 2048)
    pem = ca.sign(key, datetime.now(UTC)).public_bytes(serialization.Encoding.PEM)
    (project / CA_FILE).write_bytes(pem)
    pools = [{"label": label, "plan": "vc2-2c-4gb", "nodes": 1} for label in ("edge", "databases")]
    cluster = region(pools=pools, vpc={"cidr": "10.20.0.0/24"})
    network = {"namespaces": ["shop"]}
    write_stack(project, "us", {**cluster, "networkPolicy": network})
    options = {
        "blockForeignWorkers": True,
        "deployment": {"percentage": 100},
        "zoneSettings": {"ssl": "strict"},
    }
    secret = {"secure": "v1:a:b"}
    write_stack(project, "edge", {"edge": options, "originPullsKey": secret})
    found: dict[str, set[str]] = {}
    renderings = [*render_project(project).values(), *render_project(ROOT).values()]
    for resource in (each for rendering in renderings for each in rendering.resources):
        if resource.custom:
            found.setdefault(resource.type, set()).update(resource.inputs)
    return found


def test_every_resource_of_the_fleet_is_in_the_table(everything: dict[str, set[str]]):
    assert "cloudflare:index/workerVersion:WorkerVersion" in everything
    assert "vultr:index/vpc:Vpc" in everything
    # A kind of Kubernetes' without an entry has what every object has.
    unknown = everything.keys() - FORCE_NEW.keys()
    assert {each for each in unknown if not each.startswith("kubernetes:")} == set()


@pytest.mark.parametrize("token", tokens("vultr:"))
def test_vultrs_fields_are_the_schemas(token: str):
    replacing = table("vultr-fields")["resources"][token]["replacing"]
    assert set(FORCE_NEW[token]) == set(replacing)


@pytest.mark.parametrize("token", tokens("cloudflare:"))
def test_cloudflares_fields_exist(token: str):
    resources = table("cloudflare-fields")["resources"]
    if token not in resources:
        pytest.fail(f"{token} is not in the schema")
    assert set(FORCE_NEW[token]) - {EVERY} <= set(resources[token]["inputs"])


# Ruleset's source wasn't there to read: its fields are where the API keeps it.
@pytest.mark.parametrize(
    "token", [each for each in tokens("cloudflare:") if not each.endswith(":Ruleset")]
)
def test_cloudflares_fields_are_those_that_the_provider_marks(
    token: str, everything: dict[str, set[str]]
):
    name = token.split("/")[1].split(":")[0]
    every = set(inputs_of(EMULATED[token].sdk).properties)
    told = every if EVERY in FORCE_NEW[token] else set(FORCE_NEW[token])
    marked = CLOUDFLARE_MARKS[name] | CLOUDFLARE_BESIDES.get(name, set())
    assert marked <= every
    # Of the inputs that the fleet gives, where some are marked that we have no use for.
    used = everything.get(token, every) if EVERY in FORCE_NEW[token] else every
    assert told & used == marked & used


@pytest.mark.parametrize("token", tokens("cloudflare:", "tls:"))
def test_the_emulated_provider_replaces_for_the_same(token: str, everything: dict[str, set[str]]):
    """Both follow what the real ones did; a preview on the sandbox and a rendering agree."""
    emulated = EMULATED[token]
    every = set(inputs_of(emulated.sdk).properties)
    told = every if EVERY in FORCE_NEW[token] else set(FORCE_NEW[token])
    if token.startswith("tls:"):
        assert told == emulated.replaces
    else:
        # Of the inputs that the fleet gives.
        used = everything.get(token, every)
        assert told & used == emulated.replaces & used


@pytest.mark.parametrize("token", tokens("kubernetes:"))
def test_kubernetes_fields_are_the_providers(token: str):
    version, _, kind = token.removeprefix("kubernetes:").rpartition(":")
    obj = {"apiVersion": version.removeprefix("core/"), "kind": kind}
    fields = [f".{field}" for field in FORCE_NEW[token]]
    assert fields == force_new(obj, mutable_config_maps=True, mutable_secrets=True)


def test_kinds_without_an_entry_need_none(everything: dict[str, set[str]]):
    for each in everything:
        if not each.startswith("kubernetes:") or each in FORCE_NEW:
            continue
        version, _, kind = each.removeprefix("kubernetes:").rpartition(":")
        obj = {"apiVersion": version.removeprefix("core/"), "kind": kind}
        fields = force_new(obj, mutable_config_maps=True, mutable_secrets=True)
        assert fields == [".metadata.name", ".metadata.namespace"], each


def test_the_fleets_provider_changes_config_maps_and_secrets_in_place(tmp_path: Path):
    (provider,) = (
        resource
        for resource in render_project(copy_project(tmp_path), ["us"])["us"].resources
        if resource.type == "pulumi:providers:kubernetes"
    )
    assert provider.inputs["enableConfigMapMutable"] == "true"
    assert provider.inputs["enableSecretMutable"] == "true"


@pytest.mark.parametrize(
    ("name", "field"), [(name, field) for name, (_, inputs) in OURS.items() for field in inputs]
)
def test_our_own_resources_say_the_same(name: str, field: str):
    provider, olds = OURS[name]
    news = {**olds, field: OTHER.get(field, "b")}
    told = field in FORCE_NEW[f"pulumi-python:dynamic/index:{name}"]
    assert provider.diff("id", olds, news).replaces == ([field] if told else [])


DIFFS: dict[str, ResourceProvider] = {
    "ClusterVersion": cluster_version._Provider(),
    "DrainedPool": drained_pool._Provider(),
    "HostEndpointsMade": host_endpoints._Awaited(),
    "NodeNetworks": node_networks._Provider(),
    "NodesInStep": in_step._Provider(),
    "OwnNames": ownership._Provider(),
    "PoolSettings": pool_settings._Provider(),
    **{name: provider for name, (provider, _) in OURS.items()},
}


def test_our_own_resources_notice_what_the_table_says(everything: dict[str, set[str]]):
    """Each input that the fleet gives, changed alone."""
    ours = {each for each in everything if each.startswith("pulumi-python:")}
    assert {each.rpartition(":")[2] for each in ours} == DIFFS.keys()
    for kind in ours:
        provider = DIFFS[name := kind.rpartition(":")[2]]
        olds = OURS[name][1] if name in OURS else dict.fromkeys(everything[kind], "a")
        for key in everything[kind] - {"containers", "fields", "method", "field"}:
            news = {**olds, key: OTHER.get(key, "b")}
            assert bool(provider.diff("id", olds, news).changes) == noticed(kind, key), (kind, key)
    assert NOTICED.keys() <= ours


def test_a_rules_note_is_not_noticed():
    provider, olds = OURS["VultrFirewallRules"]
    news = {**olds, "rules": {"a": {**RULE, "notes": "another"}}}
    assert not provider.diff("id", olds, news).changes
    assert not noticed("pulumi-python:dynamic/index:VultrFirewallRules", "rules.a.notes")
    assert noticed("pulumi-python:dynamic/index:VultrFirewallRules", "rules.a.port")


CERTIFICATE = "cloudflare:index/originCaCertificate:OriginCaCertificate"
CLUSTER = "vultr:index/kubernetes:Kubernetes"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
DAEMON_SET = "kubernetes:apps/v1:DaemonSet"
INGRESS_CLASS = "kubernetes:networking.k8s.io/v1:IngressClass"


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
        (INGRESS_CLASS, ["spec.controller"], []),
        ("some:other:Thing", ["name"], []),
    ],
)
def test_replacing(token: str, paths: list[str], expected: list[str]):
    assert replacing(token, paths) == expected
