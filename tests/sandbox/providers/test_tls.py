"""The tls provider: what it makes is what the cryptography library reads."""

import datetime
from typing import Any

import pulumi_tls as tls
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from sandbox.providers.base.operations import PluginError
from sandbox.providers.base.values import UNKNOWN, Secret
from sandbox.providers.tls.plugin import TlsPlugin
from tests.sandbox.providers.plugin_harness import Engine, Refused, State


@pytest.fixture
def engine() -> Engine:
    return Engine(TlsPlugin(), {})


@pytest.fixture
def ca_key(engine: Engine) -> State:
    return engine.create(tls.PrivateKey, {"algorithm": "ECDSA", "ecdsaCurve": "P256"})


def ca_inputs(key: State, **more: Any) -> dict[str, Any]:
    return {
        "privateKeyPem": key.outputs["privateKeyPem"],
        "subject": {"commonName": "edgefleet origin pull CA"},
        "validityPeriodHours": 24,
        "allowedUses": ["cert_signing"],
        "isCaCertificate": True,
        **more,
    }


@pytest.mark.parametrize(
    ("inputs", "kind"),
    [
        ({"algorithm": "RSA", "rsaBits": 2048}, rsa.RSAPrivateKey),
        ({"algorithm": "ECDSA", "ecdsaCurve": "P256"}, ec.EllipticCurvePrivateKey),
        ({"algorithm": "ECDSA", "ecdsaCurve": "P384"}, ec.EllipticCurvePrivateKey),
        ({"algorithm": "ED25519"}, ed25519.Ed25519PrivateKey),
    ],
)
def test_private_keys(engine: Engine, inputs: dict[str, Any], kind: type) -> None:
    made = engine.create(tls.PrivateKey, inputs)
    for name in ("privateKeyPem", "privateKeyPemPkcs8"):
        key = serialization.load_pem_private_key(made.outputs[name].encode(), None)
        assert isinstance(key, kind)
    public = serialization.load_pem_public_key(made.outputs["publicKeyPem"].encode())
    assert public == key.public_key()
    assert made.outputs["publicKeyFingerprintSha256"].startswith("SHA256:")
    assert engine.changes(made, inputs) == {}
    assert engine.refresh(made) == made


def test_the_key_is_secret_and_another_curve_replaces_it(engine: Engine, ca_key: State) -> None:
    planned = engine.plan(tls.PrivateKey, {"algorithm": "RSA"})
    for name in ("privateKeyPem", "privateKeyPemPkcs8", "privateKeyOpenssh"):
        assert planned[name] == Secret(UNKNOWN)
    assert planned["publicKeyPem"] is UNKNOWN
    other = {"algorithm": "ECDSA", "ecdsaCurve": "P384"}
    assert engine.changes(ca_key, other) == {"ecdsaCurve": "~~"}


def test_a_ca_signs_a_request(engine: Engine, ca_key: State) -> None:
    ca = engine.create(tls.SelfSignedCert, ca_inputs(ca_key))
    leaf_key = engine.create(tls.PrivateKey, {"algorithm": "ECDSA", "ecdsaCurve": "P256"})
    request = engine.create(
        tls.CertRequest,
        {
            "privateKeyPem": leaf_key.outputs["privateKeyPem"],
            "subject": {"commonName": "leaf", "organization": "edgefleet"},
            "dnsNames": ["example.com", "*.example.com"],
            "ipAddresses": ["192.0.2.1"],
        },
    )
    inputs = {
        "certRequestPem": request.outputs["certRequestPem"],
        "caCertPem": ca.outputs["certPem"],
        "caPrivateKeyPem": ca_key.outputs["privateKeyPem"],
        "validityPeriodHours": 12,
        "allowedUses": ["digital_signature", "client_auth"],
    }
    leaf = engine.create(tls.LocallySignedCert, inputs)
    issuer = x509.load_pem_x509_certificate(ca.outputs["certPem"].encode())
    certificate = x509.load_pem_x509_certificate(leaf.outputs["certPem"].encode())
    certificate.verify_directly_issued_by(issuer)
    assert issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["example.com", "*.example.com"]
    assert certificate.subject.rfc4514_string() == "O=edgefleet,CN=leaf"
    assert engine.changes(leaf, inputs) == {}
    assert engine.changes(request, {**request.inputs, "dnsNames": ["example.com"]}) != {}
    # Between the two steps of a rotation that was cut off, the key isn't the certificate's.
    stranger = {**inputs, "caPrivateKeyPem": leaf_key.outputs["privateKeyPem"]}
    with pytest.raises(PluginError, match="PrivateKey doesn't match parent's PublicKey"):
        engine.create(tls.LocallySignedCert, stranger)


def test_a_certificate_due_for_renewal_is_replaced(engine: Engine, ca_key: State) -> None:
    inputs = ca_inputs(ca_key, earlyRenewalHours=48)
    ca = engine.create(tls.SelfSignedCert, inputs)
    assert engine.changes(ca, inputs) == {"readyForRenewal": "~~"}
    later = ca_inputs(ca_key, earlyRenewalHours=1)
    assert engine.changes(engine.create(tls.SelfSignedCert, later), later) == {}


def test_validity_is_in_the_outputs(engine: Engine, ca_key: State) -> None:
    ca = engine.create(tls.SelfSignedCert, ca_inputs(ca_key))
    start = datetime.datetime.fromisoformat(ca.outputs["validityStartTime"])
    end = datetime.datetime.fromisoformat(ca.outputs["validityEndTime"])
    assert end - start == datetime.timedelta(hours=24)


def test_write_only_keys_stay_out_of_the_state(engine: Engine, ca_key: State) -> None:
    inputs = {
        "privateKeyPemWo": ca_key.outputs["privateKeyPem"],
        "privateKeyPemWoVersion": 1,
        "validityPeriodHours": 1,
        "allowedUses": ["server_auth"],
    }
    made = engine.create(tls.SelfSignedCert, inputs)
    assert "privateKeyPemWo" not in made.outputs


@pytest.mark.parametrize(
    ("sdk", "inputs", "words"),
    [
        (tls.PrivateKey, {"algorithm": "DSA"}, "value must be one of"),
        (tls.PrivateKey, {}, 'argument "algorithm" is required'),
        (
            tls.SelfSignedCert,
            {"allowedUses": ["everything"], "validityPeriodHours": 1},
            r"allowedUses\[0\]: value must be one of",
        ),
    ],
)
def test_refusals(engine: Engine, sdk: Any, inputs: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words):
        engine.check(sdk, inputs)


def test_a_broken_key_is_not_shown(engine: Engine) -> None:
    inputs = {"privateKeyPem": "sesame", "validityPeriodHours": 1, "allowedUses": []}
    with pytest.raises(PluginError, match="failed to parse private key PEM") as caught:
        engine.create(tls.SelfSignedCert, inputs)
    assert "sesame" not in str(caught.value)
