"""Settings, the CA's certificate and secrets, put together for a stack."""

import asyncio
import contextvars
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from pulumi.runtime.settings import SETTINGS

from infra.errors import SettingsError
from infra.fleet.inventory import CA_FILE
from infra.fleet.reading import load
from infra.stacks.origin_trust import worker_secret
from ops.render.offline import Rendering, render
from ops.render.resources import SECRET
from tests.projects import ROOT, copy_project, region, region_stack, write_stack
from tests.rendered import of_type

CA = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"
SECURE = {"secure": "v1:abc"}
CONFIG, DAEMONS, SECRETS = (
    f"kubernetes:{kind}" for kind in ("core/v1:ConfigMap", "apps/v1:DaemonSet", "core/v1:Secret")
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return copy_project(tmp_path)


def with_ca(project: Path) -> Path:
    (project / CA_FILE).write_text(CA.format("first") + CA.format("second"))
    return project


def edge(project: Path, **keys: Any) -> None:
    write_stack(project, "edge", {"edge": {"script": "edgefleet"}, **keys})


def us(project: Path, **keys: Any) -> None:
    write_stack(project, "us", {**region(), **keys})


def config_of(rendering: Rendering) -> dict[str, str]:
    (found,) = (c for n, c in of_type(rendering, CONFIG).items() if n == "us-ingress-config")
    return found.inputs["data"]


def refused(project: Path, stack: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        render(project, stack)
    return caught.value.mistakes


@pytest.mark.parametrize("stack", ["us", "edge"])
def test_without_a_ca_origin_pulls_are_off_and_one_line_says_so(project: Path, stack: str):
    rendering = render(project, stack)
    assert [m for m in rendering.messages if "Origin Pulls" in m] == [
        "Authenticated Origin Pulls are off: there is no origin-pulls-ca.pem yet (`fleet ca init`)"
    ]
    assert not [r for r in rendering.resources if "rigin-pulls" in r.name]


def test_with_a_ca_the_ingress_looks_for_certificates(project: Path):
    stack = render(with_ca(project), "us")
    assert "optional_no_ca" in config_of(stack)["http-snippets"]
    assert not [m for m in stack.messages if "Origin Pulls" in m]
    (files,) = (s for n, s in of_type(stack, SECRETS).items() if n == "us-ingress-files")
    pod = of_type(stack, DAEMONS)["us-ingress-controller"].inputs["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["files"]["secret"]["secretName"] == files.inputs["metadata"]["name"]


def test_a_config_map_that_names_files_is_another_than_one_that_names_none(project: Path):
    """Pods roll from one to the other: those that still run keep that which names their files."""

    def names() -> tuple[str, str]:
        stack = render(project, "us")
        pod = of_type(stack, DAEMONS)["us-ingress-controller"].inputs["spec"]["template"]["spec"]
        made = of_type(stack, CONFIG)["us-ingress-config"].inputs["metadata"]["name"]
        (told,) = (a for a in pod["containers"][0]["args"] if a.startswith("-nginx-configmaps="))
        assert told == f"-nginx-configmaps=$(POD_NAMESPACE)/{made}"
        return made, next((v["secret"]["secretName"] for v in pod["volumes"] if "secret" in v), "")

    off = names()
    with_ca(project)
    observing = names()
    us(project, originPulls="require")
    required = names()
    assert off == ("nginx-config", "")
    assert observing[0] == observing[1].replace("nginx-files", "nginx-config")
    assert required == observing, "the same files: running pods take it over"


def test_the_edge_signs_with_the_first_ca(project: Path):
    edge(with_ca(project), originPullsKey=SECURE)
    stack = render(project, "edge")
    (leaf,) = of_type(stack, "tls:index/locallySignedCert:LocallySignedCert").values()
    assert leaf.inputs["caCertPem"] == CA.format("first")
    assert leaf.inputs["caPrivateKeyPem"] == SECRET


def test_the_leaf_is_renewed_before_it_ends(project: Path):
    edge(with_ca(project), originPullsKey=SECURE)
    (leaf,) = of_type(
        render(project, "edge"), "tls:index/locallySignedCert:LocallySignedCert"
    ).values()
    assert leaf.inputs["validityPeriodHours"] == 365 * 24
    assert leaf.inputs["earlyRenewalHours"] == 90 * 24


def test_a_setting_of_the_zone_is_changed_after_it_was_remembered(project: Path):
    edge(
        with_ca(project),
        originPullsKey=SECURE,
        edge={"zoneSettings": {"ssl": "strict", "http3": True}},
    )
    stack = {resource.name: resource for resource in render(project, "edge").resources}
    for memory, change in (
        ("edge-origin-pulls-found", "edge-origin-pulls-switch"),
        ("edge-zone-ssl-found", "edge-zone-ssl"),
        ("edge-zone-http3-found", "edge-zone-http3"),
    ):
        assert stack[memory].urn in stack[change].options["dependsOn"]
    # Switched on before there is a certificate of ours, Cloudflare shows everybody's.
    uploaded = stack["edge-origin-pulls-certificate"].urn
    assert uploaded in stack["edge-origin-pulls-switch"].options["dependsOn"]


def test_while_a_file_holds_two_cas_the_edge_says_what_must_come_first(project: Path):
    edge(with_ca(project), originPullsKey=SECURE)
    assert [m for m in render(project, "edge").messages if "CAs" in m] == [
        "origin-pulls-ca.pem holds 2 CAs: every region must have been up with it before this "
        "stack, which shows a certificate of the first. Then `fleet ca retire`"
    ]
    (project / CA_FILE).write_text(CA.format("first"))
    assert not [m for m in render(project, "edge").messages if "CAs" in m]


def test_a_ca_without_its_key_is_refused(project: Path):
    edge(with_ca(project))
    assert refused(project, "edge") == [
        "Pulumi.edge.yaml: edgefleet:originPullsKey: is required, as it is the key of "
        "origin-pulls-ca.pem, set by `fleet ca init`: "
        "`pulumi config set --secret originPullsKey --stack edge`"
    ]


def test_requiring_without_a_ca_is_refused(project: Path):
    us(project, originPulls="require")
    assert refused(project, "us") == [
        "Pulumi.us.yaml: edgefleet:originPulls: 'require', but there is no origin-pulls-ca.pem: "
        "run `fleet ca init` and go through 'observe' first"
    ]


@pytest.mark.parametrize("stack", ["us", "edge"])
@pytest.mark.parametrize("key", ["originPulls", "originHeader"])
def test_a_region_may_not_require_what_its_edge_does_not_send(project: Path, stack: str, key: str):
    us(with_ca(project), originSecret=SECURE, **{key: "require"})
    edge(project, originPullsKey=SECURE, originSecret=SECURE, **{key: "off"})
    assert refused(project, stack) == [
        f"Pulumi.us.yaml: edgefleet:{key}: 'require', but it is 'off' in Pulumi.edge.yaml: the "
        "region would refuse every visitor. Say 'observe' on one side first"
    ]


def test_off_is_a_word_and_not_a_boolean(project: Path):
    (with_ca(project) / "Pulumi.us.yaml").write_text(
        yaml.safe_dump(
            {"config": {"edgefleet:region": "us", "edgefleet:cluster": region()["cluster"]}}
        )
        + "  edgefleet:originPulls: off\n  edgefleet:drain: false\n"
    )
    stack = region_stack(project)
    assert stack.fleet.origin_pulls == "off"
    assert stack.settings.drain is False
    assert "ssl_verify_client" not in config_of(render(project, "us")).get("http-snippets", "")


def test_the_header_needs_its_secret_on_both_sides(project: Path):
    us(project, originHeader="observe")
    edge(project, originHeader="observe")
    for stack in ("us", "edge"):
        (mistake,) = refused(project, stack)
        assert f"`pulumi config set --secret originSecret --stack {stack}`" in mistake
    us(project, originHeader="observe", originSecret=SECURE)
    edge(project, originHeader="observe", originSecret=SECURE)
    assert (
        "X-Edgefleet-Origin".lower().replace("-", "_")
        in config_of(render(project, "us"))["http-snippets"]
    )
    scripts = of_type(render(project, "edge"), "cloudflare:index/workersScript:WorkersScript")
    names = {binding["name"] for binding in scripts["edge-script"].inputs["bindings"]}
    assert {"ORIGIN_SECRET", "ORIGIN_SECRET_HEADER"} <= names


def test_what_traefik_can_not_log_is_refused_before_anything_is_made(project: Path):
    traefik = {"ingress": {"controller": "traefik"}}
    us(project, originHeader="observe", originSecret=SECURE, **traefik)
    (mistake,) = refused(project, "us")
    assert mistake.startswith(
        "Pulumi.us.yaml: edgefleet:originHeader: 'observe': Traefik can't log whether the header"
    )
    us(with_ca(project), originHeader="require", originPulls="observe", originSecret=SECURE,
       **traefik)  # fmt: skip
    edge(project, originHeader="observe", originPulls="observe", originSecret=SECURE,
         originPullsKey=SECURE)  # fmt: skip
    found = render(project, "us")
    maps = of_type(found, "kubernetes:core/v1:ConfigMap")
    assert "RequestClientCert" in maps["us-ingress-edge"].inputs["data"]["edge.yaml"]
    daemons = of_type(found, "kubernetes:apps/v1:DaemonSet")
    pod = daemons["us-ingress-controller"].inputs["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"].startswith("traefik:v3.7.13")


def test_what_ran_in_the_process_before_changes_no_rendering(project: Path):
    us(project, originHeader="observe", originSecret=SECURE)

    def after_a_program_that_was_no_preview() -> Rendering:
        setattr(SETTINGS, "dry_run", False)  # noqa: B010 (no attribute to pyright)
        return render(project, "us")

    rendering = contextvars.copy_context().run(after_a_program_that_was_no_preview)
    assert "x_edgefleet_origin" in config_of(rendering)["http-snippets"]
    assert rendering == render(project, "us")


def test_of_two_secrets_the_worker_sends_the_first(project: Path):
    edge(project, originHeader="observe", originSecret=SECURE)
    stack = load(project).stacks["edge"]

    async def sent(text: str) -> str | None:
        found = worker_secret(stack, lambda _: pulumi.Output.from_input(text))
        assert found
        return await found.future()

    assert asyncio.run(sent(f"{'n' * 40} {'o' * 40}")) == "n" * 40


def test_a_secret_in_clear_is_refused_without_being_shown(project: Path):
    us(project, originSecret="t" * 40)
    with pytest.raises(SettingsError) as caught:
        load(project)
    assert "stands there for everybody to read" in str(caught.value)
    assert "ttt" not in str(caught.value)


def test_a_certificate_of_ones_own_replaces_ours(project: Path):
    us(project, tls={"secret": "web/site-tls"})
    stack = render(project, "us")
    assert not of_type(stack, "cloudflare:index/originCaCertificate:OriginCaCertificate")
    pod = of_type(stack, DAEMONS)["us-ingress-controller"].inputs["spec"]["template"]["spec"]
    assert "-default-server-tls-secret=web/site-tls" in pod["containers"][0]["args"]


def test_zone_wide_settings_are_set_by_those_who_ask(project: Path):
    kind = "cloudflare:index/zoneSetting:ZoneSetting"
    assert not of_type(render(project, "edge"), kind)
    wanted = {"ssl": "strict", "minTlsVersion": "1.2", "alwaysUseHttps": True}
    write_stack(project, "edge", {"edge": {"zoneSettings": wanted}})
    stack = render(project, "edge")
    assert {s.inputs["settingId"]: s.inputs["value"] for s in of_type(stack, kind).values()} == {
        "ssl": "strict",
        "min_tls_version": "1.2",
        "always_use_https": "on",
    }
    assert len(of_type(stack, "pulumi-python:dynamic/index:ZoneMemory")) == 3


EXTRA = {"port": 9100, "sources": ["192.0.2.7/32"], "reason": "monitoring"}


@pytest.mark.parametrize(
    ("keys", "mistake"),
    [
        ({"firewall": {"adminCidrs": ["0.0.0.0/0"]}}, "opens SSH to everybody"),
        ({"firewall": {"adminCidrs": ["198.51.100.7/24"]}}, "has host bits set"),
        ({"firewall": {"adminCidrs": ["0.0.0.0/1", "128.0.0.0/1"]}}, "0.0.0.0/0 opens SSH to"),
        ({"firewall": {"adminCidrs": ["198.0.0.0/7"]}}, "198.0.0.0/7 opens SSH to everybody"),
        ({"firewall": {"nodeNetworks": ["::/1", "8000::/1"]}}, "::/0 is everybody"),
        ({"firewall": {"podNetworks": ["10.0.0.0/7"]}}, "10.0.0.0/7 is everybody"),
        ({"firewall": {"nodeNetworks": ["8.8.8.0/24"]}}, "8.8.8.0/24: is public; everybody with"),
        ({"firewall": {"podNetworks": ["172.32.0.0/16"]}}, "or say publicNetworks: true"),
        ({"firewall": {"extraRules": [EXTRA | {"port": 443}]}}, "443 is Cloudflare's alone"),
        ({"firewall": {"extraRules": [EXTRA | {"port": 22}]}}, "who may in adminCidrs"),
        ({"firewall": {"extraRules": [EXTRA, EXTRA]}}, "tcp 9100 stands there twice"),
        ({"firewall": {"extraRules": [EXTRA | {"reason": 'a "b"'}]}}, "must be 3 to 100 letters"),
        (
            {"firewall": {"extraRules": [EXTRA | {"port": 10250, "sources": ["0.0.0.0/0"]}]}},
            "who reaches it runs the cluster",
        ),
        ({"firewall": {"webPorts": [8080]}}, "must be 80 or 443"),
        ({"firewall": {"source": "everybody"}}, "must be 'cloudflare' or 'explicit'"),
        ({"tls": {"validityDays": 100}}, "must be 7, 30, 90, 365, 730, 1095 or 5475"),
        ({"tls": {"secret": "A/b/c"}}, "must be NAME or NAMESPACE/NAME"),
        ({"originPulls": "maybe"}, "must be 'off', 'observe' or 'require'"),
    ],
)
def test_mistakes_in_words(project: Path, keys: dict[str, Any], mistake: str):
    us(project, **keys)
    with pytest.raises(SettingsError) as caught:
        load(project)
    assert mistake in str(caught.value)
    assert "Pulumi.us.yaml: edgefleet:" in str(caught.value)


def test_ranges_that_do_not_fit_are_refused(project: Path):
    us(project, firewall={"source": "explicit"})
    with pytest.raises(Exception, match=r"rules for a Vultr firewall group that holds 50"):
        render(project, "us")


def test_the_repository_has_no_ca_of_its_own():
    """Every fleet makes its own; the sandbox's would be trusted by all who clone."""
    assert not (ROOT / CA_FILE).exists()
