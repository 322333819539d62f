"""The tls provider's PrivateKey, and reading keys."""

import hashlib
from base64 import b64decode, b64encode
from typing import Any

import pulumi_tls
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from sandbox.providers.base.operations import Call, Failure, PluginError, ReadResult
from sandbox.providers.base.resource import Resource
from sandbox.providers.base.values import Properties

_CURVES: dict[str, type[ec.EllipticCurve]] = {
    "P224": ec.SECP224R1,
    "P256": ec.SECP256R1,
    "P384": ec.SECP384R1,
    "P521": ec.SECP521R1,
}
_ALGORITHMS = ("RSA", "ECDSA", "ED25519")
_PEM, _OPENSSH = serialization.Encoding.PEM, serialization.Encoding.OpenSSH
_PLAIN = serialization.NoEncryption()
PrivateKeyObject = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def load_key(pem: str) -> PrivateKeyObject:
    """A private key from PEM. Raises PluginError, without the key in the message."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise PluginError(f"failed to parse private key PEM: {type(error).__name__}") from None
    if not isinstance(
        key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    ):
        raise PluginError(f"unsupported private key: {type(key).__name__}")
    return key


def algorithm_of(key: PrivateKeyObject) -> str:
    """``RSA``, ``ECDSA`` or ``ED25519``."""
    if isinstance(key, rsa.RSAPrivateKey):
        return "RSA"
    return "ECDSA" if isinstance(key, ec.EllipticCurvePrivateKey) else "ED25519"


def public_pem(public_key: Any) -> str:
    """A public key in PEM."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return public_key.public_bytes(_PEM, form).decode()


class LocalResource(Resource[None]):
    """A resource whose state is all there is."""

    def read(self, session: None, call: Call, id: str, state: Properties) -> ReadResult | None:
        """What the state says; there is nothing to import from."""
        if not state:
            raise PluginError(f"{self.sdk.__name__} can't be imported: it exists in a state only")
        return ReadResult(id, state, state)

    def update(
        self, session: None, call: Call, id: str, olds: Properties, news: Properties
    ) -> Properties:
        """What doesn't replace it only changes the state."""
        return {**olds, **news}

    def delete(self, session: None, call: Call, id: str, state: Properties) -> None:
        """Forgotten."""


class PrivateKey(LocalResource):
    """A private key, in the state (secret)."""

    sdk = pulumi_tls.PrivateKey
    replaces = frozenset({"algorithm", "ecdsaCurve", "rsaBits"})

    def check(self, inputs: Properties) -> list[Failure]:
        """Known algorithms and curves."""
        allowed = {"algorithm": _ALGORITHMS, "ecdsaCurve": tuple(_CURVES)}
        return [
            Failure(name, f"value must be one of: {list(values)}, got: {inputs[name]!r}")
            for name, values in allowed.items()
            if isinstance(inputs.get(name), str) and inputs[name] not in values
        ]

    def create(self, session: None, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """Make one: ECDSA P224 and RSA 2048 by default, as the provider has it."""
        settings = {"ecdsaCurve": "P224", "rsaBits": 2048, **inputs}
        key = _new_key(settings)
        public = public_pem(key.public_key())
        fingerprint = hashlib.sha1(public.encode(), usedforsecurity=False).hexdigest()
        return fingerprint, {**settings, **_encodings(key), "publicKeyPem": public}


def _new_key(settings: Properties) -> PrivateKeyObject:
    if settings["algorithm"] == "RSA":
        return rsa.generate_private_key(65537, settings["rsaBits"])
    if settings["algorithm"] == "ECDSA":
        return ec.generate_private_key(_CURVES[settings["ecdsaCurve"]]())
    return ed25519.Ed25519PrivateKey.generate()


def _encodings(key: PrivateKeyObject) -> Properties:
    pkcs8 = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, _PLAIN).decode()
    if isinstance(key, ed25519.Ed25519PrivateKey):
        own = pkcs8
    else:
        traditional = serialization.PrivateFormat.TraditionalOpenSSL
        own = key.private_bytes(_PEM, traditional, _PLAIN).decode()
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP224R1):
        # OpenSSH has no P-224.
        return {
            "privateKeyPem": own,
            "privateKeyPemPkcs8": pkcs8,
            "privateKeyOpenssh": "",
            "publicKeyOpenssh": "",
            "publicKeyFingerprintMd5": "",
            "publicKeyFingerprintSha256": "",
        }
    openssh = key.public_key().public_bytes(_OPENSSH, serialization.PublicFormat.OpenSSH)
    return {
        "privateKeyPem": own,
        "privateKeyPemPkcs8": pkcs8,
        "privateKeyOpenssh": key.private_bytes(
            _PEM, serialization.PrivateFormat.OpenSSH, _PLAIN
        ).decode(),
        "publicKeyOpenssh": openssh.decode() + "\n",
        **_fingerprints(openssh),
    }


def _fingerprints(openssh: bytes) -> Properties:
    blob = b64decode(openssh.split()[1])
    md5 = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    sha256 = b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return {
        "publicKeyFingerprintMd5": ":".join(md5[i : i + 2] for i in range(0, len(md5), 2)),
        "publicKeyFingerprintSha256": f"SHA256:{sha256}",
    }
