"""Who moves before a long freeze: the choice is optimal, kept by the order it gives, and never makes a plan later."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.budget import Budget
from scheduler.core.waves.clusters import form_clusters, in_order
from scheduler.core.waves.cp_sat.gaps import GapLoad, GapQuestion, answer_gap
from scheduler.core.waves.estate_file import estate_problem
from scheduler.core.waves.gap_guide import GapNode, guide
from scheduler.core.waves.justification import Justifier
from scheduler.core.waves.shape import make_shape
from scheduler.core.waves.solution import broken
from scheduler.core.waves.solve import first_solution
from simulations.estates import EstateShape, realistic_estate
from tests.waves.estate_files import a_row, an_estate, problem_of

WINDOWS, BEFORE, AFTER = 9, 2, 8
OPEN, SUMMER = (1 << WINDOWS) - 1, 0b100000111


@st.composite
def questions(draw: st.DrawFn) -> GapQuestion:
    """Up to seven nodes, some frozen in the gap, users with larger numbers than what they use."""
    count = draw(st.integers(2, 7))
    uses = [(b, a) for a in range(count) for b in range(a + 1, count) if draw(st.booleans())]
    allowed = [draw(st.sampled_from([OPEN, SUMMER])) for _ in range(count)]
    cap = draw(st.integers(1, 3))
    sizes = [1] * count
    return GapQuestion(sizes, allowed, uses, (GapLoad(sizes, [cap] * WINDOWS),), BEFORE, AFTER)


def fewest_after(question: GapQuestion) -> int | None:
    """By trying every choice of before, between, after."""
    load = question.loads[0]
    best: int | None = None
    for parts in product((0, 1, 2), repeat=len(question.sizes)):
        if any(part == 1 and mask == SUMMER for part, mask in zip(parts, question.allowed, strict=True)):
            continue
        if any(parts[user] < parts[used] for user, used in question.uses):
            continue
        if parts.count(0) > sum(load.offers[: BEFORE + 1]) or parts.count(1) > sum(
            load.offers[BEFORE + 1 : AFTER]
        ):
            continue
        best = min(best if best is not None else 99, parts.count(2))
    return best


@given(questions())
@settings(max_examples=40, deadline=None)
def test_the_choice_leaves_as_few_after_the_gap_as_exhaustive_search(question: GapQuestion) -> None:
    found = answer_gap(question, 1.0, seed=1)
    assert found is not None
    assert found.least_after == len(found.late) == fewest_after(question)


def test_what_is_used_has_to_move_no_later_than_its_users() -> None:
    shape = make_shape(estate_problem(realistic_estate(EstateShape(120, 400, 3), 1)))
    nodes = [GapNode((g,), group.allowed) for g, group in enumerate(shape.groups) if group.allowed]
    place = {node.groups[0]: n for n, node in enumerate(nodes)}
    uses = [(place[a], place[b]) for a, b in shape.edges if a in place and b in place]
    found = guide(shape, nodes, uses, shape.windows - 1, 1)
    assert found is not None and len(found.latest) == len(nodes)
    assert all(found.latest[used] <= found.latest[user] for user, used in uses)
    assert found == guide(shape, nodes, uses, shape.windows - 1, 1)


def test_without_a_long_gap_there_is_nothing_to_choose() -> None:
    shape = make_shape(estate_problem(realistic_estate(EstateShape(12, 10, 2, weeks=6), 1)))
    assert guide(shape, [GapNode((0,), 0b111)], [], 3, 1) is None


@pytest.mark.parametrize("tied", [True, False], ids=["cycles kept", "cycles split"])
def test_a_guided_packing_is_sound_and_never_later(tied: bool) -> None:
    shape = make_shape(estate_problem(realistic_estate(EstateShape(120, 500, 3), 2)))
    first = first_solution(shape, 1, Budget(effort=1.0))
    justifier = Justifier(shape, first, 0, 1, tied=tied)
    packed = justifier.run(Budget(effort=0.3))
    assert packed.last <= first.last and broken(shape, packed) is None


def test_greedy_takes_who_is_due_first_and_never_before_what_it_uses() -> None:
    problem = problem_of(an_estate(a_row("甲"), a_row("乙"), a_row("丙", "甲")))
    clustering = form_clusters(problem)
    due = {"甲": 2.0, "乙": 1.0, "丙": 0.0}
    dates = [due[cluster.items[0].key] for cluster in clustering.clusters]
    order = [cluster.items[0].key for cluster in in_order(clustering, 1, due=dates)]
    assert order == ["乙", "甲", "丙"]
