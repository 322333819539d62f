"""Citations in comments and docstrings: `docs/facts/real-providers.md, Vultr 5` and the like.

After the page's path may stand: sections (`§1`), items of a heading (`, Vultr 2, 4`), an item of
the page's own table (`, 3`), or a heading in quotation marks (`, "Node addresses"`).
"""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.docs.markdown import headings, items, section

MEASURED = "docs/facts/real-providers.md"
_GROUPS = "Vultr|Cloudflare|Kubernetes|Run against these programs"
_NUMBERS = r"\d+(?:(?:, | and | to |-)\d+)*"
_CITATION = re.compile(
    r"(?P<page>(?<![\w/.-])(?:README|docs/[\w./-]+|sandbox/README)\.md)"
    r"(?P<sections>(?:(?:,| and)? §\d+)+)?"
    rf"(?:, (?P<group>{_GROUPS})\b(?: (?P<numbers>{_NUMBERS})\b)?"
    rf"|, (?P<row>{_NUMBERS})\b"
    r'|, "(?P<heading>[^"]+)")?'
)
_SHORT = re.compile(rf"\((?P<group>{_GROUPS}) (?P<numbers>{_NUMBERS})\b")
_PAGES = "real-providers|vultr-users|vultr|cloudflare|calico-ingress|pulumi|felix"
_ELSEWHERE = re.compile(rf"(?<![\w/.-])(?:facts/)?(?:{_PAGES})\.md\b|\bDESIGN\b")
_CONTINUED = re.compile(r"\s*\n\s*(?:#|//|\*(?!/))?\s*")


def in_one_line(text: str) -> str:
    """Comments and docstrings as one line, so that a citation may be broken anywhere."""
    return _CONTINUED.sub(" ", text)


def numbers(text: str) -> set[int]:
    """The numbers that "2, 4-6 and 9" names."""
    found: set[int] = set()
    for low, high in re.findall(r"(\d+)(?:(?: to |-)(\d+))?", text):
        found |= set(range(int(low), int(high or low) + 1))
    return found


def unresolved(text: str, root: Path) -> Iterator[str]:
    """Sentences on the citations in `text` that point to nothing."""
    line = in_one_line(text)
    for cited in _CITATION.finditer(line):
        page = root / cited["page"]
        if not page.is_file():
            yield f"{cited[0]}: there is no {cited['page']}"
            continue
        content = page.read_text()
        titles = headings(content)
        for number in numbers(cited["sections"] or ""):
            if not any(title.startswith(f"{number}. ") for title in titles):
                yield f"{cited[0]}: {cited['page']} has no section {number}"
        if (heading := cited["heading"]) and heading not in titles:
            yield f"{cited[0]}: {cited['page']} has no heading {heading!r}"
        if group := cited["group"]:
            yield from _items(cited[0], group, cited["numbers"] or "", content)
        if row := cited["row"]:
            for number in sorted(numbers(row) - items(content)):
                yield f"{cited[0]}: {cited['page']} has no item {number}"
    for cited in _SHORT.finditer(line):
        if Path(MEASURED).name not in line:
            yield f"{cited[0]}): nothing here says that these are numbers of {MEASURED}"
        yield from _items(cited[0], cited["group"], cited["numbers"], (root / MEASURED).read_text())


def _items(cited: str, group: str, named: str, content: str) -> Iterator[str]:
    if group not in headings(content):
        yield f"{cited}: there is no heading {group!r}"
    for number in sorted(numbers(named) - items(section(content, group))):
        yield f"{cited}: {group} has no item {number}"


def elsewhere(text: str) -> list[str]:
    """Citations of what isn't in the repository."""
    return _ELSEWHERE.findall(in_one_line(text))
