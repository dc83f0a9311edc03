"""Estates that contradict themselves are refused with the rule and the name before anything is solved."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scheduler.core.waves.estate_file import read_estate
from scheduler.core.waves.estate_rules import EstateError
from tests.waves.estate_files import a_pool_row, a_row, a_team, an_estate, problem_of, window


def weekends(**changes: Any) -> dict[str, Any]:
    calendar = {"starts_on": "2026-03-02", "weeks": 8, **changes}
    return an_estate(a_row("甲"), calendar=calendar)


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("no owner", an_estate(a_row("甲", owner=" ")), "no_owner", "'甲'"),
    ("an unknown team", an_estate(a_row("甲", team="无")), "unknown_team", "'无'"),
    ("an unknown skill", an_estate(a_row("甲", skill="无")), "unknown_team", "'无'"),
    ("a negative duration", an_estate(a_row("甲", minutes=-5)), "form", "minutes (甲) = -5"),
    (
        "a cutover that outlasts every window",
        an_estate(a_row("甲", minutes=481)),
        "too_long",
        "'甲' is planned to take 481",
    ),
    (
        "a cutover that outlasts every window too often",
        an_estate(a_row("甲", minutes=400, minutes_sd=60), max_overrun_pct=5),
        "too_long",
        "planned to take 499 minutes, and the longest window has 480",
    ),
    ("an unknown field", an_estate(a_row("甲", colour="red")), "form", "colour"),
    ("an unknown used system", an_estate(a_row("甲", "乙")), "unknown_system", "'乙'"),
    ("a system that uses itself", an_estate(a_row("甲", "甲")), "unknown_system", "uses itself"),
    ("two systems of one id", an_estate(a_row("甲"), a_row("甲")), "duplicate_id", "'甲'"),
    ("a calendar that ends too early", weekends(known_until="2026-03-20"), "calendar_ends_early", "2026-03-20"),
    ("a calendar without a window", weekends(weeks=1, nights=[0]), "no_window", "no window"),
    (
        "two pins of one system",
        an_estate(a_row("甲"), pins=[{"system": "甲", "window": window(n)} for n in (0, 1)]),
        "contradictory_pins",
        "'甲'",
    ),
    (
        "pins that split a group",
        an_estate(
            a_row("甲", group="库"),
            a_row("乙", group="库"),
            pins=[{"system": "甲", "window": window(0)}, {"system": "乙", "window": window(1)}],
        ),
        "contradictory_pins",
        "'库'",
    ),
    (
        "a pin after the deadline",
        an_estate(a_row("甲", deadline="2026-03-10"), pins=[{"system": "甲", "window": window(2)}]),
        "contradictory_pins",
        "outside its own dates",
    ),
    (
        "a pin to a window that is shorter than the cutover",
        an_estate(a_row("甲", minutes=400), pins=[{"system": "甲", "window": window(1)}], hours=(8, 6, 8, 8)),
        "too_long",
        "which has 360 minutes",
    ),
    (
        "a pin to a window that the calendar does not reach",
        an_estate(a_row("甲"), pins=[{"system": "甲", "window": "W2027-01-01"}]),
        "unknown_window",
        "W2027-01-01",
    ),
    (
        "a pin before what it uses, which is pinned later",
        an_estate(
            a_row("甲", "乙"),
            a_row("乙"),
            pins=[{"system": "甲", "window": window(0)}, {"system": "乙", "window": window(1)}],
        ),
        "contradictory_pins",
        "'甲' is pinned before '乙'",
    ),
    (
        "a pin to nothing",
        an_estate(a_row("甲"), pins=[{"system": "甲"}]),
        "contradictory_pins",
        "neither a window nor a pool",
    ),
    (
        "a system that is ready after the calendar's end",
        an_estate(a_row("甲", earliest="2026-05-01")),
        "calendar_ends_early",
        f"last window {window(3)}",
    ),
    (
        "a team that lacks the skill",
        an_estate(a_row("甲", team="组", skill="网络"), teams=[a_team("组", "应用"), a_team("网", "网络")]),
        "unknown_team",
        "'组', named for system '甲', lacks the skill '网络'",
    ),
    (
        "a deadline before the earliest day",
        an_estate(a_row("甲", earliest="2026-03-20", deadline="2026-03-10")),
        "reversed_dates",
        "'甲'",
    ),
    (
        "a cycle of hard orders",
        an_estate(a_row("甲", uses=[{"system": "乙", "hard": True}]), a_row("乙", "甲")),
        "order_cycle",
        "'甲' -> '乙'",
    ),
    (
        "a link to no pool",
        an_estate(a_row("甲"), links=[{"id": "线", "gbps": 1, "pools": ["无"]}]),
        "unknown_pool",
        "'无'",
    ),
    (
        "an absence that ends before it begins",
        an_estate(a_row("甲"), teams=[a_team("组", away=[{"first": "2026-03-09", "last": "2026-03-08"}])]),
        "reversed_dates",
        "'组'",
    ),
    (
        "two pools of one id",
        an_estate(a_row("甲"), pools=[a_pool_row("池"), a_pool_row("池")]),
        "duplicate_id",
        "'池'",
    ),
]


@pytest.mark.parametrize(
    ("estate", "rule", "says"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_a_contradiction_is_refused_with_rule_and_name(estate: dict[str, Any], rule: str, says: str) -> None:
    with pytest.raises(EstateError) as refusal:
        problem_of(estate)
    assert refusal.value.rule == rule
    assert says in str(refusal.value) and f"[{rule}]" in str(refusal.value)


def test_a_plain_estate_is_taken_and_a_weekend_calendar_knows_holidays_and_makeup_days() -> None:
    problem = problem_of(
        weekends(weeks=2, holidays=["2026-03-12"], nights=[2, 4, 5], makeup_workdays=["2026-03-07"])
    )
    # Thursday the 12th is a holiday, so Wednesday night is a window; Saturday the 7th is worked, so Friday is none.
    assert [slot.window.window_id for slot in problem.windows] == [
        "W2026-03-07",
        "W2026-03-11",
        "W2026-03-13",
        "W2026-03-14",
    ]


def test_one_wrong_entry_is_one_line() -> None:
    with pytest.raises(EstateError) as refusal:
        problem_of(an_estate(a_row("甲", minutes=-5)))
    assert str(refusal.value).splitlines() == [
        "[form] systems.0.minutes (甲) = -5: 不得小于 0 / must be at least 0"
    ]
    with pytest.raises(EstateError) as empty:
        problem_of(an_estate())
    assert "systems = […]: 不得少于 1 项 / must have at least 1 entries" in str(empty.value)


def test_a_name_that_stands_twice_in_one_object_loses_nothing_in_silence() -> None:
    text = json.dumps(an_estate(a_row("甲")), default=lambda each: each.isoformat(), ensure_ascii=False)
    with pytest.raises(EstateError, match="'vcpu' stands twice in one object, at 甲"):
        read_estate(text.replace('"vcpu": 4', '"vcpu": 4, "vcpu": 8', 1))


def test_pins_within_a_cycle_may_split_it() -> None:
    pins = [{"system": "甲", "window": window(0)}, {"system": "乙", "window": window(1)}]
    assert len(problem_of(an_estate(a_row("甲", "乙"), a_row("乙", "甲"), pins=pins)).pins) == 2
