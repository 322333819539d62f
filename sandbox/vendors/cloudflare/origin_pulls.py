"""The emulated Cloudflare's Authenticated Origin Pulls, for a zone and for host names."""

import uuid
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from werkzeug.wrappers import Request, Response

from sandbox.vendors.cloudflare.http import ok, refuse
from sandbox.vendors.cloudflare.state import CloudflareState, zone_of
from sandbox.vendors.rest import RestApi, json_body
from sandbox.vendors.store import Document

PULLS = "/client/v4/zones/<zone_id>/origin_tls_client_auth"


def client_certificate(body: dict[str, Any], date: str) -> dict[str, Any]:
    """An uploaded certificate as the API shows it; the key is checked, and not kept."""
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
    }


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

    def put_hosts(request: Request, zone_id: str) -> Response:
        config = json_body(request).get("config") or []
        with state.change() as document:
            own = pulls(document, zone_id)
            for entry in config:
                hostname = str(entry.get("hostname") or "")
                zone = zone_of(document, hostname)
                if zone is None or zone["id"] != zone_id:
                    raise refuse(400, 1403, f"Hostname {hostname} is not in this zone")
                if entry.get("enabled") is None:
                    own["hosts"].pop(hostname, None)
                    continue
                if entry.get("cert_id") not in own["hostnames"]:
                    raise refuse(400, 1404, "Certificate not found.")
                own["hosts"][hostname] = _host(own, entry, state.date())
            return ok(
                [own["hosts"][e["hostname"]] for e in config if e["hostname"] in own["hosts"]]
            )

    def get_host(_: Request, zone_id: str, hostname: str) -> Response:
        hosts = pulls(state.read(), zone_id)["hosts"]
        if hostname not in hosts:
            raise refuse(404, 1405, "Hostname has no certificate association")
        return ok(hosts[hostname])

    api.add("GET", f"{PULLS}/settings", get_settings)
    api.add("PUT", f"{PULLS}/settings", put_settings)
    api.add("PUT", f"{PULLS}/hostnames", put_hosts)
    api.add("GET", f"{PULLS}/hostnames/<hostname>", get_host)
    _add_uploads(api, state, PULLS, "certificates")
    _add_uploads(api, state, f"{PULLS}/hostnames/certificates", "hostnames")


def _add_uploads(api: RestApi, state: CloudflareState, path: str, kind: str) -> None:
    def uploads(document: Document, zone_id: str) -> dict[str, Any]:
        return state.zone(document, zone_id)["origin_pulls"][kind]

    def find(document: Document, zone_id: str, certificate_id: str) -> dict[str, Any]:
        if certificate_id not in uploads(document, zone_id):
            raise refuse(404, 1404, "Certificate not found.")
        return uploads(document, zone_id)[certificate_id]

    def list_all(_: Request, zone_id: str) -> Response:
        return ok(list(uploads(state.read(), zone_id).values()))

    def create(request: Request, zone_id: str) -> Response:
        certificate = client_certificate(json_body(request), state.date())
        with state.change() as document:
            uploads(document, zone_id)[certificate["id"]] = certificate
        return ok(certificate)

    def get(_: Request, zone_id: str, certificate_id: str) -> Response:
        return ok(find(state.read(), zone_id, certificate_id))

    def delete(_: Request, zone_id: str, certificate_id: str) -> Response:
        with state.change() as document:
            certificate = find(document, zone_id, certificate_id)
            hosts = state.zone(document, zone_id)["origin_pulls"]["hosts"].values()
            if any(host["cert_id"] == certificate_id for host in hosts):
                raise refuse(400, 1406, "Certificate is in use by a hostname")
            del uploads(document, zone_id)[certificate_id]
        return ok({**certificate, "status": "pending_deletion"})

    api.add("GET", path, list_all)
    api.add("POST", path, create)
    api.add("GET", f"{path}/<certificate_id>", get)
    api.add("DELETE", f"{path}/<certificate_id>", delete)


def _host(own: dict[str, Any], entry: dict[str, Any], date: str) -> dict[str, Any]:
    certificate = own["hostnames"][entry["cert_id"]]
    return {
        "hostname": entry["hostname"],
        "cert_id": entry["cert_id"],
        "enabled": bool(entry["enabled"]),
        "status": "active",
        "created_at": date,
        "updated_at": date,
        "cert_status": "active",
        "cert_uploaded_on": certificate["uploaded_on"],
        **{k: certificate[k] for k in ("certificate", "issuer", "signature", "serial_number")},
        "expires_on": certificate["expires_on"],
    }


def _public(key: Any) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
