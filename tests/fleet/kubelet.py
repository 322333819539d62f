"""A kubelet as far as an API server asks one for logs: over TLS, from files in memory."""

import base64
import ssl
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Kubelet:
    """Serves `/containerLogs/NAMESPACE/POD/CONTAINER`: `logs` by container; a context."""

    def __init__(self, folder: Path, logs: Mapping[str, str]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = self.path.partition("?")[0].split("/")
                known = parts[1] == "containerLogs" and parts[-1] in logs
                self.send_response(200 if known else 404)
                self.end_headers()
                self.wfile.write(logs.get(parts[-1], "").encode())

            def log_message(self, format: str, *args: object) -> None: ...

        pem = folder / "kubelet.pem"
        pem.write_bytes(base64.b64decode(certificate(["kubelet"], timedelta(days=1), key=True)))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port: int = self._server.server_address[1]

    def __enter__(self) -> "Kubelet":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def certificate(hosts: Sequence[str], left: timedelta, key: bool = False) -> str:
    """A certificate that ends after the time that is `left`, and began three years before that;
    with its key, if asked for. PEM in base64, as a Secret has it."""
    own = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody")])
    ends = datetime.now(UTC) + left
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(own.public_key())
        .serial_number(7)
        .not_valid_before(ends - timedelta(days=1095))
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(h) for h in hosts]), False)
        .sign(own, hashes.SHA256())
    )
    text = made.public_bytes(serialization.Encoding.PEM)
    if key:
        text += own.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    return base64.b64encode(text).decode()
