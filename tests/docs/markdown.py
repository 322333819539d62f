"""What a Markdown page has that others can point to: headings, numbered items, anchors, links."""

import re
from pathlib import Path

_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
_LINK = re.compile(r"!?\[[^]]*\]\(<?([^)\s>]+)>?\)|(?:src|srcset|href)=\"([^\"]+)\"")
_EMPHASIS = re.compile(r"[`*]|\[([^]]*)\]\([^)]*\)")


def _prose(text: str) -> str:
    return _FENCE.sub("", text)


def _plain(heading: str) -> str:
    return _EMPHASIS.sub(lambda match: match[1] or "", heading)


def headings(text: str) -> list[str]:
    """Without the marks of code, emphasis and links."""
    return [_plain(heading) for heading in _HEADING.findall(_prose(text))]


def anchors(text: str) -> set[str]:
    """As GitHub makes them: lower case, blanks to hyphens, other signs gone, doubles numbered."""
    found: set[str] = set()
    for heading in headings(text):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        candidates = [slug, *(f"{slug}-{number}" for number in range(1, 99))]
        found.add(next(each for each in candidates if each not in found))
    return found


def section(text: str, heading: str) -> str:
    """What stands below a heading, up to the next one of any level; "" where there is none."""
    parts = re.split(r"^#+ +(.+?) *$", _prose(text), flags=re.MULTILINE)
    bodies = dict(zip((_plain(part) for part in parts[1::2]), parts[2::2], strict=True))
    return bodies.get(heading, "")


def items(text: str) -> set[int]:
    """The numbers of a numbered list, or of a table whose first column is a number."""
    found = re.findall(r"^(?:(\d+)\. |\| *(\d+) *\|)", text, re.MULTILINE)
    return {int(listed or tabled) for listed, tabled in found}


def links(text: str) -> list[str]:
    """Where a page points to in the repository, or on itself."""
    # Code in backticks is no link.
    found = _LINK.findall(re.sub(r"`[^`\n]*`", "", _prose(text)))
    targets = [markdown or html for markdown, html in found]
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def broken_links(page: Path) -> list[str]:
    """Sentences on the links of a page that lead nowhere."""
    wrong = []
    for target in links(page.read_text()):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists():
            wrong.append(f"{page.name}: {target}: there is no such file")
        elif anchor and anchor not in anchors(file.read_text()):
            wrong.append(f"{page.name}: {target}: {file.name} has no heading for that anchor")
    return wrong
