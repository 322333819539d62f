"""The emulated Vultr provider on the emulated API: what the real one was seen to do.

"Vultr N" are the numbers of docs/facts/real-providers.md.
"""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ediri_vultr as vultr
import pytest

from sandbox.clusters.backend import NodeSpec
from sandbox.providers.base.operations import Call, PluginError
from sandbox.providers.base.schema import inputs_of, output_names, secret_outputs, token
from sandbox.providers.base.values import UNKNOWN, Secret
from sandbox.providers.vultr.plugin import VultrPlugin
from sandbox.vendors.ca import CertificateAuthority, write_bundle
from sandbox.vendors.proxy import serve_proxy
from sandbox.vendors.vultr.api import API_KEY, create_app
from tests.data import table
from tests.sandbox.providers.plugin_harness import (
    SPEED,
    Emulator,
    Engine,
    Refused,
    State,
    SwitchingServer,
)

RESOURCES = [
    vultr.Kubernetes,
    vultr.KubernetesNodePools,
    vultr.FirewallGroup,
    vultr.FirewallRule,
    vultr.Vpc,
]
KUBECONFIG = """
clusters: [{name: c, cluster: {server: "https://x.vultr-k8s.com:6443",
            certificate-authority-data: Y2E=}}]
users: [{name: admin, user: {client-certificate-data: Y2VydA==, client-key-data: a2V5}}]
"""


class FakeClusters:
    """A ClusterBackend whose API servers answer at once."""

    def __init__(self) -> None:
        self.text: str | None = KUBECONFIG

    def create(self, cluster_id: str, label: str, version: str, nodes: list[NodeSpec]) -> None: ...

    def sync_nodes(self, cluster_id: str, nodes: list[NodeSpec]) -> None: ...

    def upgrade(self, cluster_id: str, version: str) -> None: ...

    def rotate(self, cluster_id: str) -> None: ...

    def undisruptable(self, cluster_id: str) -> list[str]:
        return []

    def delete(self, cluster_id: str) -> None: ...

    def kubeconfig(self, cluster_id: str) -> str | None:
        return self.text


class Clock:
    """Time that goes on by itself: a tenth of a second with every look."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        self.now += 0.1
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def server() -> Iterator[SwitchingServer]:
    with SwitchingServer() as running:
        yield running


@pytest.fixture
def api(tmp_path: Path, clock: Clock, server: SwitchingServer) -> Iterator[Emulator]:
    server.app = create_app(tmp_path, FakeClusters(), clock)
    emulator = Emulator(server.url)
    emulator.set(firewall_delay_seconds=0)
    yield emulator
    emulator.require_met()


@pytest.fixture
def engine(api: Emulator) -> Engine:
    return Engine(VultrPlugin(api.url, SPEED), {"apiKey": API_KEY})


CLUSTER = {
    "label": "edgefleet-us",
    "region": "ewr",
    "version": "v1.35.5+1",
    "enableFirewall": True,
    "nodePools": {"label": "edge", "plan": "vc2-2c-4gb", "nodeQuantity": 3},
}


def cluster_with(**pool: Any) -> dict[str, Any]:
    return {**CLUSTER, "nodePools": {**CLUSTER["nodePools"], **pool}}


@pytest.fixture
def cluster(engine: Engine) -> State:
    return engine.create(vultr.Kubernetes, CLUSTER)


SCALED = {"autoScaler": True, "minNodes": 1, "maxNodes": 5}


@pytest.fixture
def scaled(engine: Engine) -> State:
    """The cluster with a pool that scales itself: VKE takes the provider's PATCH of no other."""
    return engine.create(vultr.Kubernetes, cluster_with(**SCALED))


def rule_inputs(group: str, **more: Any) -> dict[str, Any]:
    return {
        "firewallGroupId": group,
        "ipType": "v4",
        "protocol": "tcp",
        "subnet": "0.0.0.0",
        "subnetSize": 0,
        "port": "443",
        **more,
    }


# Clusters.


