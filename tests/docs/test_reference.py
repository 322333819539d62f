"""docs/reference is what docs/reference/generate.py makes of the components as they are."""

from pulumi import Resource

import components
from tests.projects import ROOT
from tests.scripts import loaded

FOLDER = ROOT / "docs" / "reference"


def test_every_page_is_what_the_docstrings_say():
    wanted: dict[str, str] = loaded(FOLDER / "generate.py").pages()
    there = {file.name: file.read_text() for file in FOLDER.glob("*.md")}
    assert there.keys() == wanted.keys(), "`make reference` makes them anew"
    for name, text in wanted.items():
        assert there[name] == text, f"docs/reference/{name}: `make reference` makes it anew"


def test_a_page_has_arguments_and_outputs_of_its_bases_and_of_its_types():
    pages = {file.stem: file.read_text() for file in FOLDER.glob("*.md")}
    resources = {
        name
        for name in components.__all__
        if isinstance(found := getattr(components, name), type) and issubclass(found, Resource)
    }
    assert {*pages} - {"README"} == resources
    assert "| `label` | `str` | **required.**" in pages["VkeCluster"]
    assert "| `kubeconfig` | `str` |" in pages["VkeCluster"]
    ingress = pages["IngressDaemonSet"]
    assert ingress.count("| `trusted_proxies` | `Sequence[str]` | **required.**") == 1
    assert "\n## LoadBalancerService\n" in ingress
    assert "[VkeCluster](VkeCluster.md)" in pages["README"]
