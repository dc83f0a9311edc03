"""Estates built backwards from a perfect packing: every night's people are busy to the last minute, so the finish is known."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

import pytest

from scheduler.core.budget import Budget
from scheduler.core.waves.check import check_plan
from scheduler.core.waves.solve import solve
from tests.waves.estate_files import a_pool_row, a_team, problem_of

SKILLS = ("网络", "应用")
NIGHT = 480


def pieces(chance: random.Random) -> list[int]:
    """Minutes in half hours that fill a night of one person."""
    cuts = sorted(chance.sample(range(2, NIGHT // 30 - 1), k=chance.randint(1, 2)))
    return [30 * (later - earlier) for earlier, later in zip([0, *cuts], [*cuts, NIGHT // 30], strict=True)]


def packed_estate(nights: int, seed: int) -> tuple[dict[str, Any], str]:
    """An estate, and the window before which it cannot end, because there are no more minutes. A freeze in the middle
    holds for one tag alone, whose systems the hidden plan has elsewhere; what it has later uses what it has earlier."""
    chance = random.Random(seed)
    fridays = [date(2026, 3, 6) + timedelta(weeks=number) for number in range(nights + 3)]
    hidden: list[tuple[int, dict[str, Any]]] = []
    for night in range(nights):
        for skill in SKILLS:
            for minutes in pieces(chance):
                earlier = [row["id"] for at, row in hidden if at < night]
                row = {
                    "id": f"{skill}{len(hidden):03}",
                    "owner": "示例局",
                    "zone": "政务外网",
                    "vcpu": 2,
                    "memory_gb": 4,
                    "skill": skill,
                    "minutes": minutes,
                    "uses": sorted(chance.sample(earlier, k=min(len(earlier), chance.randint(0, 2)))),
                    "tags": ["月结"] if night != nights // 2 and chance.random() < 0.3 else [],
                }
                hidden.append((night, row))
    rows = [row for _, row in hidden]
    chance.shuffle(rows)
    held = fridays[nights // 2]
    estate = {
        "version": 1,
        "calendar": {
            "starts_on": "2026-03-02",
            "weeks": nights + 4,
            "systems_per_window": 6,
            "windows": [
                {"id": f"W{day}", "starts": f"{day}T22:00:00", "ends": f"{day + timedelta(days=1)}T06:00:00"}
                for day in fridays
            ],
        },
        "freezes": [{"name": "月结", "first": str(held), "last": str(held + timedelta(days=1)), "tags": ["月结"]}],
        "pools": [a_pool_row("池")],
        "teams": [a_team(f"{skill}组", skill) for skill in SKILLS],
        "systems": rows,
    }
    return estate, f"W{fridays[nights - 1]}"


@pytest.mark.parametrize("seed", range(1, 4))
def test_a_perfect_packing_is_found_again_and_proven(seed: int) -> None:
    estate, last = packed_estate(6, seed)
    problem = problem_of(estate)
    plan = solve(problem, 1, Budget(effort=1.5))
    assert check_plan(problem, plan) == () and not plan.unplaced
    assert plan.windows[-1].window_id == last
    assert plan.measure is not None and plan.measure.gap == 0