def test_a_cluster_is_made_polled_and_read(engine: Engine, api: Emulator, cluster: State) -> None:
    path = f"/v2/kubernetes/clusters/{cluster.id}"
    sent = api.sent()
    assert sent[0] == "POST /v2/kubernetes/clusters"
    assert sent[-2:] == [f"GET {path}", f"GET {path}/config"]
    assert sent.count(f"GET {path}") >= 3
    assert cluster.outputs["status"] == "active"
    assert cluster.outputs["firewallGroupId"]
    assert cluster.outputs["endpoint"] == f"{cluster.id}.vultr-k8s.com"
    assert len(cluster.outputs["nodePools"]["nodes"]) == 3
    assert cluster.outputs["nodePools"]["tag"] == "tf-vke-default"
    assert base64.b64decode(cluster.outputs["kubeConfig"]).decode() == KUBECONFIG
    assert cluster.outputs["clusterCaCertificate"] == "Y2E="
    assert cluster.outputs["clientKey"] == "a2V5"


def test_nothing_changes_after_create_and_after_refresh(engine: Engine, cluster: State) -> None:
    assert engine.changes(cluster, CLUSTER) == {}
    refreshed = engine.refresh(cluster)
    assert refreshed is not None
    assert engine.changes(refreshed, CLUSTER) == {}
    assert refreshed.inputs == cluster.inputs


def test_the_kubeconfig_and_its_keys_are_secret(engine: Engine) -> None:
    planned = engine.plan(vultr.Kubernetes, CLUSTER)
    for name in ("kubeConfig", "clientKey", "clientCertificate", "clusterCaCertificate"):
        assert planned[name] == Secret(UNKNOWN)


def test_the_first_preview_knows_no_nodes_and_no_id(engine: Engine) -> None:
    planned = engine.plan(vultr.Kubernetes, CLUSTER)
    assert planned["nodePools"]["nodes"] is UNKNOWN
    assert planned["endpoint"] is UNKNOWN
    assert planned["label"] == "edgefleet-us"


@pytest.mark.parametrize(
    ("name", "value"),
    [("region", "fra"), ("vpcId", "v"), ("haControlplanes", True), ("enableFirewall", False)],
)
def test_what_replaces_a_cluster(engine: Engine, cluster: State, name: str, value: Any) -> None:
    assert list(engine.changes(cluster, {**CLUSTER, name: value}).values()) in (["~~"], ["++"])


def test_a_pool_that_does_not_scale_itself_can_not_be_changed(
    engine: Engine, api: Emulator, cluster: State
) -> None:
    for change in ({"nodeQuantity": 4}, {"labels": {"a": "b"}}):
        with pytest.raises(PluginError, match="You cannot update auto scalar minimum or maximum"):
            engine.update(cluster, cluster_with(**change))
    further = {"clusterId": cluster.id, "label": "b", "plan": "vc2-2c-4gb", "nodeQuantity": 2}
    pool = engine.create(vultr.KubernetesNodePools, further)
    with pytest.raises(PluginError, match="You cannot update auto scalar minimum or maximum"):
        engine.update(pool, {**further, "nodeQuantity": 3})
    # What is ignored isn't sent, whatever the API says by now.
    wanted = {**cluster_with(nodeQuantity=4), "version": "v1.36.1+1"}
    api.forget()
    engine.update(cluster, wanted, ignoring=("nodePools.nodeQuantity", "version"))
    assert not [sent for sent in api.sent() if not sent.startswith("GET")]


def test_scaling_keeps_old_outputs_known_and_does_not_wait(
    engine: Engine, api: Emulator, scaled: State
) -> None:
    cluster, wanted = scaled, cluster_with(**SCALED, nodeQuantity=4)
    assert engine.changes(cluster, wanted) == {"nodePools.nodeQuantity": "~"}
    planned = engine.plan_update(cluster, wanted)
    assert len(planned["nodePools"]["nodes"]) == 3
    assert planned["kubeConfig"] == cluster.outputs["kubeConfig"]
    api.forget()
    updated = engine.update(cluster, wanted)
    path = f"/v2/kubernetes/clusters/{cluster.id}"
    pool = f"{path}/node-pools/{cluster.outputs['nodePools']['id']}"
    assert api.sent() == [f"PATCH {pool}", f"GET {path}", f"GET {path}/config"]
    assert updated.outputs["nodePools"]["nodeQuantity"] == 4
    assert len(updated.outputs["nodePools"]["nodes"]) == 3
    assert engine.changes(updated, wanted) == {}


