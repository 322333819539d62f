"""The emulated Cloudflare's Origin CA: certificates that are really signed."""

import datetime
import re
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from werkzeug.wrappers import Request, Response

from sandbox.vendors.ca import CertificateAuthority
from sandbox.vendors.cloudflare.http import ok, page, refuse
from sandbox.vendors.cloudflare.state import CloudflareState, zone_of
from sandbox.vendors.rest import RestApi, json_body
from sandbox.vendors.store import Document

CERTIFICATES = "/client/v4/certificates"
VALIDITIES = (7, 30, 90, 365, 730, 1095, 5475)
_KEYS: dict[str, type[rsa.RSAPublicKey] | type[ec.EllipticCurvePublicKey]] = {
    "origin-rsa": rsa.RSAPublicKey,
    "origin-ecc": ec.EllipticCurvePublicKey,
}
_HOSTNAME = re.compile(r"(\*\.)?([a-z0-9-]+\.)+[a-z0-9-]+")


def add_certificates(api: RestApi, state: CloudflareState, authority: CertificateAuthority) -> None:
    """Add ``/certificates``, signed by ``authority``."""

    def create(request: Request) -> Response:
        body = json_body(request)
        with state.change() as document:
            certificate = _sign(document, authority, body)
            certificates(document)[certificate["id"]] = certificate
        return ok(certificate)

    def list_certificates(request: Request) -> Response:
        document = state.read()
        found = list(certificates(document).values())
        if zone_id := request.args.get("zone_id"):
            name = state.zone(document, zone_id)["name"]
            found = [c for c in found if any(h.endswith(name) for h in c["hostnames"])]
        return page(request, [c for c in found if "revoked_at" not in c])

    def get(_: Request, certificate_id: str) -> Response:
        return ok(_find(state.read(), certificate_id))

    def delete(_: Request, certificate_id: str) -> Response:
        with state.change() as document:
            certificate = _find(document, certificate_id)
            if "revoked_at" in certificate:
                raise refuse(400, 1014, "This certificate has already been revoked.")
            certificate["revoked_at"] = state.date()
        return ok({"id": certificate_id, "revoked_at": certificate["revoked_at"]})

    api.add("GET", CERTIFICATES, list_certificates)
    api.add("POST", CERTIFICATES, create)
    api.add("GET", f"{CERTIFICATES}/<certificate_id>", get)
    api.add("DELETE", f"{CERTIFICATES}/<certificate_id>", delete)


def certificates(document: Document) -> dict[str, Any]:
    """All Origin CA certificates by id."""
    return document.setdefault("certificates", {})


def _find(document: Document, certificate_id: str) -> dict[str, Any]:
    if certificate_id not in certificates(document):
        raise refuse(404, 1101, "Certificate not found.")
    return certificates(document)[certificate_id]


def _sign(
    document: Document, authority: CertificateAuthority, body: dict[str, Any]
) -> dict[str, Any]:
    hostnames = body.get("hostnames")
    if not isinstance(hostnames, list) or not hostnames:
        raise refuse(400, 1003, "At least one hostname is required.")
    for hostname in hostnames:
        if not _HOSTNAME.fullmatch(str(hostname)) or zone_of(document, str(hostname)) is None:
            text = (
                f"Failed to validate requested hostname {hostname}: This zone is either not part "
                "of your account, or you do not have access to it."
            )
            raise refuse(400, 1010, text)
    days = body.get("requested_validity") or VALIDITIES[-1]
    if days not in VALIDITIES:
        raise refuse(400, 1005, f"Invalid requested_validity: {days}")
    kind = body.get("request_type")
    csr = _csr(body.get("csr"))
    public_key = csr.public_key()
    wanted = _KEYS.get(str(kind))
    if wanted is None or not isinstance(public_key, wanted):
        raise refuse(400, 1006, f"The CSR's key does not fit the request type {kind}")
    certificate = authority.sign(public_key, hostnames, days)
    expires = certificate.not_valid_after_utc
    return {
        "id": str(certificate.serial_number),
        "certificate": certificate.public_bytes(serialization.Encoding.PEM).decode(),
        "csr": body["csr"],
        "hostnames": hostnames,
        "request_type": kind,
        "requested_validity": days,
        "expires_on": _origin_date(expires),
    }


def _csr(text: Any) -> x509.CertificateSigningRequest:
    try:
        csr = x509.load_pem_x509_csr(text.encode())
    except (AttributeError, ValueError):
        raise refuse(400, 1004, "Unable to parse the CSR.") from None
    if not csr.is_signature_valid:
        raise refuse(400, 1004, "The CSR's signature is invalid.")
    return csr


def _origin_date(moment: datetime.datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S +0000 UTC")
