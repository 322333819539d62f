"""docs/policies: what each right is for, none too many, in the form that Vultr takes."""

import json
import re
from itertools import chain
from pathlib import Path

import pytest

from tests.docs.vultr_rights import CONCLUDED, POLICIES, PUBLISHED, Policy, needed
from tests.projects import ROOT

ID = "cb676a46-66fd-4dfb-b839-443f2e6c0b60"


@pytest.mark.parametrize("path", Policy.all(), ids=lambda path: path.stem)
def test_a_policy_is_a_document_as_vultr_takes_it(path: Path):
    """https://docs.vultr.com/platform/iam/policies/how-to-create-a-policy, of 2026-06-01."""
    document = json.loads(path.read_text())
    assert set(document) == {"Version", "Statement"}
    assert document["Version"] == "2026-03-20"
    for statement in document["Statement"]:
        assert set(statement) == {"Action", "Effect", "Resource"}
        assert (statement["Effect"], statement["Resource"]) == ("Allow", "*")
        assert statement["Action"] == sorted(set(statement["Action"]))
        assert not any("*" in action for action in statement["Action"])


def test_every_action_is_vultrs():
    for path in Policy.all():
        known = CONCLUDED if path.stem.startswith("vultr-vpc") else PUBLISHED
        assert Policy.read(path.stem).actions <= known, path


def test_who_only_looks_changes_nothing():
    for name in ("vultr-read", "vultr-vpc-read"):
        assert {action.rpartition(".")[2] for action in Policy.read(name).actions} == {
            "List",
            "Read",
        }


def test_who_brings_up_deletes_no_cluster():
    up, destroy = Policy.read("vultr-up").actions, Policy.read("vultr-destroy").actions
    assert up > Policy.read("vultr-read").actions
    assert destroy == {"kubernetes.cluster.Delete"}
    assert not up & destroy


CALL = re.compile(r'"(GET|POST|PUT|PATCH|DELETE)", f?"(/v2/[^"]*)"')
PATH = re.compile(r'f?"(/(?:kubernetes|firewalls|vpcs|instances)[^"]*)"')


def filled(path: str) -> str:
    return re.sub(r"\{[^}]*\}", ID, path)


def test_every_call_in_the_code_has_its_right():
    """Of the emulated plugins, which send what the real ones do, and of our own client."""
    emulated = "".join(p.read_text() for p in (ROOT / "sandbox/providers/vultr").glob("*.py"))
    rights = {needed(method, filled(path)) for method, path in CALL.findall(emulated)}
    ours = (ROOT / "components" / "vendors" / "vultr.py").read_text()
    rights |= {needed("GET", f"/v2{filled(path)}") for path in PATH.findall(ours)}
    granted = set(chain.from_iterable(Policy.read(path.stem).actions for path in Policy.all()))
    assert {right for right in rights if right} <= granted
    assert {"kubernetes.cluster.Create", "kubernetes.cluster.Delete", "network.vpc.List"} <= rights


def test_a_call_that_nobody_knows_is_noticed():
    with pytest.raises(KeyError, match="/v2/bare-metals"):
        needed("GET", "/v2/bare-metals")


def test_each_policy_is_told_of():
    page = (ROOT / "docs" / "pull-requests.md").read_text()
    for path in Policy.all():
        assert f"](policies/{path.name})" in page
    assert POLICIES.exists()
