"""What the emulated Cloudflare refuses as the real one does; the sources stand with the code."""

import shutil
from typing import Any

import pytest

from components.edge.table import CONFIG_BYTES
from components.edge.worker_filter import expression
from sandbox.vendors.cloudflare import cron, javascript
from sandbox.vendors.cloudflare.expressions import parsing_error
from sandbox.vendors.cloudflare.quota import CALLS, WINDOW_SECONDS
from sandbox.vendors.cloudflare.scripts import MAX_BINDING_BYTES
from tests.projects import ROOT
from tests.sandbox.vendors.cloudflare_client import Cloudflare, error


@pytest.fixture(scope="module")
def cloudflare(tmp_path_factory: pytest.TempPathFactory) -> Cloudflare:
    return Cloudflare(tmp_path_factory.mktemp("cloudflare"))


def message(answer: Any) -> str:
    return answer.json["errors"][0]["message"]


class TestQuota:
    def test_calls_beyond_it_wait_for_the_next_window(self, cloudflare: Cloudflare) -> None:
        cloudflare.now += WINDOW_SECONDS
        first = cloudflare.call("GET", "/zones")
        assert first.headers["Ratelimit"] == f'"default";r={CALLS - 1};t={WINDOW_SECONDS}'
        for _ in range(CALLS - 1):
            last = cloudflare.call("GET", "/zones")
        assert last.status_code == 200
        assert "Retry-After" not in last.headers
        cloudflare.now += 0.5
        record = cloudflare.record()
        assert error(record) == (429, 971)
        assert "throttling" in message(record)
        assert record.headers["Retry-After"] == str(WINDOW_SECONDS)
        cloudflare.now += WINDOW_SECONDS - 1
        assert cloudflare.call("GET", "/zones").headers["Retry-After"] == "1"
        cloudflare.now += 1
        assert cloudflare.result("GET", f"{cloudflare.zone}/dns_records") == []

    def test_what_needs_no_token_is_free(self, cloudflare: Cloudflare) -> None:
        cloudflare.now += WINDOW_SECONDS
        cloudflare.call("GET", "/ips", headers={})
        assert f"r={CALLS - 1};" in cloudflare.call("GET", "/zones").headers["Ratelimit"]


