"""Default deny with openings, in Kubernetes' words and in Calico's."""

import pytest

from components.dataplane.network_baseline import (
    PolicyMistake,
    calico_policy,
    checked,
    kubernetes_policies,
)


def test_namespaces_that_keep_the_cluster_alive_are_refused():
    with pytest.raises(PolicyMistake, match="kube-system: denying by default there would cut off"):
        checked(["web", "kube-system"])
    with pytest.raises(PolicyMistake, match="calico-system, kube-public"):
        calico_policy(["kube-public", "calico-system"])
    with pytest.raises(PolicyMistake, match="at least one"):
        checked([])
    assert checked(["web", "api", "web"]) == ["api", "web"]


def test_everything_is_denied_but_dns_and_the_ingress():
    policies = kubernetes_policies(["192.0.2.1/32", "2001:db8::1/128"])
    assert policies["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    (dns,) = policies["allow-dns"]["egress"]
    assert dns["ports"] == [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]
    assert dns["to"] == [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        }
    ]
    assert policies["allow-dns"]["policyTypes"] == ["Egress"]
    (ingress,) = policies["allow-ingress-controller"]["ingress"]
    assert ingress["from"] == [
        {"ipBlock": {"cidr": "192.0.2.1/32"}},
        {"ipBlock": {"cidr": "2001:db8::1/128"}},
    ]
    assert policies["allow-ingress-controller"]["policyTypes"] == ["Ingress"]


@pytest.mark.parametrize(
    ("sources", "why"),
    [
        ([], "nothing would be served"),
        (["0.0.0.0/0"], "would admit everybody"),
        (["::/0"], "would admit everybody"),
        (["node-1"], "does not appear to be"),
    ],
)
def test_sources_that_cannot_be_meant(sources: list[str], why: str):
    with pytest.raises(PolicyMistake, match=why):
        kubernetes_policies(sources)


def test_the_calico_variant_places_itself():
    spec = calico_policy(["web", "api"], order=500, tier="platform")
    assert (spec["order"], spec["tier"], spec["types"]) == (500, "platform", ["Ingress", "Egress"])
    assert spec["namespaceSelector"] == "projectcalico.org/name in { 'api', 'web' }"
    (ingress,) = spec["ingress"]
    assert ingress["source"]["selector"] == (
        "projectcalico.org/created-by == 'calico-kube-controllers'"
    )
    assert {rule["protocol"] for rule in spec["egress"]} == {"UDP", "TCP"}
    assert all(rule["destination"]["ports"] == [53] for rule in spec["egress"])
    assert calico_policy(["web"], "has(node)")["ingress"][0]["source"]["selector"] == "has(node)"
