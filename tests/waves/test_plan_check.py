"""The judge: a sound plan passes; each way of spoiling it is named by the rule that it breaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import pytest

from inventory.model.calendar import Freeze, Window
from inventory.model.migration import Assignment, SplitDependency, Unplaced, UnplacedRule, WavePlan
from inventory.model.system import Architecture, Disposition, Zone
from inventory.model.units import Resources
from scheduler.core.waves.check import PlanRule, check_plan
from scheduler.core.waves.greedy import plan_waves
from scheduler.core.waves.problem import Item, PoolSlot, WaveProblem
from tests.waves.estate_files import LIMIT_RULES
from tests.waves.estates import WITHOUT_PILOTS, a_pool, a_problem, a_system, cards, days_only, key, nodes

Spoil = Callable[[WavePlan], WavePlan]
SETTINGS = replace(WITHOUT_PILOTS, systems_per_window=3, pilot_windows=1, pilot_systems=1)
FREEZE = Freeze("演练", date(2026, 4, 10), date(2026, 4, 12), "通知")
ARM, X86 = Architecture.ARM64, Architecture.X86_64


@pytest.fixture(scope="module")
def problem() -> WaveProblem:
    """A pilot night, then three a night; 04-10 and 04-11 are frozen."""
    systems = [
        a_system("认证", mlps="3", users=90_000),
        a_system("门户", "认证", zone=Zone.INTERNET, users=90_000),
        a_system("档案", database_instance="库", users=90_000),
        a_system("档案二期", database_instance="库", users=90_000),
        a_system("信创", arch=ARM, users=10),
        a_system("识别", gpu=cards("昇腾910B", 8), arch=ARM, disk_gb=9000),
        a_system("机密", classified=True),
        a_system("留用", disposition=Disposition.RETAIN),
    ]
    pools = [
        a_pool("gov", nodes("x", 20), nodes("a", 20, ARM)),
        a_pool("ai", nodes("train", 4, ARM, "Ascend910B")),
        a_pool("inner", nodes("x", 20), nodes("a", 20, ARM), zones=frozenset({Zone.INTRANET})),
        a_pool("low", nodes("x", 20), nodes("a", 20, ARM), protection_level=1),
        a_pool("arm", nodes("a", 20, ARM)),
        a_pool("small", nodes("x", 1), nodes("a", 1, ARM), disk_bytes=1),
        a_pool("tiny", replace(nodes("x", 20), capacity=Resources(2000, 2**40))),
        a_pool("here", adapter="local"),
        a_pool("thin", nodes("x", 20), nodes("a", 20, ARM), egress_gbps=0.0001),
    ]
    return a_problem(systems, pools, SETTINGS, days_only(SETTINGS, [FREEZE]))


@pytest.fixture(scope="module")
def plan(problem: WaveProblem) -> WavePlan:
    plan = plan_waves(problem, 1)
    assert len(plan.assignments) == 6 and not plan.unplaced
    return plan


def test_the_planners_plan_keeps_every_rule(problem: WaveProblem, plan: WavePlan) -> None:
    assert check_plan(problem, plan) == ()


def changed(plan: WavePlan, name: str, **fields: object) -> WavePlan:
    """The plan with other fields for one system, and its windows and wave numbers put in order again."""
    assignments = tuple(
        replace(each, **fields) if each.system_name == name else each  # type: ignore[arg-type]  # real fields
        for each in plan.assignments
    )
    return replace(plan, assignments=assignments)


def on_night(problem: WaveProblem, night: str) -> Callable[[WavePlan, str], WavePlan]:
    def move(plan: WavePlan, name: str) -> WavePlan:
        window = next(slot.window for slot in problem.windows if slot.window.window_id == f"W{night}")
        moved = changed(plan, name, window_id=window.window_id)
        windows = tuple(sorted({*plan.windows, window}, key=lambda each: each.starts))
        number = {each.window_id: place for place, each in enumerate(windows, start=1)}
        renumbered = tuple(replace(each, wave=number[each.window_id]) for each in moved.assignments)
        return replace(moved, windows=windows, assignments=renumbered)

    return move


@pytest.mark.parametrize(
    ("name", "pool", "rule"),
    [
        pytest.param("认证", "inner", PlanRule.ZONE, id="a pool that does not serve the zone"),
        pytest.param("认证", "low", PlanRule.PROTECTION_LEVEL, id="a pool below the protection level"),
        pytest.param("认证", "arm", PlanRule.ARCHITECTURE, id="a pool without hosts of the architecture"),
        pytest.param("识别", "gov", PlanRule.ACCELERATOR, id="a pool without the cards"),
        pytest.param("识别", "small", PlanRule.CAPACITY, id="a pool with too little disk"),
        pytest.param("认证", "tiny", PlanRule.NODE_SIZE, id="a pool whose nodes are smaller than a server"),
        pytest.param("认证", "here", PlanRule.POOL_CLOSED, id="a pool that takes no systems"),
        pytest.param("认证", "nowhere", PlanRule.UNKNOWN_POOL, id="a pool that does not exist"),
        pytest.param("识别", "thin", PlanRule.COPY_VOLUME, id="a pool whose link is too thin for the night"),
    ],
)
def test_a_wrong_pool_is_named(problem: WaveProblem, plan: WavePlan, name: str, pool: str, rule: PlanRule) -> None:
    found = check_plan(problem, changed(plan, name, pool_id=pool))
    assert rule in {violation.rule for violation in found}
    zh, en = next(violation.message for violation in found if violation.rule is rule)
    assert pool in zh and pool in en


@pytest.mark.parametrize(
    ("name", "night", "rule"),
    [
        pytest.param("信创", "2026-04-10", PlanRule.FREEZE, id="a frozen night"),
        pytest.param("档案", "2026-04-03", PlanRule.GROUP_SPLIT, id="another night than its group"),
        pytest.param("认证", "2026-04-03", PlanRule.ORDER, id="a night after its user"),
        pytest.param("门户", "2026-03-20", PlanRule.PILOT_RISK, id="a pilot night, for a risky system"),
    ],
)
def test_a_wrong_night_is_named(
    problem: WaveProblem, plan: WavePlan, name: str, night: str, rule: PlanRule
) -> None:
    found = {violation.rule for violation in check_plan(problem, on_night(problem, night)(plan, name))}
    assert rule in found
    assert PlanRule.WAVE_NUMBER not in found


def test_too_many_in_one_night_are_counted(problem: WaveProblem, plan: WavePlan) -> None:
    night = on_night(problem, "2026-04-17")
    crowded = plan
    for each in plan.assignments:
        crowded = night(crowded, each.system_name)
    (violation,) = check_plan(problem, crowded)
    assert violation.rule is PlanRule.WINDOW_CAP
    assert "6 个系统，上限 3" in violation.message[0]


def test_a_pool_that_is_full_in_one_dimension_is_named_with_both_amounts() -> None:
    systems = [a_system(name, vcpu=40) for name in "甲乙"]
    wide = a_problem(systems, [a_pool("p", nodes("x", 2))])
    narrow = a_problem(systems, [a_pool("p", nodes("x", 1))])
    (violation,) = check_plan(narrow, plan_waves(wide, 1))
    assert violation.rule is PlanRule.CAPACITY
    assert "80000" in violation.message[0] and "64000" in violation.message[0]


def without(plan: WavePlan, name: str) -> WavePlan:
    return replace(plan, assignments=tuple(each for each in plan.assignments if each.system_name != name))


def added(plan: WavePlan, system_key: str) -> WavePlan:
    extra = replace(plan.assignments[-1], system_key=system_key, system_name=system_key)
    return replace(plan, assignments=(*plan.assignments, extra))


def shifted(window: Window) -> Window:
    return replace(window, starts=window.starts + timedelta(days=3), ends=window.ends + timedelta(days=3))


SPOILS: list[tuple[str, Spoil, PlanRule, str | None]] = [
    ("a system is dropped", lambda plan: without(plan, "信创"), PlanRule.MISSING_SYSTEM, key("信创")),
    (
        "a system is assigned twice",
        lambda plan: replace(plan, assignments=(*plan.assignments, plan.assignments[0])),
        PlanRule.DUPLICATE_ASSIGNMENT,
        None,
    ),
    (
        "a system is both assigned and unplaced",
        lambda plan: replace(
            plan, unplaced=(Unplaced(key("信创"), "信创", UnplacedRule.NO_WINDOW, ("无", "none")),)
        ),
        PlanRule.DUPLICATE_ASSIGNMENT,
        key("信创"),
    ),
    (
        "half a group is unplaced",
        lambda plan: replace(
            without(plan, "档案"),
            unplaced=(Unplaced(key("档案"), "档案", UnplacedRule.NO_WINDOW, ("无", "none")),),
        ),
        PlanRule.GROUP_SPLIT,
        key("档案"),
    ),
    ("a stranger is added", lambda plan: added(plan, "某局/某系统"), PlanRule.UNKNOWN_SYSTEM, "某局/某系统"),
    ("a classified system is added", lambda plan: added(plan, key("机密")), PlanRule.CLASSIFIED, key("机密")),
    ("a retained system is added", lambda plan: added(plan, key("留用")), PlanRule.NOT_TO_MOVE, key("留用")),
    (
        "a window is invented by name",
        lambda plan: changed(plan, "信创", window_id="W1999-01-01"),
        PlanRule.UNKNOWN_WINDOW,
        key("信创"),
    ),
    (
        "a window is moved to a weekday",
        lambda plan: replace(plan, windows=(*plan.windows[:-1], shifted(plan.windows[-1]))),
        PlanRule.OUTSIDE_CALENDAR,
        None,
    ),
    (
        "windows are out of order",
        lambda plan: replace(plan, windows=plan.windows[::-1]),
        PlanRule.WAVE_NUMBER,
        None,
    ),
    ("a wave number is wrong", lambda plan: changed(plan, "信创", wave=9), PlanRule.WAVE_NUMBER, key("信创")),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "rule", "system"), [spoil[1:] for spoil in SPOILS], ids=[s[0] for s in SPOILS])
def test_every_other_spoiling_is_named(
    problem: WaveProblem, plan: WavePlan, spoil: Spoil, rule: PlanRule, system: str | None
) -> None:
    found = [violation for violation in check_plan(problem, spoil(plan)) if violation.rule is rule]
    assert found
    assert system is None or system in {violation.system_key for violation in found}


def test_every_rule_has_a_test() -> None:
    tested = {
        *(rule for _, _, rule, _ in SPOILS),
        *(
            PlanRule.ZONE,
            PlanRule.PROTECTION_LEVEL,
            PlanRule.ARCHITECTURE,
            PlanRule.ACCELERATOR,
            PlanRule.CAPACITY,
        ),
        *(PlanRule.NODE_SIZE, PlanRule.POOL_CLOSED, PlanRule.UNKNOWN_POOL, PlanRule.COPY_VOLUME, PlanRule.FREEZE),
        *(PlanRule.GROUP_SPLIT, PlanRule.ORDER, PlanRule.PILOT_RISK, PlanRule.WINDOW_CAP),
        *LIMIT_RULES,  # tests/waves/test_plan_limits.py
    }
    assert tested == set(PlanRule)


class TestSplitCycles:
    """甲 and 乙 use each other and cannot share a night of one."""

    @pytest.fixture()
    def cyclic(self) -> tuple[WaveProblem, WavePlan]:
        settings = replace(WITHOUT_PILOTS, systems_per_window=1)
        problem = a_problem([a_system("甲", "乙"), a_system("乙", "甲"), a_system("丙", "乙")], settings=settings)
        return problem, plan_waves(problem, 1)

    def test_a_declared_split_inside_a_cycle_is_allowed(self, cyclic: tuple[WaveProblem, WavePlan]) -> None:
        problem, plan = cyclic
        assert len(plan.splits) == 1
        assert check_plan(problem, plan) == ()

    def test_an_undeclared_one_is_not(self, cyclic: tuple[WaveProblem, WavePlan]) -> None:
        problem, plan = cyclic
        (violation,) = check_plan(problem, replace(plan, splits=()))
        assert violation.rule is PlanRule.ORDER and "splits" in violation.message[1]

    def test_declaring_a_dependency_outside_a_cycle_does_not_help(self) -> None:
        settings = replace(WITHOUT_PILOTS, systems_per_window=1)
        problem = a_problem([a_system("甲", "乙"), a_system("乙")], settings=settings)
        plan = plan_waves(problem, 1)
        swap = {each.system_name: each for each in plan.assignments}
        first, second = swap["乙"], swap["甲"]

        def at(each: Assignment, other: Assignment) -> Assignment:
            return replace(each, window_id=other.window_id, wave=other.wave)

        wrong = replace(
            plan,
            assignments=(at(second, first), at(first, second)),
            splits=(SplitDependency(key("甲"), key("乙"), ("拆", "split")),),
        )
        assert [violation.rule for violation in check_plan(problem, wrong)] == [PlanRule.ORDER]

    def test_a_cycle_through_a_move_group_is_one_too(self) -> None:
        """甲 uses 乙; 乙's group mate 丙 uses 甲: the groups use each other though no system is in a cycle."""
        settings = replace(WITHOUT_PILOTS, systems_per_window=2)
        systems = [
            a_system("甲", "乙"),
            a_system("乙", database_instance="库"),
            a_system("丙", "甲", database_instance="库"),
        ]
        problem = a_problem(systems, settings=settings)
        plan = plan_waves(problem, 1)
        assert len(plan.splits) == 1 and len(plan.assignments) == 3
        assert check_plan(problem, plan) == ()


