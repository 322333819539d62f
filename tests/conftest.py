"""Which tests run beside each other, which are slow, and how many examples a property gets.

`make test` has two workers (pytest-xdist), each with a group of tests at a time: those that share
something costly, else those of a module. What costs most begins first.
"""

import logging
import os
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from sandbox.engine import plugins
from tests.warm.client import SWITCH

HERE = Path(__file__).parent

GROUPS = {
    # us, eu and edge, up: fleet/conftest.py.
    "fleet": (
        "fleet/test_destroy.py",
        "fleet/test_existing_cluster.py",
        "fleet/test_host_protection.py",
        "fleet/test_interrupted.py",
        "fleet/test_mistakes.py",
        "fleet/test_nodes.py",
        "fleet/test_policies.py",
        "fleet/test_truth.py",
        "fleet/test_up.py",
        "fleet/test_waiting.py",
    ),
    # One API server: kubernetes_harness.py.
    "api server": ("api_server/", "sandbox/providers/kubernetes/"),
    # A node that is put back after each test: packets/conftest.py.
    "node": (
        "packets/test_node_loop.py",
        "packets/test_node_restores.py",
        "packets/test_node_sync.py",
    ),
    # A Worker with the plain table: components/edge/worker/conftest.py.
    "worker": (
        "components/edge/worker/test_edge_forwarding.py",
        "components/edge/worker/test_edge_health.py",
        "components/edge/worker/test_edge_routing.py",
    ),
}
"""Folders and modules by what they share; any other module is a group of its own."""

LONGEST = (
    "fleet",
    "fleet/test_twin.py",
    "fleet/test_operations.py",
    "fleet/test_adopting.py",
    "fleet/test_origin_tls.py",
    "fleet/test_edge_stack.py",
    "fleet/test_day_two.py",
    "fleet/test_guided.py",
    "fleet/test_library_example.py",
    "api server",
    "workflows/test_workflows.py",
    "packets/test_node_kills.py",
    "felix/test_host_protection.py",
    "felix/test_field_report.py",
    "node",
    "ops/render/test_revisions.py",
    "sandbox/test_lifecycle.py",
)
"""Groups in the order in which they begin; the others follow."""

SLOW = (
    "api_server/",
    "components/edge/worker/",
    "components/test_wheel.py",
    "docs/test_comments.py",
    "felix/",
    "fleet/",
    "infra/fleet/test_drains.py",
    "metallb/",
    "ops/approval/test_cli.py",
    "ops/approval/test_recorded.py",
    "ops/importing/",
    "ops/render/test_cost.py",
    "ops/render/test_diff.py",
    "ops/render/test_renames.py",
    "ops/render/test_replacing_fields.py",
    "ops/render/test_revisions.py",
    "ops/replace_pool/test_world.py",
    "ops/test_ca.py",
    "ops/test_cli.py",
    "ops/test_completion.py",
    "ops/test_listing.py",
    "packets/",
    "sandbox/",
    "traefik/",
    "twin/",
    "warm/",
    "workflows/",
)
"""What starts an engine, an API server, a Worker or a network, the sandbox's own, and what takes
longest of the rest, as it starts commands or renders a stack many times: with --fast
(`make test FAST=1`) it isn't even loaded."""

# CI looks longer than somebody who waits.
settings.register_profile("default", max_examples=60, deadline=None)
settings.register_profile("thorough", max_examples=400, deadline=None)
settings.load_profile(
    "thorough" if os.environ.get("CI") == "true" or os.environ.get("THOROUGH") else "default"
)

_ENDINGS = pytest.StashKey[ExitStack]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="without what takes long")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    place = os.path.relpath(collection_path, HERE) + "/" * collection_path.is_dir()
    return True if config.getoption("--fast") and place.startswith(SLOW) else None


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_ENDINGS] = ExitStack()
    # An Output that failed and that nobody asked is told when it is collected, with a traceback,
    # for which Python 3.11 parses code. Where that comes in the middle of `ast.parse`, that one
    # fails: "AST constructor recursion depth mismatch" (3.11.7, seen).
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    os.environ.setdefault(SWITCH, "1")
    # Engines and clusters live for minutes: a bigger heap costs less than collecting it.
    os.environ.setdefault("GOGC", "200")
    # Before there are workers, which all take it. Another each day, so that what fails fails again
    # for who runs it to see why.
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    os.environ.setdefault("EDGEFLEET_SEED", os.environ.get("GITHUB_RUN_ID") or today)
    real = plugins.parse(os.environ.get("REAL", ""))
    try:
        plugins.require(real, plugins.users_folder(os.environ), os.environ.get("PATH", ""))
    except plugins.PluginError as error:
        raise pytest.UsageError(f"REAL: {error}") from None


def pytest_report_header() -> str:
    seed = f"EDGEFLEET_SEED={os.environ['EDGEFLEET_SEED']}"
    return f"what tests/fleet/test_truth.py makes up again: {seed}"


class _Groups(LoadScopeScheduling):
    """Hands out groups. Not xdist's own `--dist loadgroup`: it renames a test's id, which pytest
    9.2 no longer takes from it (pytest-xdist 3.8.0)."""

    def _split_scope(self, nodeid: str) -> str:
        return _group(nodeid)


@pytest.hookimpl(tryfirst=True, optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return _Groups(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, None, None]:
    order = {name: number for number, name in enumerate(LONGEST)}
    seen: dict[str, int] = {}
    for item in items:
        seen.setdefault(_group(item.nodeid), len(seen))
    items.sort(
        key=lambda item: (order.get(_group(item.nodeid), len(order)), seen[_group(item.nodeid)])
    )
    yield


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    if nextitem is None or _group(nextitem.nodeid) != _group(item.nodeid):
        item.config.stash[_ENDINGS].close()


@pytest.fixture(scope="session")
def ends_with_group(pytestconfig: pytest.Config) -> Iterator[ExitStack]:
    """Closed after the last test of a group: what a session's fixture starts would idle else until
    all groups are through, with its clusters."""
    yield pytestconfig.stash[_ENDINGS]
    pytestconfig.stash[_ENDINGS].close()


def _place(nodeid: str) -> str:
    """A test's module, from this folder."""
    return nodeid.split("::")[0].removeprefix(f"{HERE.name}/")


def _group(nodeid: str) -> str:
    place = _place(nodeid)
    return next((name for name, parts in GROUPS.items() if place.startswith(parts)), place)
