"""What happens is made up by a seed, hits every kind, and always leaves a cluster alone."""

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from sandbox.twin.chaos import FELIX_KINDS, KINDS, NODE_KINDS, lanes

NODES = {"apac": 3, "eu": 2, "us": 2}
seeds = st.integers(0, 1 << 31)


@given(seeds)
def test_a_seed_says_all(seed: int) -> None:
    first, second = ([list(islice(lane, 30)) for lane in lanes(seed, NODES)] for _ in range(2))
    assert first == second
    numbers = [fault.number for lane in first for fault in lane]
    assert len(numbers) == len(set(numbers))


@given(seeds)
def test_every_kind_comes_up_early(seed: int) -> None:
    met = {fault.kind for lane in lanes(seed, NODES) for fault in islice(lane, len(KINDS) // 2 + 1)}
    assert met == set(KINDS)


@given(seeds, st.integers(1, 5))
def test_there_is_a_cluster_that_no_lane_is_at(seed: int, clusters: int) -> None:
    nodes = {f"c{number}": 2 for number in range(clusters)}
    assert len(lanes(seed, nodes)) < max(2, clusters)


@given(seeds)
def test_a_node_s_fault_names_one_that_there_is(seed: int) -> None:
    for lane in lanes(seed, NODES):
        for fault in islice(lane, 40):
            assert (fault.node is not None) == (fault.kind in (*NODE_KINDS, *FELIX_KINDS))
            assert (fault.node or 0) < NODES[fault.cluster]
