"""Scalars as Pulumi reads them: held against its own command line."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.fleet.yaml_core import CoreLoader
from tests.docs.engine import Backend

ALIKE = [
    "a", "1", "-1", "+7", "0", "1.5", "-.5", "1e3", "1.5E-3", "true", "True", "FALSE", "on", "off",
    "yes", "no", "y", "n", "1:30", "190:20:30", "1.2.3", "v1.35.5+1", "1h", "0.5.", "e3", ".",
    "'017'", "'2026-11-21'", "2001:db8::1", "10.20.0.0/20", "1-2", "12e03x", "_1", "--1",
]  # fmt: skip
UNCLEAR = ["017", "08", "0o17", "0x1F", "0b11", "1_000", "-0_1", "2026-11-21", "2026-1-2T10:00:00Z"]


def read(scalar: str) -> Any:
    return yaml.load(f"k: {scalar}\n", CoreLoader)["k"]


def shown(value: Any) -> str:
    """As Pulumi keeps it: text."""
    if isinstance(value, float):
        return f"{value:g}"
    return json.dumps(value) if isinstance(value, bool | int) else str(value)


def test_what_pulumi_reads(tmp_path: Path):
    backend = Backend(tmp_path)
    assert backend.pulumi("stack", "init", "us").returncode == 0
    lines = [f"  shop:k{number}: {scalar}" for number, scalar in enumerate(ALIKE)]
    (backend.project / "Pulumi.us.yaml").write_text("\n".join(["config:", *lines, ""]))
    ran = backend.pulumi("config", "--json", "-s", "us")
    assert ran.returncode == 0, ran.stderr
    theirs = {key: entry["value"] for key, entry in json.loads(ran.stdout).items()}
    ours = {f"shop:k{number}": shown(read(scalar)) for number, scalar in enumerate(ALIKE)}
    assert ours == theirs


@pytest.mark.parametrize("scalar", UNCLEAR)
def test_what_two_programs_read_differently_is_refused(scalar: str):
    with pytest.raises(yaml.MarkedYAMLError, match="is a number or a date to some programs"):
        read(scalar)


@pytest.mark.parametrize(
    "text", ["a: 1\na: 2\n", "x:\n  b: 1\n  c: 2\n  b: 3\n", "- {d: 1, d: 1}\n"]
)
def test_a_key_that_stands_twice_is_refused(text: str):
    with pytest.raises(yaml.MarkedYAMLError, match="stands there twice"):
        yaml.load(text, CoreLoader)


def test_merged_keys_may_be_said_again():
    text = "base: &b {x: 1, y: 2}\nsite: {<<: *b, x: 3}\n"
    assert yaml.load(text, CoreLoader)["site"] == {"x": 3, "y": 2}
