"""Changes of the files that tests make up (tests/fleet/mutations.py) leave no setting out."""

import random
from copy import deepcopy
from typing import Any

import pytest
from pydantic import BaseModel

from infra.settings.edge import Edge
from infra.settings.fleet import FleetValues
from infra.settings.region import Region
from tests.fleet.made_up import EXAMPLES, value
from tests.fleet.mutations import IMAGES, RANGES, SHARED, Leaf, leaves, mutated, set_field, valid
from tests.projects import region

FILES: dict[str, Any] = {
    "us": region("us"),
    "eu": region("eu", location="ams"),
    "edge": {"edge": {}},
    SHARED: {
        "domain": "example.com", "hosts": ["example.com"], "zoneId": "a" * 32, "accountId": "b" * 32
    },
    RANGES: {"ipv4_cidrs": ["192.0.2.0/24", "198.51.100.0/24"]},
    IMAGES: {"images": {}},
}  # fmt: skip
METAL = {
    "region": "metal",
    "coordinates": {"latitude": 52.5, "longitude": 13.4},
    "cluster": {"existing": {}},
    "calico": {"dataplane": "iptables"},
    "firewall": {"nodeNetworks": ["10.0.0.0/8"], "adminCidrs": ["198.51.100.0/24"]},
}
"""What only a cluster that isn't Vultr's may say is tried on this one."""
STARTS: list[tuple[type[BaseModel], dict[str, Any]]] = [
    (Region, FILES["us"]),
    (Edge, FILES["edge"]["edge"]),
    (FleetValues, FILES[SHARED]),
]
LEAVES = [
    (root, start, leaf)
    for root, start in STARTS
    for leaf in leaves(root)
    # It tells one kind of ingress from another, and each kind has one word.
    if leaf.name != "controller"
]


@pytest.mark.parametrize(
    ("root", "start", "leaf"), LEAVES, ids=[f"{x.model.__name__}.{x.name}" for *_, x in LEAVES]
)
def test_every_setting_changes(root: type[BaseModel], start: dict[str, Any], leaf: Leaf):
    """A new one needs a type that says what it may be, or a line in EXAMPLES."""
    rng = random.Random(0)
    made = [value(rng, leaf.model, leaf.name) for _ in range(20)]
    assert any(each != made[0] for each in made) or made[0] != leaf.field.default
    starts = [start, METAL] if root is Region else [start]
    tried: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for _ in range(60):
        for each in starts:
            config = deepcopy(each)
            set_field(rng, config, leaf, wrong=False)
            tried.append((each, config))
    assert all(valid(root, each) for each in starts)
    changed = any(valid(root, config) and config != each for each, config in tried)
    assert changed or leaf.name in TOGETHER


# What changes only together with another key.
TOGETHER = {
    # Means nothing without `version`.
    "registry",
    "init_containers",
    # eBPF has no IPIP, and the variables go in pairs.
    "connect_time_load_balancing",
    "host_networked_nat_without_ctlb",
    # The site's hosts are in it.
    "domain",
}


def test_examples_are_of_settings_that_there_are():
    models = {leaf.model for root, _ in STARTS for leaf in leaves(root)}
    known = {f"{model.__name__}.{name}" for model in models for name in model.model_fields}
    assert {key.removesuffix("{}") for key in EXAMPLES} <= known


def test_the_same_seed_makes_the_same_changes():
    first, second = (mutated("a seed", FILES, 5) for _ in range(2))
    assert first == second
    assert first[0] != FILES
    assert mutated("another", FILES, 5) != first
