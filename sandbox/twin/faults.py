"""Carrying out what `chaos.py` makes up."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from sandbox.twin.chaos import Fault
from sandbox.twin.site import Site


class Changes(Protocol):
    """What people change, by the label of a cluster; each returns once it is deployed."""

    def drain(self, cluster: str, drained: bool) -> None: ...
    def deploy_worker(self, number: int) -> None: ...
    def rewrite_firewall(self, cluster: str, number: int) -> None: ...
    def update_ranges(self, cluster: str) -> None: ...
    def rotate_certificate(self, cluster: str) -> None: ...


class Faults:
    """What happens to `site`; without `changes` nobody changes anything."""

    def __init__(self, site: Site, changes: Changes | None) -> None:
        self._site = site
        self._changes = changes
        # One `pulumi up` at a time, and whatever is done to a cluster by one lane at a time.
        self._changing = threading.Lock()
        self._clusters = {cluster: threading.Lock() for cluster in site.clusters}

    def where(self, fault: Fault) -> str:
        """Whom it hits, for a person."""
        if fault.kind == "worker deployed":
            return "edge"
        return fault.cluster if fault.node is None else f"{fault.cluster}, node {fault.node + 1}"

    @contextmanager
    def alone(self, fault: Fault) -> Iterator[None]:
        """Wait until nothing else is done to its cluster."""
        with self._clusters[fault.cluster]:
            yield

    def carry_out(self, fault: Fault) -> None:
        """From its begin to its end."""
        site, nodes = self._site, self._site.of(fault.cluster)
        node = nodes[fault.node or 0]
        addresses = [address for each in nodes for address in each.machine.addresses]
        name = f"{fault.kind} {fault.number}"
        match fault.kind:
            case "node killed":
                node.kill()
                time.sleep(fault.seconds)
                site.boot(node)
            case "nginx hung":
                node.hang()
                time.sleep(fault.seconds)
                node.resume()
            case "nginx killed":
                node.crash()
                time.sleep(fault.seconds)
                node.restart()
            case "nginx restarted":
                node.replace()
            case "felix killed":
                node.crash_felix()
            case "region cut off":
                site.internet.cut(name, addresses)
                time.sleep(fault.seconds)
                site.internet.mend(name)
            case "slow wire":
                site.internet.slow(name, addresses)
                time.sleep(fault.seconds)
                site.internet.mend(name)
            case _:
                self._change(fault)

    def _change(self, fault: Fault) -> None:
        changes, cluster = self._changes, fault.cluster
        if changes is None:
            raise ValueError(f"{fault.kind}: nobody here who changes anything")
        match fault.kind:
            case "region drained":
                with self._changing:
                    changes.drain(cluster, True)
                    self._site.follow()
                time.sleep(fault.seconds)
                with self._changing:
                    changes.drain(cluster, False)
                    self._site.follow()
                return
            case "worker deployed":
                with self._changing:
                    changes.deploy_worker(fault.number)
                    self._site.follow()
                return
        with self._changing:
            match fault.kind:
                case "firewall rewritten":
                    changes.rewrite_firewall(cluster, fault.number)
                case "ranges updated":
                    changes.update_ranges(cluster)
                case "certificate rotated":
                    changes.rotate_certificate(cluster)
                case _:
                    raise ValueError(fault.kind)
            self._site.follow(cluster)
