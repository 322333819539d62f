"""What a person sees who typed something wrong."""

from tests.fleet.fleet import Fleet, Ran


def refused(ran: Ran, sentence: str) -> None:
    assert ran.code != 0
    assert sentence in ran.output
    assert "Traceback" not in ran.output
    assert "to create" not in ran.output.replace("+ 1 to create", "")


def test_a_mistake_in_the_stack_file(fleet: Fleet):
    fleet.change("us", pools=[])
    refused(
        fleet.preview("us"), "Pulumi.us.yaml: edgefleet:cluster.pools: must have at least 1 entry"
    )


def test_a_change_that_would_replace_the_cluster(fleet: Fleet):
    fleet.change("us", location="ord")
    sentence = "edgefleet:cluster.location: 'ewr' → 'ord' would delete cluster edgefleet-us"
    refused(fleet.preview("us"), sentence)
    refused(fleet.pulumi("us", "up", "--yes", "--skip-preview"), sentence)
    fleet.change("us", replace=["location"])
    shown = fleet.preview("us").output
    assert "protect" in shown, "Pulumi's own protection still holds it"


def test_a_plan_that_vultr_would_ignore(fleet: Fleet):
    fleet.change("us", pools=[{"label": "edge", "plan": "vc2-4c-8gb", "nodes": 3}])
    refused(fleet.preview("us"), "Vultr ignores a new plan for a pool that exists")


def test_a_wrong_key(fleet: Fleet):
    wrong = "A" * 36
    ran = fleet.pulumi("us", "preview", VULTR_API_KEY=wrong)
    refused(ran, "Vultr refused the API key (401)")
    assert wrong not in ran.output


def test_no_key(fleet: Fleet):
    refused(fleet.pulumi("us", "preview", VULTR_API_KEY=""), "No credential for vultr: set VULTR_")


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
    assert ran.code != 0
    assert "400" in ran.output
    assert "Traceback" not in ran.output
    assert fleet.clusters("edgefleet-apac") == []
