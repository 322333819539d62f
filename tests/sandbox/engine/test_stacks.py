"""Stacks made in the backend without a trace in the project."""

import json
from pathlib import Path

import pytest

from sandbox.engine.stacks import ProjectError, ensure_stacks, retarget_stacks, stack_names

URL = "http://127.0.0.1:4000"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    for name in ("us", "us-2", "eu"):
        (folder / f"Pulumi.{name}.yaml").write_text("config: {}\n")
    (folder / "Pulumi.us.yaml.orig").write_text("")
    return folder


def provider(backend: Path, name: str) -> dict[str, str]:
    content = json.loads((backend / f".pulumi/stacks/shop/{name}.json").read_text())
    return content["checkpoint"]["latest"]["secrets_providers"]["state"]


def test_names_come_from_the_files(project: Path) -> None:
    assert stack_names(project) == ["eu", "us", "us-2"]


def test_only_what_is_missing_is_made(project: Path, tmp_path: Path) -> None:
    backend = tmp_path / "state"
    files = {file.name: file.read_text() for file in project.iterdir()}
    assert ensure_stacks(backend, project, ["us"], URL) == ["us"]
    state = backend / ".pulumi/stacks/shop/us.json"
    state.write_text(state.read_text() + " ")
    assert ensure_stacks(backend, project, ["us", "eu"], URL) == ["eu"]
    assert state.read_text().endswith(" ")
    assert {file.name: file.read_text() for file in project.iterdir()} == files


def test_another_address_of_the_key_service(project: Path, tmp_path: Path) -> None:
    backend = tmp_path / "state"
    ensure_stacks(backend, project, ["us", "eu"], URL)
    other = backend / ".pulumi/stacks/shop/mine.json"
    other.write_text(
        '{"version": 3, "checkpoint": {"latest": {"secrets_providers": {"type": "passphrase"}}}}'
    )
    text = other.read_text()
    retarget_stacks(backend, "http://127.0.0.1:5000")
    assert provider(backend, "us")["url"] == "http://127.0.0.1:5000"
    assert provider(backend, "eu")["url"] == "http://127.0.0.1:5000"
    assert other.read_text() == text


def test_a_folder_without_a_project(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"Pulumi\.yaml doesn't exist: run this in the project"):
        ensure_stacks(tmp_path / "state", tmp_path, ["us"], URL)
    (tmp_path / "Pulumi.yaml").write_text("runtime: python\n")
    with pytest.raises(ProjectError, match=r"Pulumi\.yaml has no `name`"):
        ensure_stacks(tmp_path / "state", tmp_path, ["us"], URL)
