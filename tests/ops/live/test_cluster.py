"""What is read from a cluster's objects."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ops.live.asking import Unasked
from ops.live.certificates import read_certificate
from ops.live.cluster import bad_ingresses, proxy_mode, workload
from ops.live.facts import Certificate

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def pem(hosts: list[str]) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority")])
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=9))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    return b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()


def test_a_certificate():
    assert read_certificate(pem(["example.com", "us.example.com"])) == Certificate(
        ("example.com", "us.example.com"), NOW, NOW + timedelta(days=9), "an authority"
    )


@pytest.mark.parametrize("text", ["bm90IG9uZQ==", "***"])
def test_what_is_no_certificate(text: str):
    found = read_certificate(text)
    assert isinstance(found, Unasked)
    assert "can't be read" in found.cause


@pytest.mark.parametrize(
    ("config", "mode"),
    [
        ("mode: ipvs\n", "ipvs"),
        ('kind: X\nmode: "nftables"\n', "nftables"),
        ('mode: ""\n', "iptables"),
        ("", "iptables"),
    ],
)
def test_kube_proxys_mode(config: str, mode: str):
    assert proxy_mode(config) == mode
    assert proxy_mode(config, there=False) == ""


def test_a_daemon_set_and_its_pods():
    container = {
        "name": "calico-node",
        "image": "calico/node:v3.32.0",
        "env": [{"name": "A", "value": "1"}, {"name": "NODE", "valueFrom": {}}],
    }
    spec = {
        "containers": [container],
        "initContainers": [{"name": "install-cni", "image": "calico/cni:v3.32.0"}],
        "volumes": [{"configMap": {"name": "files-1"}}, {"emptyDir": {}}],
    }
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    pods: list[dict[str, Any]] = [
        {"metadata": {"name": "p1"}, "spec": {**spec, "nodeName": "n1"}, "status": ready},
        {"metadata": {"name": "p2"}, "spec": {**spec, "nodeName": "n2"}},
    ]
    item = {
        "metadata": {"namespace": "kube-system", "name": "calico-node"},
        "spec": {"template": {"spec": spec}},
        "status": {"desiredNumberScheduled": 2, "numberReady": 1},
    }
    found = workload(item, pods, {"p2": "n2 (ImagePullBackOff)"})
    assert (found.desired, found.ready, found.env) == (2, 1, {"A": "1"})
    assert found.images == {
        "install-cni": "calico/cni:v3.32.0",
        "calico-node": "calico/node:v3.32.0",
    }
    assert found.files == ("files-1",)
    assert [(p.node, p.ready, p.why) for p in found.pods] == [
        ("n1", True, ""),
        ("n2", False, "n2 (ImagePullBackOff)"),
    ]


def event(name: str, reason: str, time: str) -> dict[str, Any]:
    about = {"namespace": "shop", "name": name}
    return {"involvedObject": about, "reason": reason, "message": "no host", "lastTimestamp": time}


def test_an_ingress_counts_as_refused_until_it_is_taken():
    ingresses = [{"metadata": {"namespace": "shop", "name": name}} for name in ("cart", "web")]
    events = [
        event("web", "AddedOrUpdated", "2026-11-21T10:00:00Z"),
        event("web", "Rejected", "2026-11-21T09:00:00Z"),
        event("cart", "Rejected", "2026-11-21T09:00:00Z"),
        event("gone", "Rejected", "2026-11-21T09:00:00Z"),
    ]
    assert bad_ingresses(events, ingresses) == ("shop/cart: no host",)
