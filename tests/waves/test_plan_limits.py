"""The judge on dates, pins, teams, links, caps and budget: the solver's plan passes, each spoilt one is named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from inventory.model.migration import WavePlan
from scheduler.core.budget import Budget
from scheduler.core.waves.check import PlanRule, check_plan
from scheduler.core.waves.problem import WaveProblem
from scheduler.core.waves.solve import solve
from tests.waves.estate_files import LIMIT_RULES, a_pool_row, a_row, a_team, an_estate, problem_of, window

SMALL = Budget(effort=0.5)


def moved(plan: WavePlan, key: str, **changes: Any) -> WavePlan:
    """The plan with one assignment changed, its waves numbered anew."""
    chosen = tuple(replace(each, **changes) if each.system_key == key else each for each in plan.assignments)
    return replace(plan, assignments=chosen)


def all_windows(problem: WaveProblem, plan: WavePlan) -> WavePlan:
    """Every window of the calendar is a wave, so that moving a system breaks no numbering."""
    windows = tuple(slot.window for slot in problem.windows)
    number = {each.window_id: place for place, each in enumerate(windows, start=1)}
    kept = tuple(replace(each, wave=number[each.window_id]) for each in plan.assignments)
    return replace(plan, windows=windows, assignments=kept)


ROWS = [
    a_row("早", earliest="2026-03-20"),
    a_row("限", deadline="2026-03-14"),
    a_row("约"),
    a_row("长", minutes=480),
    a_row("人", skill="应用", minutes=300, tags=["甲厂"]),
    a_row("手", skill="应用", minutes=300, tags=["甲厂"]),
    a_row("重", data_gb=9000, daily_cost_cny=10),
]
ESTATE = an_estate(
    *ROWS,
    cap=7,
    hours=(8, 8, 8, 7),
    teams=[
        a_team("应用组", "应用", away=[{"first": "2026-03-27", "last": "2026-03-28", "reason": "休假"}]),
        a_team("网络组", "网络"),
    ],
    links=[{"id": "线", "gbps": 0.1, "pools": ["池"]}],
    concurrency=[{"tag": "甲厂", "most": 1}],
    pins=[{"system": "约", "window": window(1), "pool": "池"}],
    budget_cny=120,
    pools=[a_pool_row("池"), a_pool_row("另")],
)


@pytest.fixture(scope="module")
def problem() -> WaveProblem:
    return problem_of(ESTATE)


@pytest.fixture(scope="module")
def plan(problem: WaveProblem) -> WavePlan:
    found = solve(problem, 1, SMALL)
    assert len(found.assignments) == 7
    return all_windows(problem, found)


def test_the_solvers_plan_keeps_every_rule(problem: WaveProblem, plan: WavePlan) -> None:
    assert check_plan(problem, plan) == ()


SPOILS: list[tuple[str, dict[str, Any], PlanRule]] = [
    ("早", {"window_id": window(0), "wave": 1}, PlanRule.TOO_EARLY),
    ("限", {"window_id": window(2), "wave": 3}, PlanRule.DEADLINE),
    ("约", {"window_id": window(0), "wave": 1}, PlanRule.PIN),
    ("约", {"pool_id": "另"}, PlanRule.PIN),
    ("长", {"window_id": window(3), "wave": 4}, PlanRule.WINDOW_LENGTH),
    ("人", {"team_id": None}, PlanRule.TEAM_MISSING),
    ("人", {"team_id": "无此组"}, PlanRule.TEAM_UNKNOWN),
    ("人", {"team_id": "网络组"}, PlanRule.TEAM_SKILL),
    ("人", {"window_id": window(3), "wave": 4}, PlanRule.TEAM_ABSENT),
    ("重", {"window_id": window(0), "wave": 1, "pool_id": "池"}, PlanRule.LINK_VOLUME),
    ("重", {"window_id": window(3), "wave": 4}, PlanRule.BUDGET),
]


@pytest.mark.parametrize(("key", "changes", "rule"), SPOILS, ids=[f"{rule}-{key}" for key, _, rule in SPOILS])
def test_a_plan_that_breaks_one_rule_is_told_which(
    problem: WaveProblem, plan: WavePlan, key: str, changes: dict[str, Any], rule: PlanRule
) -> None:
    assert {each.rule for each in check_plan(problem, moved(plan, key, **changes))} == {rule}


def test_two_systems_of_one_night_can_be_too_much_for_a_team_and_a_cap(
    problem: WaveProblem, plan: WavePlan
) -> None:
    there = next(each for each in plan.assignments if each.system_key == "人")
    spoilt = moved(plan, "手", window_id=there.window_id, wave=there.wave)
    found = {each.rule for each in check_plan(problem, spoilt)}
    assert found == {PlanRule.TEAM_TIME, PlanRule.CONCURRENCY}


def test_a_pool_that_grows_later_is_full_until_then() -> None:
    hosts = [{"architecture": "x86_64", "vcpu": 4, "memory_gb": 4000}]
    grows = [{"day": "2026-03-15", "architecture": "x86_64", "vcpu": 4}]
    problem = problem_of(
        an_estate(a_row("甲"), a_row("乙"), pools=[a_pool_row("池", hosts=hosts, arrivals=grows)])
    )
    plan = solve(problem, 1, SMALL)
    assert sorted(each.window_id for each in plan.assignments) == [window(0), window(2)]
    late = next(each for each in plan.assignments if each.window_id == window(2))
    spoilt = moved(all_windows(problem, plan), late.system_key, window_id=window(1), wave=2)
    assert {each.rule for each in check_plan(problem, spoilt)} == {PlanRule.CAPACITY}


def test_every_limit_has_a_test() -> None:
    here = {rule for _, _, rule in SPOILS} | {PlanRule.TEAM_TIME, PlanRule.CONCURRENCY}
    assert here == LIMIT_RULES
