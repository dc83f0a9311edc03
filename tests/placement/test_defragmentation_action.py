"""Moves that make room: what is proposed, what it brings and costs, and that every step of it is feasible."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory.model.pool import Node
from inventory.model.system import Architecture
from inventory.model.units import TIB
from inventory.model.workload import Requirements
from scheduler.core.placement.defragmentation import Move, MovePlan, propose_moves
from scheduler.core.placement.pool_state import PoolState
from scheduler.core.placement.protocol import NodeBatch
from tests.cycle.fakes import amount


def a_pool_of(nodes: int, cards: int) -> PoolState:
    offers = [Node(f"n{i}", Architecture.X86_64, amount(64, 64, cards), accelerator="A800") for i in range(nodes)]
    return PoolState(TIB, offers)


def cards(number: float) -> Requirements:
    return Requirements(amount(1, 1, number))


def a_share_on_each_of_two_nodes() -> PoolState:
    """Two nodes of one card, of which each is half in use, so that nobody finds a whole card."""
    state = a_pool_of(2, 1)
    state.adopt("a", cards(0.5), ("n0",))
    state.adopt("b", cards(0.4), ("n1",))
    return state


def propose(state: PoolState, asked: Requirements, count: int = 1, share: float = 0.5) -> MovePlan:
    return propose_moves(state.arrays(), state.held, [(asked, count)], share)


def test_the_smaller_of_two_shares_moves_so_that_a_whole_card_is_free() -> None:
    plan = propose(a_share_on_each_of_two_nodes(), cards(1))
    assert plan.moves == (Move("b", "n1", "n0", cards=1),)
    assert plan.admitted == ((0, 1),)
    assert (plan.gained_milli, plan.moved_milli, plan.running) == (1000, 400, 2)


def test_nothing_is_changed_by_the_proposal() -> None:
    state = a_share_on_each_of_two_nodes()
    before = {name: column.copy() for name, column in state.arrays().free._asdict().items()}
    propose(state, cards(1))
    after = state.arrays().free._asdict()
    assert all((before[name] == after[name]).all() for name in before)
    assert not state.place(NodeBatch.of([("c", cards(1))])).granted[0]


def test_what_fits_without_moves_moves_nobody() -> None:
    plan = propose(a_share_on_each_of_two_nodes(), cards(0.5))
    assert plan.moves == () and plan.admitted == ()


def test_no_more_than_the_share_of_running_tasks_moves() -> None:
    state = a_share_on_each_of_two_nodes()
    assert propose(state, cards(1), share=0.4).moves == ()
    with pytest.raises(ValueError, match="not between 0 and 1"):
        propose(state, cards(1), share=1.5)


@settings(max_examples=40, deadline=None)
@given(
    held=st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0.2, 0.4, 0.5, 0.7])), max_size=10),
    wanted=st.sampled_from([0.5, 0.8, 1, 2]),
    count=st.integers(1, 3),
)
def test_carried_out_in_order_every_move_fits_and_the_newcomers_start(
    held: list[tuple[int, float]], wanted: float, count: int
) -> None:
    state = a_pool_of(4, 2)
    for i, (node, share) in enumerate(held):
        state.adopt(f"r{i}", cards(share), (f"n{node}",))
    plan = propose(state, cards(wanted), count, share=1.0)
    assert plan.gained_milli >= plan.moved_milli or not plan.moves
    fits_now = 0
    for i in range(count):
        fits_now += bool(state.place(NodeBatch.of([(f"now{i}", cards(wanted))])).granted[0])
    state.release(*(f"now{i}" for i in range(count)))
    asked = {run_id: state.held.requirements(run_id) for run_id in state.held.run_ids()}
    for move in plan.moves:
        assert asked[move.run_id].total.accelerator_milli <= max(
            free for free in state.arrays().free.cards[state.arrays().table.position[move.to_node]].tolist()
        )
        state.adopt(move.run_id, asked[move.run_id], (move.to_node,))
    admitted = sum(number for _, number in plan.admitted)
    new = [state.place(NodeBatch.of([(f"new{i}", cards(wanted))])).granted[0] for i in range(count)]
    assert sum(bool(one) for one in new) >= min(count, admitted + (fits_now if not plan.moves else 0))
