"""What counts as lost, twice, forgotten or let in."""

import json
from pathlib import Path

import pytest

from sandbox.twin.account import (
    Asked,
    Happened,
    Outcome,
    count_orders,
    percentile,
    read_asked,
    summary,
)

WELL = Asked(1.0, "Tokyo", 4, "GET", "/page/1", 200, "apac", 1, 12.5, "")
LOST = Asked(2.0, "Tokyo", 6, "GET", "/page/2", 503, "", 1, 20.0, "no region")
ORDER = Asked(3.0, "Tokyo", 4, "POST", "/orders/r-1", 201, "apac", 1, 30.0, "")
UNCLEAR = Asked(4.0, "Tokyo", 4, "POST", "/orders/r-2", 502, "", 1, 40.0, "may have been")


def of(*asked: Asked, orders: dict[str, int] | None = None, **more: object) -> Outcome:
    return Outcome(1, asked, (), orders or {}, 10, **more)  # pyright: ignore[reportArgumentType]


def test_a_run_in_which_all_went_well_breaks_no_promise() -> None:
    assert of(WELL, ORDER, orders={"r-1": 1}).broken == []


def test_a_post_that_failed_once_is_no_broken_promise_and_is_shown_with_its_reason() -> None:
    for carried_out in ({}, {"r-2": 1}):
        outcome = of(UNCLEAR, orders=carried_out)
        assert outcome.broken == []
        assert "failed POSTs: 1 × 502 may have been" in summary(outcome)


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (of(LOST), "GET /page/2 of Tokyo lost: 503 no region"),
        (of(ORDER, orders={"r-1": 2}), "order r-1 was carried out 2 times"),
        (of(UNCLEAR, orders={"r-2": 2}), "order r-2 was carried out 2 times"),
        (of(ORDER), "POST /orders/r-1 was answered and not carried out"),
        (
            of(WELL, answers=[[1.0, "45.76.1.10", 443, "open"]]),
            "45.76.1.10 port 443 answered an outsider: open",
        ),
    ],
)
def test_each_promise_that_was_broken_is_a_sentence(outcome: Outcome, said: str) -> None:
    assert outcome.broken == [said]
    assert said in summary(outcome)


def test_a_fault_lasts_until_the_last_request_that_shows_it() -> None:
    first, second = Happened(1, "a", "us", 0.5, 5.0), Happened(2, "b", "eu", 10.0, 12.0)
    again = Asked(6.0, "Tokyo", 4, "GET", "/page/3", 200, "eu", 2, 500.0, "")
    slow = Asked(11.0, "Tokyo", 4, "GET", "/page/4", 200, "eu", 1, 3000.0, "")
    outcome = Outcome(1, (WELL, again, slow), (first, second), {}, 0)
    assert outcome.until_unaffected(first) == 6.0
    assert outcome.until_unaffected(second) == 4.0
    assert Outcome(1, (WELL,), (first,), {}, 0).until_unaffected(first) == 0


def test_files_are_read_as_they_were_written(tmp_path: Path) -> None:
    rows = [[5000, "Tokyo", 4, "GET", "/page/1", 200, "apac", 1, 1.5, ""],
            [3000, "Tokyo", 6, "GET", "/page/0", 0, "", 0, 2.5, "no answer"]]  # fmt: skip
    (tmp_path / "asked").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    read = read_asked(tmp_path / "asked", 1000)
    assert [(each.at, each.path, each.answered) for each in read] == [
        (2.0, "/page/0", False),
        (4.0, "/page/1", True),
    ]
    (tmp_path / "orders").write_text("r-1\nother-1\nr-1\n")
    files = [tmp_path / "orders", tmp_path / "never-written"]
    assert count_orders(files, "r-") == {"r-1": 2}


def test_percentiles() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([3.0, 1.0, 2.0], 0.99) == 3.0
    assert percentile([], 0.5) == 0.0
