"""A run's picture: the same for the same run, and it says what was lost."""

from xml.etree import ElementTree

import pytest

from sandbox.twin.account import Asked, Happened, Outcome


def outcome(*lost: Asked) -> Outcome:
    asked = [
        Asked(at / 10, "Tokyo", 4, "GET", f"/page/{at}", 200, ("eu", "us")[at % 2], 1, 9.0 + at, "")
        for at in range(100)
    ]
    happened = [Happened(1, "node killed", "edgefleet-us, node 1", 2.0, 5.0)]
    return Outcome(7, [*asked, *lost], happened, {}, 1234, parts="ufw, felix 3.31.0, nginx")


def test_a_run_is_drawn_alike_each_time_and_its_title_counts() -> None:
    pytest.importorskip("matplotlib", reason="drawing needs matplotlib: `make setup`")
    from sandbox.twin.picture import draw

    svg = draw(outcome())
    assert svg == draw(outcome())
    texts = [each.text or "" for each in ElementTree.fromstring(svg).iter()]
    said = " ".join(texts)
    assert "100 requests, 1 faults: 0 GETs lost" in said
    assert "1,234 knocks from outside" in said
    assert "real: ufw, felix 3.31.0, nginx; seed 7" in said
    for word in ("eu", "us", "node killed", "median"):
        assert word in said, word
    lost = Asked(5.0, "Tokyo", 4, "GET", "/page/x", 503, "", 3, 50.0, "all down")
    assert "1 GETs lost" in draw(outcome(lost))