def test_a_later_up_asks_nothing_and_a_refresh_finds_the_new_node(
    engine: Engine, scaled: State, clock: Clock
) -> None:
    wanted = cluster_with(**SCALED, nodeQuantity=4)
    updated = engine.update(scaled, wanted)
    clock.now += 60
    refreshed = engine.refresh(updated)
    assert refreshed is not None
    assert len(refreshed.outputs["nodePools"]["nodes"]) == 4
    assert engine.changes(refreshed, wanted) == {}


def test_a_new_version_is_posted_without_waiting(
    engine: Engine, api: Emulator, cluster: State
) -> None:
    api.forget()
    wanted = {**CLUSTER, "version": "v1.36.1+1"}
    assert engine.changes(cluster, wanted) == {"version": "~"}
    engine.update(cluster, wanted)
    path = f"/v2/kubernetes/clusters/{cluster.id}"
    assert api.sent() == [f"POST {path}/upgrades", f"GET {path}", f"GET {path}/config"]


@pytest.mark.parametrize(("field", "value"), [("plan", "vc2-4c-8gb"), ("label", "other")])
def test_a_pools_plan_and_label_never_change(
    engine: Engine, scaled: State, field: str, value: str
) -> None:
    wanted = cluster_with(**SCALED, **{field: value})
    assert engine.changes(scaled, wanted) == {f"nodePools.{field}": "~"}
    updated = engine.update(scaled, wanted)
    assert engine.changes(updated, wanted) == {f"nodePools.{field}": "~"}


def test_a_cluster_without_pools_is_made_and_then_fails(engine: Engine, api: Emulator) -> None:
    bare = {"vke_cluster": {"id": "bare", "status": "active", "node_pools": []}}
    api.fault(match={}, action="status", status=200, body=bare)
    inputs = {key: value for key, value in CLUSTER.items() if key != "nodePools"}
    state = engine.create(vultr.Kubernetes, inputs)
    assert state.id == "bare"
    assert "tf-vke-default" in state.errors[0]


def test_a_poll_that_fails_leaves_the_cluster_in_the_state(engine: Engine, api: Emulator) -> None:
    api.fault(
        match={"method": "GET", "path_regex": "/clusters/"}, action="status", status=500, times=4
    )
    state = engine.create(vultr.Kubernetes, CLUSTER)
    assert state.id
    assert "500" in state.errors[0]
    assert engine.changes(state, CLUSTER) == {}
    with pytest.raises(PluginError, match="Kubernetes cluster is not ready"):
        engine.update(state, CLUSTER)


def test_a_cluster_that_fails_says_so(engine: Engine, api: Emulator) -> None:
    failed = {"vke_cluster": {"id": "x", "status": "failed", "node_pools": []}}
    api.fault(
        match={"method": "GET", "path_regex": "/clusters/"},
        action="status",
        status=200,
        body=failed,
        times=1,
    )
    state = engine.create(vultr.Kubernetes, CLUSTER)
    assert "unexpected state 'failed', wanted target 'active'" in state.errors[0]


def test_a_lost_cluster_leaves_the_state_and_other_404s_are_errors(
    engine: Engine, api: Emulator, cluster: State
) -> None:
    engine.delete(cluster)
    assert engine.refresh(cluster) is None
    api.fault(match={}, action="status", status=404, body={"error": "Not Found", "status": 404})
    with pytest.raises(PluginError, match="Not Found"):
        engine.refresh(cluster)


