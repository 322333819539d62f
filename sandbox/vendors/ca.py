"""Certificate authorities of the sandbox."""

import datetime
import ipaddress
import os
import tempfile
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY = datetime.timedelta(days=1)
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

    def sign(
        self,
        public_key: CertificateIssuerPublicKeyTypes,
        hostnames: list[str],
        days: int,
    ) -> x509.Certificate:
        """A server certificate for ``hostnames`` (names, wildcards or IP addresses)."""
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostnames[0][:64])]))
            .issuer_name(self.certificate.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _DAY)
            .not_valid_after(now + days * _DAY)
            .add_extension(x509.SubjectAlternativeName([_name(h) for h in hostnames]), False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
            .sign(self._key, hashes.SHA256())
        )

    def write_server_certificate(self, path: Path, hostnames: list[str]) -> Path:
        """Write a new key and its certificate chain for ``hostnames`` into one file: ``path``."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self.sign(key.public_key(), hostnames, days=825)
        chain = certificate.public_bytes(serialization.Encoding.PEM)
        _write_private(path, _pem(key) + chain + self.certificate_file.read_bytes())
        return path


def write_bundle(authority: CertificateAuthority, path: Path) -> Path:
    """Write the system's trusted certificates (certifi's where there are none) and ours.

    For SSL_CERT_FILE and REQUESTS_CA_BUNDLE, which replace the trusted certificates.
    """
    system = _SYSTEM_BUNDLE if _SYSTEM_BUNDLE.exists() else Path(certifi.where())
    ours = authority.certificate_file.read_bytes()
    _write(path, system.read_bytes().rstrip() + b"\n" + ours, 0o644)
    return path


def _make_authority(key_file: Path, certificate_file: Path, common_name: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + 3650 * _DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .sign(key, hashes.SHA256())
    )
    _write(certificate_file, certificate.public_bytes(serialization.Encoding.PEM), 0o644)
    _write_private(key_file, _pem(key))


def _name(hostname: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(hostname))
    except ValueError:
        return x509.DNSName(hostname)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write_private(path: Path, data: bytes) -> None:
    _write(path, data, 0o600)


def _write(path: Path, data: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    os.chmod(temporary, mode)
    os.replace(temporary, path)
