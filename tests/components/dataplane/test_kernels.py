"""Which kernels a release of Calico's eBPF can't start on."""

import pytest

from components.dataplane.kernels import advice, mended, problem, refuses, stuck


@pytest.mark.parametrize(
    ("kernel", "strict"),
    [
        ("6.12.46-66.121.amzn2023.x86_64", False),
        ("6.12.53-69.119.amzn2023.x86_64", True),
        ("6.12.100", True),
        ("6.8.0-85-generic", False),
        ("6.14.0-33-generic", False),
        ("6.17.1-2-cachyos", False),
        ("6.17.5-2-cachyos", True),
        ("6.18", True),
        ("7.0.0-rc1", True),
        ("5.15.0-161-generic", False),
        ("", False),
        ("unknown", False),
    ],
)
def test_kernels(kernel: str, strict: bool) -> None:
    assert refuses(kernel) is strict


@pytest.mark.parametrize(
    ("version", "well", "instead"),
    [
        ("v3.24.0", False, "v3.31.3"),
        ("v3.28.5", False, "v3.31.3"),
        ("v3.29.6", False, "v3.29.7"),
        ("v3.29.7", True, "v3.29.7"),
        ("v3.30.4", False, "v3.30.5"),
        ("v3.30.5", True, "v3.30.5"),
        ("v3.31.0", False, "v3.31.3"),
        ("v3.31.2", False, "v3.31.3"),
        ("v3.31.3", True, "v3.31.3"),
        ("v3.32.0", True, "v3.31.3"),
    ],
)
def test_releases(version: str, well: bool, instead: str) -> None:
    assert (mended(version), advice(version)) == (well, instead)
    assert mended(advice(version))


def test_both_have_to_come_together() -> None:
    kernels = {"b": "6.17.5", "a": "6.12.60-1", "c": "6.8.0-85-generic"}
    assert stuck(kernels, "v3.31.2") == ["a (6.12.60-1)", "b (6.17.5)"]
    assert stuck(kernels, "v3.31.3") == []


def test_the_sentence_names_nodes_kernels_and_what_to_do() -> None:
    nodes = [
        {"metadata": {"name": f"edge-{n}"}, "status": {"nodeInfo": {"kernelVersion": "6.18.1"}}}
        for n in range(7)
    ]
    said = problem(nodes, "v3.30.4")
    assert said
    assert "v3.30.4 can't start eBPF on edge-0 (6.18.1), " in said
    assert "edge-4 (6.18.1) and 2 more" in said
    assert "Say version: v3.30.5" in said
    assert problem(nodes, "v3.30.5") is None
    assert problem([{"metadata": {"name": "new"}}], "v3.30.4") is None
