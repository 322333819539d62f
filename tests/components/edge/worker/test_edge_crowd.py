"""A hundred clients while regions die and return in turn."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable

import aiohttp

from tests.components.edge.worker.conftest import Regions
from tests.components.edge.worker.edge_rig import HOST, Edge, poll

CLIENTS = 100
TURNS = 4


def test_no_get_fails_and_no_post_arrives_twice(
    start_edge: Callable[..., Edge], origins: Regions
) -> None:
    # Returned regions are tried again soon, so that each death meets open connections.
    edge = start_edge(downMs=50)
    over = threading.Event()

    gets: Counter[int] = Counter()
    posts: Counter[int] = Counter()

    def await_gets(count: int) -> None:
        enough = gets.total() + count
        poll(lambda: over.is_set() or gets.total() >= enough, f"{count} more GETs were answered")

    def break_regions() -> None:
        """Two of three are down at times, never all."""
        try:
            for turn in range(TURNS * 3):
                dead, dying = (list(origins.values())[(turn + i) % 3] for i in range(2))
                dead.die()
                await_gets(100)
                dying.die()
                await_gets(100)
                dead.rise()
                await_gets(50)
                dying.rise()
        finally:
            over.set()

    async def client(session: aiohttp.ClientSession, number: int) -> None:
        turn = 0
        while not over.is_set():
            turn += 1
            async with session.get(f"{edge.url}/page/{number}/{turn}") as response:
                gets[response.status] += 1
                await response.read()
            url = f"{edge.url}/order/{number}/{turn}"
            async with session.post(url, data=b"one order") as response:
                posts[response.status] += 1
                await response.read()

    async def crowd() -> None:
        connector = aiohttp.TCPConnector(limit=CLIENTS)
        async with aiohttp.ClientSession(connector=connector, headers={"host": HOST}) as session:
            await asyncio.gather(*(client(session, number) for number in range(CLIENTS)))

    breaking = threading.Thread(target=break_regions)
    breaking.start()
    try:
        asyncio.run(crowd())
    finally:
        over.set()
        breaking.join()

    orders = Counter(
        seen.path for origin in origins.values() for seen in origin.seen if seen.method == "POST"
    )
    assert gets.total() >= TURNS * 3 * 250
    assert set(gets) == {200}
    assert set(posts) <= {200, 502}
    assert posts[200] > posts[502]
    assert posts[502] > 0, "no POST met a dying region: the test proves nothing"
    assert [path for path, count in orders.items() if count > 1] == []
    assert sum(orders.values()) >= posts[200]
