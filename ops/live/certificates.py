"""What certificates say of themselves: until when, and for whom."""

from base64 import b64decode
from datetime import datetime

import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID

from ops.live.asking import Unasked
from ops.live.facts import Certificate


def read_certificate(data: str) -> Certificate | Unasked:
    """A certificate in PEM, in base64 as a Secret has it."""
    try:
        found = x509.load_pem_x509_certificate(b64decode(data))
    except ValueError as error:
        return Unasked(f"its certificate can't be read: {error}")
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hosts = tuple(names.get_values_for_type(x509.DNSName))
    except x509.ExtensionNotFound:
        hosts = ()
    issuer = found.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
    return Certificate(
        hosts=tuple(map(str, hosts)),
        begins=found.not_valid_before_utc,
        ends=found.not_valid_after_utc,
        issuer=str(issuer[0].value) if issuer else found.issuer.rfc4514_string(),
    )


def key_ends(kubeconfig: str) -> dict[str, datetime]:
    """When the certificates in a kubeconfig end: that of its client, where it has one and no token,
    and that by which the API server is known. Nothing else of it is told."""
    try:
        config = yaml.safe_load(kubeconfig)
        parts = {
            "client certificate": config["users"][0]["user"].get("client-certificate-data"),
            "CA": config["clusters"][0]["cluster"].get("certificate-authority-data"),
        }
    except (yaml.YAMLError, KeyError, TypeError, IndexError, AttributeError):
        return {}
    read = {what: read_certificate(data) for what, data in parts.items() if data}
    return {what: each.ends for what, each in read.items() if isinstance(each, Certificate)}
