"""What stands in the way of a complete plan: each conflict of a small estate is named as a minimal set, with how far the cheapest
constraint has to give way."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.core.budget import Budget
from scheduler.core.waves.conflicts import find_conflict
from scheduler.core.waves.solve import solve
from tests.waves.estate_files import a_pool_row, a_row, a_team, an_estate, problem_of, window

SMALL = Budget(effort=0.5)
LATER = [{"day": "2026-03-16", "architecture": "x86_64", "vcpu": 1000, "memory_gb": 4000}]


def pinned(*names: str) -> list[dict[str, str]]:
    return [{"system": name, "window": window(1)} for name in names]


CONFLICTS: dict[str, tuple[dict[str, Any], set[str], str]] = {
    "more pinned to a night than it takes": (
        an_estate(a_row("甲"), a_row("乙"), a_row("丙"), pins=pinned("甲", "乙", "丙")),
        {"window_caps", "pin:甲", "pin:乙", "pin:丙"},
        f"例如改到 {window(0)}、池",
    ),
    "more pinned to a night than the team can do": (
        an_estate(
            *(a_row(name, skill="应用", minutes=300) for name in "甲乙"),
            pins=pinned("甲", "乙"),
            teams=[a_team("应用组", "应用")],
        ),
        {"people:应用组", "pin:甲", "pin:乙"},
        f"例如改到 {window(0)}、池",
    ),
    "a lease that ends before any night": (
        an_estate(a_row("甲", deadline="2026-03-05"), a_row("乙")),
        {"deadline:甲"},
        "到 2026-03-07 即可",
    ),
    "a full pool": (
        an_estate(a_row("甲", vcpu=800), a_row("乙", vcpu=800)),
        {"pool:池"},
        "须容纳 x86_64 1600 CPU",
    ),
    "a pool that grows after the leases": (
        an_estate(
            *(a_row(name, vcpu=800, deadline="2026-03-15") for name in "甲乙"),
            pools=[a_pool_row("池", arrivals=LATER)],
        ),
        {"pool:池", "deadline:甲", "deadline:乙"},
        "到 2026-03-21 即可",
    ),
    "a freeze until the lease ends": (
        an_estate(
            a_row("甲", deadline="2026-03-21"),
            freezes=[{"name": "两会", "first": "2026-03-01", "last": "2026-03-21"}],
        ),
        {"freeze:两会:2026-03-01", "deadline:甲"},
        "到 2026-03-28 即可",
    ),
    "a line that is too thin until the lease ends": (
        an_estate(
            a_row("甲", data_gb=9000, deadline="2026-03-15"), links=[{"id": "专线", "gbps": 0.05, "pools": ["池"]}]
        ),
        {"link:专线", "deadline:甲"},
        "到 2026-03-21 即可",
    ),
    "a user that was promised before what it uses is ready": (
        an_estate(
            a_row("乙", "丙"), a_row("丙", earliest="2026-03-20"), pins=[{"system": "乙", "window": window(0)}]
        ),
        {"use:乙:丙", "pin:乙", "earliest:丙"},
        "到 2026-03-06 即可",
    ),
    "a group that no night takes": (
        an_estate(*(a_row(name, group="库") for name in "甲乙丙")),
        {"group:丙", "window_caps"},
        "收 3 个即可",
    ),
    "a budget for one of two": (
        an_estate(*(a_row(name, move_cost_cny=100) for name in "甲乙"), budget_cny=150),
        {"budget"},
        "到 200 元即可",
    ),
    "one vendor's systems, one a night": (
        an_estate(
            *(a_row(name, tags=["厂商"]) for name in "甲乙丙丁戊"), cap=3, concurrency=[{"tag": "厂商", "most": 1}]
        ),
        {"concurrency:厂商"},
        "到 3 个即可",
    ),
    "a night that is long enough only after the lease ends": (
        an_estate(a_row("甲", minutes=360, deadline="2026-03-15"), hours=(5, 4, 8, 8)),
        {"length:甲", "deadline:甲"},
        "到 2026-03-21 即可",
    ),
    "a short night that somebody was promised, with others": (
        an_estate(
            a_row("甲", minutes=400, group="库"),
            a_row("乙", group="库"),
            pins=[{"system": "乙", "window": window(1)}],
            hours=(8, 5, 8, 8),
        ),
        {"length:甲", "pin:乙", "group:乙"},
        f"例如改到 {window(0)}、池",
    ),
    "a crew that is larger than the team": (
        an_estate(a_row("甲", skill="应用", crew=3, minutes=10), teams=[a_team("应用组", "应用")]),
        {"people:应用组"},
        "到 3 人即可",
    ),
}


@pytest.mark.parametrize("case", CONFLICTS)
def test_a_conflict_is_minimal_and_the_cheapest_way_out_says_how_far(case: str) -> None:
    estate, core, cheapest = CONFLICTS[case]
    problem = problem_of(estate)
    plan = solve(problem, 1, SMALL)
    conflict = find_conflict(problem, plan, SMALL)
    assert conflict.is_minimal and {each.name for each in conflict.core} == core
    assert cheapest in conflict.relaxations[0].remedy[0]
    assert all(each.words[0] in conflict.sentence[0] for each in conflict.core)
    assert "" not in {word for each in conflict.relaxations for word in (*each.words, *each.remedy)}


def test_a_search_that_runs_out_of_time_says_so_in_a_short_sentence() -> None:
    deadlines = [a_row(f"系统{number}", deadline="2026-03-07") for number in range(12)]
    problem = problem_of(an_estate(*deadlines))
    plan = solve(problem, 1, SMALL)
    conflict = find_conflict(problem, plan, Budget(clock=lambda: 9.0, ends_at=9.0))
    assert not conflict.is_minimal and len(conflict.core) > 10
    assert "未及缩减" in conflict.sentence[0] and "give more --seconds" in conflict.sentence[1]
    assert len(conflict.sentence[0]) < 300
