"""A run: visitors come, outsiders knock, and what `chaos.py` makes up happens meanwhile."""

import json
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

from sandbox.processes import Child
from sandbox.twin import account, chaos
from sandbox.twin.chaos import CHANGES, Fault
from sandbox.twin.faults import Changes, Faults
from sandbox.twin.site import OUTSIDERS, PLACES, Site

_HERE = Path(__file__).parent
_VISITORS_A_NETWORK = 6
_AT_ONCE_SECONDS = 2.0  # of requests may be under way: a crowd that waits for a CPU proves nothing
_POSTS = 0.12
_CRON_SECONDS = 60
# What begins so late would outlast the visitors.
_LAST_FAULT_SECONDS, _LAST_CHANGE_SECONDS = 20.0, 60.0


@dataclass(frozen=True)
class Plan:
    """How many requests (at most so many a second) and what else: `kinds` of faults, by `seed`."""

    seed: int
    requests: int
    rate: float
    kinds: Sequence[str] = chaos.KINDS


def run(
    site: Site, changes: Changes | None, plan: Plan, say: Callable[[str], None]
) -> account.Outcome:
    """Visit the site while all that happens to it. Raises what a fault's own work raised."""
    return _Run(site, changes, plan, say).outcome()


class _Run:
    def __init__(
        self, site: Site, changes: Changes | None, plan: Plan, say: Callable[[str], None]
    ) -> None:
        self._site, self._plan, self._say = site, plan, say
        self._faults = Faults(site, changes)
        self._happened: list[account.Happened] = []
        self._errors: list[BaseException] = []
        self._over = threading.Event()
        self._name = f"run{plan.seed}"
        self._out = site.folder / "asked"
        self._knocks = site.folder / "knocks.json"

    def outcome(self) -> account.Outcome:
        site, plan = self._site, self._plan
        self._knocks.unlink(missing_ok=True)
        knocker = self._start_knocking()
        visitors = self._start_visiting()
        self._began = time.time()
        threads = [threading.Thread(target=self._cron)]
        nodes = {cluster: len(site.of(cluster)) for cluster in site.clusters}
        kinds = [kind for kind in plan.kinds if site.felix or kind not in chaos.FELIX_KINDS]
        lanes = chaos.lanes(plan.seed, nodes, kinds) if kinds else []
        threads += [threading.Thread(target=self._lane, args=[lane]) for lane in lanes]
        for thread in threads:
            thread.start()
        try:
            self._await(visitors)
        finally:
            self._over.set()
            for thread in threads:
                thread.join()
        if self._errors:
            raise self._errors[0]
        time.sleep(1)  # whoever knocks writes twice a second
        knocks = json.loads(self._knocks.read_text())
        site.outsiders.end("knock")
        assert knocker.exit_code() is not None
        return account.Outcome(
            plan.seed,
            account.read_asked(self._out, self._began * 1000),
            sorted(self._happened, key=lambda each: each.began),
            account.count_orders((node.orders for node in site.nodes), f"{self._name}-"),
            sum(knocks["knocks"].values()),
            knocks["answers"],
            site.parts,
        )

    def _await(self, visitors: Child) -> None:
        told = 0
        while visitors.exit_code() is None:
            if self._errors:
                self._site.visitors.end("visitors")
                return
            time.sleep(0.2)
            count = self._sent()
            if count >= told + max(2000, self._plan.requests // 10):
                told = count
                self._say(f"{count} of {self._plan.requests} requests")

    def _sent(self) -> int:
        return self._out.read_bytes().count(b"\n") if self._out.exists() else 0

    @property
    def _left(self) -> float:
        """Seconds until the visitors are through, at best."""
        return (self._plan.requests - self._sent()) / self._plan.rate

    def _lane(self, lane: Iterator[Fault]) -> None:
        try:
            for fault in lane:
                needed = _LAST_CHANGE_SECONDS if fault.kind in CHANGES else _LAST_FAULT_SECONDS
                if self._left < _LAST_FAULT_SECONDS or self._over.wait(fault.pause):
                    return
                if self._left < needed:
                    continue
                with self._faults.alone(fault):
                    began = time.time() - self._began
                    where = self._faults.where(fault)
                    self._say(f"{began:6.1f} s  {fault.kind}: {where}")
                    self._faults.carry_out(fault)
                    ended = time.time() - self._began
                happened = account.Happened(fault.number, fault.kind, where, began, ended)
                self._happened.append(happened)
        except Exception as error:  # noqa: BLE001 (told by the thread that waits)
            self._errors.append(error)

    def _cron(self) -> None:
        """The Worker's cron trigger, once a minute as it is deployed."""
        while not self._over.is_set():
            try:
                self._site.cloudflare.probe()
            except Exception as error:  # noqa: BLE001 (told by the thread that waits)
                self._errors.append(error)
                return
            self._over.wait(_CRON_SECONDS)

    def _start_visiting(self) -> Child:
        site, plan = self._site, self._plan
        host = min(site.published.visited, key=len)
        addresses = site.published.visited[host]
        file = site.folder / "visitors.json"
        file.write_text(
            json.dumps(
                {
                    "seed": plan.seed,
                    "run": self._name,
                    "requests": plan.requests,
                    "rate": plan.rate,
                    "posts": _POSTS,
                    "atOnce": max(50, int(plan.rate * _AT_ONCE_SECONDS)),
                    "host": host,
                    "addresses4": [each for each in addresses if ":" not in each],
                    "addresses6": [each for each in addresses if ":" in each],
                    "places": [
                        {
                            "name": place.name,
                            "sources4": _some(place.networks[0]),
                            "sources6": _some(place.networks[1]),
                        }
                        for place in PLACES
                    ],
                    "ca": str(site.cloudflare.trusted),
                    "out": str(self._out),
                }
            )
        )
        node = shutil.which("node") or "node"
        return site.visitors.start("visitors", [node, str(_HERE / "visitors.mjs"), str(file)])

    def _start_knocking(self) -> Child:
        site = self._site
        targets = [address for node in site.nodes for address in node.machine.addresses]
        sources = [each for network in OUTSIDERS for each in _some(network)]
        words = [str(self._plan.seed), str(self._knocks), ",".join(sources), ",".join(targets)]
        program = [sys.executable, "-I", "-S", str(_HERE / "outsiders.py"), "knock", *words]
        return site.outsiders.start("knock", program)


def _some(network: str) -> list[str]:
    return [str(ip_network(network)[number + 2]) for number in range(_VISITORS_A_NETWORK)]
