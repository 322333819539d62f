"""Arrows between the folders point one way, and each folder stays a set of small rooms."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAY_IMPORT = {
    "components": {"components"},
    "infra": {"components", "infra"},
    "ops": {"components", "infra", "ops", "sandbox"},
    "sandbox": {"sandbox"},
}
FOLDERS = set(MAY_IMPORT) | {"tests", "bench"}
FILES = [path for folder in MAY_IMPORT for path in sorted((ROOT / folder).glob("**/*.py"))]


def imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found & FOLDERS


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_what_its_folder_may(path: Path):
    folder = path.relative_to(ROOT).parts[0]
    assert imported(path) <= MAY_IMPORT[folder]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_a_small_room(path: Path):
    assert len(path.read_text().splitlines()) <= 330


def test_the_programs_do_not_know_the_sandbox():
    for folder in ("components", "infra"):
        for path in (ROOT / folder).glob("**/*.py"):
            assert "sandbox" not in path.read_text().lower(), path
    assert "sandbox" not in (ROOT / "__main__.py").read_text()


def test_components_know_no_environment():
    for path in (ROOT / "components").glob("**/*.py"):
        nodes = ast.walk(ast.parse(path.read_text()))
        attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        assert "environ" not in attributes, path
