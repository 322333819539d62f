"""The pin of Cloudflare's addresses: what is believed, what is refused, what is written."""

import json
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from components.firewall.cloudflare_ranges import CloudflareRanges, load
from ops.cli import application
from ops.ranges import cli as ranges
from ops.ranges import source as range_source
from ops.ranges.source import RangesError, Source, diff, fetch, leaps, parse
from tests.projects import ROOT, copy_project

TODAY = date(2026, 11, 21)
IPV4 = ["104.16.0.0/13", "172.64.0.0/13", "173.245.48.0/20"]
IPV6 = ["2400:cb00::/32", "2606:4700::/32"]


class Cloudflare:
    """Answers by path: a status and a body."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.failures = 0
        self.say(IPV4, IPV6)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append(self.path)
                status, body = outer.answers[self.path]
                if outer.failures:
                    outer.failures -= 1
                    status = 503
                self.send_response(status)
                self.send_header("Content-Length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        base = f"http://127.0.0.1:{self.server.server_port}"
        self.source = Source(f"{base}/client/v4/ips", f"{base}/ips-v4", f"{base}/ips-v6")

    def say(self, ipv4: list[str], ipv6: list[str], etag: str = "e1") -> None:
        result = {"ipv4_cidrs": ipv4, "ipv6_cidrs": ipv6, "etag": etag}
        self.answers = {
            "/client/v4/ips": (200, json.dumps({"success": True, "result": result})),
            "/ips-v4": (200, "\n".join(ipv4) + "\n"),
            "/ips-v6": (200, "\n".join(ipv6)),
        }


@pytest.fixture(autouse=True)
def _patient_for_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(range_source, "BACKOFF", 0)


@pytest.fixture
def cloudflare() -> Iterator[Cloudflare]:
    served = Cloudflare()
    yield served
    served.server.shutdown()
    served.server.server_close()


@pytest.fixture
def pin(tmp_path: Path, cloudflare: Cloudflare, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pin of what the server says, and a command line that knows both."""
    path = tmp_path / "cloudflare_ranges.json"
    path.write_text(ranges.render(pinned(IPV4, IPV6)))
    monkeypatch.setattr(ranges, "PIN", path)
    monkeypatch.setattr(ranges, "source", lambda: cloudflare.source)
    return path


def pinned(ipv4: list[str], ipv6: list[str]) -> CloudflareRanges:
    return CloudflareRanges(
        tuple(sorted(IPv4Network(c) for c in ipv4)),
        tuple(sorted(IPv6Network(c) for c in ipv6)),
        fetched=date(2026, 8, 11),
        etag=None,
    )


def run(*command: str) -> tuple[int, str]:
    done = CliRunner().invoke(application(), ["ranges", *command])
    return done.exit_code, done.output


# --- what is believed ----------------------------------------------------------------------------


def test_three_lists_that_agree_are_believed(cloudflare: Cloudflare):
    found = fetch(cloudflare.source, TODAY)
    assert found.cidrs == (*IPV4, *IPV6)
    assert (found.etag, found.fetched) == ("e1", TODAY)
    assert sorted(cloudflare.requests) == ["/client/v4/ips", "/ips-v4", "/ips-v6"]


def test_a_hiccup_is_tried_again(cloudflare: Cloudflare):
    cloudflare.failures = 1
    assert fetch(cloudflare.source, TODAY).cidrs == (*IPV4, *IPV6)


