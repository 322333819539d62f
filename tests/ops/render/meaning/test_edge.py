"""Who gets a region's visitors."""

import json
from typing import Any

import pytest

from infra.state.resource_types import RECORD, SCRIPT
from ops.render.meaning.edge import open_regions, routing
from ops.render.resources import UNKNOWN, Rendering
from tests.ops.render.meaning.made import rendering, resource

HOSTS = ["example.com", "api.example.com"]


def table(
    *names: str,
    drain: str = "",
    strict: str = "",
    maintenance: bool = False,
    to: str = "us.example.com",
    **hosts: Any,
) -> Rendering:
    rows = [{"name": n, "drain": n in drain.split(), "strict": n in strict.split()} for n in names]
    said = {host.replace("_", "."): each for host, each in hosts.items()}
    config = {"regions": rows, "hosts": said, "maintenance": maintenance}
    binding = {"name": "CONFIG", "type": "json", "json": json.dumps(config)}
    record = resource(RECORD, "edge-example.com", name="example.com", type="CNAME", content=to)
    return rendering(resource(SCRIPT, "edge-script", bindings=[binding]), record, hosts=HOSTS)


API: dict[str, Any] = {"api_example_com": {"regions": ["eu", "us"]}}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (table("eu", "us"), table("eu", "us"), []),
        (
            table("apac", "eu", "us"),
            table("apac", "eu", "us", drain="eu"),
            ["eu is drained: its visitors go to apac, us"],
        ),
        (
            table("apac", "eu", "us", drain="eu"),
            table("apac", "eu", "us"),
            ["eu is undrained: it gets visitors again"],
        ),
        (
            table("apac", "eu", "us", strict="eu"),
            table("apac", "eu", "us", strict="eu", drain="eu"),
            [
                "eu is drained: as it is strict, its visitors go only to a strict region that they "
                "also belong to, else they get 503"
            ],
        ),
        (
            table("eu", "us"),
            table("eu", "us", drain="eu"),
            [
                "eu is drained: its visitors go to us",
                "us is the only region left for example.com, api.example.com: while it fails, "
                "visitors get an error page",
            ],
        ),
        (
            table("apac", "eu", "us", **API),
            table("apac", "eu", "us", drain="eu", **API),
            [
                "eu is drained: its visitors go to apac, us",
                "us is the only region left for api.example.com: while it fails, visitors get an "
                "error page",
            ],
        ),
        (
            table("apac", "eu", "us"),
            table("apac", "eu", "us", api_example_com={"regions": ["eu"]}),
            [
                "eu is the only region left for api.example.com: while it fails, visitors get an "
                "error page"
            ],
        ),
        # Nobody's only one: its host is in maintenance, or it was alone before.
        (
            table("eu", "us"),
            table("eu", "us", maintenance=True, drain="eu"),
            ["eu is drained: its visitors go to us"],
        ),
        (table("us", **API), table("us", to="us.example.com"), []),
        (table("us", maintenance=True), table("us"), []),
        (
            table("eu"),
            table("eu", "us"),
            [
                "us gets visitors as soon as this is up: bring its own stack up before, or they "
                "find nothing there until the Worker notices"
            ],
        ),
        (table("eu"), table("eu", "us", drain="us"), []),
        (
            table("apac", "eu", "us"),
            table("eu", "us"),
            ["apac leaves the Worker's table: its visitors go to eu, us"],
        ),
        (table("apac", "eu", "us", drain="apac"), table("eu", "us"), []),
        (
            table("eu", to="us.example.com"),
            table("eu", to="eu.example.com"),
            [
                "The records of example.com lead to eu.example.com, no longer to us.example.com: "
                "that is only for requests that pass the Worker by"
            ],
        ),
        (table("eu", to=UNKNOWN), table("eu", to="eu.example.com"), []),
    ],
)
def test_what_is_said(before: Rendering, after: Rendering, expected: list[str]):
    assert list(routing(before, after)) == expected


def test_a_stack_without_a_worker_says_nothing():
    assert list(routing(rendering(), table("eu", "us"))) == []


def test_who_gets_visitors():
    assert open_regions({"edge": table("eu", "us", drain="eu"), "us": rendering()}) == {"us"}
