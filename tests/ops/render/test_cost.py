"""What a change costs a month, exact to the price list."""

from pathlib import Path
from typing import Any

import pytest

from infra.pins.catalog import catalog
from ops.render.cost import CostChange, cost_change
from ops.render.offline import render_project
from tests.projects import copy_project, region, write_stack

PLAN = "vc2-2c-4gb"


def changed(tmp_path: Path, *pools: dict[str, Any]) -> CostChange:
    project = copy_project(tmp_path)
    before = render_project(project)
    write_stack(project, "us", region(pools=list(pools)))
    return cost_change(before, render_project(project), catalog())


def pool(nodes: int, plan: str = PLAN, label: str = "edge") -> dict[str, Any]:
    return {"label": label, "plan": plan, "nodes": nodes}


def test_nothing_changes(tmp_path: Path):
    found = changed(tmp_path, pool(3))
    assert not found.differs
    assert found.before == found.after
    assert sorted(found.before) == ["apac", "eu", "us"]


def test_more_nodes_and_a_further_pool(tmp_path: Path):
    price = catalog().plans
    found = changed(tmp_path, pool(5), pool(2, "vc2-4c-8gb", "big"))
    more = 2 * price[PLAN] + 2 * price["vc2-4c-8gb"]
    assert found.after["us"] - found.before["us"] == pytest.approx(more)
    before, after = sum(found.before.values()), sum(found.after.values())
    assert found.text() == f"${before:,.2f} → ${after:,.2f} a month (us +${more:,.2f})"


def test_fewer_nodes(tmp_path: Path):
    saved = 2 * catalog().plans[PLAN]
    assert f"(us −${saved:,.2f})" in changed(tmp_path, pool(1)).text()


def test_a_plan_without_a_price_is_said(tmp_path: Path):
    found = changed(tmp_path, pool(3), pool(1, "vc9", "odd"))
    assert found.differs
    assert found.text().endswith("; without vc9, not in the price list")
    assert found.plain()["unpriced"] == ["vc9"]


def test_a_stack_that_comes(tmp_path: Path):
    project = copy_project(tmp_path)
    before = render_project(project)
    write_stack(project, "ord", region("ord"))
    found = cost_change(before, render_project(project), catalog())
    assert f"(ord +${3 * catalog().plans[PLAN]:,.2f})" in found.text()


def test_what_a_stack_costs_ends_when_it_is_destroyed():
    found = CostChange({"us": 60, "eu": 60}, {"us": 60}, frozenset())
    assert found.text() == "$120.00 → $60.00 a month (eu −$60.00 once it is destroyed)"
