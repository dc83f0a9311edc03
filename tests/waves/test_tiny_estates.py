"""Tiny estates of every rule at once: the planner reaches the finish that trying everything finds, and says so.

`exhaustive.py` knows the rules from docs/waves.md alone and imports nothing of ours. Seeds are drawn from a range that held
when more of it was run by hand (0 to 1,000).
"""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory.model.migration import SplitDependency, WavePlan
from scheduler.core.budget import Budget
from scheduler.core.waves.check import check_plan
from scheduler.core.waves.estate_file import estate_problem, read_estate
from scheduler.core.waves.estate_rules import EstateError
from scheduler.core.waves.greedy import plan_waves
from scheduler.core.waves.problem import WaveProblem
from scheduler.core.waves.replan import edited_score
from scheduler.core.waves.solve import solve
from tests.waves.exhaustive import UNEVEN, best_finish, keeps_every_rule, tiny_estate

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


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 200).map(lambda n: UNEVEN * n + 1))
def test_where_windows_differ_in_length_a_tiny_estate_is_planned_as_well_as_trying_everything_can(
    seed: int,
) -> None:
    require_the_best(seed)


def spoilt(problem: WaveProblem, plan: WavePlan, chance: random.Random) -> WavePlan:
    """The plan with one system moved to another window, pool or team, its waves numbered anew, and every dependency that
    it breaks declared: a declaration helps inside a cycle alone."""
    windows = tuple(slot.window for slot in problem.windows)
    number = {window.window_id: place for place, window in enumerate(windows, start=1)}
    one = chance.choice(plan.assignments)
    change: dict[str, Any] = chance.choice(
        [
            {"window_id": chance.choice(windows).window_id},
            {"window_id": chance.choice(windows).window_id},
            {"pool_id": chance.choice(problem.pools).pool_id},
            {"team_id": chance.choice([*(team.team_id for team in problem.teams), None])},
        ]
    )
    made = [replace(each, **change) if each is one else each for each in plan.assignments]
    made = [replace(each, wave=number[each.window_id]) for each in made]
    wave = {each.system_key: each.wave for each in made}
    splits = tuple(
        SplitDependency(item.key, used, ("", ""))
        for item in problem.items
        for used in item.uses
        if item.key in wave and used in wave and wave[item.key] < wave[used]
    )
    return replace(plan, windows=windows, assignments=tuple(made), splits=splits)


def judged(seed: int) -> Counter[bool]:
    """Spoils the plan of a tiny estate eight times; the judge agrees with the rules as written down a second time."""
    problem = problem_of_seed(seed)
    verdicts: Counter[bool] = Counter()
    plan = None if problem is None else plan_waves(problem, seed)
    if problem is None or plan is None or not plan.assignments:
        return verdicts
    chance = random.Random(seed)
    for _ in range(8):
        bad = spoilt(problem, plan, chance)
        at = {each.system_key: each.window_id for each in bad.assignments}
        pools = {each.system_key: each.pool_id for each in bad.assignments}
        teams = {each.system_key: each.team_id for each in bad.assignments}
        holds = keeps_every_rule(tiny_estate(seed), at, pools, teams)
        found = check_plan(problem, bad)
        assert (found == ()) == holds, (seed, [each.message[1] for each in found], bad.assignments)
        verdicts[holds] += 1
    return verdicts


def test_the_judge_says_of_spoilt_plans_what_the_rules_say() -> None:
    verdicts = sum((judged(seed) for seed in range(150)), Counter[bool]())
    assert verdicts[True] > 100 and verdicts[False] > 300


def test_the_tiny_estates_are_what_the_property_is_about() -> None:
    finishes = [best_finish(tiny_estate(seed)) for seed in range(40) if problem_of_seed(seed) is not None]
    assert len(finishes) > 30
    assert sum(left == 0 for left, _ in finishes) > 5 and sum(left > 0 for left, _ in finishes) > 5