@pytest.mark.parametrize(
    ("path", "answer", "mistake"),
    [
        ("/ips-v4", (200, "\n".join(IPV4[:2])), "say different things"),
        ("/ips-v4", (200, ""), "no IPv4 ranges at all"),
        ("/ips-v6", (200, "<html>blocked</html>"), "'<html>blocked</html>' is no range"),
        ("/ips-v6", (404, "gone"), "answered 404"),
        ("/client/v4/ips", (200, "<html>"), "not the API's answer"),
        ("/client/v4/ips", (200, '{"result": null}'), "not the API's answer"),
        ("/client/v4/ips", (200, '{"result": {"ipv4_cidrs": []}}'), "not the API's answer"),
    ],
)
def test_anything_else_is_refused(
    cloudflare: Cloudflare, path: str, answer: tuple[int, str], mistake: str
):
    cloudflare.answers[path] = answer
    with pytest.raises(RangesError, match=mistake) as caught:
        fetch(cloudflare.source, TODAY)
    assert "http://127.0.0.1" in str(caught.value)


def test_no_answer_is_refused():
    with pytest.raises(RangesError, match="did not answer"):
        fetch(Source("http://127.0.0.1:1/ips", "", ""), TODAY)


@pytest.mark.parametrize(
    ("cidrs", "family", "mistake"),
    [
        ([], 4, "no IPv4 ranges"),
        (["104.16.0.1/13"], 4, "host bits"),
        ([1], 4, "no IPv4 range"),
        ([None], 4, "is no range"),
        (["2400:cb00::/32"], 4, "no IPv4 range"),
        (["104.16.0.0/13", "104.16.0.0/14"], 4, "overlap"),
        (["104.16.0.0/13", "104.16.0.0/13"], 4, "overlap"),
        *(
            ([cidr], 4, "not public unicast")
            for cidr in (
                "0.0.0.0/0", "10.1.0.0/16", "192.168.0.0/24", "127.0.0.1/32", "100.64.0.0/10",
                "169.254.169.254/32", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/8", "192.0.0.0/2",
            )
        ),
        *(
            ([cidr], 6, "not public unicast")
            for cidr in ("::/0", "fc00::/7", "fe80::/10", "ff00::/8", "2001:db8::/32", "2002::/16")
        ),
    ],
)  # fmt: skip
def test_ranges_that_no_list_of_cloudflares_may_have(cidrs: list[Any], family: int, mistake: str):
    with pytest.raises(RangesError, match=mistake):
        parse("here", cidrs, family)


@given(st.sets(st.integers(0, 255), min_size=1, max_size=8))
def test_disjoint_public_ranges_pass_in_order(numbers: set[int]):
    cidrs = [f"104.{number}.0.0/16" for number in numbers]
    assert [str(n) for n in parse("here", cidrs, 4)] == [f"104.{n}.0.0/16" for n in sorted(numbers)]


@pytest.mark.parametrize(
    ("ipv4", "far"),
    [
        (IPV4, []),
        ([*IPV4, "131.0.72.0/22"], []),
        (IPV4[:1], ["IPv4 goes from 3 to 1 ranges", "IPv4 goes from 1052672 to 524288 addresses"]),
        ([*IPV4[:2], "128.0.0.0/8"], ["IPv4 goes from 1052672 to 17825792 addresses"]),
        (
            [*IPV4, "131.0.72.0/22", "131.0.76.0/22"],
            ["IPv4 goes from 3 to 5 ranges"],
        ),
    ],
)
def test_more_than_half_is_a_leap(ipv4: list[str], far: list[str]):
    assert list(leaps(pinned(IPV4, IPV6), pinned(ipv4, IPV6))) == far


def test_a_leap_of_ipv6_is_seen_too():
    assert list(leaps(pinned(IPV4, IPV6), pinned(IPV4, [*IPV6, "2803:f800::/32", "2a06::/32"])))


def test_a_diff_reads_like_one():
    new = pinned([*IPV4[1:], "131.0.72.0/22"], [*IPV6, "2803:f800::/32"])
    assert diff(pinned(IPV4, IPV6), new) == [
        "- 104.16.0.0/13",
        "+ 131.0.72.0/22",
        "+ 2803:f800::/32",
    ]


# --- the command ---------------------------------------------------------------------------------


def test_showing_says_how_old_the_pin_is(pin: Path):
    code, output = run()
    age = (date.today() - date(2026, 8, 11)).days
    assert code == 0
    assert output.splitlines() == [
        f"read 2026-08-11, {age} days ago; etag not known",
        *IPV4,
        *IPV6,
    ]


