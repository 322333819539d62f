"""A run as a picture: who answered, what happened, how long visitors waited."""

import io
from collections import defaultdict
from collections.abc import Sequence

from sandbox.twin.account import Asked, Happened, Outcome, percentile

_COLOURS = ("#4878a8", "#6aa56a", "#d39b3f", "#8a6bb1", "#b46a5a", "#5fa3a8")
_FAULTS = {
    "node killed": "#a33", "nginx hung": "#c77", "nginx killed": "#b55", "nginx restarted": "#d9a",
    "region cut off": "#822", "slow wire": "#b98", "region drained": "#77a",
    "worker deployed": "#5a8", "firewall rewritten": "#88b", "ranges updated": "#99c",
    "certificate rotated": "#68a", "felix killed": "#a6a",
}  # fmt: skip
_BINS = 160


def draw(outcome: Outcome) -> str:
    """SVG, the same for the same outcome."""
    # Here, as it takes a second to load, and only pictures need it.
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update(
        {
            "svg.hashsalt": "edgefleet",
            "svg.fonttype": "none",
            "font.family": "sans-serif",
            "font.size": 8,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    )
    from matplotlib import pyplot

    asked = outcome.asked
    end = max([each.at for each in asked] + [each.ended for each in outcome.happened] + [1.0])
    width = max(1.0, end / _BINS)
    figure, (top, middle, bottom) = pyplot.subplots(
        3, 1, sharex=True, figsize=(9.6, 6.6), layout="constrained",
        gridspec_kw={"height_ratios": [3, 2.6, 2]},
    )  # fmt: skip
    _requests(top, asked, width)
    _faults(middle, outcome.happened)
    _latency(bottom, asked, width)
    bottom.set_xlim(0, end)
    bottom.set_xlabel(f"seconds (real: {outcome.parts}; seed {outcome.seed})")
    gets = len(outcome.lost)
    figure.suptitle(
        f"{len(asked):,} requests, {len(outcome.happened)} faults: {gets} GETs lost, "
        f"{len(outcome.twice)} POSTs carried out twice, {len(outcome.answers)} answers to "
        f"{outcome.knocks:,} knocks from outside",
        fontsize=10, x=0.01, ha="left",
    )  # fmt: skip
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    # Trailing blanks are matplotlib's own.
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def _requests(axes, asked: Sequence[Asked], width: float) -> None:
    regions = sorted({each.region for each in asked if each.answered})
    times = [[e.at for e in asked if e.answered and e.region == region] for region in regions]
    bins = [number * width for number in range(int(max(e.at for e in asked) / width) + 2)]
    weights = [[1 / width] * len(each) for each in times]
    axes.hist(
        times, bins=bins, weights=weights, stacked=True, label=regions,
        color=_COLOURS[: len(regions)], histtype="stepfilled",
    )  # fmt: skip
    missed = [each for each in asked if not each.answered]
    for method, colour in (("GET", "#c00"), ("POST", "#333")):
        found = [each.at for each in missed if each.method == method]
        label = f"{method}s without an answer: {len(found)}"
        axes.plot(found, [0] * len(found), "|", color=colour, markersize=9, label=label)
    axes.set_ylabel("requests a second,\nby who answered")
    axes.legend(loc="upper left", ncols=5, fontsize=7, frameon=True, framealpha=0.85)


def _faults(axes, happened: Sequence[Happened]) -> None:
    places = sorted({each.where.partition(",")[0] for each in happened})
    for each in happened:
        row = places.index(each.where.partition(",")[0])
        width = max(each.ended - each.began, 0.5)
        axes.barh(row, width, left=each.began, height=0.7, color=_FAULTS.get(each.kind, "#888"),
                  edgecolor="white", linewidth=0.4)  # fmt: skip
    known = [kind for kind in _FAULTS if any(each.kind == kind for each in happened)]
    for kind in known:
        axes.barh(0, 0, color=_FAULTS[kind], label=kind)
    axes.set_yticks(range(len(places)), [name.removeprefix("edgefleet-") for name in places])
    axes.set_ylabel("what happened, where")
    if known:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=7, frameon=False)


def _latency(axes, asked: Sequence[Asked], width: float) -> None:
    by: dict[int, list[float]] = defaultdict(list)
    for each in asked:
        by[int(each.at / width)].append(each.ms)
    times = [(number + 0.5) * width for number in sorted(by)]
    for share, label, colour in ((0.5, "median", "#333"), (0.99, "99 of 100 within", "#b0532c")):
        values = [percentile(by[number], share) for number in sorted(by)]
        axes.plot(times, values, label=label, color=colour, linewidth=1)
    axes.set_yscale("log")
    axes.set_ylabel("milliseconds")
    axes.legend(loc="upper left", ncols=2, fontsize=7, frameon=True, framealpha=0.85)
