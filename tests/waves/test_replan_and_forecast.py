"""After the plan: the smallest repair and its price, the conflict in words, and when it will really end."""

from __future__ import annotations

import pytest

from scheduler.core.budget import Budget
from scheduler.core.waves.check import check_plan
from scheduler.core.waves.conflicts import find_conflict
from scheduler.core.waves.estate_file import quantile_minutes
from scheduler.core.waves.forecast import Spread, forecast_finish, learn_spread, overrun_chance
from scheduler.core.waves.problem import Aim
from scheduler.core.waves.replan import edited_score, replan
from scheduler.core.waves.solve import solve
from tests.waves.estate_files import a_pool_row, a_row, a_team, an_estate, problem_of, window

SMALL = Budget(effort=0.5)
FROZEN = [{"name": "临时", "first": "2026-03-06", "last": "2026-03-07"}]


class TestReplanning:
    def test_only_what_the_slip_touches_changes_and_the_price_is_told(self) -> None:
        rows = [a_row("甲"), a_row("乙"), a_row("丙"), a_row("丁")]
        old = solve(problem_of(an_estate(*rows)), 1, SMALL)
        now = problem_of(an_estate(*rows, freezes=FROZEN))
        repair = replan(now, old, (), 1, SMALL)
        first = {each.system_key for each in old.assignments if each.window_id == window(0)}
        assert {each.system_key for each in repair.changes} == first
        assert {each.system_key for each in repair.broken} == first
        assert check_plan(now, repair.plan) == ()
        assert repair.price[Aim.FINISH.value] == 7

    def test_an_approved_wave_stays_as_it_is(self) -> None:
        rows = [a_row("甲"), a_row("乙"), a_row("丙")]
        problem = problem_of(an_estate(*rows))
        old = solve(problem, 1, SMALL)
        more = problem_of(an_estate(*rows, a_row("丁", deadline="2026-03-07")))
        repair = replan(more, old, [old.windows[-1].window_id], 1, SMALL)
        kept = {each.system_key: each.window_id for each in old.assignments if each.window_id == window(1)}
        now = {each.system_key: each.window_id for each in repair.plan.assignments}
        assert kept and {key: now[key] for key in kept} == kept
        assert now["丁"] == window(0)

    def test_a_window_that_the_plan_has_not_cannot_be_kept(self) -> None:
        problem = problem_of(an_estate(a_row("甲")))
        with pytest.raises(ValueError, match="W2030"):
            replan(problem, solve(problem, 1, SMALL), ["W2030-01-01"], 1, SMALL)

    def test_a_repair_that_leaves_a_system_out_says_what_stands_in_the_way_of_what_was_asked(self) -> None:
        team = a_team("组", "应用")
        rows = [a_row(name, skill="应用", minutes=300) for name in "甲乙丙丁"]
        old = solve(problem_of(an_estate(*rows, teams=[team])), 1, SMALL)
        away = [{"first": "2026-03-13", "last": "2026-03-13", "reason": "培训"}]
        now = problem_of(an_estate(*rows, teams=[{**team, "away": away}]))
        repair = replan(now, old, [window(0)], 1, SMALL)
        (left,) = repair.plan.unplaced
        assert repair.sentence[0].endswith("；1 个系统没有位置") and repair.sentence[1].endswith(
            "; 1 have no place"
        )
        # What stays only because it broke no rule is no proof that nothing else would do.
        assert "放弃哪些可以选择" in left.reason[0] and "只迁它" not in left.reason[0]
        assert repair.plan.measure is not None and repair.plan.measure.unplaced_at_least == 1
        core = {each.name for each in find_conflict(repair.asked, repair.plan, SMALL).core}
        assert core == {"away:组:2026-03-13", "people:组"}

    def test_an_edit_is_scored_without_a_search(self) -> None:
        problem = problem_of(an_estate(a_row("甲", daily_cost_cny=3), a_row("乙", "甲")))
        assert edited_score(problem, solve(problem, 1, SMALL)).aims[Aim.COST] == 12


