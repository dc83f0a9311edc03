"""A place that is kept for a run to come, and nodes that are shut while runs leave them: what moves need of a pool."""

from __future__ import annotations

import pytest

from inventory.model.pool import Node
from inventory.model.system import Architecture
from inventory.model.units import TIB, Resources
from inventory.model.workload import Requirements
from scheduler.core.placement.pool_state import PoolState
from scheduler.core.placement.protocol import NodeBatch
from tests.cycle.fakes import amount

ONE, HALF_CARD = Requirements(amount(1, 1)), Requirements(amount(1, 1, 0.5))


def a_pool() -> PoolState:
    """Two nodes of two cores and two cards, and a third that is cordoned."""
    offer = amount(2, 8, 2)
    nodes = [Node(f"n{i}", Architecture.X86_64, offer, "A800", cordoned=i == 2) for i in range(3)]
    return PoolState(TIB, nodes, "first-fit")


def placed(state: PoolState, run_id: str, asked: Requirements = ONE) -> tuple[str, ...]:
    return state.place(NodeBatch.of([(run_id, asked)])).nodes_of(0)


def test_what_is_kept_is_given_to_its_run_and_to_nobody_else() -> None:
    state = a_pool()
    assert state.keep("later", ONE, "n1", 0)
    assert [placed(state, run) for run in "abcd"] == [("n0",), ("n0",), ("n1",), ()]
    assert placed(state, "later") == ("n1",)
    state.release("later")
    assert placed(state, "d") == ("n1",)


@pytest.mark.parametrize(
    ("asked", "node", "cards"),
    [
        pytest.param(ONE, "n9", 0, id="an unknown node"),
        pytest.param(ONE, "n2", 0, id="a cordoned node"),
        pytest.param(Requirements(amount(3, 1)), "n1", 0, id="more cores than are free"),
        pytest.param(Requirements(amount(1, 9)), "n1", 0, id="more memory than is free"),
        pytest.param(Requirements(Resources(1_000, 0, 2 * TIB)), "n1", 0, id="more disk than the pool has"),
        pytest.param(HALF_CARD, "n1", 0, id="cards that are not named"),
        pytest.param(HALF_CARD, "n1", 0b11, id="more cards than it asks for"),
        pytest.param(HALF_CARD, "n1", 0b100, id="a card that the node does not have"),
        pytest.param(HALF_CARD, "n0", 0b1, id="a card with too little left"),
        pytest.param(Requirements(amount(1, 1), tasks=2), "n1", 0, id="a gang"),
    ],
)
def test_nothing_is_kept_where_it_is_not_free(asked: Requirements, node: str, cards: int) -> None:
    state = a_pool()
    placed(state, "held", Requirements(amount(1, 1, 0.7)))
    before = state.totals()
    assert not state.keep("later", asked, node, cards)
    assert state.totals() == before


def test_a_share_is_kept_on_the_card_that_is_named() -> None:
    state = a_pool()
    assert state.keep("later", HALF_CARD, "n0", 0b10)
    assert not state.keep("later", HALF_CARD, "n1", 0b10), "a run has one place"
    assert state.held.cards("later").tolist() == [0b10]


def test_a_node_that_is_shut_keeps_its_runs_and_gets_no_others() -> None:
    state = a_pool()
    assert placed(state, "a") == ("n0",)
    state.shut("n0", True)
    assert placed(state, "b") == ("n1",)
    assert not state.keep("later", ONE, "n0", 0)
    state.set_nodes([Node("n0", Architecture.X86_64, amount(2, 8, 2), "A800")])  # its adapter lists its nodes anew
    assert placed(state, "c") == ()
    assert set(state.holds()) == {"a", "b"}
    state.shut("n0", False)
    assert placed(state, "c") == ("n0",)
