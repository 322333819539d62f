"""The sandbox's certificate authorities."""

import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from sandbox.vendors.ca import CertificateAuthority, write_bundle


def test_it_is_made_once_and_its_key_is_private(tmp_path: Path) -> None:
    first = CertificateAuthority(tmp_path / "ca", "sandbox")
    second = CertificateAuthority(tmp_path / "ca", "sandbox")
    assert first.certificate == second.certificate
    assert (tmp_path / "ca" / "key.pem").stat().st_mode & 0o777 == 0o600


def test_what_it_signs_is_trusted_for_its_names_alone(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path / "ca", "sandbox")
    path = authority.write_server_certificate(tmp_path / "server.pem", ["api.vultr.com", "::1"])
    assert path.stat().st_mode & 0o777 == 0o600
    leaf = x509.load_pem_x509_certificates(path.read_bytes())[0]
    leaf.verify_directly_issued_by(authority.certificate)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["api.vultr.com"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["::1"]
    basic = leaf.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert basic.ca is False


def test_a_long_name_fits_into_the_certificate(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path / "ca", "sandbox")
    name = f"{'a' * 60}.{'b' * 60}.example.com"
    leaf = authority.sign(ec.generate_private_key(ec.SECP256R1()).public_key(), [name], 7)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [name]


def test_the_bundle_has_the_systems_certificates_and_ours(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path / "ca", "sandbox")
    bundle = write_bundle(authority, tmp_path / "ca-bundle.pem")
    text = bundle.read_bytes()
    assert text.count(b"-----BEGIN CERTIFICATE-----") > 50
    assert text.endswith(b"-----\n" + authority.certificate_file.read_bytes())
    ssl.create_default_context(cafile=str(bundle))