class TestConflicts:
    def test_the_conflict_names_leave_and_deadline_and_the_cheapest_way_out(self) -> None:
        away = [{"first": "2026-03-06", "last": "2026-03-14", "reason": "休假"}]
        problem = problem_of(
            an_estate(
                a_row("租约", deadline="2026-03-14", skill="应用", minutes=60),
                a_row("旁观"),
                teams=[a_team("应用组", "应用", away=away)],
                concurrency=[{"tag": "无关", "most": 1}],
            )
        )
        plan = solve(problem, 1, SMALL)
        conflict = find_conflict(problem, plan, SMALL)
        assert conflict.systems == ("租约",) and conflict.is_minimal
        assert {each.name for each in conflict.core} == {"away:应用组:2026-03-06", "deadline:租约"}
        assert conflict.relaxations[0].name == "deadline:租约"
        assert "应用组" in conflict.sentence[0] and "租约" in conflict.sentence[1]

    def test_a_full_pool_is_named(self) -> None:
        hosts = [{"architecture": "x86_64", "vcpu": 4, "memory_gb": 4000}]
        problem = problem_of(an_estate(a_row("甲"), a_row("乙"), pools=[a_pool_row("小池", hosts=hosts)]))
        conflict = find_conflict(problem, solve(problem, 1, SMALL), SMALL)
        assert [each.name for each in conflict.core] == ["pool:小池"]

    def test_where_no_constraint_could_give_way_the_systems_own_reason_stands(self) -> None:
        problem = problem_of(an_estate(a_row("甲", zone="政务内网")))
        conflict = find_conflict(problem, solve(problem, 1, SMALL), SMALL)
        assert conflict.core == () and "政务内网" in conflict.sentence[0]


class TestForecast:
    def test_sure_durations_end_as_planned(self) -> None:
        problem = problem_of(an_estate(a_row("甲", skill="应用", minutes=60), teams=[a_team("组", "应用")]))
        plan = solve(problem, 1, SMALL)
        found = forecast_finish(problem, plan, {"甲": Spread(60, 0)}, 1, 200)
        assert found.on_time == 1 and found.p50 == found.p95 == plan.windows[-1].first_day

    def test_durations_that_may_overrun_push_the_end_out_and_the_seed_fixes_it(self) -> None:
        rows = [a_row(name, skill="应用", minutes=220) for name in "甲乙丙丁"]
        problem = problem_of(an_estate(*rows, teams=[a_team("组", "应用")]))
        plan = solve(problem, 1, SMALL)
        spreads = {name: Spread(220, 60) for name in "甲乙丙丁"}
        found = forecast_finish(problem, plan, spreads, 7, 2000)
        assert found == forecast_finish(problem, plan, spreads, 7, 2000)
        assert 0 < found.on_time < 1 and found.p50 is not None
        assert found.p95 is None or found.p95 > plan.windows[-1].first_day
        assert all(0 < chance < 1 for chance in found.overrun.values())

    def test_actuals_move_the_prior_and_many_outweigh_it(self) -> None:
        prior = Spread(60, 10)
        assert learn_spread([], prior) == prior
        assert learn_spread([120] * 5, prior).mean == 90
        assert learn_spread([120] * 995, prior).mean > 119
        with pytest.raises(ValueError, match="negative"):
            learn_spread([-1], prior)

    def test_the_chance_to_overrun_is_half_at_the_median_and_planned_minutes_bound_it(self) -> None:
        chance = overrun_chance([(Spread(480, 60), 1)], people=1, minutes=480, seed=1, samples=20_000)
        assert 0.4 < chance < 0.55
        safe = quantile_minutes(480, 60, 5)
        assert safe == 579 and quantile_minutes(480, 60, None) == 480
        assert overrun_chance([(Spread(480, 60), 1)], people=1, minutes=safe, seed=1, samples=20_000) < 0.08
