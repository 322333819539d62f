"""Writes the pages of this folder from the docstrings of `components/`: a component each.

`make docs` runs it; tests/docs/test_reference.py holds the pages against the code. griffe reads
the code without importing it, so that what stands there are the types as they are written. The
pictures are of what the code does (pictures.py).
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import griffe

from docs.reference import pictures
from docs.reference.docstrings import apart, bases, fields, own, package, text

FOLDER = Path(__file__).parent
_DATA = "TypedDict"


def pages() -> dict[str, str]:
    """Each page's text by its file's name."""
    found = {f"{each.name}.md": _page(each) for each in components(package())}
    lines = [f"- [{Path(name).stem}]({name}): {_first(page)}" for name, page in found.items()]
    index = ["# Components", "", _INTRODUCTION, "", *lines, ""]
    return {"README.md": "\n".join(index), **found}


_INTRODUCTION = (
    "What `edgefleet` gives any Pulumi program in Python, by the code's own docstrings. Arguments "
    "are dicts; one that there isn't, and one that is missing, is refused with a sentence. Where a "
    "type is a name, its fields stand below."
)


def components(library: griffe.Object | griffe.Alias) -> Iterator[griffe.Class]:
    """The public classes that make resources, by name."""
    homes = library["_HOMES"].value
    for name, module in re.findall(r"'([A-Z]\w+)': '([\w.]+)'", str(homes).replace('"', "'")):
        found = library[module].members.get(name)
        if isinstance(found, griffe.Class) and f"{name}Args" in library[module].members:
            yield found


def _page(component: griffe.Class) -> str:
    args = component.module[f"{component.name}Args"]
    known: dict[str, griffe.Class] = {}
    about, sections = apart(text(component))
    lines = [f"# {component.name}", "", about, ""]
    lines += ["```python", f"from edgefleet import {component.name}", "```", ""]
    lines += pictures.section(component.name)
    lines += ["## Arguments", "", text(args), "", *_fields(args, known)]
    if keywords := sections.get("Args"):
        rows = [f"| `{name}` | {_cell(said)} |" for name, said in keywords.items()]
        lines += ["", "Beside these, by keyword:", "", "| keyword | |", "|---|---|", *rows]
    told_of = {name: said for each in sections.values() for name, said in each.items()}
    if outputs := [*_outputs(component, told_of)]:
        lines += ["", "## Outputs", "", "| output | type | |", "|---|---|---|", *outputs]
    told: set[str] = set()
    while rest := [each for name, each in known.items() if name not in told]:
        each = rest[0]
        told.add(each.path)
        lines += ["", f"## {each.name}", "", text(each), "", *_fields(each, known)]
    return "\n".join([*lines, ""])


def _fields(of: griffe.Class, known: dict[str, griffe.Class]) -> Iterator[str]:
    yield "| argument | type | |"
    yield "|---|---|---|"
    for field in fields(of).values():
        written = str(field.annotation)
        inner = re.fullmatch(r"NotRequired\[(.*)\]", written, re.DOTALL)
        kind = re.sub(r"\bpulumi\.", "", inner[1] if inner else written)
        required = "" if inner else "**required.** "
        yield f"| `{field.name}` | `{_cell(kind)}` | {required}{_cell(text(field))} |"
        for each in _named(field, kind):
            known.setdefault(each.path, each)


def _named(field: griffe.Attribute, kind: str) -> Iterator[griffe.Class]:
    """Those of a type's names that are dicts of our own."""
    for word in dict.fromkeys(re.findall(r"\b[A-Z]\w+", kind)):
        found: griffe.Object | griffe.Alias | None = field.module.members.get(word)
        if isinstance(found, griffe.Alias):
            try:
                found = found.final_target
            except griffe.AliasResolutionError:
                continue
        if isinstance(found, griffe.Class) and _is_data(found):
            yield found


def _is_data(found: griffe.Class) -> bool:
    return any(_DATA in str(base) for each in (found, *bases(found)) for base in each.bases)


def _outputs(component: griffe.Class, told_of: Mapping[str, str]) -> Iterator[str]:
    for field in own(component):
        if match := re.fullmatch(r"(?:pulumi\.)?Output\[(.*)\]", str(field.annotation), re.DOTALL):
            told = _cell(text(field) or told_of.get(field.name, ""))
            yield f"| `{field.name}` | `{_cell(match[1])}` | {told} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _first(page: str) -> str:
    """The first paragraph after the heading."""
    return " ".join(page.split("\n\n")[1].split())


def main() -> None:
    wanted = pages()
    for old in FOLDER.glob("*.md"):
        if old.name not in wanted:
            old.unlink()
    for name, page in wanted.items():
        (FOLDER / name).write_text(page)


if __name__ == "__main__":
    main()
