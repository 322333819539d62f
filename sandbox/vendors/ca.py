"""Certificate authorities of the sandbox."""

from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPublicKeyTypes
from cryptography.x509.oid import NameOID

from sandbox.certificates import certificate, pem, write, write_private

_SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


class CertificateAuthority:
    """A CA whose key and certificate are in ``directory``, made there at the first use.

    ``key.pem`` is readable by its owner alone. Nothing but the sandbox trusts this CA, and only
    through the bundle or file that it is given.
    """

    def __init__(self, directory: Path, common_name: str) -> None:
        self.certificate_file = directory / "ca.pem"
        key_file = directory / "key.pem"
        if not key_file.exists() or not self.certificate_file.exists():
            _make_authority(key_file, self.certificate_file, common_name)
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{key_file}: not an elliptic-curve key; remove {directory}")
        self._key = key
        self.certificate = x509.load_pem_x509_certificate(self.certificate_file.read_bytes())
        (found,) = self.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        self._name = str(found.value)

    def sign(
        self,
        public_key: CertificateIssuerPublicKeyTypes,
        hostnames: list[str],
        days: int,
    ) -> x509.Certificate:
        """A server certificate for ``hostnames`` (names, wildcards or IP addresses)."""
        name = hostnames[0]
        return certificate(
            name, None, public_key, self._name, self._key, names=hostnames, days=days
        )

    def write_server_certificate(self, path: Path, hostnames: list[str]) -> Path:
        """Write a new key and its certificate chain for ``hostnames`` into one file: ``path``."""
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = self.sign(key.public_key(), hostnames, days=825)
        chain = leaf.public_bytes(serialization.Encoding.PEM)
        write_private(path, pem(key) + chain + self.certificate_file.read_bytes())
        return path


def write_bundle(authority: CertificateAuthority, path: Path) -> Path:
    """Write the system's trusted certificates (certifi's where there are none) and ours.

    For SSL_CERT_FILE and REQUESTS_CA_BUNDLE, which replace the trusted certificates.
    """
    system = _SYSTEM_BUNDLE if _SYSTEM_BUNDLE.exists() else Path(certifi.where())
    ours = authority.certificate_file.read_bytes()
    write(path, system.read_bytes().rstrip() + b"\n" + ours, 0o644)
    return path


def _make_authority(key_file: Path, certificate_file: Path, name: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    made = certificate(name, None, key.public_key(), name, key, is_ca=True)
    write(certificate_file, made.public_bytes(serialization.Encoding.PEM), 0o644)
    write_private(key_file, pem(key))
