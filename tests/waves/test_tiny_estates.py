"""Tiny estates of every rule at once: the planner reaches the finish that trying everything finds, and says so.

`exhaustive.py` knows the rules from docs/waves.md alone and imports nothing of ours. Seeds are drawn from a range that held
when more of it was run by hand (0 to 1,000).
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.budget import Budget
from scheduler.core.waves.check import check_plan
from scheduler.core.waves.estate_file import estate_problem, read_estate
from scheduler.core.waves.estate_rules import EstateError
from scheduler.core.waves.greedy import plan_waves
from scheduler.core.waves.problem import WaveProblem
from scheduler.core.waves.replan import edited_score
from scheduler.core.waves.solve import solve
from tests.waves.exhaustive import best_finish, tiny_estate

LITTLE = Budget(effort=0.5)
# What each of them once got wrong: capacity that arrives after the last window; a solver that was asked twice; windows
# narrowed by a system that has no place; a used system put after its users.
ONCE_WRONG = (8, 12, 34, 45, 73, 95, 130)


def problem_of_seed(seed: int) -> WaveProblem | None:
    """None for an estate that is refused: a pin outside the system's own dates, say."""
    try:
        return estate_problem(read_estate(json.dumps(tiny_estate(seed))))
    except EstateError:
        return None


def require_the_best(seed: int) -> bool:
    """Whether there was anything to plan."""
    problem = problem_of_seed(seed)
    if problem is None:
        return False
    plan = solve(problem, 1, LITTLE)
    assert check_plan(problem, plan) == ()
    assert plan.measure is not None
    assert (len(plan.unplaced), plan.measure.finish_days) == best_finish(tiny_estate(seed))
    assert plan.measure.gap == 0
    greedy = plan_waves(problem, 1)
    assert check_plan(problem, greedy) == ()
    assert edited_score(problem, plan).rank(problem) <= edited_score(problem, greedy).rank(problem)
    return True


@pytest.mark.parametrize("seed", ONCE_WRONG)
def test_an_estate_that_was_once_planned_wrongly_is_planned_as_well_as_can_be(seed: int) -> None:
    assert require_the_best(seed)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000))
def test_a_tiny_estate_is_planned_as_well_as_trying_everything_can(seed: int) -> None:
    require_the_best(seed)


def test_the_tiny_estates_are_what_the_property_is_about() -> None:
    finishes = [best_finish(tiny_estate(seed)) for seed in range(40) if problem_of_seed(seed) is not None]
    assert len(finishes) > 30
    assert sum(left == 0 for left, _ in finishes) > 5 and sum(left > 0 for left, _ in finishes) > 5
