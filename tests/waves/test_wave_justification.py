"""Packing late and early again: never later, never against a rule, and bounds that no plan of a small estate beats."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.budget import Budget
from scheduler.core.waves.bounds import earliest_finish
from scheduler.core.waves.estate_file import estate_problem
from scheduler.core.waves.justification import Justifier
from scheduler.core.waves.shape import Shape, make_shape
from scheduler.core.waves.solution import NOWHERE, Solution, broken
from scheduler.core.waves.solve import first_solution
from simulations.estates import EstateShape, planted_estate, realistic_estate
from tests.waves.estate_files import a_row, a_team, an_estate, problem_of

LITTLE = Budget(effort=0.2)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.integers(5, 25))
def test_what_is_packed_anew_keeps_every_rule_and_finishes_no_later(seed: int, systems: int) -> None:
    shape = make_shape(estate_problem(realistic_estate(EstateShape(systems, 2 * systems, 2, 20), seed)))
    first = first_solution(shape, 1, LITTLE)
    bound = earliest_finish(shape)
    packed = Justifier(shape, first, bound, 1).run(Budget(effort=0.05))
    assert broken(shape, packed) is None
    assert packed.last <= first.last
    assert [w == NOWHERE for w in packed.window] == [w == NOWHERE for w in first.window]
    assert packed == Justifier(shape, first, bound, 1).run(Budget(effort=0.05))


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_a_plan_stretched_to_the_end_is_pulled_in_again(seed: int) -> None:
    """The best plan of a planted estate has no free place; one that loses its last systems to later windows gets
    an earlier finish back."""
    form, last = planted_estate(5, 3, seed)
    shape = make_shape(estate_problem(form))
    best = next(w for w, slot in enumerate(shape.problem.windows) if slot.window.window_id == last)
    stretched = _stretched(shape, first_solution(shape, 1, LITTLE))
    packed = Justifier(shape, stretched, best, 1).run(Budget(effort=0.2))
    assert stretched.last > packed.last >= best
    assert broken(shape, packed) is None


def _stretched(shape: Shape, solution: Solution) -> Solution:
    """A system that nobody uses, moved to its last window."""
    used = {each for _, each in shape.edges}
    free = next(
        g for g, group in enumerate(shape.groups) if g not in used and group.allowed.bit_length() == shape.windows
    )
    windows = list(solution.window)
    windows[free] = shape.windows - 1
    return Solution(tuple(windows), solution.pool, solution.team)


_ROWS = st.lists(
    st.tuples(st.sampled_from([60, 200, 300]), st.booleans(), st.sampled_from([None, "2026-03-12", "2026-03-19"])),
    min_size=3,
    max_size=4,
)


@settings(deadline=None, max_examples=15)
@given(_ROWS)
def test_no_plan_of_a_small_estate_finishes_before_its_bound(
    rows: list[tuple[int, bool, str | None]],
) -> None:
    names = "甲乙丙丁"
    made = [
        a_row(
            names[place],
            *(names[place - 1] if after and place else ""),
            skill="应用",
            minutes=minutes,
            **({} if earliest is None else {"earliest": earliest}),
        )
        for place, (minutes, after, earliest) in enumerate(rows)
    ]
    problem = problem_of(an_estate(*made, teams=[a_team("组", "应用")]))
    shape = make_shape(problem)
    count = len(rows)
    keeping = [
        max(choice)
        for choice in product(range(shape.windows), repeat=count)
        if all(group.allowed >> w & 1 for group, w in zip(shape.groups, choice, strict=True))
        and broken(shape, Solution(choice, (0,) * count, (0,) * count)) is None
    ]
    first = first_solution(shape, 1, LITTLE)
    if keeping:
        assert earliest_finish(shape) <= min(keeping)
    if NOWHERE not in first.window:
        packed = Justifier(shape, first, earliest_finish(shape), 1).run(LITTLE)
        assert min(keeping) <= packed.last <= first.last
