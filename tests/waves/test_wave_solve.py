"""The solver on estates: known optima, never worse than greedy, deterministic, and every plan judged."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest

from scheduler.core.budget import Budget
from scheduler.core.waves.bounds import earliest_finish
from scheduler.core.waves.check import check_plan
from scheduler.core.waves.document import read_plan, write_plan
from scheduler.core.waves.estate_file import estate_problem
from scheduler.core.waves.greedy import plan_waves
from scheduler.core.waves.replan import edited_score
from scheduler.core.waves.shape import make_shape
from scheduler.core.waves.solution import NOWHERE, Solution, broken
from scheduler.core.waves.solve import solve
from simulations.estates import EstateShape, planted_estate, realistic_estate
from tests.waves.estate_files import a_row, a_team, an_estate, problem_of, window

SMALL = Budget(effort=0.15)


@pytest.mark.parametrize(("windows", "cap", "seed"), [(4, 3, 1), (5, 4, 2), (6, 3, 3)])
def test_an_estate_with_a_hidden_best_plan_is_solved_to_its_known_finish(
    windows: int, cap: int, seed: int
) -> None:
    form, last = planted_estate(windows, cap, seed)
    problem = estate_problem(form)
    plan = solve(problem, 1, Budget(effort=0.5))
    assert check_plan(problem, plan) == () and not plan.unplaced
    assert plan.windows[-1].window_id == last
    assert plan.measure is not None and plan.measure.gap == 0


@pytest.mark.parametrize("seed", [1, 2])
def test_a_realistic_estate_is_planned_within_the_rules_and_never_worse_than_greedy(seed: int) -> None:
    problem = estate_problem(realistic_estate(EstateShape(30, 60, 2, 26), seed))
    plan, greedy = solve(problem, 1, SMALL), plan_waves(problem, 1)
    assert check_plan(problem, plan) == () == check_plan(problem, greedy)
    assert edited_score(problem, plan).rank(problem) <= edited_score(problem, greedy).rank(problem)
    assert plan.measure is not None and plan.measure.bound_days <= plan.measure.finish_days
    assert read_plan(write_plan(plan)) == plan


def test_one_seed_and_one_effort_give_one_plan_whoever_maps() -> None:
    problem = estate_problem(realistic_estate(EstateShape(20, 30, 2, 26), 4))
    once = write_plan(solve(problem, 3, SMALL))
    assert write_plan(solve(problem, 3, SMALL)) == once
    with ThreadPoolExecutor(2) as pool:
        assert write_plan(solve(problem, 3, SMALL, pool.map)) == once


def test_the_least_finish_of_small_estates_is_that_of_exhaustive_search() -> None:
    rows = [
        a_row("甲", skill="应用", minutes=300),
        a_row("乙", "甲", skill="应用", minutes=300, deadline="2026-03-21"),
        a_row("丙", "乙", earliest="2026-03-12"),
        a_row("丁", skill="应用", minutes=200),
    ]
    problem = problem_of(an_estate(*rows, teams=[a_team("组", "应用")]))
    shape = make_shape(problem)
    best = min(
        max(choice)
        for choice in product(range(4), repeat=4)
        if broken(shape, Solution(choice, (0,) * 4, tuple(0 if i.needs_team else NOWHERE for i in shape.items)))
        is None
        and all(group.allowed >> w & 1 for group, w in zip(shape.groups, choice, strict=True))
    )
    plan = solve(problem, 1, SMALL)
    assert plan.windows[-1].window_id == window(best)
    assert earliest_finish(shape) <= best
    assert plan.measure is not None and plan.measure.bound_days == shape.days[best]


def test_systems_that_no_team_has_time_for_stay_without_a_place_and_the_plan_still_holds() -> None:
    rows = [a_row(name, skill="应用", minutes=480) for name in "甲乙丙丁戊"]
    problem = problem_of(an_estate(*rows, teams=[a_team("组", "应用")]))
    plan = solve(problem, 1, SMALL)
    assert len(plan.assignments) == 4 and len(plan.unplaced) == 1
    assert check_plan(problem, plan) == ()


def test_a_clock_that_has_run_out_still_gets_a_plan() -> None:
    problem = estate_problem(realistic_estate(EstateShape(30, 40, 2, 26), 1))
    plan = solve(problem, 1, Budget(clock=lambda: 5.0, ends_at=5.0))
    assert plan.solver == "greedy" and check_plan(problem, plan) == ()
