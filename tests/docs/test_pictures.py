"""The drawings show the rooms that exist, and are drawn from their sources."""

import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SOURCES = sorted(DOCS.glob("*.dot"))
BLOCKS = ("ops", "infra", "components", "sandbox")
# A room is a folder with Python in it.
ROOMS = {
    f"{block}/{path.parent.name}"
    for block in BLOCKS
    for path in (ROOT / block).glob("*/__init__.py")
}


def drawn(picture: str) -> list[str]:
    """The texts and titles of an SVG; not where they stand, which fonts and releases decide."""
    texts = ElementTree.fromstring(picture).iter()
    found = [each.text or "" for each in texts if each.tag.endswith(("}text", "}title"))]
    return sorted(" ".join(text.split()) for text in found)


def test_the_rooms_are_the_folders_that_exist():
    source = (DOCS / "architecture.dot").read_text()
    ports = re.findall(r'PORT="([^"]+)">?[^>]*><B>([\w]+)', source)
    assert sorted(port for port, _ in ports) == sorted(ROOMS)
    assert all(port.endswith(f"/{name}") for port, name in ports)


def test_a_contract_is_where_the_page_says_so():
    source = (DOCS / "architecture.dot").read_text()
    marked = set(re.findall(r"<B>(\w+) ▣</B>", source))
    page = (DOCS / "architecture.md").read_text()
    contracts = page.partition("## Contracts")[2].partition("\n## ")[0]
    assert {title.lower() for title in re.findall(r"^### (\w+)", contracts, re.M)} == marked
    assert marked == {"cluster", "ingress"}


def test_every_drawing_is_on_the_page_and_in_the_makefile():
    page, makefile = (DOCS / "architecture.md").read_text(), (ROOT / "Makefile").read_text()
    assert [source.stem for source in SOURCES] == ["architecture", "request"]
    for source in SOURCES:
        assert f"]({source.stem}.svg)" in page
        assert f"docs/{source.stem}.svg" in makefile


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_a_drawing_has_a_ground_of_its_own(source: Path):
    """Dark letters on GitHub's dark page can't be read."""
    svg = ElementTree.fromstring(source.with_suffix(".svg").read_text())
    ground = next(each for each in svg.iter() if each.tag.endswith("}polygon"))
    assert ground.get("fill", "").startswith("#f")


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_a_drawing_is_in_step_with_its_source(source: Path):
    if shutil.which("dot") is None:
        pytest.skip("there is no dot here (Debian: graphviz) to draw it with")
    picture = subprocess.run(
        ["dot", "-Tsvg", source], check=True, capture_output=True, text=True
    ).stdout
    assert drawn(picture) == drawn(source.with_suffix(".svg").read_text()), "make docs"
    assert len(drawn(picture)) > 10
