"""What a person sees who typed something wrong."""

from typing import Any

import pytest
import yaml

from tests.fleet.fleet import Fleet, Ran, answering


def failed(ran: Ran, sentence: str) -> None:
    assert ran.code != 0
    assert sentence in ran.output
    assert "Traceback" not in ran.output
    assert 'File "' not in ran.output


def refused(ran: Ran, sentence: str) -> None:
    failed(ran, sentence)
    assert "to create" not in ran.output.replace("+ 1 to create", "")


def configure(fleet: Fleet, stack: str, **keys: Any) -> None:
    path = fleet.project / f"Pulumi.{stack}.yaml"
    document = yaml.safe_load(path.read_text())
    document["config"] |= {f"edgefleet:{key}": value for key, value in keys.items()}
    path.write_text(yaml.safe_dump(document))


def test_mistakes_in_the_stack_file_are_told_at_once(fleet: Fleet):
    """The engine knows of types, too, and would tell one mistake without file and value."""
    fleet.change("us", pools=[])
    configure(fleet, "us", drain="yes", ingress="nginx", routing=[], hosts="example.com")
    ran = fleet.preview("us")
    for sentence in (
        "edgefleet:cluster.pools: must have at least 1 entry",
        "edgefleet:drain: 'yes': must be true or false",
        "edgefleet:ingress: 'nginx': must be a mapping",
        "edgefleet:routing: must be a mapping",
        "edgefleet:hosts: 'example.com': must be a list",
    ):
        refused(ran, f"Pulumi.us.yaml: {sentence}")


def test_a_change_that_would_replace_the_cluster(fleet: Fleet):
    fleet.change("us", location="ord")
    sentence = "edgefleet:cluster.location: 'ewr' → 'ord' would delete cluster edgefleet-us"
    refused(fleet.pulumi("us", "up", "--yes", "--skip-preview"), sentence)
    fleet.change("us", replace=["location"])
    failed(fleet.preview("us"), "as it is currently marked for protection")


def test_a_plan_that_vultr_would_ignore(fleet: Fleet):
    fleet.change("us", pools=[{"label": "edge", "plan": "vc2-4c-8gb", "nodes": 3}])
    refused(fleet.preview("us"), "Vultr ignores a new plan for a pool that exists")


def test_a_namespace_that_is_somebody_elses(fleet: Fleet):
    """Taken over, it would be deleted with everything in it one day."""
    configure(fleet, "us", ingress={"namespace": "kube-system"})
    sentence = "Namespace kube-system: is in the cluster already and isn't edgefleet's: it has no"
    failed(fleet.preview("us"), sentence)


def test_networks_that_would_shut_the_nodes_from_each_other(fleet: Fleet):
    """In the preview, by the nodes that are there; and where nobody previews, before it closes."""
    configure(fleet, "us", firewall={"nodeNetworks": ["192.168.16.0/20"]})
    sentence = "the firewall would shut the cluster from itself: node "
    failed(fleet.preview("us"), sentence)
    failed(fleet.pulumi("us", "up", "--yes", "--skip-preview"), sentence)
    fleet.restore()
    fleet.up("us")[0].require()


def test_a_wrong_key(fleet: Fleet):
    wrong = "A" * 36
    ran = fleet.pulumi("us", "preview", VULTR_API_KEY=wrong)
    refused(ran, "Vultr refused the API key (401)")
    assert wrong not in ran.output


def test_no_key(fleet: Fleet):
    refused(fleet.pulumi("us", "preview", VULTR_API_KEY=""), "No credential for vultr: set VULTR_")


@pytest.mark.parametrize(
    ("stack", "path", "sentence"),
    [
        ("us", "^/v2/kubernetes/clusters", "error: Vultr answered GET /kubernetes/clusters with"),
        ("us", "^/v2/instances", "error: Vultr answered GET /instances with 403"),
        ("apac", "^/v2/kubernetes/clusters", "error: apac-cluster: Vultr answered GET /kubernetes"),
    ],
    ids=["a cluster's nodes", "their addresses", "an orphan"],
)
def test_vultr_refuses_after_the_program_has_begun(
    fleet: Fleet, stack: str, path: str, sentence: str
):
    fleet.faulty("vultr", answering(403, path, method="GET"))
    failed(fleet.preview(stack), sentence)


def test_a_wrong_token_met_half_way(fleet: Fleet):
    """Cloudflare is asked by the program itself only about what the state lacks."""
    configure(fleet, "edge", hosts=["example.com", "www.example.com"])
    wrong = "w" * 40
    ran = fleet.pulumi("edge", "preview", CLOUDFLARE_API_TOKEN=wrong)
    failed(ran, "error: edge-www.example.com: Cloudflare answered GET /zones/")
    assert "Check CLOUDFLARE_API_TOKEN" in ran.output
    assert wrong not in ran.output


def test_another_configuration_than_the_files(fleet: Fleet):
    other = fleet.project / "other.yaml"
    text = (fleet.project / "Pulumi.us.yaml").read_text()
    other.write_text(text.replace("ewr", "ord"))
    ran = fleet.preview("us", "--config-file", str(other))
    other.unlink()
    refused(ran, "Pulumi.us.yaml: edgefleet:cluster: Pulumi was given another value")


def test_a_version_that_vultr_does_not_have(fleet: Fleet):
    fleet.change("apac", version="v9.9.9+9")
    (ran,) = fleet.up("apac")
    refused(ran, "'v9.9.9+9': Vultr makes no cluster of that version (any more). It offers: v1.36")
    assert fleet.clusters("edgefleet-apac") == []
