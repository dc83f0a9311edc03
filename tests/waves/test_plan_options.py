"""What people declare beside the ledger: taken into the problem, or refused with rule and name."""

from __future__ import annotations

from datetime import date

import pytest

from scheduler.core.budget import Budget
from scheduler.core.waves.check import check_plan
from scheduler.core.waves.estate_rules import EstateError
from scheduler.core.waves.plan_options import read_options, with_options
from scheduler.core.waves.problem import WaveProblem
from scheduler.core.waves.solve import solve
from tests.waves.estates import WITHOUT_PILOTS, a_pool, a_problem, a_system, days_only, key

OPTIONS = f"""
version: 1
contract_ends: {{"{key("门户")}": 2026-06-30}}
systems:
  "{key("门户")}": {{skill: 应用, minutes: 400, deadline: 2026-04-01}}
  "{key("档案")}": {{skill: 应用, minutes: 400}}
teams: [{{id: 应用组, skills: [应用], people: 1}}]
freezes: [{{name: 停办, first: 2026-03-16, last: 2026-03-22, departments: [区示例局]}}]
"""


def a_ledger_problem() -> WaveProblem:
    systems = [a_system("门户"), a_system("档案")]
    return a_problem(systems, [a_pool("gov")], WITHOUT_PILOTS, days_only(WITHOUT_PILOTS, []))


def test_teams_deadlines_and_a_departments_blackout_shape_the_plan() -> None:
    options = read_options(OPTIONS)
    assert options.declarations.contract_ends == {key("门户"): date(2026, 6, 30)}
    problem = with_options(a_ledger_problem(), options)
    plan = solve(problem, 1, Budget(effort=0.2))
    assert check_plan(problem, plan) == () and not plan.unplaced
    assert len({each.window_id for each in plan.assignments}) == 2
    assert {each.team_id for each in plan.assignments} == {"应用组"}
    assert min(window.first_day for window in plan.windows) > date(2026, 3, 22)


def test_no_options_declare_nothing() -> None:
    assert read_options(" ") == read_options("version: 1")


@pytest.mark.parametrize(
    ("text", "rule", "says"),
    [
        ("version: 1\nsystems: {无此局/无: {}}", "unknown_system", "无此局/无"),
        (f"version: 1\nsystems: {{'{key('门户')}': {{team: 无}}}}", "unknown_team", "'无'"),
        ("version: 1\nlinks: [{id: 线, gbps: 1, pools: [无]}]", "unknown_pool", "'无'"),
        (f"version: 1\npins: [{{system: '{key('门户')}', window: W2030-01-01}}]", "unknown_window", "W2030"),
        (
            f"version: 1\nsystems: {{'{key('门户')}': {{minutes: 6000}}}}",
            "too_long",
            "planned to take 6000 minutes",
        ),
        ("version: 1\nteam: []", "form", "team"),
        ("version: [", "form", "YAML"),
        ("version: 2", "form", "version"),
    ],
)
def test_options_that_name_nothing_real_are_refused(text: str, rule: str, says: str) -> None:
    with pytest.raises(EstateError, match=says) as refusal:
        with_options(a_ledger_problem(), read_options(text))
    assert refusal.value.rule == rule
