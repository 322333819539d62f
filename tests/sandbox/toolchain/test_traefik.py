"""Traefik's build: what names it, and who makes it."""

import re
from pathlib import Path

MAKEFILE = Path(__file__).parents[3] / "Makefile"


def test_ci_makes_it_where_all_is_asked_for() -> None:
    text = MAKEFILE.read_text()
    assert "$(if $(filter true,$(CI)),felix $(if $(THOROUGH),metallb traefik))" in text
    assert re.search(r"^traefik: .*\n\t.*-m sandbox\.toolchain traefik$", text, re.MULTILINE)
