"""What is rendered for Traefik. What the real one makes of it: tests/traefik."""

import re
from typing import Any

import pytest

from components.ingress.mistake import IngressMistake
from components.ingress.traefik.cluster_objects import cluster_rules, listeners, own_names
from components.ingress.traefik.daemon_set import TraefikIngress
from components.ingress.traefik.options import Providers, TraefikTuning, seconds, static_config
from components.ingress.traefik.pod import beside, is_certificate, pod_spec
from components.ingress.traefik.routing import FIRST, edge_config, secret_config
from components.ingress.trust import EdgeTrust
from tests.registrations import all_registered

CLOUDFLARE = ["173.245.48.0/20", "2400:cb00::/32"]
NEW, OLD = "n" * 40, "o" * 40
PLAIN = Providers(
    namespace="traefik",
    ingress_class="traefik",
    custom_resources=False,
    gateway=False,
    nginx_class=None,
    status_address=None,
)
ALL = Providers(
    namespace="traefik",
    ingress_class="traefik",
    custom_resources=True,
    gateway=True,
    nginx_class="nginx",
    status_address="us.example.com",
)


def pod(**given: Any) -> dict[str, Any]:
    named = {"static": "s", "edge": "e", "certificate": "c", **given}
    return pod_spec("traefik:v3.7.13", shutdown_seconds=30, **named)


def test_nobody_is_told_and_nobody_looks_in():
    static = static_config(CLOUDFLARE, PLAIN)
    assert static["global"] == {"checkNewVersion": False, "sendAnonymousUsage": False}
    assert "api" not in static
    assert static["entryPoints"]["ready"]["address"] == "127.0.0.1:8081"
    for name in ("web", "websecure"):
        assert static["entryPoints"][name]["forwardedHeaders"] == {"trustedIPs": CLOUDFLARE}
    kept = static["accessLog"]["fields"]["headers"]["names"]
    assert "X-Edgefleet-Origin" not in kept


def test_what_is_read_is_what_is_asked_for():
    plain = static_config(CLOUDFLARE, PLAIN)["providers"]
    assert plain.keys() == {"precedence", "file", "kubernetesIngress"}
    assert plain["kubernetesIngress"]["crossProviderNamespaces"] == ["traefik"]
    providers = static_config(CLOUDFLARE, ALL)["providers"]
    assert providers["precedence"][0] == "file", "nobody outbids the refusals"
    # The one of Ingresses is called "kubernetes" there.
    named = {p.lower() for p in providers} - {"precedence", "kubernetesingress"}
    assert named | {"kubernetes"} == set(providers["precedence"])
    # An Ingress names a Middleware by the other provider's name.
    assert "crossProviderNamespaces" not in providers["kubernetesIngress"]


def test_no_trusted_proxy_is_refused():
    with pytest.raises(IngressMistake, match="trusted_proxies is empty"):
        static_config([], PLAIN)


@pytest.mark.parametrize(
    ("tuning", "name"),
    [({"shutdown_timeout": 0}, "shutdown_timeout"), ({"idle_timeout": -1}, "idle")],
)
def test_a_timeout_out_of_range_is_refused(tuning: TraefikTuning, name: str):
    with pytest.raises(IngressMistake, match=f"^{name}.*must be a whole number from"):
        static_config(CLOUDFLARE, PLAIN, tuning=tuning)
    assert seconds({"read_timeout": 0}, "read_timeout") == 0


def test_the_refusals_come_before_everybodys_routers():
    routers = edge_config(CLOUDFLARE, EdgeTrust(), region="us")["http"]["routers"]
    strangers = secret_config([NEW, OLD])["http"]["routers"]
    assert {r["priority"] for r in (routers["forged"], strangers["stranger"])} == {FIRST}
    assert FIRST > routers["health"]["priority"] > routers["https"]["priority"] > 10**9
    assert routers["nothing-here"]["priority"] == 1
    rule = routers["forged"]["rule"]
    assert re.findall(r"ClientIP\(`(.*?)`\)", rule) == CLOUDFLARE
    assert strangers["stranger"]["rule"].count("Header(") == 2


