"""What the vendors' own files say, as far as tests need it: `extract.py` made the tables from them.

The tables are facts: names of fields, their marks and types, containers and their environment,
rules. Each names its source, with version, licence and SHA-256. Texts are left out.
"""

import json
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent


def table(name: str) -> dict[str, Any]:
    """An extracted table; with `sources`, what it was made from."""
    return json.loads((HERE / f"{name}.json").read_text())


def manifest(name: str) -> list[dict[str, Any]]:
    """The objects of a vendor's manifest, without descriptions and comments."""
    return list(yaml.load_all((HERE / f"{name}.yaml").read_text(), yaml.CSafeLoader))