class TestScripts:
    @pytest.mark.skipif(not shutil.which("node"), reason="no Node on this machine to parse with")
    @pytest.mark.parametrize(
        ("module", "said"),
        [
            (b"export default {\n  fetch( { }\n", "Uncaught SyntaxError: Unexpected end of input"),
            (
                b"export default {}\nlet a = ;",
                "Unexpected token ';'\n  at main.js:2\n",
            ),
            (b"<!DOCTYPE html>", "Uncaught SyntaxError: Unexpected token '<'\n  at main.js:1\n"),
        ],
    )
    def test_one_that_is_no_javascript(
        self, cloudflare: Cloudflare, module: bytes, said: str
    ) -> None:
        answer = cloudflare.script("broken", module)
        assert error(answer) == (400, 10021)
        assert said in message(answer)
        path = f"{cloudflare.account}/workers/scripts/broken"
        assert error(cloudflare.call("GET", path)) == (404, 10007)

    def test_our_own_is_javascript(self) -> None:
        source = (ROOT / "components" / "edge" / "worker" / "worker.js").read_bytes()
        assert javascript.syntax_error("worker.js", source, module=True) is None

    def test_without_node_everything_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "")
        assert javascript.syntax_error("worker.js", b"(((", module=True) is None

    @pytest.mark.parametrize(("kind", "field"), [("plain_text", "text"), ("json", "json")])
    def test_a_variable_that_is_too_large(
        self, cloudflare: Cloudflare, kind: str, field: str
    ) -> None:
        def bound(size: int) -> Any:
            binding = {"name": "A", "type": kind, field: "é" * (size // 2) + "x" * (size % 2)}
            return cloudflare.script(bindings=[binding])

        assert bound(MAX_BINDING_BYTES).status_code == 200
        answer = bound(MAX_BINDING_BYTES + 1)
        assert error(answer) == (400, 10054)
        assert message(answer) == "workers.api.error.text_binding_too_large"

    def test_a_variable_of_json_counts_as_it_is_written(self, cloudflare: Cloudflare) -> None:
        value = {"regions": ["x" * (MAX_BINDING_BYTES - len('{"regions":[""]}') + 1)]}
        binding = {"name": "A", "type": "json", "json": value}
        assert error(cloudflare.script(bindings=[binding])) == (400, 10054)

    def test_the_table_of_regions_stays_below_the_limit(self) -> None:
        assert CONFIG_BYTES < MAX_BINDING_BYTES

    def test_one_that_is_not_there(self, cloudflare: Cloudflare) -> None:
        workers = f"{cloudflare.account}/workers"
        assert error(cloudflare.call("GET", f"{workers}/services/none")) == (404, 10090)
        assert error(cloudflare.call("GET", f"{workers}/scripts/none")) == (404, 10007)


class TestCron:
    @pytest.mark.parametrize(
        "expression",
        [
            "* * * * *",
            "*/5 0-23/2 1,15 * *",
            "0 3 * * mon-fri",
            "59 23 LW jan-jun FRI",
            "0 0 15W 12 7",
            "0 0 L * 6L",
            "10 7 * * mon#2",
        ],
    )
    def test_taken(self, expression: str) -> None:
        assert cron.valid(expression)

    @pytest.mark.parametrize(
        "expression",
        [
            "99 * * * *",
            "* 24 * * *",
            "0 0 0 * *",
            "0 0 * 13 *",
            "0 22 * * 0",
            "5-1 * * * *",
            "*/0 * * * *",
            "* * * *",
            "* * * * * *",
            "1, * * * *",
            "often",
            "",
        ],
    )
    def test_refused(self, cloudflare: Cloudflare, expression: str) -> None:
        cloudflare.script()
        path = f"{cloudflare.account}/workers/scripts/router/schedules"
        answer = cloudflare.call("PUT", path, [{"cron": "* * * * *"}, {"cron": expression}])
        assert error(answer) == (400, 10100)
        assert message(answer) == f"invalid cron string: {expression}"
        assert cloudflare.result("GET", path) == {"schedules": []}

    @pytest.mark.parametrize("body", [{}, {"cron": "* * * * *"}, ["* * * * *"], [{"cron": {}}]])
    def test_a_body_of_another_form(self, cloudflare: Cloudflare, body: Any) -> None:
        cloudflare.script()
        path = f"{cloudflare.account}/workers/scripts/router/schedules"
        assert error(cloudflare.call("PUT", path, body)) == (400, 10026)


class TestExpressions:
    @pytest.mark.parametrize(
        "text",
        [
            "true",
            "ssl",
            "not ssl",
            'http.host eq "example.com"',
            '(http.host in {"a.example.com" "b.com"}) or ip.src in {10.0.0.0/8 2001:db8::/32}',
            "ip.src eq 192.0.2.1 && !(tcp.dstport in {80 443 8000..8999})",
            'lower(http.user_agent) contains "bot" xor cf.bot_management.score lt 30',
            'starts_with(http.request.uri.path, "/a") and len(http.request.body.raw) > 10',
            'any(http.request.headers["x"][*] == "y")',
            'http.request.uri.path strict wildcard r"/*.js"',
            "ip.src in $office and ip.geoip.asnum in {13335 64512}",
            'http.request.uri.path matches r#"^/"api""#',
            expression("example.com", ["us.example.com", "eu.example.com"], "/health"),
        ],
    )
    def test_taken(self, text: str) -> None:
        assert parsing_error(text) is None

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("((((", "(1:5):\n((((\n    ^ expected an expression"),
            ('(http.host eq "a"', '^ expected literal ")"'),
            ('http.host eq "a")', "^ unrecognised input"),
            ("http.host eq", "^ expected a value"),
            ('http.host eq "a', "(1:14)"),
            ('host eq "a"', '(1:1):\nhost eq "a"\n^ unknown identifier'),
            ('http.host in {"a" "b"', "^ expected a value, or }"),
            ("ssl and\nand ssl", "(2:1):\nand ssl\n^ expected an expression"),
            ("ssl ssl", "(1:5)"),
            ("ssl; ssl", "^ unrecognised input"),
            ("len(http.host", '^ expected literal ")"'),
        ],
    )
    def test_refused(self, cloudflare: Cloudflare, text: str, said: str) -> None:
        answer = self.rule(cloudflare, text)
        assert error(answer) == (400, 20127)
        assert f"'{text}' is not a valid value for expression because could not" in message(answer)
        assert said in message(answer)

    @pytest.mark.parametrize("text", ["", "  ", None])
    def test_none(self, cloudflare: Cloudflare, text: str | None) -> None:
        assert error(self.rule(cloudflare, text)) == (400, 20125)

    def rule(self, cloudflare: Cloudflare, text: str | None) -> Any:
        path = f"{cloudflare.zone}/rulesets/phases/http_request_firewall_custom/entrypoint"
        answer = cloudflare.call("PUT", path, {"rules": [{"action": "block", "expression": text}]})
        assert cloudflare.result("GET", f"{cloudflare.zone}/rulesets") == []
        return answer
