"""Keys, certificates and kubeconfigs of one emulated cluster, made once in its folder."""

import base64
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from sandbox.certificates import Key, certificate, pem, write_private

OWNER = "owner"
"""The customer's client certificate, of a CA of its own: refused alone, when it is rotated."""
CLIENT_CAS = "client-ca.crt"
"""Who signs the client certificates that the API server takes; it reads the file again when it
changes."""
CLIENTS = {
    "admin": ("admin", "system:masters"),
    "kwok": ("kwok", "system:masters"),
    "kube-controller-manager": ("system:kube-controller-manager", "system:masters"),
    "kube-scheduler": ("system:kube-scheduler", None),
}
"""Client certificates by file name: their common name and organization (user and group)."""


def make_pki(folder: Path, host: str, service_ip: str) -> None:
    """Make the CA, the serving certificate for ``host`` and 127.0.0.1, and client certificates.

    A folder that is complete is left as it is.
    """
    complete = folder / "complete"
    if complete.exists():
        if not (folder / CLIENT_CAS).exists():
            rotate_owner(folder)
        return
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = certificate("kubernetes", None, ca_key.public_key(), "kubernetes", ca_key, is_ca=True)
    write_private(folder / "ca.crt", ca.public_bytes(serialization.Encoding.PEM))
    serving_key = ec.generate_private_key(ec.SECP256R1())
    names = (host, "localhost", "kubernetes", "kubernetes.default.svc", "127.0.0.1", service_ip)
    serving = certificate(
        "kube-apiserver", None, serving_key.public_key(), "kubernetes", ca_key, names=names
    )
    _write_pair(folder, "serving", serving, serving_key)
    for file, (user, group) in CLIENTS.items():
        key = ec.generate_private_key(ec.SECP256R1())
        _write_pair(
            folder, file, certificate(user, group, key.public_key(), "kubernetes", ca_key), key
        )
    write_private(folder / "service-account.key", pem(rsa.generate_private_key(65537, 2048)))
    rotate_owner(folder)
    complete.touch()


def rotate_owner(folder: Path) -> None:
    """Make the customer's certificate anew; the one before isn't taken any more."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    name = "kubernetes-customers"
    ca = certificate(name, None, ca_key.public_key(), name, ca_key, is_ca=True)
    key = ec.generate_private_key(ec.SECP256R1())
    owner = certificate("admin", "system:masters", key.public_key(), name, ca_key)
    _write_pair(folder, OWNER, owner, key)
    both = (folder / "ca.crt").read_bytes() + ca.public_bytes(serialization.Encoding.PEM)
    write_private(folder / f"{CLIENT_CAS}.new", both)
    (folder / f"{CLIENT_CAS}.new").rename(folder / CLIENT_CAS)


def kubeconfig(folder: Path, client: str, server: str, name: str, user: str = "") -> str:
    """A kubeconfig (YAML) with everything inline, as the vendor's."""
    content: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": name,
                "cluster": {
                    "certificate-authority-data": _base64(folder / "ca.crt"),
                    "server": server,
                },
            }
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user or client}}],
        "current-context": name,
        "preferences": {},
        "users": [
            {
                "name": user or client,
                "user": {
                    "client-certificate-data": _base64(folder / f"{client}.crt"),
                    "client-key-data": _base64(folder / f"{client}.key"),
                },
            }
        ],
    }
    return yaml.safe_dump(content, sort_keys=False)


def _write_pair(folder: Path, name: str, certificate: x509.Certificate, key: Key) -> None:
    write_private(folder / f"{name}.crt", certificate.public_bytes(serialization.Encoding.PEM))
    write_private(folder / f"{name}.key", pem(key))


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
