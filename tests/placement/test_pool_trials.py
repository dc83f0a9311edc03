"""Trying victims on a pool: whether a batch would fit without some runs, and that the trial leaves no trace."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import event, given, settings
from hypothesis import strategies as st

from inventory.model.pool import Node
from inventory.model.system import Architecture
from inventory.model.units import Resources
from inventory.model.workload import Requirements
from scheduler.core.placement.pool_state import PoolState
from scheduler.core.placement.protocol import NodeBatch

SIZES = (300, 500, 700, 1000, 2000)
NODES = [Node(f"n{i}", Architecture.X86_64, Resources(8, 8, 0, 2000), "A800") for i in range(3)]


def cards(milli: int, tasks: int = 1) -> Requirements:
    return Requirements(Resources(1, 1, 1, milli), tasks=tasks)


def picture(state: PoolState) -> object:
    """All that a later placement could see, and what every run holds, to the card."""
    return (
        [column.tolist() for column in state.arrays().free],
        {run_id: state.held.cards(run_id).tolist() for run_id in sorted(state.held.run_ids())},
        dict(sorted(state.holds().items())),
        state.totals(),
    )


def test_a_shared_card_is_held_as_before_after_the_trial() -> None:
    """`a` shares the first card and `b` the second, for what filled the first is gone: a victim comes back to its own
    card, not to the one where it would be packed tighter."""
    state = PoolState(99, NODES[:1], "tightest")
    state.place(NodeBatch.of([("a", cards(500)), ("filler", cards(500)), ("b", cards(500))]))
    state.release("filler")
    state.confirm("b")
    before = picture(state)
    assert state.fits_without(NodeBatch.of([("new", cards(2000))]), ["a", "b"])
    assert not state.fits_without(NodeBatch.of([("new", cards(2000))]), ["a"])
    assert picture(state) == before


def test_a_run_that_is_owed_a_card_may_be_tried_as_a_victim() -> None:
    """The node lost a card under two runs, and then the run on the other card ended."""
    (node,) = NODES[:1]
    state = PoolState(99, [node], "tightest")
    state.place(NodeBatch.of([("a", cards(1000)), ("b", cards(1000))]))
    one_card = replace(node, allocatable=Resources(8, 8, 0, 1000))
    state.change_nodes([one_card])
    state.release("a")
    assert state.fits_without(NodeBatch.of([("new", cards(1000))]), ["b"])
    assert state.free_on("n0").accelerator_milli == 0
    state.release("b")
    assert state.free_on("n0") == one_card.allocatable


def test_what_was_only_tried_is_not_learnt_as_asked_for() -> None:
    """A pool with cards places by what it was asked for, and draws a new picture of it after so many tasks."""
    state = PoolState(10**6, NODES)
    assert state.policy.reads_demand
    state.place(NodeBatch.of([("one", cards(500))]))
    before = state.arrays()
    for _ in range(3):
        state.fits_without(NodeBatch.of((f"t{i}", cards(300)) for i in range(100)), [])
    state.place(NodeBatch.of([("two", cards(500))]))
    assert state.arrays() is before, "two tasks were asked for, not three hundred"
    state.place(NodeBatch.of((f"r{i}", cards(300)) for i in range(100)))
    state.place(NodeBatch.of([("three", cards(500))]))
    assert state.arrays() is not before


runs = st.lists(st.tuples(st.sampled_from(SIZES), st.integers(1, 2), st.booleans()), max_size=10)


@settings(max_examples=80, deadline=None)
@given(
    runs=runs,
    ended=st.sets(st.integers(0, 9)),
    victims=st.sets(st.integers(0, 9)),
    asked=st.lists(st.tuples(st.sampled_from(SIZES), st.integers(1, 3)), min_size=1, max_size=3),
)
def test_a_trial_answers_as_the_deed_would_and_leaves_no_trace(
    runs: list[tuple[int, int, bool]], ended: set[int], victims: set[int], asked: list[tuple[int, int]]
) -> None:
    def build() -> PoolState:
        state = PoolState(99, NODES)
        state.place(NodeBatch.of((f"r{i}", cards(milli, tasks)) for i, (milli, tasks, _) in enumerate(runs)))
        state.release(*(f"r{i}" for i in ended))
        state.confirm(*(f"r{i}" for i, (*_, is_confirmed) in enumerate(runs) if is_confirmed))
        return state

    batch = NodeBatch.of((f"new{i}", cards(milli, tasks)) for i, (milli, tasks) in enumerate(asked))
    gone = [f"r{i}" for i in sorted(victims)]
    tried, done = build(), build()
    before = picture(tried)
    fits = tried.fits_without(batch, gone)
    done.release(*gone)
    assert fits == bool(done.place(batch).granted.all())
    assert picture(tried) == before
    event("fits" if fits else "does not fit")
