"""The tls provider's CertRequest, SelfSignedCert and LocallySignedCert."""

import datetime
import ipaddress
from typing import Any

import pulumi_tls
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sandbox.providers.base.diff import UPDATE, Diff
from sandbox.providers.base.operations import Call, Failure, PluginError
from sandbox.providers.base.schema import inputs_of
from sandbox.providers.base.values import Properties
from sandbox.providers.tls.keys import LocalResource, PrivateKeyObject, algorithm_of, load_key

_KEY_USAGES = {
    "digital_signature": "digital_signature",
    "content_commitment": "content_commitment",
    "key_encipherment": "key_encipherment",
    "data_encipherment": "data_encipherment",
    "key_agreement": "key_agreement",
    "cert_signing": "key_cert_sign",
    "crl_signing": "crl_sign",
    "encipher_only": "encipher_only",
    "decipher_only": "decipher_only",
}
_EXTENDED_USAGES = {
    "any_extended": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server_auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client_auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code_signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email_protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp_signing": ExtendedKeyUsageOID.OCSP_SIGNING,
}
_SUBJECT = {
    "commonName": NameOID.COMMON_NAME,
    "organization": NameOID.ORGANIZATION_NAME,
    "organizationalUnit": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "country": NameOID.COUNTRY_NAME,
    "province": NameOID.STATE_OR_PROVINCE_NAME,
    "locality": NameOID.LOCALITY_NAME,
    "postalCode": NameOID.POSTAL_CODE,
    "serialNumber": NameOID.SERIAL_NUMBER,
    "emailAddress": NameOID.EMAIL_ADDRESS,
}


class CertRequest(LocalResource):
    """A certificate signing request; every change makes a new one."""

    sdk = pulumi_tls.CertRequest
    replaces = frozenset(inputs_of(pulumi_tls.CertRequest).properties)

    def create(self, session: None, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """Make and sign it."""
        key = _key(inputs, "privateKeyPem")
        builder = x509.CertificateSigningRequestBuilder(_name(inputs.get("subject") or {}))
        names = _alternative_names(inputs)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        pem = _pem(builder.sign(key, _hash(key)))
        digest = hashes.Hash(hashes.SHA1())  # noqa: S303
        digest.update(pem.encode())
        outputs = {**_stored(inputs), "certRequestPem": pem, "keyAlgorithm": algorithm_of(key)}
        return digest.finalize().hex(), outputs


class _Certificate(LocalResource):
    def check(self, inputs: Properties) -> list[Failure]:
        """Usages that exist."""
        usages = inputs.get("allowedUses")
        known = [*_KEY_USAGES, *_EXTENDED_USAGES]
        return [
            Failure(f"allowedUses[{index}]", f"value must be one of: {known}, got: {usage!r}")
            for index, usage in enumerate(usages if isinstance(usages, list) else [])
            if isinstance(usage, str) and usage not in known
        ]

    def diff(self, olds: Properties, old_inputs: Properties, news: Properties) -> Diff:
        """A certificate that is due for renewal is replaced."""
        found = super().diff(olds, old_inputs, news)
        if _due(olds):
            found.changes["readyForRenewal"] = UPDATE
            found.replaces.add("readyForRenewal")
        return found


class SelfSignedCert(_Certificate):
    """A certificate signed with its own key."""

    sdk = pulumi_tls.SelfSignedCert
    replaces = frozenset(inputs_of(pulumi_tls.SelfSignedCert).properties) - {"earlyRenewalHours"}

    def create(self, session: None, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """Make and sign it."""
        key = _key(inputs, "privateKeyPem")
        name = _name(inputs.get("subject") or {})
        builder = _builder(name, name, key.public_key(), inputs)
        names = _alternative_names(inputs)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if inputs.get("setAuthorityKeyId"):
            issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
            builder = builder.add_extension(issuer, critical=False)
        certificate = builder.sign(key, _hash(key))
        return _result(certificate, inputs, "keyAlgorithm", algorithm_of(key))


class LocallySignedCert(_Certificate):
    """A certificate for a request, signed by a CA."""

    sdk = pulumi_tls.LocallySignedCert
    replaces = frozenset(inputs_of(pulumi_tls.LocallySignedCert).properties) - {"earlyRenewalHours"}

    def create(self, session: None, call: Call, inputs: Properties) -> tuple[str, Properties]:
        """Make and sign it."""
        key = _key(inputs, "caPrivateKeyPem")
        try:
            issuer = x509.load_pem_x509_certificate(inputs["caCertPem"].encode())
            request = x509.load_pem_x509_csr(inputs["certRequestPem"].encode())
        except ValueError as error:
            raise PluginError(f"failed to parse the CA or the request: {error}") from error
        if key.public_key() != issuer.public_key():
            # As Go's x509.CreateCertificate.
            raise PluginError("x509: provided PrivateKey doesn't match parent's PublicKey")
        builder = _builder(request.subject, issuer.subject, request.public_key(), inputs)
        for extension in request.extensions:
            if isinstance(extension.value, x509.SubjectAlternativeName):
                builder = builder.add_extension(extension.value, critical=False)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
        builder = builder.add_extension(authority, critical=False)
        certificate = builder.sign(key, _hash(key))
        return _result(certificate, inputs, "caKeyAlgorithm", algorithm_of(key))


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: Any, inputs: Properties
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(hours=inputs["validityPeriodHours"]))
    )
    uses = inputs["allowedUses"]
    if any(use in _KEY_USAGES for use in uses):
        flags = {flag: use in uses for use, flag in _KEY_USAGES.items()}
        builder = builder.add_extension(x509.KeyUsage(**flags), critical=True)
    extended = [_EXTENDED_USAGES[use] for use in uses if use in _EXTENDED_USAGES]
    if extended:
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
    is_ca = bool(inputs.get("isCaCertificate"))
    length = inputs.get("maxPathLength") if is_ca else None
    constraints = x509.BasicConstraints(is_ca, None if length == -1 else length)
    builder = builder.add_extension(constraints, critical=True)
    if inputs.get("setSubjectKeyId") or is_ca:
        identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
        builder = builder.add_extension(identifier, critical=False)
    return builder


