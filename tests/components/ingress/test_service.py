"""An ingress behind a Service: what the Service opens, and who reaches the pods."""

from components.ingress.contract import LoadBalancerService
from components.ingress.nginx.pod import pod_spec
from components.ingress.service import policy_spec, service_spec

SELECTOR = {"app.kubernetes.io/part-of": "edgefleet"}
SOURCES = ["173.245.48.0/20", "2400:cb00::/32"]
BOTH: LoadBalancerService = {
    "addresses": ["2001:db8::10", "192.0.2.10"],
    "annotations": {},
    "sources": SOURCES,
}


def test_the_service_keeps_addresses_and_opens_no_other_way_in():
    spec = service_spec(BOTH, SELECTOR)
    assert spec["externalTrafficPolicy"] == "Local"
    assert spec["allocateLoadBalancerNodePorts"] is False
    assert spec["loadBalancerSourceRanges"] == SOURCES
    assert (spec["ipFamilyPolicy"], spec["ipFamilies"]) == ("RequireDualStack", ["IPv4", "IPv6"])
    assert [port["port"] for port in spec["ports"]] == [80, 443]


def test_one_family_alone_and_one_port_alone():
    spec = service_spec({**BOTH, "addresses": ["2001:db8::10"], "ports": [443]}, SELECTOR)
    assert (spec["ipFamilyPolicy"], spec["ipFamilies"]) == ("SingleStack", ["IPv6"])
    assert [port["name"] for port in spec["ports"]] == ["https"]


def test_the_policy_admits_the_sources_to_the_web_ports_and_the_cluster_to_the_metrics():
    web, metrics = policy_spec(BOTH, SELECTOR, [9113])["ingress"]
    assert [source["ipBlock"]["cidr"] for source in web["from"]] == SOURCES
    assert [port["port"] for port in web["ports"]] == [80, 443]
    assert metrics == {
        "from": [{"namespaceSelector": {}}],
        "ports": [{"protocol": "TCP", "port": 9113}],
    }
    assert len(policy_spec(BOTH, SELECTOR)["ingress"]) == 1


def test_pods_behind_a_service_take_nothing_of_the_node():
    spec = pod_spec("nginx:1", [], shutdown_seconds=1, host_ports=False)
    assert "hostNetwork" not in spec
    assert "hostPort" not in repr(spec)
    ports = {port["name"]: port["containerPort"] for port in spec["containers"][0]["ports"]}
    assert (ports["http"], ports["https"]) == (80, 443)
