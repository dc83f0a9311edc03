"""Moving a few running pods lets a dropped one in; every step is feasible, and nothing moves for nothing."""

from __future__ import annotations

from scheduler.core.placement.policies.best_fit import BestFit
from scheduler.core.placement.policies.demand import Demand
from scheduler.core.placement.policies.shape import NodeFree, Scale, TaskShape
from simulations.defragmentation import Defragmentation, Defragmented

QUARTER = TaskShape(1_000, 1, 1, 250)
WHOLE = TaskShape(1_000, 1, 1, 1000)
NO_CARD = TaskShape(7_500, 1)


def cluster(*nodes: NodeFree) -> Defragmentation:
    return Defragmentation(BestFit(Scale(8_000, 1_000)), nodes, Demand((), ()))


def node(cards: int = 1) -> NodeFree:
    return NodeFree.empty(8_000, 100, cards, "A")


def test_a_quarter_moves_so_that_a_whole_card_fits() -> None:
    state = cluster(node(), node())
    state.adopt(QUARTER, 0, 1)
    state.adopt(QUARTER, 1, 1)
    state.adopt(WHOLE, -1, 0)
    assert state.improve(5) == Defragmented(500, 1_500, running=2, moves=1, moved_milli=250, admitted=1)


def test_two_quarters_move_together_or_not_at_all() -> None:
    def two_on_each() -> Defragmentation:
        state = cluster(node(), node())
        for n in (0, 0, 1, 1):
            state.adopt(QUARTER, n, 1)
        state.adopt(WHOLE, -1, 0)
        return state

    assert two_on_each().improve(2) == Defragmented(1_000, 2_000, running=4, moves=2, moved_milli=500, admitted=1)
    assert two_on_each().improve(1) == Defragmented(1_000, 1_000, running=4, moves=0, moved_milli=0, admitted=0)


def test_a_pod_without_cards_leaves_the_cpu_to_one_with() -> None:
    state = cluster(node(), node(cards=0))
    state.adopt(NO_CARD, 0, 0)
    state.adopt(WHOLE, -1, 0)
    assert state.improve(5) == Defragmented(0, 1_000, running=1, moves=1, moved_milli=0, admitted=1)


def test_nothing_moves_where_the_rest_would_not_fit_elsewhere() -> None:
    state = cluster(node(), node())
    state.adopt(TaskShape(1_000, 1, 1, 600), 0, 1)
    state.adopt(TaskShape(1_000, 1, 1, 600), 1, 1)
    state.adopt(WHOLE, -1, 0)
    assert state.improve(5) == Defragmented(1_200, 1_200, running=2, moves=0, moved_milli=0, admitted=0)
