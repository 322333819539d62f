"""The key service as the engine's client of Pulumi Cloud uses it."""

import base64
import gzip
import json
from pathlib import Path
from typing import Any

from werkzeug.test import Client

from sandbox.engine.secrets_service import ACCESS_TOKEN, create_app, write_credentials

STACK = "/api/stacks/organization/shop/us"
TOKEN = {"Authorization": f"token {ACCESS_TOKEN}"}


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def post(folder: Path, path: str, body: Any, **options: Any) -> Any:
    return Client(create_app(folder)).post(path, json=body, headers=TOKEN, **options)


def test_round_trip_across_a_restart(tmp_path: Path) -> None:
    sealed = post(tmp_path, f"{STACK}/encrypt", {"plaintext": encoded("hush")}).json["ciphertext"]
    assert b"hush" not in base64.b64decode(sealed)
    opened = post(tmp_path, f"{STACK}/decrypt", {"ciphertext": sealed}).json["plaintext"]
    assert opened == encoded("hush")


def test_batches_keep_order_and_are_keyed_by_ciphertext(tmp_path: Path) -> None:
    plain = [encoded("a"), encoded("b"), None]
    sealed = post(tmp_path, f"{STACK}/batch-encrypt", {"plaintexts": plain}).json["ciphertexts"]
    opened = post(tmp_path, f"{STACK}/batch-decrypt", {"ciphertexts": sealed}).json["plaintexts"]
    assert [opened[c] for c in sealed] == [encoded("a"), encoded("b"), ""]


def test_the_same_value_is_never_sealed_alike(tmp_path: Path) -> None:
    body = {"plaintexts": [encoded("a"), encoded("a")]}
    first, second = post(tmp_path, f"{STACK}/batch-encrypt", body).json["ciphertexts"]
    assert first != second


def test_a_compressed_body_is_read(tmp_path: Path) -> None:
    data = gzip.compress(json.dumps({"plaintext": encoded("hush")}).encode())
    answer = Client(create_app(tmp_path)).post(
        f"{STACK}/encrypt", data=data, headers={**TOKEN, "Content-Encoding": "gzip"}
    )
    assert answer.status_code == 200


def test_refusals(tmp_path: Path) -> None:
    client = Client(create_app(tmp_path))
    body = {"plaintext": encoded("hush")}
    assert client.post(f"{STACK}/encrypt", json=body).status_code == 401
    sealed = post(tmp_path, f"{STACK}/encrypt", body).json["ciphertext"]
    other = post(tmp_path, "/api/stacks/organization/shop/eu/decrypt", {"ciphertext": sealed})
    assert other.status_code == 400, "a value belongs to its stack"
    assert post(tmp_path, f"{STACK}/decrypt", {"ciphertext": "AAAA"}).status_code == 400
    assert client.get("/api/user", headers=TOKEN).status_code == 404


def test_capabilities_say_batches(tmp_path: Path) -> None:
    answer = Client(create_app(tmp_path)).get("/api/capabilities").json
    assert answer == {"capabilities": [{"capability": "batch-encrypt"}]}


def test_key_and_credentials_are_the_owners_alone(tmp_path: Path) -> None:
    create_app(tmp_path)
    write_credentials(tmp_path / "pulumi", "http://127.0.0.1:1")
    for file in (tmp_path / "secrets.key", tmp_path / "pulumi" / "credentials.json"):
        assert file.stat().st_mode & 0o777 == 0o600
