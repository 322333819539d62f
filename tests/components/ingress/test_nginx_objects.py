"""The ingress controller's objects. What nginx makes of the settings: test_ingress_nginx.py."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from components.firewall.rule_table import node_rules
from components.ingress.mistake import IngressMistake
from components.ingress.nginx.cluster_objects import cluster_rules, own_rules
from components.ingress.nginx.keys import FLAGS, KEYS, OPTIONS, PLUS_KEYS, SNIPPETS
from components.ingress.nginx.options import (
    ACCESS_LOG,
    HEALTH_SNIPPET,
    METRICS_PORT,
    READINESS_PORT,
    NginxTuning,
    flags,
    full_secret_name,
    nginx_config,
)
from components.ingress.nginx.pod import pod_spec
from components.ingress.nginx.trust import config as trust_config
from components.ingress.placing import daemon_set_spec
from components.ingress.trust import EdgeTrust
from tests.data import manifest, table

CLOUDFLARE = ["173.245.48.0/20", "2400:cb00::/32"]


def pod(**given: Any) -> dict[str, Any]:
    return pod_spec("nginx/nginx-ingress:5.6.1", flags("c"), shutdown_seconds=30, **given)


def container(**given: Any) -> dict[str, Any]:
    return pod(**given)["containers"][0]


def test_a_busy_edges_defaults():
    config = nginx_config(CLOUDFLARE)
    assert config["real-ip-header"] == "CF-Connecting-IP"
    assert config["set-real-ip-from"] == "173.245.48.0/20,2400:cb00::/32"
    assert config["server-snippets"] == HEALTH_SNIPPET
    assert {key: config[key] for key in sorted(config) if key in OPTIONS and "ip" not in key} == {
        "keepalive": "100",
        "keepalive-timeout": "65s",
        "server-tokens": "False",
        "worker-connections": "10240",
        "worker-processes": "auto",
        "worker-shutdown-timeout": "30s",
    }
    assert config["worker-rlimit-nofile"] == "21504"


@pytest.mark.parametrize(
    ("tuning", "changed"),
    [
        ({"worker_processes": 4}, {"worker-processes": "4"}),
        (
            {"worker_connections": 2048},
            {"worker-connections": "2048", "worker-rlimit-nofile": "5120"},
        ),
        ({"keepalive_timeout": 30}, {"keepalive-timeout": "30s"}),
        ({"upstream_keepalive": 10}, {"keepalive": "10"}),
        ({"shutdown_timeout": 5}, {"worker-shutdown-timeout": "5s"}),
        ({"server_tokens": True}, {"server-tokens": "True"}),
    ],
)
def test_each_option_is_one_setting(tuning: NginxTuning, changed: dict[str, str]):
    assert nginx_config(CLOUDFLARE, tuning) == {**nginx_config(CLOUDFLARE), **changed}


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"worker-conections": "1"}, "did you mean worker-connections"),
        ({"proxy-body-size": "1m"}, "is no key of the controller's ConfigMap in 5.6"),
        ({"zone-sync": "true"}, "needs NGINX Plus"),
        ({"worker-connections": "1"}, "say it by the option worker_connections"),
        ({"set-real-ip-from": "0.0.0.0/0"}, "say it by the option trusted_proxies"),
    ],
)
def test_keys_that_would_do_nothing_or_harm_are_refused(config: dict[str, str], why: str):
    with pytest.raises(IngressMistake, match=why):
        nginx_config(CLOUDFLARE, config=config)


@pytest.mark.parametrize(
    "tuning",
    [{"worker_connections": 0}, {"worker_processes": 0}, {"shutdown_timeout": 0}],
)
def test_numbers_out_of_range_are_refused(tuning: NginxTuning):
    with pytest.raises(IngressMistake, match="must be a whole number from"):
        nginx_config(CLOUDFLARE, tuning)


def test_without_trusted_proxies_nobody_is_a_visitor():
    with pytest.raises(IngressMistake, match="trusted_proxies is empty"):
        nginx_config([])


def test_answers_name_their_region():
    assert "http-snippets" not in nginx_config(CLOUDFLARE)
    config = nginx_config(CLOUDFLARE, config={"http-snippets": "a;"}, region="us")
    assert config["http-snippets"] == "add_header x-edge-region us always;\na;"


def test_further_keys_pass_and_snippets_are_gathered():
    trust = EdgeTrust("require", "PEM")
    theirs = {"http-snippets": "c;", "proxy-read-timeout": "10s", "log-format": "$host"}
    config = nginx_config(CLOUDFLARE, config=theirs, trust=trust)
    ours = trust_config(trust)
    assert config["http-snippets"] == f"{ours['http-snippets']}\nc;"
    assert config["server-snippets"] == f"{HEALTH_SNIPPET}\n{ours['server-snippets']}"
    assert config["proxy-read-timeout"] == "10s"
    assert config["log-format"] == "$host"
    assert "log-format-escaping" not in config


@pytest.mark.parametrize(
    ("trust", "fields"),
    [
        (EdgeTrust(), set()),
        (EdgeTrust("observe", "PEM"), {"client_certificate", "client_certificate_serial"}),
        (EdgeTrust(header="observe"), {"edge_header"}),
        (
            EdgeTrust("require", "PEM", "require"),
            {"client_certificate", "client_certificate_serial", "edge_header"},
        ),
    ],
)
def test_the_access_log_is_json_whatever_is_asked_for(trust: EdgeTrust, fields: set[str]):
    config = nginx_config(CLOUDFLARE, trust=trust)
    assert config["log-format-escaping"] == "json"
    # What isn't quoted is a number.
    line = json.loads(re.sub(r":\$(\w+)", ":1", config["log-format"]))
    assert line["client"] == "$remote_addr"
    assert line.keys() - fields == json.loads(re.sub(r":\$(\w+)", ":1", ACCESS_LOG)).keys()
    assert fields <= line.keys()


def test_everything_rendered_is_known_to_the_version():
    config = nginx_config(CLOUDFLARE, status_address="us.example.com")
    assert config.keys() <= KEYS
    assert OPTIONS.keys() <= KEYS
    assert SNIPPETS <= KEYS
    assert not KEYS & PLUS_KEYS
    rendered = [
        *flags("c", report_status=True),
        *flags("c", metrics=False, ipv6=False, custom_resources=True),
    ]
    assert {flag.lstrip("-").split("=")[0] for flag in rendered} <= FLAGS


def test_every_rendered_setting_is_in_the_table():
    table = (Path(__file__).resolve().parents[3] / "docs" / "ingress.md").read_text()
    for key in nginx_config(CLOUDFLARE, status_address="us.example.com"):
        assert f"`{key}`" in table, key
    for flag in flags("c", ipv6=False, report_status=True):
        assert f"`-{flag.lstrip('-').split('=')[0]}`" in table, flag


def test_flags_follow_options():
    assert "-enable-custom-resources=true" in flags("c", custom_resources=True)
    assert "-enable-custom-resources=false" in flags("c")
    assert "-enable-prometheus-metrics" not in flags("c", metrics=False)
    assert {"-enable-prometheus-metrics", "-enable-latency-metrics"} <= set(flags("c"))
    assert "-disable-ipv6" in flags("c", ipv6=False)
    assert "-disable-ipv6" not in flags("c")
    assert {"-enable-telemetry-reporting=false", "-nginx-status=false"} <= set(flags("c"))


def test_a_secret_is_named_in_full():
    assert full_secret_name("tls", "nginx-ingress") == "nginx-ingress/tls"
    assert full_secret_name("web/tls", "nginx-ingress") == "web/tls"
    for wrong in ("", "a/b/c", "A", "a b"):
        with pytest.raises(IngressMistake, match="must be NAME or NAMESPACE/NAME"):
            full_secret_name(wrong, "n")


def test_the_pod_is_confined():
    spec = pod()
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for each in (*spec["containers"], *spec["initContainers"]):
        context = each["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["runAsNonRoot"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"]["drop"] == ["ALL"]
    assert container()["securityContext"]["capabilities"]["add"] == ["NET_BIND_SERVICE"]
    assert "add" not in spec["initContainers"][0]["securityContext"]["capabilities"]


def test_the_pod_is_on_the_nodes_network_and_says_so():
    spec = pod()
    assert (spec["hostNetwork"], spec["dnsPolicy"]) == (True, "ClusterFirstWithHostNet")
    ports = {p["name"]: (p["containerPort"], p["hostPort"]) for p in container()["ports"]}
    assert ports == {
        "http": (80, 80),
        "https": (443, 443),
        "readiness-port": (READINESS_PORT, READINESS_PORT),
        "metrics": (METRICS_PORT, METRICS_PORT),
    }
    assert "metrics" not in {p["name"] for p in container(metrics=False)["ports"]}
    assert spec["priorityClassName"] == "system-node-critical"
    assert spec["tolerations"] == [{"operator": "Exists"}]


def test_only_the_web_ports_are_open_to_the_outside():
    """Readiness and metrics listen on every address, so the firewalls have to close them."""
    table = node_rules(
        ssh_sources=[], node_networks=["10.20.0.0/20"], pod_networks=["10.244.0.0/16"]
    )
    private = {"10.20.0.0/20", "10.244.0.0/16"}
    for rule in table:
        for port in (READINESS_PORT, METRICS_PORT):
            if rule.protocol in ("tcp", "any") and (
                not rule.ports or any(low <= port <= high for low, high in rule.ports)
            ):
                assert rule.routed_to is not None or set(rule.source) <= private, rule.name


def test_draining_fits_into_the_grace_period():
    spec = pod_spec("i:1", [], shutdown_seconds=90)
    (only,) = spec["containers"]
    drain = only["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert spec["terminationGracePeriodSeconds"] > drain + 90


def test_probes():
    only = container()
    for probe in ("startupProbe", "readinessProbe"):
        assert only[probe]["httpGet"] == {"path": "/nginx-ready", "port": "readiness-port"}
    assert only["livenessProbe"]["tcpSocket"] == {"port": "readiness-port"}
    assert only["livenessProbe"]["failureThreshold"] * only["livenessProbe"]["periodSeconds"] >= 60


def test_options_of_the_pod():
    spec = pod(
        resources={"requests": {"cpu": "1"}, "limits": {"memory": "2Gi"}},
        tolerations=[{"key": "edge", "operator": "Exists"}],
        node_selector={"edge": "yes"},
        files=("s", "/etc/x"),
    )
    assert spec["containers"][0]["resources"]["limits"] == {"memory": "2Gi"}
    assert spec["tolerations"] == [{"key": "edge", "operator": "Exists"}]
    assert spec["nodeSelector"] == {"kubernetes.io/os": "linux", "edge": "yes"}
    assert {"name": "files", "secret": {"secretName": "s"}} in spec["volumes"]
    mount = {"name": "files", "mountPath": "/etc/x", "readOnly": True}
    assert mount in spec["containers"][0]["volumeMounts"]


def test_a_node_runs_the_canary_or_the_controller():
    labels = {"canary": "yes", "zone": "a"}
    affinity = pod(avoided=labels)["affinity"]["nodeAffinity"]
    terms = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]

    def ours(node: dict[str, str]) -> bool:
        return any(
            all(node.get(e["key"]) not in e["values"] for e in term["matchExpressions"])
            for term in terms
        )

    assert not ours({"canary": "yes", "zone": "a"})
    assert ours({"canary": "yes", "zone": "b"})
    assert ours({"zone": "a"})
    assert ours({})
    assert "affinity" not in pod()


def test_a_node_of_a_pool_that_serves_nobody_runs_neither():
    for given in ({}, {"avoided": {"canary": "yes", "zone": "a"}}):
        affinity = pod(not_on={"pool": ["batch", "gpu"]}, **given)["affinity"]["nodeAffinity"]
        terms = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
        assert len(terms) == max(1, len(given.get("avoided", {})))
        for term in terms:
            off = {"key": "pool", "operator": "NotIn", "values": ["batch", "gpu"]}
            assert off in term["matchExpressions"]
    assert "affinity" not in pod(not_on={"pool": []})


def test_one_node_after_the_other():
    spec = daemon_set_spec("app", {"a": "b", "app.kubernetes.io/name": "x"}, {})
    assert spec["updateStrategy"]["rollingUpdate"] == {"maxUnavailable": 1}
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()


# --- compared with NGINX's own -----------------------------------------------------------------

RIGHTS_LEFT_OUT = {
    "configmaps": "its own namespace's are enough: it watches the namespace of -nginx-configmaps",
    "pods update": "in its own namespace only: it labels its own pod",
    "services write": "with NGINX Plus' zone-sync only",
    "nodes": "telemetry, which is off",
    "replicasets": "telemetry, which is off",
    "daemonsets": "telemetry, which is off",
    "statefulsets": "telemetry, which is off",
    "leases": "in its own namespace only",
    "certificates": "cert-manager for VirtualServers, which is off",
    "dnsendpoints": "ExternalDNS for VirtualServers, which is off",
    "dnsendpoints/status": "ExternalDNS for VirtualServers, which is off",
    "ingresslinks": "BIG-IP, which is off",
}


def rights(rules: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(r, verb) for rule in rules for r in rule["resources"] for verb in rule["verbs"]}


@pytest.mark.parametrize("custom_resources", [False, True])
def test_rights_are_nginx_own_less_what_has_a_reason(custom_resources: bool):
    role = next(obj for obj in manifest("nginx-rights") if obj["kind"] == "ClusterRole")
    theirs, ours = rights(role["rules"]), rights(cluster_rules(custom_resources, True))
    assert ours <= theirs
    for resource, verb in theirs - ours:
        writes = verb in ("create", "update", "patch", "delete")
        reason = (
            (resource in RIGHTS_LEFT_OUT)
            or (resource == "services" and writes)
            or (resource == "pods" and verb == "update")
            or (not custom_resources and resource.startswith(("virtual", "transport", "policies")))
            or (not custom_resources and resource == "globalconfigurations")
        )
        assert reason, f"{verb} {resource}"
    assert rights(own_rules(True)) <= theirs
    assert ("ingresses/status", "update") in ours
    assert {verb for what, verb in rights(own_rules(True)) if what == "leases"} == {
        verb for what, verb in theirs if what == "leases"
    }


def test_without_an_address_no_status_and_no_right_to_write_one():
    assert "-enable-leader-election=false" in flags("c")
    assert "-report-ingress-status" not in flags("c")
    written = {what for what, _ in rights([*cluster_rules(True), *own_rules()])}
    assert not written & {"ingresses/status", "leases"}


def test_ingresses_are_told_the_regions_host():
    """Without a status Pulumi and Argo CD wait for an Ingress for ever."""
    config = nginx_config(CLOUDFLARE, status_address="us.example.com")
    assert config["external-status-address"] == "us.example.com"
    assert "external-status-address" not in nginx_config(CLOUDFLARE)
    assert {
        "-report-ingress-status",
        "-enable-leader-election=true",
    } <= set(flags("c", report_status=True))


DIFFERENCES = {
    "args": "telemetry, status port, snippets and leader election off; health, metrics on",
    "imagePullPolicy": "a pinned tag's default is the same",
    "lifecycle": "drains before nginx is told to quit",
    "livenessProbe": "the controller's life, not nginx's load",
    "startupProbe": "many Ingresses take their time",
    "ports": "on the node's network, and declared as such",
    "resources": "a busy edge's, with a limit of memory",
    "securityContext": "a read-only root file system, as NGINX has it in comments",
    "volumeMounts": "what the read-only root file system needs, as NGINX has it in comments",
    "image": "the pinned version",
}


def test_the_pod_is_nginx_own_but_for_what_has_a_reason():
    (theirs,) = manifest("nginx-daemon-set")
    spec = theirs["spec"]["template"]["spec"]
    (their,), our = spec["containers"], container()
    different = {key for key in their.keys() | our.keys() if their.get(key) != our.get(key)}
    assert different == DIFFERENCES.keys()
    assert our["securityContext"].items() > their["securityContext"].items()
    assert spec["securityContext"] == pod()["securityContext"]
    assert our["env"] == their["env"]
    assert {v["mountPath"] for v in our["volumeMounts"]} <= set(table("nginx-mounts")["paths"])