def test_the_pin_of_another_checkout(tmp_path: Path):
    checkout = copy_project(tmp_path)
    path = checkout / ranges.PIN.relative_to(ROOT)
    path.parent.mkdir(parents=True)
    path.write_text(ranges.render(pinned(IPV4[:1], IPV6)))
    code, said = run("--dir", str(checkout))
    assert (code, said.splitlines()[1]) == (0, IPV4[0])
    assert IPV4[1] not in said
    code, said = run("--dir", "/nowhere")
    assert (code, "there is no Pulumi.yaml here or above" in said) == (2, True)


def test_checking_asks_and_tells_by_its_exit_code(pin: Path, cloudflare: Cloudflare):
    assert run("--check")[0] == 0
    before = pin.read_text()
    cloudflare.say([*IPV4, "131.0.72.0/22"], IPV6)
    code, output = run("--check")
    assert code == 1
    assert "+ 131.0.72.0/22" in output
    cloudflare.answers["/ips-v4"] = (500, "")
    assert run("--check")[0] == 2
    assert pin.read_text() == before


def test_json(pin: Path, cloudflare: Cloudflare):
    shown = json.loads(run("--json")[1])
    assert (shown["fetched"], shown["ipv4_cidrs"]) == ("2026-08-11", IPV4)
    assert json.loads(run("--check", "--json")[1]) == {"changes": []}
    cloudflare.say([*IPV4, "131.0.72.0/22"], IPV6)
    done = CliRunner().invoke(application(), ["ranges", "--check", "--json"])
    assert (done.exit_code, json.loads(done.stdout)) == (1, {"changes": ["+ 131.0.72.0/22"]})
    assert json.loads(run("update", "--json")[1]) == {"changes": ["+ 131.0.72.0/22"]}
    assert run("--json", "update")[0] == 2


def test_nobody_there_is_said_in_words(pin: Path, cloudflare: Cloudflare):
    cloudflare.server.shutdown()
    cloudflare.server.server_close()
    code, output = run("--check")
    assert code == 2
    assert "did not answer" in output
    assert "Connection refused" in output
    assert "ConnectionPool" not in output


def test_updating_writes_the_pin_and_shows_the_change(pin: Path, cloudflare: Cloudflare):
    cloudflare.say([*IPV4, "131.0.72.0/22"], IPV6, etag="e2")
    code, output = run("update")
    assert (code, output.splitlines()[0]) == (0, "+ 131.0.72.0/22")
    found = load(pin)
    assert found.cidrs == tuple(sorted([*IPV4, "131.0.72.0/22"], key=IPv4Network)) + tuple(IPV6)
    assert (found.etag, found.fetched) == ("e2", date.today())
    assert "127.0.0.1" not in pin.read_text()
    assert "no range changed" in run("update")[1]


def test_a_leap_needs_force(pin: Path, cloudflare: Cloudflare):
    before = pin.read_text()
    cloudflare.say(IPV4[:1], IPV6)
    code, output = run("update")
    assert code == 1
    assert "Nothing was written" in output
    assert pin.read_text() == before
    assert run("update", "--force")[0] == 0
    assert load(pin).ipv4 == (IPv4Network(IPV4[0]),)


def test_force_forces_no_nonsense(pin: Path, cloudflare: Cloudflare):
    before = pin.read_text()
    cloudflare.say(["0.0.0.0/0"], IPV6)
    code, output = run("update", "--force")
    assert code == 2
    assert "not public unicast" in output
    assert pin.read_text() == before


def test_the_repositorys_own_pin_would_be_taken():
    own = load()
    for family, networks in ((4, own.ipv4), (6, own.ipv6)):
        assert range_source.parse("pin", [str(n) for n in networks], family) == networks
    assert ranges.render(own) == ranges.PIN.read_text()
