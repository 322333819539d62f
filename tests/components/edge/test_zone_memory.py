"""How a zone's setting was found, and put back, against the emulated API."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from pulumi.dynamic import ConfigureRequest
from pulumi.dynamic.config import Config

from components.edge.zone_memory import ORIGIN_PULLS, Setting, _Provider, zone_setting
from components.errors import CloudflareError
from sandbox.vendors.cloudflare.api import API_TOKEN, create_app
from sandbox.vendors.emulators import serve

ZONE = "809846d39026662b50a8a0b0dd159151"
SSL = zone_setting("ssl")


class Zone:
    """The zone's settings as somebody else sees and changes them; and the calls that were made."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.base_url = f"{url}/client/v4"
        self._headers = {"Authorization": f"Bearer {API_TOKEN}"}

    def get(self, setting: Setting) -> Any:
        return self._ask("GET", setting)[setting.field]

    def set(self, setting: Setting, value: Any) -> None:
        self._ask(setting.method, setting, {setting.field: value})
        requests.delete(f"{self._url}/_sandbox/requests", timeout=10).raise_for_status()

    def writes(self) -> int:
        log = requests.get(f"{self._url}/_sandbox/requests", timeout=10).json()["requests"]
        return len([call for call in log if call["method"] != "GET"])

    def _ask(self, method: str, setting: Setting, body: Any = None) -> Any:
        url = f"{self.base_url}/zones/{ZONE}/{setting.path}"
        answer = requests.request(method, url, json=body, headers=self._headers, timeout=10)
        answer.raise_for_status()
        return answer.json()["result"]


@pytest.fixture
def zone(tmp_path: Path) -> Iterator[Zone]:
    served = serve(create_app(tmp_path))
    yield Zone(served.url)
    served.close()


def provider(base_url: str, token: str = API_TOKEN) -> _Provider:
    made = _Provider()
    config = {"cloudflare:apiToken": token, "cloudflare:baseUrl": base_url}
    made.configure(ConfigureRequest(Config(config, "edgefleet")))
    return made


def wanted(setting: Setting, zone_id: str = ZONE) -> dict[str, Any]:
    return {"zone_id": zone_id, **setting._asdict(), "found": None}


def remember(memory: _Provider, setting: Setting) -> dict[str, Any]:
    """What the state then holds."""
    outs = memory.create(wanted(setting)).outs
    assert outs
    return outs


@pytest.mark.parametrize(
    ("setting", "before", "ours", "meanwhile"),
    [
        (ORIGIN_PULLS, False, True, False),
        (ORIGIN_PULLS, True, True, False),
        (SSL, "flexible", "strict", "full"),
        (zone_setting("min_tls_version"), "1.1", "1.3", "1.2"),
    ],
)
def test_what_was_found_comes_back(
    zone: Zone, setting: Setting, before: Any, ours: Any, meanwhile: Any
):
    zone.set(setting, before)
    known = remember(provider(zone.base_url), setting)
    assert known["found"] == before
    assert zone.writes() == 0, "it only reads"
    for now in (ours, meanwhile):
        zone.set(setting, now)
        provider(zone.base_url).delete("id", known)
        assert zone.get(setting) == before


def test_nothing_is_written_where_nothing_changed(zone: Zone):
    zone.set(SSL, "full")
    memory = provider(zone.base_url)
    memory.delete("id", remember(memory, SSL))
    assert zone.writes() == 0


def test_an_update_or_a_refresh_finds_nothing_anew(zone: Zone):
    """By then the setting is ours."""
    zone.set(SSL, "flexible")
    memory = provider(zone.base_url)
    known = remember(memory, SSL)
    zone.set(SSL, "strict")
    assert memory.diff("id", known, wanted(SSL)).changes is False
    assert memory.read("id", known).outs == known


def test_another_zone_or_setting_is_remembered_first_and_this_one_put_back():
    memory, olds = provider("http://unused"), wanted(SSL)
    for news in (wanted(SSL, "0" * 32), wanted(zone_setting("http3"))):
        diff = memory.diff("id", olds, news)
        assert diff.changes
        assert diff.replaces
        assert diff.delete_before_replace is False


def test_the_token_is_the_one_that_the_stack_has_now(zone: Zone):
    """A token in the state would have grown old."""
    memory = provider(zone.base_url)
    assert API_TOKEN not in str(remember(memory, SSL))


def test_a_refusal_says_what_to_check(zone: Zone):
    wrong = "w" * 40
    with pytest.raises(CloudflareError, match="The token must be allowed to edit") as caught:
        provider(zone.base_url, wrong).create(wanted(SSL))
    assert f"GET /zones/{ZONE}/settings/ssl with 401" in str(caught.value)
    assert wrong not in str(caught.value)


def test_no_answer():
    with pytest.raises(CloudflareError, match=r"did not answer GET .*Run the command again"):
        provider("http://127.0.0.1:9").create(wanted(SSL))
