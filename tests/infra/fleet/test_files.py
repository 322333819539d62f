"""Nothing in the fleet's files is silently ignored."""

from pathlib import Path

import pytest

from infra.errors import SettingsError
from infra.fleet.reading import load
from tests.projects import ROOT, copy_project

REGION = (ROOT / "Pulumi.us.yaml").read_text()
PROJECT = (ROOT / "Pulumi.yaml").read_text()


def mistakes(tmp_path: Path, stack: str = REGION, project: str = PROJECT) -> list[str]:
    folder = copy_project(tmp_path)
    (folder / "Pulumi.us.yaml").write_text(stack)
    (folder / "Pulumi.yaml").write_text(project)
    with pytest.raises(SettingsError) as caught:
        load(folder)
    return caught.value.mistakes


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (
            "  drain: true\n",
            "drain: has no prefix, and Pulumi takes no key without; did you mean edgefleet:drain?",
        ),
        (
            "  drian: true\\n",
            "drian: has no prefix, and Pulumi takes no key without; did you mean edgefleet:drain?",
        ),
        ("  zzz: true\\n", "zzz: has no prefix, and Pulumi takes no key without"),
        (
            "  edgfleet:drain: true\n",
            "edgfleet:drain: nobody here has the prefix 'edgfleet'; did you mean edgefleet:drain?",
        ),
        (
            "  aws:region: eu-central-1\n",
            "aws:region: nobody here has the prefix 'aws'",
        ),
        ("  edgefleet:drian: true\n", "edgefleet:drian: is not a known key; did you mean drain?"),
        ("drain: true\n", "drain: stands beside `config:`, where nobody reads it. Put it below"),
        (
            "edgefleet:drain: true\n",
            "edgefleet:drain: stands beside `config:`, where nobody reads it. Put it below",
        ),
        ("confg: {}\n", "confg: is not a known key; did you mean config?"),
        ("  edgefleet:region: eu\n", "line 8: edgefleet:region: stands there twice"),
        (
            "  edgefleet:coordinates: {latitude: 017, longitude: 1}\n",
            "line 8: 017: is a number or a date to some programs: put it in quotes, or write the "
            "number in full, in decimal digits",
        ),
        (
            "  edgefleet:coordinates: {latitude: 1:30, longitude: 1}\n",
            "edgefleet:coordinates.latitude: '1:30': must be a number",
        ),
    ],
)
def test_what_nobody_would_read_is_named(tmp_path: Path, more: str, sentence: str):
    assert mistakes(tmp_path, REGION + more) == [f"Pulumi.us.yaml: {sentence}"]


def test_what_pulumi_itself_keeps_in_a_stack_file(tmp_path: Path):
    folder = copy_project(tmp_path)
    more = "  vultr:apiKey: {secure: v1:abc}\nencryptionsalt: v1:x\nenvironment: [prod]\n"
    (folder / "Pulumi.us.yaml").write_text(REGION + more)
    assert "us" in load(folder).stacks


@pytest.mark.parametrize(
    "line",
    [
        "vultr:apiKey: ABCDEF",
        "cloudflare:apiToken: abcdef",
        "vultr:token: 7",
        "kubernetes:kubeconfig: '{}'",
    ],
)
def test_a_credential_that_everybody_can_read_is_refused(tmp_path: Path, line: str):
    key = line.partition(": ")[0]
    (sentence,) = mistakes(tmp_path, f"{REGION}  {line}\n")
    assert sentence.startswith(f"Pulumi.us.yaml: {key}: stands there for everybody to read")
    assert sentence.endswith(f"`pulumi config set --secret {key}`")
    assert "ABCDEF" not in sentence


def test_so_is_a_private_key_wherever_it_stands(tmp_path: Path):
    key = "  edgefleet:ingress:\n    config:\n      x: |\n        -----BEGIN EC PRIVATE KEY-----\n"
    (sentence,) = mistakes(tmp_path, REGION + key)
    assert sentence.startswith("Pulumi.us.yaml: a private key stands there for everybody to read")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "    default: example.com\n",
            "    default: example\n",
            "config.domain: 'example': must be a host name in lower case, like www.example.com",
        ),
        (
            "  drain:\n",
            "  drain:\n    value: true\n",
            "config.drain: True: is one stack's. For every stack hold only: accountId, domain, "
            "hosts, originHeader, originPulls, stacks, zoneId. Say it in the stack files",
        ),
        ("  domain:\n", "  domian: {default: a}\n  domain:\n", "config.domian: is not a known key"),
        ("config:\n", "config: [a]\nx:\n", "config: must be a mapping"),
        ("config:\n", "config:\n  1: a\n", "config.1: is not a known key"),
        (
            "config:\n",
            "config:\n  vultr:apiKey: abc\n",
            "vultr:apiKey: stands there for everybody to read",
        ),
    ],
)
def test_mistakes_in_pulumi_yaml_are_blamed_on_it(
    tmp_path: Path, old: str, new: str, sentence: str
):
    assert old in PROJECT
    found = mistakes(tmp_path, project=PROJECT.replace(old, new, 1))
    assert found[0].startswith(f"Pulumi.yaml: {sentence}")
    assert all(mistake.startswith("Pulumi.yaml: ") for mistake in found[:1])
    assert len(found) == len(set(found))
