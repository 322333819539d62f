"""What the plugin says of itself in several files is the same."""

import tomllib
from pathlib import Path

import yaml

from tests.projects import ROOT

PLUGIN = ROOT / "plugin"


def test_the_plugins_version_is_the_librarys():
    library = tomllib.loads((ROOT / "components" / "pyproject.toml").read_text())["project"]
    said = yaml.safe_load((PLUGIN / "PulumiPlugin.yaml").read_text())
    assert (said["name"], said["version"]) == (library["name"], library["version"])


def test_the_plugins_folder_installs_the_library_beside_it():
    (wanted,) = (PLUGIN / "requirements.txt").read_text().split()
    assert (PLUGIN / wanted).resolve() == Path(ROOT, "components").resolve()
