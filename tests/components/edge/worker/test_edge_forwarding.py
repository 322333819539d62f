"""Requests and answers pass unchanged, and unbuffered."""

import asyncio
import gzip
import hashlib
import http.client
from collections.abc import Callable, Iterator

import aiohttp
import pytest
import requests

from tests.components.edge.worker.conftest import Regions
from tests.components.edge.worker.edge_origin import GZIPPED
from tests.components.edge.worker.edge_rig import DENVER, HOST, Edge, poll

HUNDRED_MEGABYTES = 100_000_000


def test_path_and_query_are_as_sent(edge: Edge, origins: Regions) -> None:
    path = "/a%2Fb//c/..%2f?q=%20x&empty&plus=a+b&q=2"
    with_raw_path = http.client.HTTPConnection("127.0.0.1", edge.port)
    with_raw_path.request("GET", path, headers={"host": HOST})
    assert with_raw_path.getresponse().status == 200
    with_raw_path.close()
    assert origins["us"].seen[0].path == path


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
def test_method_and_body(edge: Edge, origins: Regions, method: str) -> None:
    body = b"\x00\xff body" * 1000
    assert edge.request("/form", DENVER, method=method, data=body).status_code == 200
    (seen,) = origins["us"].seen
    assert (seen.method, seen.size) == (method, len(body))
    assert seen.digest == hashlib.sha256(body).hexdigest()
    assert seen.headers["content-length"] == str(len(body))


def test_head_keeps_the_length(edge: Edge) -> None:
    response = edge.request("/page", DENVER, method="HEAD")
    assert response.headers["content-length"] == str(len("us /page\n"))
    assert response.headers["x-edge-region"] == "us"


# requests says Content-Length: 0 where a POST has no body.
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_redirect_is_the_visitors(edge: Edge, origins: Regions, method: str) -> None:
    response = edge.request("/redirect", DENVER, method=method)
    assert (response.status_code, len(origins["us"].seen)) == (302, 1)
    assert response.headers["location"] == "https://elsewhere.example/"


def test_caching_headers_and_conditions(edge: Edge) -> None:
    response = edge.request("/cached", DENVER)
    assert response.headers["cache-control"] == "public, max-age=60"
    assert response.headers["etag"] == '"v1"'
    response = edge.request("/cached", DENVER, headers={"if-none-match": '"v1"'})
    assert (response.status_code, response.content) == (304, b"")


def test_range(edge: Edge, origins: Regions) -> None:
    response = edge.request("/range", DENVER, headers={"range": "bytes=2-3"})
    assert origins["us"].seen[0].headers["range"] == "bytes=2-3"
    assert (response.status_code, response.headers["content-range"]) == (206, "bytes 2-3/10")


@pytest.mark.parametrize("status", [201, 400, 404, 418, 500, 501])
def test_status(edge: Edge, status: int) -> None:
    assert edge.request(f"/status/{status}", DENVER).status_code == status


def test_status_that_javascript_has_no_answer_for(edge: Edge, origins: Regions) -> None:
    assert edge.request("/status/700", DENVER).status_code == 700
    assert len(origins["us"].seen) == 1


def test_empty_answer(edge: Edge) -> None:
    assert edge.request("/empty", DENVER).status_code == 204


def test_several_cookies(edge: Edge) -> None:
    cookies = edge.request("/cookies", DENVER).raw.headers.getlist("set-cookie")
    assert cookies == ["a=1", "b=2"]


def test_compressed_body_is_not_touched(edge: Edge) -> None:
    response = edge.request("/gzip", DENVER, stream=True)
    assert response.headers["content-encoding"] == "gzip"
    raw = response.raw.read(decode_content=False)
    assert raw == GZIPPED
    assert gzip.decompress(raw) == b"text that was compressed by the region\n"


def test_visitors_address_reaches_the_origin(edge: Edge, origins: Regions) -> None:
    forged = {"x-real-ip": "192.0.2.66"}
    edge.request("/", DENVER, visitor="203.0.113.7", headers=forged)
    edge.request("/", DENVER, visitor="203.0.113.8", headers={"x-real-ip": "203.0.113.8"})
    edge.request("/", DENVER, headers=forged)
    seen = [seen.headers.get("cf-connecting-ip") for seen in origins["us"].seen]
    assert seen == ["203.0.113.7", "203.0.113.8", None]


def test_forged_edge_headers_are_dropped(edge: Edge, origins: Regions) -> None:
    forged = {"x-edge-region": "eu", "X-Edge-Attempts": "9", "x-mine": "kept"}
    for address in ({}, {"x-real-ip": "203.0.113.7", "cf-connecting-ip": "203.0.113.7"}):
        edge.request("/", DENVER, headers={**forged, **address})
        headers = origins["us"].seen[-1].headers
        assert not {name for name in headers if name.startswith("x-edge-")}
        assert "x-mine" in headers