def test_an_empty_plan_misses_everyone(problem: WaveProblem, plan: WavePlan) -> None:
    empty = replace(plan, assignments=(), windows=(), unplaced=())
    found = check_plan(problem, empty)
    assert [violation.rule for violation in found] == [PlanRule.MISSING_SYSTEM] * 6
    assert {violation.system_key for violation in found} == {item.key for item in problem.items}


def test_cards_on_hosts_of_another_architecture_do_not_count() -> None:
    problem = a_problem(
        [a_system("识别", gpu=cards("昇腾910B", 1), arch=X86)],
        [a_pool("mixed", nodes("x", 4), nodes("train", 4, ARM, "Ascend910B"))],
    )
    plan = plan_waves(problem, 1)
    (left,) = plan.unplaced
    assert left.rule is UnplacedRule.NO_POOL
    item: Item = problem.items[0]
    pool: PoolSlot = problem.pools[0]
    window = problem.windows[0].window
    forced = replace(
        plan,
        windows=(window,),
        unplaced=(),
        assignments=(
            Assignment(item.key, item.name, 1, window.window_id, pool.pool_id, item.group, *[("", "")] * 3),
        ),
    )
    rules = {violation.rule for violation in check_plan(problem, forced)}
    assert PlanRule.ACCELERATOR in rules
