"""What `pulumi preview --json` prints, as a set of what it would do."""

import json
from typing import Any

import pytest

from ops.approval.steps import Planned, PreviewError, parse, planned, steps

STACK = "urn:pulumi:us::edgefleet::pulumi:pulumi:Stack::edgefleet-us"


def urn(name: str, kind: str = "edgefleet:index:Region$vultr:index/kubernetes:Kubernetes") -> str:
    return f"urn:pulumi:us::edgefleet::{kind}::{name}"


def preview(*made: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"steps": [{"op": "same", "urn": STACK}, *made], "changeSummary": {}, **more}


A = urn("a")


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ((), set()),
        (("same",), set()),
        (("read",), set()),
        (("refresh",), set()),
        (("create",), {Planned(A, "create")}),
        (("update",), {Planned(A, "update")}),
        (("delete",), {Planned(A, "delete")}),
        (("import",), {Planned(A, "import")}),
        (("replace",), {Planned(A, "update", True)}),
        (("create-replacement", "replace", "delete-replaced"), {Planned(A, "update", True)}),
        (("import-replacement",), {Planned(A, "update", True)}),
        # An old copy that an interrupted replacement left: alone, and beside a change of its own.
        (("delete-replaced",), {Planned(A, "delete", True)}),
        (
            ("delete-replaced", "update"),
            {Planned(A, "delete", True), Planned(A, "update")},
        ),
        (("remove-pending-replace", "create"), {Planned(A, "delete", True), Planned(A, "create")}),
    ],
)
def test_operations_of_one_resource_are_one(operations: tuple[str, ...], expected: set[Planned]):
    assert planned(preview(*({"op": op, "urn": A} for op in operations))) == expected


def test_protection_that_changes_is_a_change():
    step = {"op": "same", "urn": A, "oldState": {"protect": True}, "newState": {}}
    assert planned(preview(step)) == {Planned(A, "update")}
    assert planned(preview({**step, "newState": {"protect": True}})) == set()


@pytest.mark.parametrize(
    "name",
    ["default", "default_2_27_1", "default_2_27_1_github_/api.github.com/dirien/pulumi-vultr"],
)
def test_what_the_engine_makes_by_itself_is_left_out(name: str):
    step = {"op": "create", "urn": urn(name, "pulumi:providers:vultr")}
    assert planned(preview(step)) == set()


def test_a_provider_that_a_program_made_is_not():
    made = urn("us-kubernetes", "pulumi:providers:kubernetes")
    assert planned(preview({"op": "update", "urn": made})) == {Planned(made, "update")}


def test_what_differs_is_kept():
    step = {"op": "replace", "urn": A, "diffReasons": ["region"], "replaceReasons": ["region"]}
    (found,) = steps(preview(step))
    assert (found.differs, found.replaces) == (("region",), ("region",))


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"steps": []}, "no summary"),
        (
            preview(diagnostics=[{"severity": "error", "message": "Pulumi.us.yaml: wrong\n"}]),
            "the preview failed: Pulumi.us.yaml: wrong",
        ),
        (preview({"op": "explode", "urn": A}), "explode: an operation"),
        (preview({"op": "create"}), "without `op` and `urn`"),
        (preview({"op": "create", "urn": "us"}), "us: is no URN"),
    ],
)
def test_what_is_no_whole_preview_is_refused(document: dict[str, Any], said: str):
    with pytest.raises(PreviewError, match=said):
        planned(document)


def test_a_warning_is_no_failure():
    assert planned(preview(diagnostics=[{"severity": "warning", "message": "x"}])) == set()


def test_lines_before_the_document_are_passed_over():
    document = preview({"op": "create", "urn": A})
    assert parse(f"a plugin says hello\n{json.dumps(document, indent=4)}\n") == document
    assert parse(json.dumps(document)) == document


@pytest.mark.parametrize("text", ["", "error: no stack named 'us'", "{", "[1]"])
def test_what_is_no_json_is_refused(text: str):
    with pytest.raises(PreviewError, match="no JSON of"):
        parse(text)
