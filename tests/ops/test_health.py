"""Whether a stack answers: what an answer says, how long it is waited for, and the command."""

import json
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typer.testing import CliRunner
from werkzeug import Request, Response
from werkzeug.serving import make_server

from components.ingress.contract import HEALTH_PATH, REGION_HEADER
from infra.fleet.reading import load
from ops import health
from ops.cli import application
from ops.health import Asked, hosts, judged, waited
from tests.projects import copy_project, region, write_stack

US = Asked("us.example.com", HEALTH_PATH, "us")
SITE = Asked("example.com", "/")


@pytest.mark.parametrize(
    ("asked", "status", "named", "well", "said"),
    [
        (US, 200, "us", True, "status 200 from us"),
        (US, 200, None, True, "status 200"),
        (US, 200, "eu", False, "but from eu: the host name leads elsewhere"),
        (US, 403, None, False, "a WAF or bot rule"),
        (US, 404, None, False, "is the ingress another one"),
        (US, 521, None, False, "the node refuses connections"),
        (US, 522, None, False, "a firewall drops Cloudflare's packets"),
        (US, 526, None, False, "isn't one that Cloudflare takes"),
        (US, 530, None, False, "no address for the host"),
        (US, 418, None, False, "no sign of health"),
        (SITE, 200, "us", True, "status 200 from us"),
        # An application's own answer: the edge led to it.
        (SITE, 404, None, True, "status 404"),
        (SITE, 500, "us", True, "status 500 from us"),
        (SITE, 503, None, False, "the Worker found no region that answers"),
        (SITE, 530, None, False, "no address for the host"),
    ],
)
def test_what_an_answer_says(asked: Asked, status: int, named: str | None, well: bool, said: str):
    found, text = judged(asked, status, named)
    assert found == well
    assert said in text


class Site:
    """Hosts on this machine: answers in turn, the last one from then on."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.asked: list[tuple[str, str]] = []

    def answer(self, request: Request) -> Response:
        self.asked.append((request.path, request.headers["User-Agent"]))
        status, headers = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return Response("", status, headers)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    made = Site()
    server = make_server("127.0.0.1", 0, Request.application(made.answer), threaded=True)
    Thread(target=server.serve_forever, daemon=True).start()
    here = f"http://127.0.0.1:{server.server_port}/{{host}}{{path}}"
    monkeypatch.setattr(health, "_URL", here)
    monkeypatch.setattr(health, "_PAUSE_SECONDS", 0.01)
    yield made
    server.shutdown()


WELL: tuple[int, dict[str, str]] = (200, {REGION_HEADER: "us"})
ILL: tuple[int, dict[str, str]] = (522, {})


def test_three_well_answers_in_a_row_are_well(site: Site):
    site.answers = [WELL, WELL, ILL, WELL, WELL, WELL]
    assert waited(US, 60).well
    assert len(site.asked) == 6
    assert site.asked[0] == (f"/us.example.com{HEALTH_PATH}", "edgefleet-health")


def test_it_is_waited_for_and_no_longer(site: Site):
    site.answers = [ILL]
    pauses: list[float] = []
    found = waited(US, 0.2, pauses.append)
    assert not found.well
    assert "a firewall drops Cloudflare's packets" in found.said
    assert pauses


def test_nobody_there_is_said_in_words(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(health, "_URL", "http://127.0.0.1:1/{host}{path}")
    found = waited(US, 0)
    assert not found.well
    assert "refused" in found.said


def project(folder: Path, **edge: Any) -> Path:
    made = copy_project(folder / "project")
    write_stack(made, "us", region())
    write_stack(made, "edge", {"edge": edge})
    return made


def test_whom_to_ask(tmp_path: Path):
    def of(folder: str, name: str, **edge: Any) -> tuple[list[Asked], list[str]]:
        return hosts(load(project(tmp_path / folder, **edge), current=name), name)

    assert of("plain", "us") == ([US], [])
    assert of("plain", "edge") == ([SITE, Asked("api.example.com", "/")], [])
    # As the Worker's probes do.
    assert of("own", "us", healthPath="/up") == ([Asked("us.example.com", "/up", "us")], [])
    closed = {"hosts": {"example.com": {"maintenance": True}}}
    assert of("closed", "edge", **closed) == ([Asked("api.example.com", "/")], ["example.com"])


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    said = CliRunner().invoke(
        application("health"), ["health", *arguments, "--within", "1", "--dir", str(folder)]
    )
    return said.exit_code, said.stdout


def test_the_command(site: Site, tmp_path: Path):
    site.answers = [WELL]
    there = project(tmp_path)
    assert run(there, "us") == (0, f"us.example.com{HEALTH_PATH}: well: status 200 from us\n")
    site.answers = [ILL]
    code, said = run(there, "us")
    assert code == 1
    assert f"us.example.com{HEALTH_PATH}: NOT WELL: status 522: the node doesn't answer" in said
    code, said = run(there, "us", "--json")
    assert json.loads(said)["hosts"][0]["well"] is False
    assert run(there, "nowhere")[0] == 2