def _result(
    certificate: x509.Certificate, inputs: Properties, algorithm_key: str, algorithm: str
) -> tuple[str, Properties]:
    outputs = {
        **{"earlyRenewalHours": 0, "isCaCertificate": False, "setSubjectKeyId": False},
        **_stored(inputs),
        algorithm_key: algorithm,
        "certPem": _pem(certificate),
        "readyForRenewal": False,
        "validityStartTime": certificate.not_valid_before_utc.isoformat().replace("+00:00", "Z"),
        "validityEndTime": certificate.not_valid_after_utc.isoformat().replace("+00:00", "Z"),
    }
    return str(certificate.serial_number), outputs


def _due(state: Properties) -> bool:
    end = datetime.datetime.fromisoformat(state["validityEndTime"])
    early = datetime.timedelta(hours=state.get("earlyRenewalHours") or 0)
    return datetime.datetime.now(datetime.UTC) >= end - early


def _key(inputs: Properties, name: str) -> PrivateKeyObject:
    pem = inputs.get(name) or inputs.get(f"{name}Wo")
    if not pem:
        raise PluginError(f"exactly one of {name}, {name}Wo must be set")
    return load_key(pem)


def _stored(inputs: Properties) -> Properties:
    return {name: value for name, value in inputs.items() if not name.endswith("Wo")}


def _hash(key: PrivateKeyObject) -> hashes.SHA256 | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def _pem(thing: x509.Certificate | x509.CertificateSigningRequest) -> str:
    return thing.public_bytes(serialization.Encoding.PEM).decode()


def _name(subject: Properties) -> x509.Name:
    parts = [
        x509.NameAttribute(oid, subject[name])
        for name, oid in _SUBJECT.items()
        if subject.get(name)
    ]
    streets = subject.get("streetAddresses") or []
    return x509.Name(
        [*parts, *(x509.NameAttribute(NameOID.STREET_ADDRESS, street) for street in streets)]
    )


def _alternative_names(inputs: Properties) -> list[x509.GeneralName]:
    return [
        *(x509.DNSName(name) for name in inputs.get("dnsNames") or []),
        *(x509.IPAddress(ipaddress.ip_address(ip)) for ip in inputs.get("ipAddresses") or []),
        *(x509.UniformResourceIdentifier(uri) for uri in inputs.get("uris") or []),
    ]
