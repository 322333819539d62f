"""The sentences that a mistake in a stack file gets."""

import copy
from typing import Any

import pytest
from pydantic import ValidationError

from infra.settings.cluster import Cluster
from infra.settings.fleet import FleetValues
from infra.settings.mistakes import problems
from infra.settings.region import Region
from tests.projects import region

FLEET = {
    "domain": "example.com",
    "hosts": ["example.com", "api.example.com"],
    "zoneId": "0" * 32,
    "accountId": "1" * 32,
}


def mistakes(model: type[Any], value: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(value)
    return list(problems(caught.value, model))


def changed(path: list[str | int], value: Any) -> dict[str, Any]:
    config = copy.deepcopy(region())
    target: Any = config
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    return config


def test_defaults_are_secure():
    stack = Region.model_validate(region())
    assert isinstance(stack.cluster, Cluster)
    assert stack.cluster.protect
    assert not stack.cluster.replace
    assert not stack.drain
    assert not stack.calico.force
    assert stack.ingress.image == "nginx/nginx-ingress:5.6.1"


@pytest.mark.parametrize(("said", "drains"), [("true", True), ("false", False), (True, True)])
def test_the_emergency_command_writes_text(said: object, drains: bool):
    """`pulumi config set drain true` does, as it does of every value."""
    assert Region.model_validate({**region(), "drain": said}).drain is drains


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        (["clster"], {}, "clster: is not a known key; did you mean cluster?"),
        (
            ["cluster", "pools", 0, "zzz"],
            1,
            "cluster.pools[0].zzz: is not a known key; known here: "
            "autoscale, label, labels, nodes, plan, serves, taints",
        ),
        (["cluster", "pools"], [], "cluster.pools: must have at least 1 entry"),
        (["cluster", "pools", 0, "nodes"], 0, "cluster.pools[0].nodes: 0: must be at least 1"),
        (
            ["cluster", "pools", 0, "nodes"],
            3000,
            "cluster.pools[0].nodes: 3000: must be at most 1024: a VKE cluster's pod network (a "
            "/16) has no addresses for more nodes. Make another cluster of the same region",
        ),
        (
            ["cluster", "pools", 0, "nodes"],
            "3",
            "cluster.pools[0].nodes: '3': must be a whole number",
        ),
        (["cluster"], [], "cluster: must be a mapping"),
        (["cluster", "pools"], {}, "cluster.pools: must be a list"),
        (["drain"], "yes", "drain: 'yes': must be true or false"),
        (
            ["cluster", "version"],
            "1.35",
            "cluster.version: '1.35': must be a VKE version like v1.35.5+1",
        ),
        (
            ["region"],
            "US_East",
            "region: 'US_East': must be a DNS label: lower-case letters, digits and hyphens, at "
            "most 63",
        ),
        (
            ["cluster", "vpc"],
            {"cidr": "10.20.0.1/20"},
            "cluster.vpc.cidr: '10.20.0.1/20': must be an IPv4 network like 10.20.0.0/20 "
            "(10.20.0.1/20 has host bits set)",
        ),
        (
            ["cluster", "replace"],
            ["plan"],
            "cluster.replace[0]: 'plan': must be 'location' or 'highAvailability'",
        ),
        (
            ["ingress"],
            {"image": "nginx/nginx-ingress:latest"},
            "ingress.image: 'nginx/nginx-ingress:latest': must be pinned: `latest` is another "
            "image tomorrow",
        ),
        (
            ["ingress"],
            {"image": "nginx"},
            "ingress.image: 'nginx': must be pinned: name:tag, better name:tag@sha256:<64 hex "
            "digits>",
        ),
        (
            ["cluster", "pools", 0, "autoscale"],
            {"min": 5, "max": 4},
            "cluster.pools[0].autoscale: min (5) must not be above max (4)",
        ),
        (
            ["cluster", "pools", 0, "autoscale"],
            {"min": 4, "max": 6},
            "cluster.pools[0]: nodes (3) must lie within autoscale (4 to 6)",
        ),
        (
            ["coordinates"],
            {"latitude": 91.0, "longitude": 0.0},
            "coordinates.latitude: 91.0: must be at most 90.0",
        ),
    ],
)
def test_a_mistake_names_key_value_and_what_is_allowed(
    path: list[str | int], value: Any, sentence: str
):
    assert mistakes(Region, changed(path, value)) == [sentence]


@pytest.mark.parametrize(
    ("ingress", "sentence"),
    [
        ({"controller": "haproxy"}, "ingress.controller: 'haproxy': must be nginx or traefik"),
        (
            {"controller": "traefik", "config": {}},
            "ingress.config: is not a known key; known here: canary, class, controller, "
            "customResources, defaultClass, gateway, image, metrics, namespace, nginxClass, "
            "resources, responseHeaders, tuning",
        ),
        ({"gateway": True}, "ingress.gateway: is not a known key; known here: canary, class, "
         "config, controller, customResources, defaultClass, image, metrics, namespace, "
         "resources, tuning"),
        (
            {"controller": "traefik", "tuning": {"idleTimeout": -1}},
            "ingress: tuning.idleTimeout: -1: must be a whole number from 0 to 86400",
        ),
        (
            {"controller": "traefik", "nginxClass": "traefik"},
            "ingress: nginxClass: 'traefik': is class, too: an Ingress means one or the other",
        ),
        (
            {"controller": "traefik", "responseHeaders": {"X Y": "1"}},
            "ingress.responseHeaders.X Y.[key]: 'X Y': must be a header's name",
        ),
    ],
)  # fmt: skip
def test_each_controller_has_keys_of_its_own(ingress: dict[str, Any], sentence: str):
    assert mistakes(Region, {**region(), "ingress": ingress}) == [sentence]


def test_traefik_has_its_certificate_beside_it():
    said = {**region(), "ingress": {"controller": "traefik"}}
    assert Region.model_validate({**said, "tls": {"secret": "traefik/site"}}).tls.secret
    (sentence,) = mistakes(Region, {**said, "tls": {"secret": "shop/site"}})
    assert sentence.startswith("tls.secret: 'shop/site': Traefik mounts it, so that it has to be")


def test_pool_labels_differ():
    pool = region()["cluster"]["pools"][0]
    assert mistakes(Region, region(pools=[pool, pool])) == [
        "cluster: two pools are called edge: labels must differ"
    ]


def test_what_is_missing_is_named():
    assert mistakes(Region, {"cluster": {"location": "ewr"}}) == [
        "region: is required",
        "cluster.version: is required",
        "cluster.pools: is required",
    ]


def test_every_mistake_is_reported_at_once():
    config = changed(["cluster", "pools", 0, "nodes"], 0)
    config["drain"] = 1
    assert len(mistakes(Region, config)) == 2


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"hosts": ["example.org"]}, "host example.org is not in the zone example.com"),
        ({"hosts": ["badexample.com"]}, "host badexample.com is not in the zone example.com"),
        ({"hosts": ["example.com", "example.com"]}, "host example.com is listed twice"),
        ({"zoneId": "abc"}, "zoneId: 'abc': must be Cloudflare's id: 32 hexadecimal digits"),
        ({"hosts": []}, "hosts: must have at least 1 entry"),
    ],
)
def test_fleet_values(change: dict[str, Any], sentence: str):
    assert mistakes(FleetValues, {**FLEET, **change}) == [sentence]
