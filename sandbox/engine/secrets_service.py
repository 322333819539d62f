"""The key service of the sandbox's stacks: encrypts what Pulumi's state file holds as secret.

With a passphrase, every command writes its salt into the user's stack file, even when it fell back
to the state's secrets manager (pkg/v3 cmd/pulumi/config/io.go, ``getAndSaveSecretsManager``). The
secrets manager of type ``service`` keeps nothing there. So the sandbox's state names one, and this
app answers the five routes of Pulumi Cloud's API that it calls. The engine's side is the real one.
"""

import base64
import gzip
import hmac
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

ACCESS_TOKEN = "pul-edgefleet-sandbox"  # noqa: S105 (opens nothing real)

_NONCE_BYTES = 12
_ROUTES = Map(
    [
        Rule("/api/capabilities", endpoint="capabilities", methods=["GET"]),
        *(
            Rule(f"/api/stacks/<owner>/<project>/<stack>/{name}", endpoint=name, methods=["POST"])
            for name in ("encrypt", "decrypt", "batch-encrypt", "batch-decrypt")
        ),
        Rule(
            "/api/stacks/<owner>/<project>/<stack>/decrypt/<any('log-decryption',"
            "'log-batch-decryption'):_event>",
            endpoint="log",
            methods=["POST"],
        ),
    ]
)


def create_app(directory: Path) -> Callable[..., Any]:
    """The WSGI app; its key is ``directory``/secrets.key, made at the first use."""
    cipher = AESGCM(_key(directory / "secrets.key"))

    def encrypt(plaintext: str, context: bytes) -> str:
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + cipher.encrypt(nonce, base64.b64decode(plaintext), context)
        return base64.b64encode(sealed).decode()

    def decrypt(ciphertext: str, context: bytes) -> str:
        sealed = base64.b64decode(ciphertext)
        opened = cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context)
        return base64.b64encode(opened).decode()

    def answer(endpoint: str, body: dict[str, Any], context: bytes) -> dict[str, Any]:
        match endpoint:
            case "encrypt":
                return {"ciphertext": encrypt(body.get("plaintext") or "", context)}
            case "decrypt":
                return {"plaintext": decrypt(body["ciphertext"], context)}
            case "batch-encrypt":
                return {"ciphertexts": [encrypt(p or "", context) for p in body["plaintexts"]]}
            case "batch-decrypt":
                return {"plaintexts": {c: decrypt(c, context) for c in body["ciphertexts"]}}
        return {}

    @Request.application
    def app(request: Request) -> Response:
        try:
            endpoint, args = _ROUTES.bind_to_environ(request.environ).match()
        except HTTPException as error:
            return _refusal(error.code or 404, error.name)
        if endpoint == "capabilities":
            return _json({"capabilities": [{"capability": "batch-encrypt"}]})
        sent = request.headers.get("Authorization", "").removeprefix("token ")
        if not hmac.compare_digest(sent.encode(), ACCESS_TOKEN.encode()):
            return _refusal(401, "Unauthorized: No credentials provided or are invalid.")
        context = f"{args['owner']}/{args['project']}/{args['stack']}".encode()
        try:
            return _json(answer(endpoint, _body(request), context))
        except (KeyError, ValueError, InvalidTag):
            return _refusal(400, "Bad Request: not a value that this service can read")

    return app


def write_credentials(pulumi_home: Path, url: str) -> None:
    """Let the CLI find the token for the service at ``url``, as after a ``pulumi login``."""
    file = pulumi_home / "credentials.json"
    account = {"accessToken": ACCESS_TOKEN, "username": "sandbox"}
    content = {"accessTokens": {url: ACCESS_TOKEN}, "accounts": {url: account}}
    pulumi_home.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".new")
    partial.touch(mode=0o600)
    partial.write_text(json.dumps(content, indent=1))
    partial.rename(file)


def _body(request: Request) -> dict[str, Any]:
    data = request.get_data()
    if request.headers.get("Content-Encoding") == "gzip":
        data = gzip.decompress(data)
    return json.loads(data or b"{}")


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(content), status=status, mimetype="application/json")


def _refusal(status: int, message: str) -> Response:
    return _json({"code": status, "message": message}, status)


def _key(file: Path) -> bytes:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".new")
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600)
        partial.write_bytes(AESGCM.generate_key(256))
        partial.rename(file)
    return file.read_bytes()