def test_a_cluster_is_imported_by_its_id(engine: Engine, cluster: State) -> None:
    found = engine.import_(vultr.Kubernetes, cluster.id)
    assert found is not None
    assert found.inputs["region"] == "ewr"
    assert found.inputs["nodePools"]["nodeQuantity"] == 3
    assert "enableFirewall" not in found.outputs
    # So adopting it with enable_firewall set would replace it.
    assert engine.changes(found, CLUSTER) == {"enableFirewall": "++"}


# Pools.


def test_a_further_pool(engine: Engine, api: Emulator, cluster: State) -> None:
    inputs = {"clusterId": cluster.id, "label": "b", "plan": "vc2-2c-4gb", "nodeQuantity": 2}
    inputs |= SCALED
    pool = engine.create(vultr.KubernetesNodePools, inputs)
    assert pool.outputs["status"] == "active"
    assert engine.changes(pool, inputs) == {}
    assert engine.changes(pool, {**inputs, "clusterId": "c"}) == {"clusterId": "~~"}
    assert engine.changes(pool, {**inputs, "plan": "vc2-4c-8gb"}) == {"plan": "~"}
    grown = engine.update(pool, {**inputs, "nodeQuantity": 3})
    assert grown.outputs["nodeQuantity"] == 3
    found = engine.import_(vultr.KubernetesNodePools, f"{cluster.id} {pool.id}")
    assert found is not None
    assert found.id == pool.id
    assert found.inputs["label"] == "b"
    with pytest.raises(PluginError, match="expected 'clusterID nodePoolID'"):
        engine.import_(vultr.KubernetesNodePools, pool.id)
    engine.delete(pool)
    assert engine.refresh(pool) is None


# Firewalls.


def test_a_cloudflare_rule_is_stable(engine: Engine, cluster: State) -> None:
    inputs = rule_inputs(cluster.outputs["firewallGroupId"], source="cloudflare")
    rule = engine.create(vultr.FirewallRule, inputs)
    refreshed = engine.refresh(rule)
    assert refreshed is not None
    assert engine.changes(rule, inputs) == {}
    assert engine.changes(refreshed, inputs) == {}


def test_a_rule_without_source_is_replaced_for_ever(engine: Engine, cluster: State) -> None:
    inputs = rule_inputs(cluster.outputs["firewallGroupId"])
    rule = engine.create(vultr.FirewallRule, inputs)
    assert engine.changes(rule, inputs) == {"source": "--"}


def test_ignore_changes_holds_until_a_refresh(engine: Engine, cluster: State) -> None:
    inputs = rule_inputs(cluster.outputs["firewallGroupId"])
    rule = engine.create(vultr.FirewallRule, inputs)
    assert engine.diff(rule, inputs).ignoring(["source"]).changes == {}
    refreshed = engine.refresh(rule)
    assert refreshed is not None
    # ignoreChanges puts the old input in the new one's place before Check.
    with pytest.raises(Refused, match="expected source to be one of"):
        engine.check(vultr.FirewallRule, {**inputs, "source": refreshed.inputs["source"]})


def test_ipv6_spelled_otherwise_is_replaced_for_ever(engine: Engine, cluster: State) -> None:
    inputs = rule_inputs(
        cluster.outputs["firewallGroupId"],
        ipType="v6",
        subnet="2001:DB8:0:0::1",
        subnetSize=128,
        source="cloudflare",
    )
    assert engine.changes(engine.create(vultr.FirewallRule, inputs), inputs) == {"subnet": "~~"}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("subnet", "10.0.0.0/24", "valid IP"),
        ("ipType", "v5", 'one of \\["v4" "v6"\\]'),
        ("protocol", "sctp", "protocol"),
        ("source", "0.0.0.0/0", 'one of \\["" "cloudflare"\\]'),
    ],
)
def test_rules_the_provider_refuses(engine: Engine, name: str, value: str, words: str) -> None:
    with pytest.raises(Refused, match=words):
        engine.check(vultr.FirewallRule, rule_inputs("g", **{name: value}))


