"""What the ingress is told about our own edge. What nginx makes of it: tests/packets."""

import pytest

from components.ingress.origin_tls import renewal_days
from components.ingress.trust import FOLDER, EdgeTrust, content_name, origin_secrets

NEW, OLD = "n" * 40, "o" * 40


def test_off_asks_for_nothing():
    assert EdgeTrust().nginx_config() == {}
    assert EdgeTrust().files() == {}


@pytest.mark.parametrize(
    ("trust", "files"),
    [
        (EdgeTrust("observe", "PEM"), {"origin-pulls-ca.pem": "PEM"}),
        (
            EdgeTrust(header="require", secrets=(NEW, OLD)),
            {"origin-secrets.map": f'"{NEW}" known;\n"{OLD}" known;\n'},
        ),
    ],
)
def test_every_file_that_the_configuration_names_is_there(trust: EdgeTrust, files: dict[str, str]):
    assert trust.files() == files
    snippets = trust.nginx_config()["http-snippets"]
    for name in files:
        assert f"{FOLDER}/{name};" in snippets


def test_observing_refuses_nobody():
    config = EdgeTrust("observe", "PEM", "observe", (NEW,)).nginx_config()
    assert "server-snippets" not in config
    assert "ssl_verify_client optional_no_ca;" in config["http-snippets"]


def test_no_secret_stands_in_the_configuration():
    config = EdgeTrust("require", "PEM", "require", (NEW, OLD)).nginx_config()
    assert NEW not in str(config)
    assert OLD not in str(config)


def test_a_log_format_fits_the_controllers_quotes():
    config = EdgeTrust("observe", "PEM", "observe", (NEW,)).nginx_config()
    assert "'" not in config["log-format"]


def test_one_secret_or_two():
    assert origin_secrets(f"{NEW}\n") == (NEW,)
    assert origin_secrets(f"{NEW} {OLD}") == (NEW, OLD)


@pytest.mark.parametrize("text", ["", "short", f"{NEW} {OLD} {NEW}", '";' + "x" * 38, "x" * 44])
def test_a_bad_secret_is_refused_without_being_shown(text: str):
    with pytest.raises(ValueError, match=r"values|characters") as caught:
        origin_secrets(text)
    for value in text.split():
        assert value not in str(caught.value)


def test_a_name_changes_with_the_content():
    assert content_name("files", {"a": "1"}) == content_name("files", {"a": "1"})
    assert content_name("files", {"a": "1"}) != content_name("files", {"a": "2"})
    assert content_name("files", {"a": "1"}) != content_name("files", {"b": "1"})


@pytest.mark.parametrize(("validity", "days"), [(7, 2), (90, 30), (365, 90), (5475, 90)])
def test_there_is_time_to_renew(validity: int, days: int):
    assert renewal_days(validity) == days
