"""The emulated Cloudflare's Authenticated Origin Pulls of a zone."""

import uuid
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from werkzeug.wrappers import Request, Response

from sandbox.vendors.cloudflare.http import ok, refuse
from sandbox.vendors.cloudflare.state import CloudflareState
from sandbox.vendors.rest import RestApi, json_body
from sandbox.vendors.store import Document

PULLS = "/client/v4/zones/<zone_id>/origin_tls_client_auth"
_KEY = "private_key"


def client_certificate(body: dict[str, Any], date: str) -> dict[str, Any]:
    """An uploaded certificate as it is kept: with its key, which the API never shows."""
    try:
        certificate = x509.load_pem_x509_certificate(body["certificate"].encode())
        key = serialization.load_pem_private_key(body["private_key"].encode(), None)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise refuse(400, 1400, "Unable to parse the certificate or the private key.") from None
    if _public(key.public_key()) != _public(certificate.public_key()):
        raise refuse(400, 1401, "The private key does not match the certificate.")
    algorithm = certificate.signature_hash_algorithm
    return {
        "id": str(uuid.uuid4()),
        "certificate": body["certificate"],
        "issuer": certificate.issuer.rfc4514_string(),
        "signature": algorithm.name if algorithm else "",
        "serial_number": str(certificate.serial_number),
        "expires_on": certificate.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "status": "active",
        "uploaded_on": date,
        _KEY: body["private_key"],
    }


def _shown(certificate: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in certificate.items() if name != _KEY}


def add_origin_pulls(api: RestApi, state: CloudflareState) -> None:
    """Add ``/zones/{id}/origin_tls_client_auth``."""

    def pulls(document: Document, zone_id: str) -> dict[str, Any]:
        return state.zone(document, zone_id)["origin_pulls"]

    def get_settings(_: Request, zone_id: str) -> Response:
        return ok({"enabled": pulls(state.read(), zone_id)["enabled"]})

    def put_settings(request: Request, zone_id: str) -> Response:
        enabled = json_body(request).get("enabled")
        if not isinstance(enabled, bool):
            raise refuse(400, 1402, "enabled must be a boolean")
        with state.change() as document:
            pulls(document, zone_id)["enabled"] = enabled
        return ok({"enabled": enabled})

    api.add("GET", f"{PULLS}/settings", get_settings)
    api.add("PUT", f"{PULLS}/settings", put_settings)
    _add_uploads(api, state)


def _add_uploads(api: RestApi, state: CloudflareState) -> None:
    def uploads(document: Document, zone_id: str) -> dict[str, Any]:
        return state.zone(document, zone_id)["origin_pulls"]["certificates"]

    def find(document: Document, zone_id: str, certificate_id: str) -> dict[str, Any]:
        if certificate_id not in uploads(document, zone_id):
            raise refuse(404, 1404, "Certificate not found.")
        return uploads(document, zone_id)[certificate_id]

    def list_all(_: Request, zone_id: str) -> Response:
        return ok([_shown(each) for each in uploads(state.read(), zone_id).values()])

    def create(request: Request, zone_id: str) -> Response:
        certificate = client_certificate(json_body(request), state.date())
        with state.change() as document:
            uploads(document, zone_id)[certificate["id"]] = certificate
        return ok(_shown(certificate))

    def get(_: Request, zone_id: str, certificate_id: str) -> Response:
        return ok(_shown(find(state.read(), zone_id, certificate_id)))

    def delete(_: Request, zone_id: str, certificate_id: str) -> Response:
        with state.change() as document:
            certificate = find(document, zone_id, certificate_id)
            del uploads(document, zone_id)[certificate_id]
        return ok({**_shown(certificate), "status": "pending_deletion"})

    api.add("GET", PULLS, list_all)
    api.add("POST", PULLS, create)
    api.add("GET", f"{PULLS}/<certificate_id>", get)
    api.add("DELETE", f"{PULLS}/<certificate_id>", delete)


def _public(key: Any) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