def test_every_field_replaces_a_rule(engine: Engine, cluster: State) -> None:
    inputs = rule_inputs(cluster.outputs["firewallGroupId"], source="cloudflare", notes="web")
    rule = engine.create(vultr.FirewallRule, inputs)
    other = {"port": "80", "notes": "n", "subnetSize": 1, "protocol": "udp", "subnet": "1.0.0.0"}
    for name, value in other.items():
        assert engine.changes(rule, {**inputs, name: value}) == {name: "~~"}


def test_a_rule_is_imported_by_group_and_number(engine: Engine, cluster: State) -> None:
    group = cluster.outputs["firewallGroupId"]
    rule = engine.create(vultr.FirewallRule, rule_inputs(group, source="cloudflare"))
    found = engine.import_(vultr.FirewallRule, f"{group},{rule.id}")
    assert found is not None
    assert found.outputs == rule.outputs
    with pytest.raises(PluginError, match="firewallGroupID,firewallRuleID"):
        engine.import_(vultr.FirewallRule, rule.id)
    engine.delete(rule)
    assert engine.refresh(rule) is None


def test_groups_and_vpcs(engine: Engine) -> None:
    group = engine.create(vultr.FirewallGroup, {"description": "a"})
    assert engine.changes(group, {"description": "b"}) == {"description": "~"}
    assert engine.update(group, {"description": "b"}).outputs["description"] == "b"
    assert group.outputs["maxRuleCount"] > 0
    engine.delete(group)
    assert engine.refresh(group) is None
    vpc = engine.create(vultr.Vpc, {"region": "ewr", "description": "a"})
    assert engine.changes(vpc, {"region": "ewr"}) == {"description": "-"}
    assert engine.changes(vpc, {"region": "fra", "description": "a"}) == {"region": "~~"}
    assert engine.update(vpc, {"region": "ewr", "description": "b"}).outputs["description"] == "b"
    engine.delete(vpc)
    assert engine.refresh(vpc) is None


# Errors.


