"""Digests: looked up at a registry that runs here, and never guessed."""

import hashlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typer.testing import CliRunner

from infra.errors import LockError
from infra.pins import images as lock_file
from infra.pins.images import load, pinned, save
from ops.cli import application
from ops.files import program_file
from ops.images import cli as images
from ops.images.cli import images_in, looked_up, used_images
from ops.images.registry import Reference, Registries, RegistryDown, RegistryError
from tests.projects import ROOT, copy_project
from tests.rendered import rendered

INDEX = json.dumps({"schemaVersion": 2, "manifests": [{"digest": "sha256:" + "1" * 64}]}).encode()
DIGEST = f"sha256:{hashlib.sha256(INDEX).hexdigest()}"


class _Registry(BaseHTTPRequestHandler):
    """A registry that wants a token, and knows nginx/nginx-ingress:5.6.1 alone."""

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        host = f"http://{self.headers['Host']}"
        path, _, query = self.path.partition("?")
        if path == "/token":
            wanted = "scope=repository%3Anginx%2Fnginx-ingress%3Apull&service=registry"
            self._answer(200, {}, b'{"token": "t"}' if query == wanted else b"{}")
        elif self.headers.get("Authorization") != "Bearer t":
            scope = "repository:nginx/nginx-ingress:pull"
            challenge = f'Bearer realm="{host}/token",service="registry",scope="{scope}"'
            self._answer(401, {"WWW-Authenticate": challenge}, b"")
        elif path == "/v2/nginx/nginx-ingress/manifests/5.6.1":
            accepted = "application/vnd.oci.image.index.v1+json" in self.headers["Accept"]
            self._answer(200 if accepted else 406, {"Docker-Content-Digest": DIGEST}, INDEX)
        elif path.endswith("/forged"):
            self._answer(200, {"Docker-Content-Digest": DIGEST}, INDEX + b" ")
        elif path.endswith("/crowded"):
            self._answer(429, {}, b"")
        else:
            self._answer(404, {}, b"")

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Registry)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def registries(host: str) -> Registries:
    return Registries({host: "http"})


def test_the_digest_of_the_list_of_all_platforms(registries: Registries, host: str):
    assert registries.digest(f"{host}/nginx/nginx-ingress:5.6.1") == DIGEST


@pytest.mark.parametrize(
    ("tag", "why"),
    [
        ("5.6.9", "has no such image or tag"),
        ("forged", "but its manifest is sha256:"),
        ("crowded", "is asked too often"),
    ],
)
def test_no_digest(registries: Registries, host: str, tag: str, why: str):
    with pytest.raises(RegistryError, match=why):
        registries.digest(f"{host}/nginx/nginx-ingress:{tag}")


def test_a_registry_that_does_not_answer():
    with pytest.raises(RegistryError, match=r"127\.0\.0\.1:1 does not answer"):
        Registries({"127.0.0.1:1": "http"}).digest("127.0.0.1:1/a:1")


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        ("nginx:1", ("registry-1.docker.io", "library/nginx", "1")),
        ("nginx/nginx-ingress:5.6.1", ("registry-1.docker.io", "nginx/nginx-ingress", "5.6.1")),
        ("docker.io/library/busybox:1@sha256:0", ("registry-1.docker.io", "library/busybox", "1")),
        ("quay.io/calico/node:v3", ("quay.io", "calico/node", "v3")),
        ("localhost:5000/a:1", ("localhost:5000", "a", "1")),
    ],
)
def test_where_an_image_is(image: str, reference: tuple[str, str, str]):
    assert Reference.of(image) == Reference(*reference)


def test_an_image_without_a_tag():
    for image in ("nginx", "localhost:5000/nginx"):
        with pytest.raises(RegistryError, match="has no tag"):
            Reference.of(image)


def test_what_is_known_stays_and_what_is_not_is_never_guessed():
    def ask(image: str) -> str:
        if image == "gone:1":
            raise RegistryError("gone:1: the registry has no such image")
        return DIGEST

    old = "sha256:" + "0" * 64
    found = looked_up(["a:1", "b:1", "gone:1"], {"a:1": old, "z:1": old}, ask)
    assert found.digests == {"a:1": old, "b:1": DIGEST}
    assert found.missing == {"gone:1": "the registry has no such image"}
    assert list(found.report({"a:1": old, "z:1": old})) == [
        f"b:1: locked to {DIGEST}",
        "z:1: locked, but no stack runs it",
        "gone:1: pinned by its tag only: the registry has no such image",
    ]
    moved = looked_up(["a:1"], {"a:1": old}, ask, refresh=True)
    assert list(moved.report({"a:1": old})) == [f"a:1: the tag moved from {old} to {DIGEST}"]
    unasked = looked_up(["a:1"], {}, None)
    assert (unasked.digests, list(unasked.missing)) == ({}, ["a:1"])
    kept = looked_up(["gone:1"], {"gone:1": old}, ask, refresh=True)
    assert kept.digests == {"gone:1": old}