@pytest.mark.parametrize(
    ("step", "asked"),
    [("off", None), ("observe", "RequestClientCert"), ("require", "RequireAndVerifyClientCert")],
)
def test_origin_pulls_by_steps(step: Any, asked: str | None):
    options = edge_config(CLOUDFLARE, EdgeTrust(step, "CA"))["tls"]["options"]["default"]
    assert options.get("clientAuth", {}).get("clientAuthType") == asked
    assert options["minVersion"] == "VersionTLS12"


def test_what_traefik_can_not_log_is_refused():
    with pytest.raises(IngressMistake, match=r"trust\.header: 'observe': Traefik can't log"):
        edge_config(CLOUDFLARE, EdgeTrust(header="observe"))


def test_a_certificate_that_a_pod_can_not_mount_is_refused():
    assert beside("tls", "traefik") == beside("traefik/tls", "traefik") == "tls"
    with pytest.raises(IngressMistake, match=r"'shop/tls': .* Traefik's own namespace, traefik"):
        beside("shop/tls", "traefik")


def test_the_pod_is_told_what_to_mount_and_doctor_finds_the_certificate():
    sources = pod(secrets="traefik-files-1")["volumes"][1]["projected"]["sources"]
    secrets = [source["secret"]["name"] for source in sources if "secret" in source]
    assert [name for name in secrets if is_certificate(name)] == ["c"]
    container = pod()["containers"][0]
    assert {p["hostPort"] for p in container["ports"]} == {80, 443, 8081, 9113}
    assert container["securityContext"]["capabilities"] == {
        "drop": ["ALL"],
        "add": ["NET_BIND_SERVICE"],
    }
    assert pod()["terminationGracePeriodSeconds"] > 5 + 30


def test_behind_a_service_it_has_a_network_of_its_own():
    service = {"addresses": ["192.0.2.10"], "annotations": {}, "sources": CLOUDFLARE}
    args: Any = {
        "image": "traefik:v3.7.13",
        "trusted_proxies": CLOUDFLARE,
        "service": service,
    }
    sent, _ = all_registered(lambda: TraefikIngress("us-ingress", args))
    kinds = {each["object"]["kind"]: each["object"] for each in sent}
    assert kinds["Service"]["spec"]["externalTrafficPolicy"] == "Local"
    assert kinds["NetworkPolicy"]["metadata"]["name"] == "traefik-admitted"
    spec = kinds["DaemonSet"]["spec"]["template"]["spec"]
    assert "hostNetwork" not in spec
    assert not any("hostPort" in port for port in spec["containers"][0]["ports"])
    # The kubelet asks at the pod's address.
    assert "host" not in spec["containers"][0]["readinessProbe"]["httpGet"]
    config = static_config(CLOUDFLARE, PLAIN, host_ports=False)
    assert config["entryPoints"]["ready"]["address"] == ":8081"


def test_rights_are_those_of_the_providers():
    groups = [rule["apiGroups"][0] for rule in cluster_rules(status=False)]
    assert groups == ["", "discovery.k8s.io", "networking.k8s.io"]
    every = cluster_rules(custom_resources=True, gateway=True, nginx=True, status=True)
    written = {r for rule in every if "update" in rule["verbs"] for r in rule["resources"]}
    assert all(resource.endswith("/status") for resource in written)


def test_names_that_somebody_may_have():
    names = {(n["kind"], n["object_name"]) for n in own_names("edge", ["traefik", "nginx"], True)}
    assert names >= {("IngressClass", "nginx"), ("GatewayClass", "traefik"), ("Namespace", "edge")}
    assert [each["name"] for each in listeners(None)] == ["http"]


def test_another_configuration_is_another_config_map():
    """So that pods are rolled; the edge's secret values stand in no name and in no ConfigMap."""

    def names(**more: Any) -> tuple[set[str], str]:
        args: Any = {"image": "traefik:v3.7.13", "trusted_proxies": CLOUDFLARE, **more}
        sent, _ = all_registered(lambda: TraefikIngress("us-ingress", args))
        maps = [each for each in sent if each["type"].endswith(":ConfigMap")]
        return {m["object"]["metadata"]["name"] for m in maps}, str(maps)

    plain, _ = names()
    headers, _ = names(response_headers={"X-Frame-Options": "DENY"})
    secret, texts = names(trust={"header": "require"}, origin_secrets=[NEW])
    assert len(plain) == len(headers) == 2
    assert len(plain & headers) == 1
    assert secret == plain
    assert NEW not in texts
