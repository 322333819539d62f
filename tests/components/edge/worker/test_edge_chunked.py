"""Bodies that don't say how long they are: small ones move on, others stream as they come."""

import hashlib
import itertools
import socket
from collections.abc import Callable, Iterator

import pytest

from tests.components.edge.worker.conftest import Regions
from tests.components.edge.worker.edge_rig import DENVER, HOST, Edge, literal, poll

Start = Callable[..., Edge]


def parts(sizes: list[int]) -> Iterator[bytes]:
    for size, fill in zip(sizes, itertools.cycle(range(256)), strict=False):
        yield bytes([fill]) * size


@pytest.mark.parametrize("sizes", [[], [1], [5, 1000, 60_000]], ids=["empty", "byte", "parts"])
def test_a_small_chunked_body_moves_on(
    start_edge: Start, origins: Regions, sizes: list[int]
) -> None:
    edge = start_edge()
    origins["us"].fail("status", status=521)
    response = edge.request("/order", DENVER, method="POST", data=parts(sizes))
    assert response.headers["x-edge-region"] == "eu"
    assert origins["us"].count("POST") == 1
    (seen,) = origins["eu"].seen
    assert seen.digest == hashlib.sha256(b"".join(parts(sizes))).hexdigest()


@pytest.mark.parametrize(
    "sizes", [[70_000], [65_000, 1000], [10_000] * 50], ids=["one", "the second", "many"]
)
def test_a_larger_one_arrives_whole_and_once(
    start_edge: Start, origins: Regions, sizes: list[int]
) -> None:
    edge = start_edge()
    response = edge.request("/order", DENVER, method="POST", data=parts(sizes))
    assert response.headers["x-edge-region"] == "us"
    (seen,) = origins["us"].seen
    assert seen.digest == hashlib.sha256(b"".join(parts(sizes))).hexdigest()
    # Where no origin had it, it can't move on, as it was sent.
    origins["us"].fail("status", status=521)
    response = edge.request("/order", DENVER, method="POST", data=parts(sizes))
    assert response.status_code == 503
    assert not origins["eu"].seen


def test_a_slow_one_goes_on_with_what_was_awaited(start_edge: Start, origins: Regions) -> None:
    edge = start_edge()

    def slowly() -> Iterator[bytes]:
        for number in range(3):
            yield b"part %d;" % number
            poll(
                lambda done=7 * (number + 1): (
                    origins["us"].seen and origins["us"].seen[0].size == done
                ),
                "the origin had what was sent",
            )

    assert edge.request("/order", DENVER, method="POST", data=slowly()).status_code == 200
    assert origins["us"].seen[0].digest == hashlib.sha256(b"part 0;part 1;part 2;").hexdigest()


def test_a_visitor_who_hangs_up_leaves_no_order(start_edge: Start, origins: Regions) -> None:
    edge = start_edge()
    head = f"POST /order HTTP/1.1\r\nhost: {HOST}\r\ncf-test-blob: {literal(DENVER)}\r\n"
    with socket.create_connection(("127.0.0.1", edge.port)) as visitor:
        visitor.sendall(f"{head}transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n".encode())
        poll(lambda: origins["us"].seen and origins["us"].seen[0].size == 4, "half of it came")
    assert edge.request("/", DENVER).headers["x-edge-region"] == "us", "and nobody is blamed"
    assert not origins["us"].seen[0].digest, "half of it isn't taken for all"
