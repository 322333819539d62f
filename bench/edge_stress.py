"""What one faulty region does to the others: waits by region, and requests at the origins.

`python bench/edge_stress.py [WORKER.JS]` prints a line for each fault. Three regions on one
workerd; visitors come at their own pace, whether earlier ones were answered or not.
"""

import asyncio
import random
import statistics
import sys
from collections import defaultdict
from pathlib import Path

import aiohttp
from aiohttp import web

from tests.components.edge.worker.edge_rig import (
    DENVER,
    HOST,
    MADRID,
    REGIONS,
    TOKYO,
    WORKER,
    Edge,
    literal,
)

VISITORS = {"us": DENVER, "eu": MADRID, "apac": TOKYO}
HEDGE_SECONDS = 0.5
SECONDS = 12
SERVICE_SECONDS = 0.25
HEALTH_PATH = "/healthz"


class Region:
    """An application of so many places, each of which a request holds for `service` seconds, also
    when nobody waits for it any more; behind an ingress that answers the health path itself."""

    def __init__(self, name: str, places: int, service: float, fault: str | None) -> None:
        self.name, self.asked = name, 0
        self._places, self._service, self._fault = asyncio.Semaphore(places), service, fault

    async def start(self) -> str:
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return f"127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        headers = {"x-edge-region": self.name}
        health = request.path == HEALTH_PATH
        if self._fault == "black hole" or (self._fault == "hung application" and not health):
            self.asked += not health
            await asyncio.sleep(3600)
        if not health:
            self.asked += 1
            if self._fault == "dead application":
                return web.Response(status=502, headers=headers)
            await asyncio.shield(self._work())
        return web.Response(text=self.name, headers=headers)

    async def _work(self) -> None:
        async with self._places:
            await asyncio.sleep(self._service)


async def visit(
    edge: Edge, home: str, waits: dict[str, list[float]], failed: dict[str, int]
) -> None:
    loop = asyncio.get_running_loop()
    begin = loop.time()
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        headers = {"host": HOST, "cf-test-blob": literal(VISITORS[home])}
        async with session.get(edge.url + "/", headers=headers) as response:
            await response.read()
            failed[home] += response.status != 200
    waits[home].append(loop.time() - begin)


async def run(
    worker: Path, rates: dict[str, float], places: int, service: float, fault: str | None
) -> tuple[dict[str, list[float]], float, dict[str, int]]:
    """Waits by the visitors' own region, requests at origins for each visitor's, and answers that
    weren't 200."""
    regions = {
        name: Region(name, places, service, fault if name == "us" else None) for name in rates
    }
    hosts = {f"{name}.example.com": await region.start() for name, region in regions.items()}
    config = {"regions": REGIONS, "hedgeAfterMs": HEDGE_SECONDS * 1000, "healthPath": HEALTH_PATH}
    edge = Edge(config, hosts, main=worker)
    waits: dict[str, list[float]] = defaultdict(list)
    failed: dict[str, int] = defaultdict(int)
    loop, numbers = asyncio.get_running_loop(), random.Random(1)  # noqa: S311
    visits = []
    try:
        times = sorted(
            (numbers.uniform(0, SECONDS), home)
            for home in rates
            for _ in range(int(rates[home] * SECONDS))
        )
        begin = loop.time()
        for at, home in times:
            await asyncio.sleep(max(0, begin + at - loop.time()))
            visits.append(asyncio.ensure_future(visit(edge, home, waits, failed)))
        await asyncio.wait(visits, timeout=60)
        for each in visits:
            each.cancel()
    finally:
        edge.close()
        for region in regions.values():
            await region.stop()
    asked = sum(region.asked for region in regions.values())
    return waits, asked / len(times), failed


SCENES = {
    "nothing": ({"us": 25, "eu": 25, "apac": 25}, 10, SERVICE_SECONDS, None),
    "us overloaded": ({"us": 60, "eu": 25, "apac": 25}, 10, SERVICE_SECONDS, None),
    "all slow": ({"us": 15, "eu": 15, "apac": 15}, 1000, 3.5 * HEDGE_SECONDS, None),
    "black hole": ({"us": 15, "eu": 15, "apac": 15}, 1000, 0.05, "black hole"),
    "hung application": ({"us": 15, "eu": 15, "apac": 15}, 1000, 0.05, "hung application"),
    "dead application": ({"us": 15, "eu": 15, "apac": 15}, 1000, 0.05, "dead application"),
}


def main() -> None:
    worker = Path(sys.argv[1]) if len(sys.argv) > 1 else WORKER
    only = sys.argv[2:] or list(SCENES)
    for name in only:
        waits, ratio, failed = asyncio.run(run(worker, *SCENES[name]))
        shown = "  ".join(
            f"{home}: p50 {statistics.median(took):5.2f} p99 "
            f"{statistics.quantiles(took, n=100)[98]:5.2f} s, {failed[home]} of {len(took)} failed"
            for home, took in sorted(waits.items())
        )
        print(f"{name:17} asked/visitors {ratio:5.3f}  {shown}", flush=True)


if __name__ == "__main__":
    main()
