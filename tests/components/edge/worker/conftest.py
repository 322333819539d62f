"""Three regions whose origins fail on demand, and Workers before them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.components.edge.worker.edge_origin import Origin, OriginLoop
from tests.components.edge.worker.edge_rig import HOST, REGIONS, Edge

Regions = dict[str, Origin]

EDGE_ARGUMENTS = ("kv", "kv_dir", "main", "metrics")


@pytest.fixture(scope="session")
def running_origins() -> Iterator[Regions]:
    loop = OriginLoop()
    origins = {region["name"]: Origin(region["name"], loop) for region in REGIONS}
    yield origins
    for origin in origins.values():
        origin.close()
    loop.close()


@pytest.fixture
def origins(running_origins: Regions) -> Regions:
    """Every region alive, with nothing remembered."""
    for origin in running_origins.values():
        origin.reset()
    return running_origins


def addresses(origins: Regions, table: list[dict[str, Any]]) -> dict[str, str]:
    """Where each name leads: us.example.com and 1.us.example.com to the region us; a name of no
    region nowhere. The site's own host is a record of the region us."""
    hosts = {HOST: origins["us"].address}
    for host in (region["host"] for region in table):
        if origin := origins.get(host.split(".")[-3]):
            hosts[host] = origin.address
    return hosts


@pytest.fixture
def start_edge(origins: Regions) -> Iterator[Callable[..., Edge]]:
    """Starts Workers with an isolate, and so a memory, of their own.

    Takes the region table, fields of CONFIG and keyword arguments of Edge; or CONFIG as a whole,
    with `raw`.
    """
    started: list[Edge] = []

    def start(regions: list[dict[str, Any]] = REGIONS, *, raw: Any = None, **options: Any) -> Edge:
        for_edge = {k: options.pop(k) for k in list(options) if k.isupper() or k in EDGE_ARGUMENTS}
        config = {"regions": regions, **options} if raw is None else raw
        edge = Edge(config, addresses(origins, regions), **for_edge)
        started.append(edge)
        return edge

    yield start
    for edge in started:
        edge.close()


@pytest.fixture(scope="session")
def shared_edge(running_origins: Regions, ends_with_group: ExitStack) -> Edge:
    edge = Edge({"regions": REGIONS}, addresses(running_origins, REGIONS))
    ends_with_group.callback(edge.close)
    return edge


@pytest.fixture
def edge(origins: Regions, shared_edge: Edge) -> Edge:
    """The Worker with the plain table; for tests in which no region fails."""
    return shared_edge
