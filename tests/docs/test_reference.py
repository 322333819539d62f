"""docs/reference is what docs/reference/generate.py makes of the components as they are."""

from pulumi import Resource

import components
from docs.reference.pictures import Thing, flowchart
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


def test_a_picture_shows_parts_and_order_and_what_is_alike_once():
    def thing(name: str, type_: str, *before: str) -> Thing:
        return Thing(name, type_, name, "" if name == "top" else "top", frozenset(before))

    found = [
        thing("top", "Component"),
        # In the order of letters, not of making.
        thing("a", "DaemonSet", "d1", "d2", "d3", "d4", "n"),
        *(thing(f"d{n}", "Secret", "n") for n in range(1, 5)),
        thing("n", "Namespace"),
    ]
    assert [*flowchart(found)] == [
        "flowchart LR",
        '  n0["Component<br/>top"]',
        '  n1["Namespace<br/>n"]',
        '  n2["4 × Secret<br/>d1<br/>…<br/>d4"]',
        '  n3["DaemonSet<br/>a"]',
        "  n0 --> n1 & n2 & n3",
        "  n1 -.-> n2",
        # The namespace is before it, too: said already.
        "  n2 -.-> n3",
    ]


def test_pictures_stay_readable():
    boxes = {file.stem: file.read_text().count('["') for file in FOLDER.glob("*.md")}
    assert max(boxes.values()) <= 15, boxes
    # One that has no parts, asks, or is the index.
    assert {name for name, number in boxes.items() if not number} == {
        "ExistingCluster",
        "PodRoutes",
        "README",
        "Rollout",
        "ServerSidePatch",
    }
