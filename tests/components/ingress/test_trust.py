"""What the ingress is told about our own edge. What nginx makes of it: tests/packets."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import pulumi
import pytest

from components.ingress.mistake import IngressMistake
from components.ingress.nginx.daemon_set import IngressDaemonSet, IngressDaemonSetArgs
from components.ingress.nginx.options import nginx_config
from components.ingress.nginx.trust import FOLDER
from components.ingress.nginx.trust import config as trust_config
from components.ingress.nginx.trust import files as trust_files
from components.ingress.origin_tls import renewal_days
from components.ingress.placing import content_name
from components.ingress.traefik.daemon_set import TraefikIngress
from components.ingress.trust import EdgeTrust, Step, origin_secrets
from tests.registrations import all_registered

NEW, OLD = "n" * 40, "o" * 40


def test_off_asks_for_nothing():
    assert trust_config(EdgeTrust()) == {}
    assert trust_files(EdgeTrust()) == {}


@pytest.mark.parametrize(
    ("trust", "secrets", "files"),
    [
        (EdgeTrust("observe", "PEM"), (), {"origin-pulls-ca.pem": "PEM"}),
        (
            EdgeTrust(header="require"),
            (NEW, OLD),
            {"origin-secrets.map": f'"{NEW}" known;\n"{OLD}" known;\n'},
        ),
    ],
)
def test_every_file_that_the_configuration_names_is_there(
    trust: EdgeTrust, secrets: tuple[str, ...], files: dict[str, str]
):
    assert trust_files(trust, secrets) == files
    snippets = trust_config(trust)["http-snippets"]
    for name in files:
        assert f"{FOLDER}/{name};" in snippets


def test_observing_refuses_nobody():
    config = trust_config(EdgeTrust("observe", "PEM", "observe"))
    assert "server-snippets" not in config
    assert "ssl_verify_client optional_no_ca;" in config["http-snippets"]


def test_a_header_without_values_is_refused():
    args: IngressDaemonSetArgs = {
        "image": "a:1",
        "trusted_proxies": ["192.0.2.0/24"],
        "trust": {"header": "observe"},
    }
    with pytest.raises(IngressMistake, match=r"trust\.header: 'observe': needs origin_secrets"):
        IngressDaemonSet("ingress", args)


@pytest.mark.parametrize("ingress", [IngressDaemonSet, TraefikIngress])
def test_values_may_be_known_later_one_by_one_or_together(ingress: Callable[..., pulumi.Resource]):
    def sent(values: Callable[[], pulumi.Input[Sequence[pulumi.Input[str]]]]) -> dict[str, Any]:
        args = {"image": "a:1", "trusted_proxies": ["192.0.2.0/24"], "trust": {"header": "require"}}
        made, _ = all_registered(lambda: ingress("ingress", {**args, "origin_secrets": values()}))
        return {f"{each['type']} {each['name']}": each["object"] for each in made}

    said = sent(lambda: [NEW, OLD])
    held = json.dumps([each for key, each in said.items() if ":Secret " in key])
    assert NEW in held
    assert OLD in held
    assert sent(lambda: [pulumi.Output.secret(NEW), OLD]) == said
    assert sent(lambda: pulumi.Output.secret([NEW, OLD])) == said


@pytest.mark.parametrize("step", ["observe", "require"])
def test_the_application_does_not_see_the_secret(step: Step):
    """An empty value: nginx sends no such header."""
    config = trust_config(EdgeTrust(header=step))
    assert config["location-snippets"] == 'proxy_set_header X-Edgefleet-Origin "";'
    assert "location-snippets" not in trust_config(EdgeTrust("require", "PEM"))


def test_a_log_format_fits_the_controllers_quotes():
    config = nginx_config(["192.0.2.0/24"], trust=EdgeTrust("observe", "PEM", "observe"))
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
