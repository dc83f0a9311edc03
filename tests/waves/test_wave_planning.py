"""The greedy planner, as stories: what moves when, where to, and what it says about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from inventory.model.calendar import Freeze
from inventory.model.migration import Declarations, FreezeOverride, UnplacedRule, WavePlan, WaveSettings
from inventory.model.pool import Pool
from inventory.model.system import Architecture, Disposition, Ownership, System, Zone
from inventory.model.units import GIB
from scheduler.core.waves.check import check_plan
from scheduler.core.waves.greedy import plan_waves
from tests.waves.estates import (
    A_MONDAY,
    WITHOUT_PILOTS,
    a_pool,
    a_problem,
    a_system,
    cards,
    days_of,
    days_only,
    key,
    nodes,
    pools_of,
)

# The first nights from Monday 2026-03-16 on.
FRI, SAT, FRI_2, SAT_2 = "2026-03-20", "2026-03-21", "2026-03-27", "2026-03-28"


def plan_of(*systems: System, **wishes: object) -> WavePlan:
    """Planned with seed 1 and judged; a plan with a violation is no result."""
    problem = a_problem(systems, **wishes)  # type: ignore[arg-type]  # the tests name real parameters
    plan = plan_waves(problem, 1)
    assert check_plan(problem, plan) == ()
    return plan


def capped(cap: int, **more: object) -> WaveSettings:
    return replace(WITHOUT_PILOTS, systems_per_window=cap, **more)  # type: ignore[arg-type]  # real settings


class TestOrder:
    def test_what_is_used_moves_first_when_both_do_not_fit_one_night(self) -> None:
        plan = plan_of(
            a_system("甲门户", "乙认证"), a_system("乙认证", "丙库"), a_system("丙库"), settings=capped(1)
        )
        assert days_of(plan) == {"丙库": FRI, "乙认证": SAT, "甲门户": FRI_2}

    def test_user_and_used_may_share_a_night(self) -> None:
        plan = plan_of(a_system("甲门户", "乙认证"), a_system("乙认证"))
        assert set(days_of(plan).values()) == {FRI}

    def test_a_used_system_that_has_no_place_binds_nobody(self) -> None:
        plan = plan_of(a_system("甲门户", "乙认证"), a_system("乙认证", zone=Zone.INTRANET))
        assert days_of(plan) == {"甲门户": FRI}
        assert "跨云访问" in plan.assignments[0].why_then[0]

    def test_the_contract_that_ends_first_goes_first_and_takes_what_it_uses_along(self) -> None:
        plan = plan_of(
            a_system("甲"),
            a_system("乙", "丙"),
            a_system("丙"),
            settings=capped(1),
            declarations=Declarations(contract_ends={key("乙"): date(2026, 4, 1), key("甲"): date(2026, 5, 1)}),
        )
        assert days_of(plan) == {"丙": FRI, "乙": SAT, "甲": FRI_2}
        assert "2026-04-01 到期" in next(each for each in plan.assignments if each.system_name == "乙").why_then[0]

    def test_a_contract_that_ends_before_the_window_is_said_to_be_late(self) -> None:
        plan = plan_of(a_system("甲"), declarations=Declarations(contract_ends={key("甲"): date(2026, 3, 1)}))
        assert "已晚于到期日" in plan.assignments[0].why_then[0]

    def test_the_less_risky_goes_first(self) -> None:
        plan = plan_of(a_system("甲", mlps="3", users=90_000), a_system("乙", mlps="none"), settings=capped(1))
        assert days_of(plan) == {"乙": FRI, "甲": SAT}


class TestGroupsAndCycles:
    def test_a_group_waits_for_a_night_with_room_for_all(self) -> None:
        systems = [a_system("先", mlps="none", users=0)]
        systems += [a_system(name, database_instance="库") for name in "甲乙"]
        plan = plan_of(*systems, settings=capped(2))
        assert days_of(plan) == {"先": FRI, "甲": SAT, "乙": SAT}
        assert "余位不足（上限 2）" in plan.assignments[-1].why_not_earlier[0]
        assert "共用数据库“库”" in plan.assignments[-1].why_then[0]

    def test_a_group_larger_than_any_night_is_unplaced_with_the_remedy(self) -> None:
        plan = plan_of(*(a_system(name, database_instance="库") for name in "甲乙丙"), settings=capped(2))
        assert {each.rule for each in plan.unplaced} == {UnplacedRule.GROUP_TOO_LARGE}
        assert "请提高上限" in plan.unplaced[0].reason[0]

    def test_a_cycle_that_fits_moves_in_one_night_and_the_plan_names_it(self) -> None:
        plan = plan_of(a_system("甲", "乙"), a_system("乙", "丙"), a_system("丙", "甲"), settings=capped(3))
        assert set(days_of(plan).values()) == {FRI} and len(plan.assignments) == 3
        assert plan.splits == ()
        assert any("循环依赖，同窗迁移" in zh for zh, _ in plan.notes)

    def test_a_cycle_that_does_not_fit_is_split_at_its_cheapest_place_and_the_plan_says_where(self) -> None:
        # The groups on 库一 and 库二 use each other: three dependencies one way, one the other way.
        plan = plan_of(
            a_system("甲", "丙", "丁", database_instance="库一"),
            a_system("乙", "丙", database_instance="库一"),
            a_system("丙", "甲", database_instance="库二"),
            a_system("丁", database_instance="库二"),
            settings=capped(2),
        )
        assert days_of(plan) == {"丙": FRI, "丁": FRI, "甲": SAT, "乙": SAT}
        assert [(split.user, split.used) for split in plan.splits] == [(key("丙"), key("甲"))]
        assert any("超过窗口上限 2" in zh for zh, _ in plan.notes)

    def test_a_cycle_without_a_common_night_is_placed_group_by_group(self) -> None:
        schools = Freeze("开学", date(2026, 3, 20), date(2026, 3, 28), "通知", sectors=frozenset({"教育"}))
        taxes = Freeze("征期", date(2026, 3, 29), date(2026, 5, 30), "通知", sectors=frozenset({"财政"}))
        plan = plan_of(
            a_system("教委门户", "财政系统"),
            a_system("财政系统", "教委门户"),
            calendar=days_only(WITHOUT_PILOTS, [schools, taxes], 教育=("教委",), 财政=("财政",)),
        )
        assert days_of(plan) == {"财政系统": FRI, "教委门户": "2026-04-03"}
        assert [split.user for split in plan.splits] == [key("财政系统")]
        assert any("逐组安排" in zh for zh, _ in plan.notes)

    def test_one_member_without_a_pool_keeps_the_whole_group_back_and_is_named(self) -> None:
        plan = plan_of(
            a_system("甲", database_instance="库"),
            a_system("乙", database_instance="库", zone=Zone.INTRANET),
            a_system("丙"),
        )
        rules = {each.system_name: each.rule for each in plan.unplaced}
        assert rules == {"甲": UnplacedRule.GROUP_HELD, "乙": UnplacedRule.NO_POOL}
        assert days_of(plan) == {"丙": FRI}
        assert "乙" in next(each for each in plan.unplaced if each.system_name == "甲").reason[0]


class TestNights:
    @pytest.mark.parametrize(
        ("scope", "system", "night"),
        [
            pytest.param({}, a_system("甲"), FRI_2, id="a freeze without scope holds everyone"),
            pytest.param({"sectors": {"教育"}}, a_system("教委门户"), FRI_2, id="its sector"),
            pytest.param({"sectors": {"教育"}}, a_system("门户"), FRI, id="another sector"),
            pytest.param({"zones": {Zone.EXTRANET}}, a_system("甲"), FRI_2, id="its zone"),
            pytest.param({"zones": {Zone.INTERNET}}, a_system("甲"), FRI, id="another zone"),
            pytest.param({"ownerships": {Ownership.DISTRICT}}, a_system("甲"), FRI_2, id="its ownership"),
            pytest.param({"ownerships": {Ownership.SOE}}, a_system("甲"), FRI, id="another ownership"),
            pytest.param(
                {"zones": {Zone.EXTRANET}, "sectors": {"教育"}}, a_system("甲"), FRI, id="every scope must match"
            ),
        ],
    )
    def test_a_freeze_moves_those_whom_it_concerns(
        self, scope: dict[str, set[object]], system: System, night: str
    ) -> None:
        frozen = {name: frozenset(values) for name, values in scope.items()}
        freeze = Freeze("演练", date(2026, 3, 21), date(2026, 3, 22), "通知", **frozen)  # type: ignore[arg-type]
        plan = plan_of(system, calendar=days_only(WITHOUT_PILOTS, [freeze], 教育=("教委",)))
        assert list(days_of(plan).values()) == [night]

    def test_leave_in_writing_lets_the_named_system_through(self) -> None:
        freeze = Freeze("演练", date(2026, 3, 20), date(2026, 3, 22), "通知", overridable_by="指挥长")
        leave = FreezeOverride("演练", "李指挥长", "渝数〔2026〕1号", "合同到期", frozenset({key("甲")}))
        plan = plan_of(
            a_system("甲"),
            a_system("乙"),
            calendar=days_only(WITHOUT_PILOTS, [freeze]),
            declarations=Declarations(freeze_overrides=(leave,)),
        )
        assert days_of(plan) == {"甲": FRI, "乙": FRI_2}
        assert any("渝数〔2026〕1号" in zh for zh, _ in plan.notes)

    def test_the_make_up_saturday_is_told_of(self) -> None:
        settings = WaveSettings(starts_on=date(2026, 2, 25), horizon_weeks=2, pilot_windows=0)
        plan = plan_of(a_system("甲"), settings=settings)
        assert days_of(plan) == {"甲": "2026-02-28"}
        assert "2026-02-27：次日 2026-02-28 是调休工作日" in plan.assignments[0].why_not_earlier[0]

    def test_an_unknown_year_is_planned_provisionally_and_says_so(self) -> None:
        settings = WaveSettings(starts_on=date(2035, 6, 4), horizon_weeks=1, pilot_windows=0)
        plan = plan_of(a_system("甲"), settings=settings)
        assert [window.provisional for window in plan.windows] == [True]
        assert "窗口暂定" in plan.assignments[0].why_then[0]

    def test_pilots_are_few_and_harmless(self) -> None:
        settings = WaveSettings(starts_on=A_MONDAY, horizon_weeks=4, pilot_windows=1, pilot_systems=1)
        risky = {"mlps": "3", "users": 90_000}
        plan = plan_of(a_system("甲"), a_system("乙"), a_system("丙", **risky), settings=settings)
        assert sorted(days_of(plan).values()) == [FRI, SAT, SAT]
        assert days_of(plan)["丙"] == SAT
        why = next(each for each in plan.assignments if each.system_name == "丙").why_not_earlier
        assert "试点窗口只收风险不高于 30" in why[0]

    def test_without_a_harmless_system_there_are_no_pilots(self) -> None:
        settings = WaveSettings(starts_on=A_MONDAY, horizon_weeks=4)
        assert days_of(plan_of(a_system("甲", mlps="3", users=90_000), settings=settings)) == {"甲": FRI}

    def test_a_frozen_window_uses_up_no_pilot(self) -> None:
        settings = WaveSettings(starts_on=A_MONDAY, horizon_weeks=4, pilot_windows=1, pilot_systems=1)
        freeze = Freeze("演练", date(2026, 3, 20), date(2026, 3, 22), "通知")
        problem = a_problem([a_system("甲")], settings=settings, calendar=days_only(settings, [freeze]))
        assert [str(slot.window.first_day) for slot in problem.windows if slot.is_pilot] == [FRI_2]

    def test_a_horizon_that_is_too_short_leaves_systems_over_and_says_what_would_help(self) -> None:
        plan = plan_of(*(a_system(name) for name in "甲乙丙"), settings=capped(1, horizon_weeks=1))
        assert len(plan.assignments) == 2
        (left,) = plan.unplaced
        assert left.rule is UnplacedRule.NO_WINDOW and "延长计划期" in left.reason[0]

    def test_links_carry_only_so_much_in_a_night(self) -> None:
        # A tenth of 60 TB at half of 4 Gbit/s for eight hours (7.2 TB): one such system a night.
        thin = a_pool("thin", egress_gbps=4)
        big = {"disk_gb": 60_000 * 10**9 // GIB}
        plan = plan_of(a_system("甲", **big), a_system("乙", disk_gb=30_000), pools=[thin])
        assert sorted(days_of(plan).values()) == [FRI, SAT]
        assert "拷不完" in plan.assignments[-1].why_not_earlier[0]


class TestPools:
    @pytest.mark.parametrize(
        ("system", "other", "code"),
        [
            pytest.param({}, {"zones": frozenset({Zone.INTRANET})}, "网络区域", id="zone"),
            pytest.param({"mlps": "3"}, {"protection_level": 2}, "等保 3 级", id="protection level"),
            pytest.param(
                {"arch": Architecture.ARM64}, {"node_groups": (nodes("x", 9),)}, "arm64 主机", id="architecture"
            ),
            pytest.param({"gpu": cards("昇腾910B", 1)}, {"accelerator": None}, "加速卡", id="accelerator"),
            pytest.param({}, {"adapter": "local"}, "local", id="a local pool"),
        ],
    )
    def test_a_pool_that_lacks_something_is_refused_by_name_and_reason(
        self, system: dict[str, object], other: dict[str, object], code: str
    ) -> None:
        both = (nodes("x", 9, accelerator="Ascend910B"), nodes("a", 9, Architecture.ARM64))
        good = a_pool("good", *both)
        bad = replace(a_pool("bad", nodes("x", 9)), **other)  # type: ignore[arg-type]  # real fields
        plan = plan_of(a_system("甲", **system), pools=[bad, good])
        assert pools_of(plan) == {"甲": "good"}
        assert "不选：bad" in plan.assignments[0].why_here[0]
        assert code in plan.assignments[0].why_here[0]

    def test_hygon_systems_run_on_x86_hosts(self) -> None:
        assert pools_of(plan_of(a_system("甲", arch=Architecture.C86))) == {"甲": "pool-a"}

    def test_a_server_larger_than_any_node_has_no_pool(self) -> None:
        (left,) = plan_of(a_system("甲", vcpu=130, servers=2)).unplaced
        assert left.rule is UnplacedRule.NO_POOL and "大于其最大节点" in left.reason[0]

    def test_one_architecture_cannot_use_the_others_hosts(self) -> None:
        pool = a_pool("p", nodes("x", 1), nodes("a", 9, Architecture.ARM64))
        plan = plan_of(*(a_system(name, vcpu=40) for name in "甲乙"), pools=[pool])
        assert len(plan.assignments) == 1
        assert plan.unplaced[0].rule is UnplacedRule.NO_CAPACITY

    def test_the_cheaper_of_two_equal_pools_is_taken(self) -> None:
        pools = [a_pool("dear", vcpu_hour_cny=0.2), a_pool("cheap", vcpu_hour_cny=0.05)]
        assert pools_of(plan_of(a_system("甲"), pools=pools)) == {"甲": "cheap"}

    def test_the_nearer_of_two_equal_pools_is_taken(self) -> None:
        pools = [a_pool("far", one_way_ms=11.5), a_pool("near", one_way_ms=0.6)]
        assert pools_of(plan_of(a_system("甲"), pools=pools)) == {"甲": "near"}

    def test_a_website_does_not_go_to_a_supercomputer_for_a_little_less(self) -> None:
        pools = [a_pool("hpc", vcpu_hour_cny=0.08, classes=frozenset({"超算"})), a_pool("gov")]
        assert pools_of(plan_of(a_system("门户网站"), pools=pools)) == {"门户网站": "gov"}

    def test_systems_that_use_each_other_are_kept_together(self) -> None:
        pools = [a_pool("one"), a_pool("two")]
        together = pools_of(plan_of(a_system("甲", "乙"), a_system("乙"), pools=pools))
        assert len(set(together.values())) == 1

    def test_a_full_pool_is_passed_over_and_named(self) -> None:
        small = a_pool("small", nodes("x", 1), vcpu_hour_cny=0.01)
        plan = plan_of(
            *(a_system(name, vcpu=40) for name in "甲乙"), pools=[small, a_pool("large", vcpu_hour_cny=1)]
        )
        assert sorted(pools_of(plan).values()) == ["large", "small"]
        second = next(each for each in plan.assignments if each.pool_id == "large")
        assert "small 余量不足" in second.why_here[0]

    def test_the_search_looks_further_when_the_best_pools_do_not_fit_together(self) -> None:
        # 大 fits only in "both"; 小 would like it as well, being cheaper there, but must give way.
        both = a_pool("both", nodes("x", 1, Architecture.X86_64, "Ascend910B"), vcpu_hour_cny=0.01)
        plain = a_pool("plain", nodes("x", 1), vcpu_hour_cny=1)
        plan = plan_of(
            a_system("大", vcpu=40, gpu=cards("昇腾910B", 1), database_instance="库"),
            a_system("小", vcpu=60, database_instance="库"),
            pools=[both, plain],
        )
        assert pools_of(plan) == {"大": "both", "小": "plain"}


def test_a_search_that_is_cut_short_says_that_it_proves_nothing() -> None:
    """Thirteen systems of one group on six pools that hold two each: more combinations than the search tries."""
    systems = [a_system(f"系统{number}", vcpu=30, database_instance="库") for number in range(13)]
    pools = [a_pool(f"pool-{number}", nodes("x", 1)) for number in range(6)]
    plan = plan_of(*systems, pools=pools, settings=capped(20))
    assert {each.rule for each in plan.unplaced} == {UnplacedRule.NO_CAPACITY}
    assert "未能穷尽搜索" in plan.unplaced[0].reason[0]


def hand_worked() -> tuple[list[System], list[Pool], WaveSettings]:
    """Six systems, two pools, two a night.

    数据库平台 is used by 审批 and 认证; 认证 is used by 门户; 档案 and 档案二期 share a database; 内网 is of a
    zone that only pool-b serves. No pilots.
    """
    systems = [
        a_system("数据库平台", mlps="3", vcpu=16, mem_gb=64),
        a_system("认证", "数据库平台", mlps="3"),
        a_system("审批", "数据库平台", users=5000),
        a_system("门户", "认证", zone=Zone.INTERNET, users=60_000),
        a_system("档案", database_instance="档案库", arch=Architecture.ARM64, mlps="none"),
        a_system("档案二期", database_instance="档案库", arch=Architecture.ARM64, mlps="none"),
        a_system("内网公文", zone=Zone.INTRANET, mlps="3", disposition=Disposition.REPLATFORM),
        a_system("旧系统", disposition=Disposition.RETIRE),
    ]
    pools = [
        a_pool("pool-a"),
        a_pool(
            "pool-b",
            nodes("x", 4),
            nodes("a", 4, Architecture.ARM64),
            zones=frozenset({Zone.EXTRANET, Zone.INTRANET}),
            vcpu_hour_cny=0.13,
        ),
    ]
    return systems, pools, capped(2)


def test_the_hand_worked_estate_gives_the_hand_worked_plan() -> None:
    """By hand: risk is 档案 6 each (level 0, users 2 digits), 审批 16+12=28, 数据库平台 24+6+2*3=36, 认证
    24+6+2=32, 门户 16+15=31, 内网公文 24+6+10=40. Free at first: the archives (6), 内网公文 (40), 数据库平台 (36).
    So 档案+档案二期 fill the first night; 数据库平台 opens the second and frees 审批 (28), which fills it, and
    认证 (32), which opens the third and frees 门户 (31), which fills it; 内网公文 (40) is last."""
    systems, pools, settings = hand_worked()
    plan = plan_of(*systems, pools=pools, settings=settings)
    assert [(each.wave, each.window_id, each.system_name, each.pool_id) for each in plan.assignments] == [
        (1, f"W{FRI}", "档案", "pool-b"),
        (1, f"W{FRI}", "档案二期", "pool-b"),
        (2, f"W{SAT}", "审批", "pool-a"),
        (2, f"W{SAT}", "数据库平台", "pool-a"),
        (3, f"W{FRI_2}", "认证", "pool-a"),
        (3, f"W{FRI_2}", "门户", "pool-a"),
        (4, f"W{SAT_2}", "内网公文", "pool-b"),
    ]
    assert [(out.system_name, out.rule) for out in plan.left_out] == [("旧系统", UnplacedRule.RETIRE)]
    assert plan.waves[0].system_keys == tuple(sorted((key("档案"), key("档案二期"))))
    portal = next(each for each in plan.assignments if each.system_name == "门户")
    assert portal.why_not_earlier[0] == "此前 2 个窗口：2 个须等“认证”（第 3 批）"
    assert "所依赖的认证同批迁移" in portal.why_then[0]


def test_the_same_seed_gives_the_same_plan_and_another_seed_only_settles_ties_anew() -> None:
    systems = [a_system(f"系统{number:02}") for number in range(20)]
    problem = a_problem(systems, [a_pool("one"), a_pool("two")], capped(4))
    assert plan_waves(problem, 5) == plan_waves(problem, 5)
    assert days_of(plan_waves(problem, 5)) != days_of(plan_waves(problem, 6))
    assert len(plan_waves(problem, 6).assignments) == 20
