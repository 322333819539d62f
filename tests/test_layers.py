"""Arrows between the folders point one way, and each folder stays a set of small rooms."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAY_IMPORT = {
    "components": {"components"},
    "infra": {"components", "infra"},
    "ops": {"components", "infra", "ops", "sandbox"},
    "policies": {"components", "policies"},
    "sandbox": {"sandbox"},
}
FOLDERS = set(MAY_IMPORT) | {"tests", "bench"}
FILES = [path for folder in MAY_IMPORT for path in sorted((ROOT / folder).glob("**/*.py"))]
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
VULTRS_OWN = {"LiveCluster", "LiveNode", "Pool", "Wanted"}
"""What `components.vendors.vultr` knows of a cluster; others know `components.cluster.contract`."""


@cache
def parsed(path: Path) -> ast.Module:
    """Each file's once: a thousand tests look at them."""
    return ast.parse(path.read_text())


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Each import of a file: the whole name of the module, and the name taken from it."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((module, alias.name) for alias in node.names)


def rooms(path: Path) -> Iterator[str]:
    """The rooms of ours that a file imports: folders below the top one, or files there."""
    for module, name in imports(path):
        top, *rest = module.split(".")
        if top in MAY_IMPORT:
            yield ".".join([top, *(rest or [name])[:1]])


def own_lines(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Each function, and how many lines it has without those of the functions in it."""
    for node in ast.walk(tree):
        if isinstance(node, FUNCTIONS):
            inner = {line for each in node.body for line in _lines_of_functions(each)}
            yield node.name, len(_lines(node) - inner)


def _lines_of_functions(tree: ast.AST) -> set[int]:
    return {n for node in ast.walk(tree) if isinstance(node, FUNCTIONS) for n in _lines(node)}


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> set[int]:
    return set(range(node.lineno, (node.end_lineno or node.lineno) + 1))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_what_its_folder_may(path: Path):
    folder = path.relative_to(ROOT).parts[0]
    imported = {module.split(".")[0] for module, _ in imports(path)} & FOLDERS
    assert imported <= MAY_IMPORT[folder]


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_no_room_of_a_folder_is_in_a_circle(folder: str):
    arrows: dict[str, set[str]] = {}
    for path in sorted((ROOT / folder).glob("**/*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        room = ".".join(parts[:2])
        if path != ROOT / folder / "__init__.py":
            arrows.setdefault(room, set()).update(set(rooms(path)) - {room, f"{folder}.__init__"})
    assert len(list(TopologicalSorter(arrows).static_order())) >= len(arrows)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_a_small_room(path: Path):
    assert len(path.read_text().splitlines()) <= 330


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_function_fits_a_screen(path: Path):
    assert {name: n for name, n in own_lines(parsed(path)) if n > 66} == {}


def test_the_programs_do_not_know_the_sandbox():
    for folder in ("components", "infra"):
        for path in (ROOT / folder).glob("**/*.py"):
            assert "sandbox" not in path.read_text().lower(), path
    assert "sandbox" not in (ROOT / "__main__.py").read_text()


def test_components_know_no_environment():
    """But for the one place where the vendors' credentials are, as the providers look for them."""
    for path in (ROOT / "components").glob("**/*.py"):
        nodes = ast.walk(parsed(path))
        attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        if path != ROOT / "components" / "vendors" / "credentials.py":
            assert "environ" not in attributes, path


def test_nobody_but_its_own_folders_knows_vultrs_clusters():
    for path in [*(ROOT / "components").glob("**/*.py"), *(ROOT / "infra/stacks").glob("**/*.py")]:
        if path.parent.name in ("cluster", "vendors") and "components" in path.parts:
            continue
        taken = {n for module, n in imports(path) if module == "components.vendors.vultr"}
        assert not taken & VULTRS_OWN, path


def test_imports_inside_components_are_relative():
    """So the same files work as a package of another name."""
    for path in (ROOT / "components").glob("**/*.py"):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ImportFrom) and not node.level:
                assert (node.module or "").split(".")[0] != "components", path