def test_a_region_names_itself(start_edge: Callable[..., Edge], origins: Regions) -> None:
    edge = start_edge()
    assert edge.request("/named", DENVER).headers["x-edge-region"] == "us"
    # Whatever names another region, or several.
    assert edge.request("/named?by=eu", DENVER).headers["x-edge-region"] == "us"
    origins["us"].fail("status", status=521, times=1)
    response = edge.request("/named", DENVER)
    assert response.headers["x-edge-region"] == "eu"
    assert response.headers["x-edge-attempts"] == "2"


def test_secret_header_for_the_origin(start_edge: Callable[..., Edge], origins: Regions) -> None:
    edge = start_edge(ORIGIN_SECRET="s3cret", ORIGIN_SECRET_HEADER="x-edge-secret")
    response = edge.request("/", DENVER, headers={"x-edge-secret": "forged"})
    assert origins["us"].seen[0].headers["x-edge-secret"] == "s3cret"
    assert "s3cret" not in str(response.headers) + edge.log()


def test_no_secret_header_without_its_binding(edge: Edge, origins: Regions) -> None:
    edge.request("/", DENVER)
    assert not [name for name in origins["us"].seen[0].headers if "secret" in name.lower()]


def test_large_download_with_bounded_memory(edge: Edge) -> None:
    before = edge.memory()
    highest, received = before, 0
    with edge.request(f"/download?bytes={HUNDRED_MEGABYTES}", DENVER, stream=True) as response:
        for chunk in response.iter_content(1 << 20):
            received += len(chunk)
            highest = max(highest, edge.memory())
    assert received == HUNDRED_MEGABYTES
    assert highest - before < 32_000_000


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_large_upload_with_bounded_memory(edge: Edge, origins: Regions, chunked: bool) -> None:
    block, count = bytes(1_000_000), 100
    before = edge.memory()
    highest = before

    def blocks() -> Iterator[bytes]:
        nonlocal highest
        for _ in range(count):
            highest = max(highest, edge.memory())
            yield block

    headers = {} if chunked else {"content-length": str(HUNDRED_MEGABYTES)}
    session = requests.Session()
    url = edge.url + "/upload"
    request = session.prepare_request(requests.Request("POST", url, data=blocks()))
    request.headers.update({"host": HOST, **headers})
    if not chunked:
        request.headers.pop("transfer-encoding", None)
    assert session.send(request, timeout=60).status_code == 200
    assert origins["us"].seen[0].size == HUNDRED_MEGABYTES
    assert highest - before < 32_000_000


def test_server_sent_events_come_one_by_one(edge: Edge) -> None:
    with edge.request("/events", DENVER, stream=True) as response:
        assert response.headers["content-type"] == "text/event-stream"
        lines = (line for line in response.iter_lines(chunk_size=1) if line)
        # The origin sends the next event only when this one is known to have arrived.
        for number in range(3):
            assert next(lines) == f"data: {number}".encode()
            edge.request(f"/got/{number}", DENVER, method="POST")


def test_upload_streams(edge: Edge, origins: Regions) -> None:
    def parts() -> Iterator[bytes]:
        yield b"first"
        # The origin has the request's head, and its first part, before the second is sent.
        poll(lambda: origins["us"].seen and origins["us"].seen[0].size == 5, "the first part came")
        yield b"second"

    assert edge.request("/upload", DENVER, method="POST", data=parts()).status_code == 200
    assert origins["us"].seen[0].size == 11


def test_websocket(edge: Edge, origins: Regions) -> None:
    async def converse() -> None:
        headers = {"host": HOST}
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(edge.url + "/socket", headers=headers, protocols=["echo"]) as ws,
        ):
            assert ws.protocol == "echo"
            for number in range(20):
                await ws.send_str(f"message {number}")
                assert await ws.receive_str(timeout=5) == f"us message {number}"
            await ws.send_bytes(bytes(100_000))
            assert await ws.receive_bytes(timeout=5) == bytes(100_000)

    asyncio.run(converse())
    assert len(origins["us"].seen) == 1


def test_websocket_moves_on_from_a_dead_region(
    start_edge: Callable[..., Edge], origins: Regions
) -> None:
    edge = start_edge()
    origins["us"].die()

    async def converse() -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(edge.url + "/socket", headers={"host": HOST}) as ws,
        ):
            await ws.send_str("hello")
            assert await ws.receive_str(timeout=5) == "eu hello"

    asyncio.run(converse())
