"""What is built from source by a recipe: what names it, and that the whole recipe does."""

import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from sandbox.toolchain import felix, frr_k8s, metallb, traefik
from sandbox.toolchain.install import main
from sandbox.toolchain.placing import ToolchainError

ROOMS: dict[str, Any] = {
    "felix": felix,
    "frr-k8s": frr_k8s,
    "metallb": metallb,
    "traefik": traefik,
}


@pytest.mark.parametrize("name", ROOMS)
def test_another_recipe_is_another_folder(name: str, tmp_path: Path) -> None:
    build = ROOMS[name].BUILD
    assert re.fullmatch(rf"{name}-[\d.]+-[0-9a-f]{{10}}-\w+-\w+", build.folder)
    assert build.built(tmp_path) is None
    (tmp_path / build.folder).mkdir()
    assert build.built(tmp_path) == tmp_path / build.folder
    # What is there isn't built again, wherever it was built.
    assert replace(build, lacking=lambda: "no C").make(tmp_path, print) == tmp_path / build.folder
    assert replace(build, recipe="another").built(tmp_path) is None


@pytest.mark.parametrize("name", ROOMS)
def test_all_of_the_recipe_is_in_the_name(name: str) -> None:
    said = json.loads(ROOMS[name].BUILD.recipe)
    recipe = json.loads(json.dumps(asdict(ROOMS[name].RECIPE)))
    assert recipe == said or recipe in said


def test_what_is_lacking_is_a_sentence(tmp_path: Path) -> None:
    build = replace(traefik.BUILD, lacking=lambda: "no gcc here")
    with pytest.raises(ToolchainError, match=r"^traefik [\d.]+ can't be built: no gcc here$"):
        build.make(tmp_path, print)
    assert list(tmp_path.iterdir()) == []


def test_another_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["traefik", "felux"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: nothing is called felux: say ")
    assert all(name in told.partition(": say ")[2] for name in ROOMS)
