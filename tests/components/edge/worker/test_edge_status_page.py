"""The operators' page as people see it: HTML, read here by a parser and by a real browser."""

import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ops.live.status_page import status
from tests.components.edge.worker.conftest import Regions
from tests.components.edge.worker.edge_rig import APAC, DENVER, EU, US, Edge

Start = Callable[..., Edge]

BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
FROM_FRANKFURT = {**DENVER, "colo": "FRA"}


class Page(HTMLParser):
    """What a page holds: its tags with their attributes, and the table's cells."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "td":
            self.cells.append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag not in ("table", "tr")

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.cells[-1] += data


@pytest.fixture
def edge(start_edge: Start, origins: Regions) -> Edge:
    """us is down, eu drains, apac's application is dead, and one host is closed."""
    edge = start_edge(
        [US, {**EU, "drain": True, "strict": True, "continents": ["EU"]}, APAC],
        outlierDetection={"consecutiveGatewayFailure": 1},
        hosts={"api.example.com": {"maintenance": True}},
        kv=True,
        STATUS_TOKEN="t0:ken",
    )
    origins["us"].die()
    origins["apac"].fail("status", status=502, path="/dead")
    edge.fire_cron()
    edge.request("/dead", FROM_FRANKFURT)
    return edge


def test_a_map_and_a_table(edge: Edge) -> None:
    response = edge.request("/.edge/status", FROM_FRANKFURT, headers=HTML, auth=("me", "t0:ken"))
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in response.headers["content-security-policy"]
    page = Page(response.text)
    assert "0 of 3 regions up" in response.text
    assert "In maintenance: api.example.com" in response.text
    rows = [page.cells[n : n + 7] for n in range(0, len(page.cells), 7)]
    assert [row[0] for row in rows] == [f"{n}{n}.example.com" for n in ("us", "eu", "apac")]
    assert [row[1].strip() for row in rows] == ["down", "drains", "ejected"]
    assert rows[1][2].startswith("status 200, ")
    assert re.match(r"down since 2\S+: Error", rows[0][3])
    assert rows[1][6].strip() == "0 %, strict, EU"
    dots = [attrs for tag, attrs in page.tags if tag == "circle"]
    # The data centre, and the regions, where they lie.
    places = [(50, -9)] + [(region["lat"], region["lon"]) for region in (US, EU, APAC)]
    assert [(-float(dot["cy"] or 0), float(dot["cx"] or 0)) for dot in dots[1:]] == places[1:]
    assert (dots[0]["class"], dots[0]["cx"], dots[0]["cy"]) == ("here", "9", "-50")
    assert [dot["class"] for dot in dots[1:]] == ["down", "other", "other"]
    assert not [a for _, a in page.tags if {"src", "href", "onload"} & set(a)], "one file"
    assert not re.search(r"url\(|@import|<script", response.text)


def test_the_doctor_reads_it(edge: Edge) -> None:
    token = {"authorization": "Bearer t0:ken"}
    found = status(edge.request("/.edge/status", FROM_FRANKFURT, headers=token).json())
    assert found.place == "FRA"
    told = {name: (region.up, region.ejected) for name, region in found.regions.items()}
    (host,) = told["apac"][1]
    assert told == {
        "us": (False, {}),
        "eu": (True, {}),
        "apac": (True, {host: found.regions["apac"].ejected[host]}),
    }
    assert found.regions["apac"].ejected[host].startswith("ejected for ")
    assert "Error" in found.regions["us"].detail


def test_a_browser_is_asked_for_the_token(edge: Edge) -> None:
    for auth in (None, ("me", "wrong"), ("t0", "ken")):
        response = edge.request("/.edge/status", headers=HTML, auth=auth)
        assert response.status_code == 401
        assert response.headers["www-authenticate"].startswith("Basic realm=")
    broken = {**HTML, "authorization": "Basic !"}
    assert edge.request("/.edge/status", headers=broken).status_code == 401
    assert edge.request("/.edge/status", headers={"authorization": "Bearer t0:ken"}).json()


def test_what_others_say_is_text(start_edge: Start) -> None:
    edge = start_edge(STATUS_TOKEN="t0ken")
    edge.request("/", DENVER, headers={"host": "<b>&'.example.com"})
    page = edge.request("/.edge/status", headers=HTML, auth=("", "t0ken")).text
    assert "&lt;b&gt;&amp;&#39;.example.com: well" in page
    assert "<b>&" not in page


@pytest.mark.skipif(BROWSER is None, reason=f"no browser: none of {', '.join(BROWSERS)} is there")
def test_in_a_real_browser(edge: Edge, tmp_path: Path) -> None:
    assert BROWSER
    url = f"http://me:t0%3Aken@127.0.0.1:{edge.port}/.edge/status"
    common = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    common += ["--no-first-run", f"--user-data-dir={tmp_path / 'profile'}"]
    shot = tmp_path / "page.png"
    command = [BROWSER, *common, "--window-size=1280,1100", f"--screenshot={shot}", "--dump-dom"]
    ran = subprocess.run([*command, url], capture_output=True, text=True, check=True, timeout=120)
    page = Page(ran.stdout)
    assert [cell.strip() for cell in page.cells[1::7]] == ["down", "drains", "ejected"]
    # The parser of HTML took the map for SVG: its elements stand where they were written.
    assert re.search(r"<svg .*<path .*<circle .*</svg>", ran.stdout, re.DOTALL)
    assert "Refused to" not in ran.stderr, "the page's own policy forbids nothing that it needs"
    assert shot.read_bytes().startswith(b"\x89PNG")