def test_a_lost_answer_makes_a_second_one(engine: Engine, api: Emulator) -> None:
    api.fault(
        match={"method": "POST", "path_regex": "^/v2/firewalls$"}, action="lose_answer", times=1
    )
    engine.create(vultr.FirewallGroup, {"description": "twice"})
    groups = engine.session.http.json(Call(), "GET", "/v2/firewalls")["firewall_groups"]
    assert [group["description"] for group in groups] == ["twice", "twice"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_four_attempts(engine: Engine, api: Emulator, status: int) -> None:
    api.fault(match={"method": "POST"}, action="status", status=status, body={"error": "later"})
    with pytest.raises(PluginError, match=rf"giving up after 4 attempt\(s\): {status} .*later"):
        engine.create(vultr.FirewallGroup, {"description": "a"})
    assert api.sent() == ["POST /v2/firewalls"] * 4


def test_one_attempt_for_other_refusals(engine: Engine, api: Emulator) -> None:
    with pytest.raises(PluginError, match=r"400 .*egion"):
        engine.create(vultr.Kubernetes, {**CLUSTER, "region": "atlantis"})
    assert api.sent() == ["POST /v2/kubernetes/clusters"]


def test_a_wrong_key_is_401(api: Emulator) -> None:
    engine = Engine(VultrPlugin(api.url, SPEED), {"apiKey": "wrong"})
    with pytest.raises(PluginError, match=r"401 .*Invalid API token") as caught:
        engine.create(vultr.FirewallGroup, {})
    assert "wrong" not in str(caught.value)


def test_the_key_comes_from_the_environment_or_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = VultrPlugin()
    monkeypatch.delenv("VULTR_API_KEY", raising=False)
    assert plugin.check_config(Call(), {})[1][0].property == "apiKey"
    assert plugin.check_config(Call(), {"apiKey": UNKNOWN})[1] == []
    monkeypatch.setenv("VULTR_API_KEY", "k")
    assert plugin.check_config(Call(), {})[1] == []
    assert "apiKeey" in plugin.check_config(Call(), {"apiKeey": "k"})[1][0].reason


def test_it_reaches_the_vendors_name_through_proxy_and_ca(
    api: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = CertificateAuthority(tmp_path / "ca", "test CA")
    certificate = authority.write_server_certificate(tmp_path / "api.pem", ["api.vultr.com"])
    address = ("127.0.0.1", int(api.url.rsplit(":", 1)[1]))
    proxy = serve_proxy({"api.vultr.com": address}, certificate, lambda host: None)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(write_bundle(authority, tmp_path / "b.pem")))
    monkeypatch.setenv("VULTR_API_KEY", API_KEY)
    try:
        assert Engine(VultrPlugin(), {}).create(vultr.FirewallGroup, {}).id
    finally:
        proxy.close()


@pytest.mark.parametrize(("limit", "attempts"), [("1", 2), ("0", 4), ("-1", 1), (None, 4)])
def test_the_retry_limit_is_the_real_ones(api: Emulator, limit: str | None, attempts: int) -> None:
    """0 is "not set" to it, and a negative one is a single attempt (Run against these programs)."""
    config = {"apiKey": API_KEY} | ({"retryLimit": limit} if limit else {})
    engine = Engine(VultrPlugin(api.url, SPEED), config)
    api.fault(match={}, action="status", status=500)
    with pytest.raises(PluginError, match=f"after {attempts} attempt"):
        engine.create(vultr.FirewallGroup, {})


# Inputs.


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({**CLUSTER, "colour": "red"}, 'colour: Unsupported argument. .*"colour"'),
        ({k: v for k, v in CLUSTER.items() if k != "region"}, 'argument "region" is required'),
        (cluster_with(size=1), "nodePools.size: Unsupported argument"),
        ({**CLUSTER, "nodePools": {"label": "a", "plan": "p"}}, "nodePools.nodeQuantity: Missing"),
        (cluster_with(nodeQuantity="three"), "expected a int, got 'three'"),
        (cluster_with(nodeQuantity=0), "at least \\(1\\), got 0"),
        ({**CLUSTER, "nodePools": [1]}, "expected an object"),
        (cluster_with(taints="no"), "expected a list"),
        (cluster_with(labels=["no"]), "expected a map"),
        (cluster_with(taints=[{"key": "a"}]), r"taints\[0\].effect: Missing"),
    ],
)
def test_inputs_the_sdk_does_not_have_are_refused(
    engine: Engine, inputs: dict[str, Any], words: str
) -> None:
    with pytest.raises(Refused, match=words):
        engine.check(vultr.Kubernetes, inputs)


def test_unknown_inputs_pass_and_scalars_are_converted(engine: Engine) -> None:
    checked = engine.check(vultr.Kubernetes, {**CLUSTER, "region": UNKNOWN, "label": 5})
    assert checked["region"] is UNKNOWN
    assert checked["label"] == "5"
    assert engine.check(vultr.FirewallRule, rule_inputs("g", port=80))["port"] == "80"
    assert engine.check(vultr.Kubernetes, cluster_with(nodeQuantity="3"))["nodePools"] == {
        **CLUSTER["nodePools"],
        "nodeQuantity": 3,
    }


def test_an_unknown_type_is_named(engine: Engine) -> None:
    with pytest.raises(PluginError, match="doesn't emulate vultr:index/user:User"):
        engine.check(vultr.User, {})
    with pytest.raises(PluginError, match="lacks vultr:index/getOs:getOs"):
        engine.invoke("vultr:index/getOs:getOs", {})


@pytest.mark.parametrize("sdk", RESOURCES)
def test_the_sdk_is_read_as_the_schema_says(sdk: Any) -> None:
    plugin = VultrPlugin()
    fields = table("vultr-fields")["resources"][token(sdk)]
    inputs = inputs_of(sdk)
    # The schema is 2.26.1, the SDK 2.27.1, which has more.
    assert set(fields["inputs"]) <= inputs.properties.keys()
    assert inputs.properties.keys() - set(fields["inputs"]) <= {"userData"}
    assert set(fields["required"]) == inputs.required
    assert set(fields["outputs"]) <= output_names(sdk)
    assert secret_outputs(sdk) == set(fields["secret"])
    assert plugin._resources[token(sdk)].replaces == set(fields["replacing"])
