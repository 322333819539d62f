"""Traefik's build: what names it, and who makes it."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.toolchain import traefik
from sandbox.toolchain.install import main

MAKEFILE = Path(__file__).parents[3] / "Makefile"


def test_another_recipe_is_another_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usual = traefik.folder()
    assert re.fullmatch(r"traefik-3\.7\.13-[0-9a-f]{10}-\w+-\w+", usual)
    (tmp_path / usual).mkdir()
    assert traefik.built(tmp_path) == tmp_path / usual
    monkeypatch.setattr(traefik, "RECIPE", replace(traefik.RECIPE, replaced=()))
    assert traefik.folder() != usual
    assert traefik.built(tmp_path) is None


def test_ci_makes_it_where_all_is_asked_for() -> None:
    text = MAKEFILE.read_text()
    assert "$(if $(filter true,$(CI)),felix $(if $(THOROUGH),metallb traefik))" in text
    assert re.search(r"^traefik: .*\n\t.*-m sandbox\.toolchain traefik$", text, re.MULTILINE)


def test_another_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["traefik", "trafik"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: nothing is called trafik: say ")
    assert "traefik" in told.partition(": say ")[2]
