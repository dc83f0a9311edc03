"""The array form of the node choice equals its readable twin, ties included."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from scheduler.core.placement.node_choice import NodeArrays, choose_nodes, choose_nodes_plainly, slots

# Few distinct values, so that ties are the rule and not the exception.
offers = st.tuples(*[st.sampled_from([0, 1000, 2000, 4000, 8000])] * 3)
needs = st.tuples(*[st.sampled_from([0, 500, 1000, 2000, 3000])] * 3)


def arrays_of(offered: list[tuple[int, int, int]]) -> NodeArrays:
    return NodeArrays.of(np.array(offered, dtype=np.int64).reshape(-1, 3).T.copy())


@settings(max_examples=400)
@given(
    nodes=st.lists(st.tuples(offers, offers, st.booleans()), max_size=12),
    need=needs,
    tasks=st.integers(1, 20),
)
def test_the_arrays_choose_what_the_twin_chooses(
    nodes: list[tuple[tuple[int, ...], tuple[int, ...], bool]], need: tuple[int, ...], tasks: int
) -> None:
    arrays = arrays_of([offer for offer, _, _ in nodes])  # type: ignore[misc]
    for i, (_, held, _) in enumerate(nodes):
        arrays.take(np.array([i]), held)  # may exceed the offer: an over-committed node
    eligible = np.array([flag for _, _, flag in nodes], dtype=np.bool_)
    plain = choose_nodes_plainly(arrays, eligible, need, tasks)
    fast = choose_nodes(arrays, eligible, need, tasks)
    event("placed" if plain is not None else "refused")
    assert (None if fast is None else fast.tolist()) == plain


@given(
    memory=st.lists(st.integers(0, 4 * 2**40), min_size=1, max_size=8),
    need=st.integers(0, 2**41),
    tasks=st.integers(1, 5),
)
def test_the_twins_agree_on_terabytes_to_the_byte(memory: list[int], need: int, tasks: int) -> None:
    arrays = arrays_of([(64_000, amount, 0) for amount in memory])
    eligible = np.ones(len(memory), dtype=np.bool_)
    plain = choose_nodes_plainly(arrays, eligible, (1000, need, 0), tasks)
    fast = choose_nodes(arrays, eligible, (1000, need, 0), tasks)
    assert (None if fast is None else fast.tolist()) == plain


TABLE = [
    ("the node with the least left takes the task", [(8, 8, 0), (4, 4, 0), (16, 16, 0)], (2, 2, 0), 1, [1]),
    ("equal nodes are taken in their order", [(8, 8, 0), (8, 8, 0)], (2, 2, 0), 1, [0]),
    ("work without cards keeps off the node with cards", [(8, 8, 8), (8, 8, 0)], (2, 2, 0), 1, [1]),
    ("a gang fills one node before it opens the next", [(4, 4, 0), (8, 8, 0)], (2, 2, 0), 3, [0, 0, 1]),
    ("a gang that fits only in part gets nothing", [(4, 4, 0), (4, 4, 0)], (3, 3, 0), 3, None),
    ("no node is large enough", [(4, 4, 0)], (5, 1, 0), 1, None),
    (
        "a task that asks for nothing goes to the node with the least left",
        [(4, 4, 0), (2, 2, 0)],
        (0, 0, 0),
        2,
        [1, 1],
    ),
    ("there are no nodes", [], (1, 1, 0), 1, None),
]


@pytest.mark.parametrize(
    ("offered", "need", "tasks", "expected"), [pytest.param(*row[1:], id=row[0]) for row in TABLE]
)
def test_best_fit(
    offered: list[tuple[int, int, int]], need: tuple[int, int, int], tasks: int, expected: list[int] | None
) -> None:
    arrays = arrays_of(offered)
    eligible = np.ones(len(offered), dtype=np.bool_)
    chosen = choose_nodes(arrays, eligible, need, tasks)
    assert (None if chosen is None else chosen.tolist()) == expected
    assert choose_nodes_plainly(arrays, eligible, need, tasks) == expected


@given(nodes=st.lists(offers, min_size=1, max_size=6), picks=st.lists(st.integers(0, 5), min_size=1), need=needs)
def test_leftover_follows_what_is_taken_and_given_back(
    nodes: list[tuple[int, int, int]], picks: list[int], need: tuple[int, int, int]
) -> None:
    arrays = arrays_of(nodes)
    positions = np.array([pick % len(nodes) for pick in picks])
    arrays.take(positions, need)
    afresh = [
        sum(int(w) * max(0, int(f)) for w, f in zip(arrays.weights, arrays.free[:, i], strict=True))
        for i in range(len(nodes))
    ]
    assert arrays.leftover.tolist() == afresh
    arrays.give_back(positions, need)
    untouched = arrays_of(nodes)
    assert arrays.free.tolist() == untouched.free.tolist()
    assert arrays.leftover.tolist() == untouched.leftover.tolist()


def test_slots_count_whole_tasks_and_over_committed_nodes_hold_none() -> None:
    offered = np.array([[4, 7, -1, 9], [9, 9, 9, 9], [0, 0, 0, -1]], dtype=np.int64)
    assert slots(offered, (2, 0, 0), at_most=3).tolist() == [2, 3, 0, 0]


def test_ties_keep_their_order_among_many_nodes() -> None:
    """Sorts of short lists are stable by accident; this list is long."""
    arrays = arrays_of([(4000 if i % 3 else 8000, 4000, 0) for i in range(300)])
    eligible = np.ones(300, dtype=np.bool_)
    chosen = choose_nodes(arrays, eligible, (4000, 1000, 0), 220)
    assert chosen is not None
    assert chosen.tolist() == choose_nodes_plainly(arrays, eligible, (4000, 1000, 0), 220)
