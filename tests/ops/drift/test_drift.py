"""What a preview with refresh says, in words."""

import json
from pathlib import Path
from typing import Any

import pytest

from ops.doctor.finding import Blind, Finding
from ops.drift import preview as module
from ops.drift.preview import Change, changes, preview
from ops.drift.report import Drift, text
from ops.live.asking import Unasked
from ops.pulumi_cli import PulumiFailed

RECORD = "cloudflare:index/dnsRecord:DnsRecord"
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}


def step(op: str, name: str, old: Any = None, new: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "op": op,
        "urn": f"urn:pulumi:us::edgefleet::edgefleet:index:RegionalDns${RECORD}::{name}",
        "oldState": {"inputs": old} if old else None,
        "newState": {"inputs": new} if new else None,
        **more,
    }


def test_what_is_the_same_is_not_told():
    report = {"steps": [step("same", "a"), step("refresh", "b"), step("read", "c")]}
    assert changes(report) == changes({"steps": None}) == ()


def test_what_is_there_and_what_the_code_has():
    old = {"proxied": False, "name": "us", "ttl": 300, "env": {"A": "1", "B": "2"}, "__defaults": 1}
    new = {"proxied": True, "name": "us", "env": {"A": "1", "B": "3"}, "__defaults": 2}
    (change,) = changes({"steps": [step("update", "us-dns-a", old, new)]})
    assert change.type == RECORD
    assert change.fields == (
        "env.B is 2, not 3",
        "proxied is false, not true",
        "ttl is 300, not not there",
    )


def test_a_replacement_is_told_once():
    ops = ("create-replacement", "replace", "delete-replaced")
    found = changes({"steps": [step(op, "x") for op in ops]})
    assert found == (Change("replace", RECORD, "x"),)


def test_what_has_no_inputs_is_told_by_the_engines_reasons():
    (change,) = changes({"steps": [step("update", "x", diffReasons=["rules"])]})
    assert change.says == "differs: rules"


def test_a_secret_stays_one():
    old, new = {"key": {**SECRET, "ciphertext": "1"}}, {"key": {**SECRET, "ciphertext": "2"}}
    (change,) = changes({"steps": [step("update", "x", old, new)]})
    assert change.fields == ("key is [secret], not [secret]",)


def test_what_only_follows_is_no_drift():
    unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    rollout = step("update", "rollout", {"generation": 2}, {"generation": unknown})
    other = step("update", "x", {"a": 1, "b": 2}, {"a": 2, "b": unknown})
    (change,) = changes({"steps": [rollout, other]})
    assert (change.name, change.fields) == ("x", ("a is 1, not 2",))


def test_many_fields_are_counted():
    old = {f"f{n}": 1 for n in range(9)}
    (change,) = changes({"steps": [step("update", "x", old, {})]})
    assert change.fields[-1] == "and 3 more"


def test_a_text_for_a_message():
    rule = Finding(
        "cloud-firewall", "web-open", "us", "us", "the rules", "tcp 443 from all", "bad", "curl it"
    )
    found = Drift(
        {
            "us": (
                Change("create", RECORD, "us-dns-a"),
                Change("update", RECORD, "b", ("x is 1",)),
            ),
            "eu": (),
            "edge": Unasked("locked"),
        },
        (rule,),
        (Blind("Vultr", "eu", "401"),),
    )
    assert (found.found, found.unasked) == (True, True)
    assert text(found) == (
        "**us**: 2 resources aren't as the code says\n"
        "- `us-dns-a` (DnsRecord) isn't there\n"
        "- `b` (DnsRecord) differs: x is 1\n"
        "\n"
        "`pulumi up --refresh -s us` makes them so.\n"
        "\n"
        "There, and made by nobody here:\n"
        "- us: tcp 443 from all\n"
        "  do: curl it\n"
        "\n"
        "**eu**: as the code says\n"
        "\n"
        "**edge**: couldn't look: locked\n"
        "\n"
        "Couldn't be asked for what nothing here made:\n"
        "- eu: Vultr: 401"
    )
    assert not Drift({"us": ()}).found


def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, code: int = 0) -> Path:
    """A `pulumi` that prints this."""
    program = tmp_path / "pulumi"
    (tmp_path / "out").write_text(out)
    program.write_text(f"#!/bin/sh\ncat {tmp_path}/out\necho 'error: it broke' >&2\nexit {code}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def test_the_engine_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    report = json.dumps({"steps": [step("delete", "x")]}, indent=2)
    folder = fake(tmp_path, monkeypatch, f"a line of somebody's {{}}\n{report}\n")
    assert preview(folder, "us") == (Change("delete", RECORD, "x"),)


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("", "error: it broke"),
        ('{"diagnostics": [{"severity": "error", "message": "no cluster"}]}', "no cluster"),
    ],
)
def test_an_engine_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, said: str):
    with pytest.raises(PulumiFailed, match=said):
        preview(fake(tmp_path, monkeypatch, out, 255), "us")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(PulumiFailed, match="no `pulumi` on PATH"):
        module.preview(tmp_path, "us")
