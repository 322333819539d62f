"""What comments and pages point to is there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.citations import elsewhere, in_one_line, numbers, unresolved
from tests.docs.markdown import anchors, broken_links, headings, items, links, section

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("components", "infra", "ops", "sandbox", "tests", "bench", "docs", ".github")
# Folders whose comments may still cite a page of facts without its path.
NOT_YET_REWRITTEN: tuple[str, ...] = ("components", "infra", "ops")
WRITTEN = {".py", ".js", ".mjs", ".ts", ".sh", ".yaml", ".yml", ".toml", ".txt", ".md", ".dot"}
# These hold examples of citations, broken ones among them.
EXAMPLES = ROOT / "tests" / "docs"
PAGES = [ROOT / "README.md", ROOT / "sandbox" / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
NAMED_PATH = re.compile(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]+)`")


def files() -> Iterator[Path]:
    yield from (path for path in sorted(ROOT.iterdir()) if path.suffix in WRITTEN)
    yield ROOT / "Makefile"
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            hidden = "node_modules" in path.parts or "golden" in path.parts
            if path.suffix in WRITTEN and not hidden and EXAMPLES not in path.parents:
                yield path


def test_every_citation_points_to_something():
    wrong = [
        f"{path.relative_to(ROOT)}: {sentence}"
        for path in files()
        for sentence in unresolved(path.read_text(), ROOT)
    ]
    assert wrong == []


def test_what_is_cited_is_in_the_repository():
    wrong = [
        f"{path.relative_to(ROOT)}: {cited}"
        for path in files()
        if path.relative_to(ROOT).parts[0] not in (*NOT_YET_REWRITTEN, "docs")
        for cited in elsewhere(path.read_text())
    ]
    assert wrong == []


def test_enough_is_cited():
    """The pattern does find them."""
    text = " ".join(in_one_line(path.read_text()) for path in files())
    assert text.count("docs/facts/real-providers.md") > 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path):
    assert broken_links(page) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_that_a_page_names_is_there(page: Path):
    named = NAMED_PATH.findall(page.read_text())
    assert [path for path in named if not (ROOT / path).exists()] == []


PAGE = """# A page
## 1. First
1. one
2. two, [there](other.md#no-1)
```
## not a heading [x](y.md)
```
## Vultr
1. a
3. `c`
| # | what |
|---|---|
| 7 | g |
### The *same* `word`: again
### The same word, again
"""


def test_what_a_page_has():
    assert headings(PAGE) == [
        "A page", "1. First", "Vultr", "The same word: again", "The same word, again"
    ]  # fmt: skip
    assert items(section(PAGE, "Vultr")) == {1, 3, 7}
    assert anchors(PAGE) >= {"a-page", "1-first", "the-same-word-again", "the-same-word-again-1"}
    assert links(PAGE) == ["other.md#no-1"]
    assert numbers("2, 4-6 and 9") == {2, 4, 5, 6, 9}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("# (docs/facts/page.md §1)", None),
        ("# see docs/facts/page.md, Vultr 1 and\n    # 3)", None),
        ("docs/facts/page.md, 7: that", None),
        ('docs/facts/page.md,\n    "Vultr"', None),
        ("docs/facts/page.md", None),
        ("docs/facts/none.md §1", "there is no docs/facts/none.md"),
        ("docs/facts/page.md §1 and §2", "docs/facts/page.md has no section 2"),
        ("docs/facts/page.md,\n    # Vultr 1-3", "Vultr has no item 2"),
        ("docs/facts/page.md, Cloudflare 1", "there is no heading 'Cloudflare'"),
        ("docs/facts/page.md, 8", "docs/facts/page.md has no item 8"),
        ('docs/facts/page.md, "Second"', "docs/facts/page.md has no heading 'Second'"),
        ("(Vultr 1)", "nothing here says that these are numbers of"),
    ],
)
def test_a_citation(tmp_path: Path, text: str, sentence: str | None):
    (tmp_path / "docs" / "facts").mkdir(parents=True)
    for name in ("page.md", "real-providers.md"):
        (tmp_path / "docs" / "facts" / name).write_text(PAGE)
    found = list(unresolved(text, tmp_path))
    if sentence is None:
        assert found == []
    else:
        assert sentence in found[0]


def test_a_citation_of_what_is_elsewhere():
    assert elsewhere("(vultr.md §1), DESIGN §4, facts/felix.md") == [
        "vultr.md", "DESIGN", "facts/felix.md"
    ]  # fmt: skip
    assert elsewhere("docs/facts/vultr.md §1, my-vultr.md, docs/facts/felix.md") == []


def test_a_broken_link(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("# A\n[a](#a) [b](#b) [c](page.md#a) [d](d.md) ![e](e.svg) [f](https://x)\n")
    assert broken_links(page) == [
        "page.md: #b: page.md has no heading for that anchor",
        "page.md: d.md: there is no such file",
        "page.md: e.svg: there is no such file",
    ]
