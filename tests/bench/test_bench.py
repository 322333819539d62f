"""Running benchmarks and writing their results down, with results that are given."""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as bench
from bench import report
from bench.previews import require_same_resources

FAST = report.entry("fast thing, of its limit", 30.0, 120.0)
SMALL = report.entry("small thing beside a big one", 250.0, 1000.0, "MB")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose benchmarks are `big`, `fast` and `small`; `big` fails."""
    package = tmp_path / "bench"
    package.mkdir()
    for name in ("small", "fast", "big"):
        (package / f"{name}.py").write_text("def run() -> list:\n    ...\n")
    (package / "helpers.py").write_text("def other() -> None:\n    ...\n")
    monkeypatch.setattr(bench, "HERE", package)

    def broken() -> list[dict[str, Any]]:
        raise RuntimeError("no sandbox here")

    runs = {"fast": lambda: [FAST], "small": lambda: [SMALL], "big": broken}
    monkeypatch.setattr(bench, "load", runs.__getitem__)
    return tmp_path


def written(repository: Path) -> dict[str, Any]:
    return json.loads((repository / "bench" / "results.json").read_text())


def test_every_module_with_a_run_is_a_benchmark(repository: Path) -> None:
    assert bench.benchmarks() == ["big", "fast", "small"]


def test_this_package_has_benchmarks() -> None:
    assert {"edge_worker", "fleet"} <= set(bench.benchmarks())
    assert not {"report", "previews", "__main__"} & set(bench.benchmarks())


def test_results_are_written_by_name(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["fast", "small"]) == 0
    assert written(repository) == {
        "fast thing, of its limit": {
            "ratio": 0.25,
            "baseline": 120.0,
            "figure": 30.0,
            "unit": "s",
        },
        "small thing beside a big one": {
            "ratio": 0.25,
            "baseline": 1000.0,
            "figure": 250.0,
            "unit": "MB",
        },
    }
    shown = capsys.readouterr().out
    assert "  0.250  fast thing, of its limit: 30 s (beside 120)" in shown


def test_a_failing_benchmark_is_named_and_the_others_run(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main([]) == 1
    assert list(written(repository)) == [FAST["name"], SMALL["name"]]
    shown = capsys.readouterr().err
    assert "no sandbox here" in shown
    assert "error: benchmark big failed" in shown


def test_when_all_fail_the_figures_of_before_stay(repository: Path) -> None:
    assert bench.main(["fast"]) == 0
    before = written(repository)
    assert bench.main(["big"]) == 1
    assert written(repository) == before


def test_an_unknown_name_measures_nothing(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.main(["fast", "helpers"]) == 2
    assert "helpers: no such benchmark; one of big, fast, small" in capsys.readouterr().err
    assert not (repository / "bench" / "results.json").exists()


def test_a_run_of_one_keeps_what_the_others_measured(repository: Path) -> None:
    assert bench.main(["small"]) == 0
    assert bench.main(["fast"]) == 0
    assert set(written(repository)) == {FAST["name"], SMALL["name"]}


def test_a_run_of_all_forgets_what_nobody_measures_any_more(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "bench" / "big.py").unlink()
    assert bench.main(["small"]) == 0
    runs: dict[str, Callable[[], Any]] = {"fast": lambda: [FAST], "small": lambda: []}
    monkeypatch.setattr(bench, "load", runs.__getitem__)
    assert bench.main([]) == 0
    assert set(written(repository)) == {FAST["name"]}


def test_what_is_measured_is_written_before_the_next_begins(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> list[dict[str, Any]]:
        raise KeyboardInterrupt

    runs = {"fast": lambda: [FAST], "small": interrupted}
    monkeypatch.setattr(bench, "load", runs.__getitem__)
    with pytest.raises(KeyboardInterrupt):
        bench.main(["fast", "small"])
    assert set(written(repository)) == {FAST["name"]}


def test_two_results_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="fast thing"):
        report.results([FAST, FAST])


def test_the_document_has_every_result_and_the_machine(repository: Path) -> None:
    assert bench.main(["fast", "small"]) == 0
    document = (repository / "docs" / "benchmarks.md").read_text()
    assert "| fast thing, of its limit | 0.250 | 30 s | 120 s |" in document
    assert "| small thing beside a big one | 0.250 | 250 MB | 1000 MB |" in document
    for what in ("date", "CPU", "memory", "kernel", "Python", "Go", "Node"):
        assert re.search(rf"^- {what}: \S", document, re.MULTILINE), what


def test_the_committed_document_is_made_from_the_committed_results() -> None:
    results = report.read(bench.HERE / "results.json")
    document = (bench.HERE.parent / "docs" / "benchmarks.md").read_text()
    table, _, _ = report.markdown(results, {}).partition("## The machine")
    assert document.startswith(table)


def test_a_flat_program_with_other_resources_is_no_comparison() -> None:
    ours = Counter({"cloudflare:DnsRecord": 6, "kubernetes:Role": 1})
    flat = Counter({"cloudflare:DnsRecord": 6, "kubernetes:Secret": 1})
    with pytest.raises(RuntimeError, match=r"lacks: kubernetes:Role\. It has besides: kube.*Secr"):
        require_same_resources(ours, flat)
    require_same_resources(ours, ours)