def test_the_file(tmp_path: Path):
    path = tmp_path / "lock.json"
    assert load(path) == {}
    save({"b:1": DIGEST, "a:1": DIGEST}, path)
    assert list(load(path)) == ["a:1", "b:1"]
    for text in ("", "[]", '{"images": {"a:1": "sha256:1"}}', '{"images": 1}'):
        path.write_text(text)
        with pytest.raises(LockError):
            load(path)


def test_an_image_gets_its_digest():
    known = {"a:1": DIGEST}
    assert pinned("a:1", known) == f"a:1@{DIGEST}"
    assert pinned("b:1", known) == "b:1"
    assert pinned("a:1@sha256:0", known) == "a:1@sha256:0"


def test_the_repositorys_own_file_is_one():
    assert load() is not None


def test_locked_digests_end_up_in_the_stacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    path = tmp_path / "lock.json"
    save({"nginx/nginx-ingress:5.6.1": DIGEST}, path)
    monkeypatch.setattr(lock_file.load, "__defaults__", (path,))
    resources = rendered(ROOT, "us").resources
    run = {image for r in resources for image in images._images(r.inputs)}
    assert f"nginx/nginx-ingress:5.6.1@{DIGEST}" in run
    assert "nginx/nginx-ingress:5.6.1" in images_in(rendered(ROOT, "us"))


def test_every_stack_is_asked_for_its_images():
    assert "nginx/nginx-ingress:5.6.1" in used_images(ROOT)


def down(_: object, image: str) -> str:
    raise RegistryDown(f"{image}: it is down")


def test_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    path, runner = tmp_path / "lock.json", CliRunner()
    monkeypatch.setattr(images, "used_images", lambda _: {"a:1"})
    monkeypatch.setattr(images, "LOCK", path)

    class Registry:
        def digest(self, image: str) -> str:
            return DIGEST

    monkeypatch.setattr(images, "Registries", Registry)
    checked = runner.invoke(application(), ["images", "lock", "--check"])
    assert checked.exit_code == 1
    assert "a:1: pinned by its tag only: no digest is locked" in checked.output
    assert not path.exists()
    assert runner.invoke(application(), ["images", "lock"]).exit_code == 0
    assert load(path) == {"a:1": DIGEST}
    assert runner.invoke(application(), ["images", "lock", "--check"]).exit_code == 0
    told = json.loads(runner.invoke(application(), ["images", "lock", "--json"]).stdout)
    assert told == {"digests": {"a:1": DIGEST}, "missing": {}, "stale": False}
    monkeypatch.setattr(images, "used_images", lambda _: {"a:1", "b:1"})
    monkeypatch.setattr(Registry, "digest", down)
    unasked = runner.invoke(application(), ["images", "lock"])
    assert (unasked.exit_code, unasked.stdout) == (2, "b:1: pinned by its tag only: it is down\n")
    assert load(path) == {"a:1": DIGEST}
    path.write_text("[]")
    wrong = runner.invoke(application(), ["images", "lock"])
    assert (wrong.exit_code, "run `fleet images lock`" in wrong.output) == (2, True)


def test_the_lock_of_another_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Its own lock is written, and this one's stays; where only stack files are, this one's is."""
    checkout = copy_project(tmp_path / "checkout")
    own = checkout / images.LOCK.relative_to(ROOT)
    own.parent.mkdir(parents=True)
    save({}, own)
    before = images.LOCK.read_text()
    monkeypatch.setattr(images, "used_images", lambda project: {f"{project.name}:1"})
    monkeypatch.setattr(Registries, "digest", lambda *_: DIGEST)
    command = ["images", "lock", "--dir", str(checkout)]
    assert CliRunner().invoke(application("images"), command).exit_code == 0
    assert load(own) == {"checkout:1": DIGEST}
    assert images.LOCK.read_text() == before
    files = copy_project(tmp_path / "files")
    assert program_file(images.LOCK, files) == images.LOCK
    nowhere = CliRunner().invoke(application("images"), ["images", "lock", "--dir", "/nowhere"])
    assert (nowhere.exit_code, "there is no Pulumi.yaml" in nowhere.stderr) == (2, True)
