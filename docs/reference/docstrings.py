"""What the docstrings of `components/` say, of classes, of their fields and of arguments.

griffe reads the code without importing it: Python itself forgets what stands below a field.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import griffe

ROOT = Path(__file__).parents[2]


@cache
def package() -> griffe.Object | griffe.Alias:
    """`components`, read once."""
    return griffe.load("components", search_paths=[ROOT])


def fields(of: griffe.Class) -> dict[str, griffe.Attribute]:
    """Those of a TypedDict and of what it extends, the latter's first."""
    return {field.name: field for base in (*reversed([*bases(of)]), of) for field in own(base)}


def own(of: griffe.Class) -> Iterator[griffe.Attribute]:
    """Fields of a class itself."""
    return (field for field in of.attributes.values() if field.annotation is not None)


def bases(of: griffe.Class) -> Iterator[griffe.Class]:
    """Classes that it has fields of, the nearest first."""
    for base in of.resolved_bases:
        if isinstance(base, griffe.Class):
            yield base
            yield from bases(base)


def text(of: griffe.Object) -> str:
    """The whole docstring, "" where there is none."""
    return of.docstring.value.strip() if of.docstring else ""


def apart(docstring: str) -> tuple[str, Mapping[str, Mapping[str, str]]]:
    """A docstring without its sections (Args, Attributes, Outputs); and what each says, by name. A
    line of several names tells of each."""
    about, *rest = re.split(r"^(Args|Attributes|Outputs):\n", docstring, flags=re.MULTILINE)
    sections = {title: _entries(said) for title, said in zip(rest[::2], rest[1::2], strict=True)}
    return about.strip(), sections


def _entries(section: str) -> dict[str, str]:
    found = re.findall(r"^    (\w[\w, ]*): ((?:.*(?:\n        .*)*))", section, re.MULTILINE)
    told = [(names, re.sub(r"\n +", "\n", said)) for names, said in found]
    return {name: said for names, said in told for name in names.split(", ")}
