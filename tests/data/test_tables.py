"""The extracted tables say where they are from, and are what the vendors' files say."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from tests.data import HERE, manifest, table
from tests.data.extract import SOURCES, TABLES, Mistake, extracted
from tests.data.reduced_schemas import one_of_each

VENDORS_FILES = HERE.parents[2] / "shared" / "data"
PROGRAM = {"__init__.py", "extract.py", "reduced_schemas.py", "test_tables.py"}


def test_every_table_is_one_that_the_script_makes():
    there = {path.name for path in HERE.iterdir() if path.is_file()}
    assert there - PROGRAM == TABLES.keys()
    assert {file for file, _ in TABLES.values()} == SOURCES.keys()


@pytest.mark.parametrize("name", TABLES)
def test_a_table_names_its_source(name: str):
    text = (HERE / name).read_text()
    source = asdict(SOURCES[TABLES[name][0]])
    if name.endswith(".json"):
        assert json.loads(text)["source"] == source
    else:
        assert yaml.safe_load(text.partition("# Without")[0].replace("# ", "")) == source


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_in_step_with_its_source(name: str):
    source = VENDORS_FILES / TABLES[name][0]
    if not source.exists():
        pytest.skip(f"the vendor's own file isn't here to compare with: {source}")
    assert extracted(name, VENDORS_FILES) == (HERE / name).read_text()


def test_the_tables_are_not_empty():
    assert {"env", "envFrom"} <= _calico_node().keys()
    assert "Kubernetes" in str(table("vultr-fields")["resources"].keys())
    assert "dnsRecord" in str(table("cloudflare-fields")["resources"].keys())
    assert table("vultr-answers")["paths"]["/kubernetes/clusters/{vke-id}"]["get"]["responses"]
    assert table("nginx-mounts")["paths"]


def _calico_node() -> dict[str, object]:
    (found,) = (obj for obj in manifest("calico") if obj["kind"] == "DaemonSet")
    return found["spec"]["template"]["spec"]["containers"][0]


def test_another_file_of_that_name_is_refused(tmp_path: Path):
    with pytest.raises(Mistake, match=r"vultr-openapi-2023\.json isn't there: 2023 of vultr/"):
        extracted("vultr-answers.json", tmp_path)
    (tmp_path / "vultr-openapi-2023.json").write_text("{}")
    with pytest.raises(Mistake, match="has SHA-256 44136fa355b3678a"):
        extracted("vultr-answers.json", tmp_path)
    if VENDORS_FILES.exists():
        shutil.copy(VENDORS_FILES / "vultr-openapi-2023.json", tmp_path)
        assert extracted("vultr-answers.json", tmp_path)


def test_a_schema_keeps_one_property_of_each_sort():
    words = {"type": "string"}
    many = {"type": "array", "items": words}
    keyed = {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["k"],
        "items": {"type": "object", "properties": {"a": words, "k": words}, "required": ["k"]},
    }
    schema = {
        "type": "object",
        "required": ["a", "b"],
        "properties": {"a": words, "b": words, "c": many, "d": many, "e": keyed},
    }
    kept = {"type": "object", "properties": {"k": words}, "required": ["k"]}
    assert one_of_each(schema, set()) == {
        "type": "object",
        "required": ["a"],
        "properties": {"a": words, "c": many, "e": {**keyed, "items": kept}},
    }
    seen: set[object] = set()
    one_of_each(schema, seen)
    assert one_of_each(schema, seen) is None
