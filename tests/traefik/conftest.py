"""Fixtures of the tests with the real Traefik: an API server, an application, the edge's CA."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sandbox.toolchain import traefik
from sandbox.toolchain.install import default_cache
from tests.kubernetes_harness import control_plane
from tests.traefik.world import ApiServer, application


@pytest.fixture(scope="session")
def built() -> Path:
    """Traefik's folder: a test fails where all is asked for and it can't be had, else skips."""
    if found := traefik.BUILD.built(default_cache()):
        return found
    reason = (
        f"traefik {traefik.VERSION} isn't built: `make traefik` makes it, in five minutes, once"
    )
    if os.environ.get("THOROUGH") == "1" or os.environ.get("EDGEFLEET_REQUIRE_ALL") == "1":
        pytest.fail(f"the tests with Traefik must run here, but: {reason}")
    pytest.skip(f"no Traefik on this machine: {reason}")


@pytest.fixture(scope="module")
def api_server(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """With the custom kinds of Traefik's and of the Gateway API: one of the tests' own."""
    with control_plane(tmp_path_factory.mktemp("control-plane")) as kubeconfig:
        server = ApiServer(kubeconfig)
        server.define(*sorted((built / "crds").iterdir()))
        yield server


@pytest.fixture(scope="module")
def shop() -> Iterator[int]:
    """The port of an application."""
    with application() as port:
        yield port


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def openssl(folder: Path, *command: str) -> None:
    subprocess.run(["openssl", *command], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files with certificate and key: of our edge, of another CA's, and what hosts show."""
    folder = tmp_path_factory.mktemp("certificates")
    found: dict[str, str] = {}
    for ca, leaf in (("our-ca", "ours"), ("their-ca", "theirs")):
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]
        openssl(folder, "req", "-x509", *key, "-keyout", f"{ca}.key", "-out", f"{ca}.pem",
                "-subj", f"/O=edgefleet/CN={ca}")  # fmt: skip
        openssl(folder, "req", "-x509", *key, "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key",
                "-keyout", f"{leaf}.key", "-out", f"{leaf}.crt",
                "-subj", "/O=edgefleet/CN=edgefleet origin pulls",
                "-addext", "extendedKeyUsage=clientAuth", "-addext", "basicConstraints=CA:FALSE",
                )  # fmt: skip
        both = (folder / f"{leaf}.crt").read_text() + (folder / f"{leaf}.key").read_text()
        (folder / f"{leaf}.pem").write_text(both)
        found[leaf], found[ca] = str(folder / f"{leaf}.pem"), (folder / f"{ca}.pem").read_text()
    for name in ("first", "second"):
        openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-days", "30", "-keyout", f"{name}.key", "-out", f"{name}.crt",
                "-subj", "/CN=origin", "-addext", "subjectAltName=DNS:*.example.com",
                )  # fmt: skip
        found[name] = (folder / f"{name}.crt").read_text()
        found[f"{name}-key"] = (folder / f"{name}.key").read_text()
    return found
