"""Small estates in the file form, in words: `an_estate(a_row("甲"), ...)`."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from scheduler.core.waves.check import PlanRule
from scheduler.core.waves.estate_file import estate_problem, read_estate
from scheduler.core.waves.problem import WaveProblem

LIMIT_RULES = frozenset(
    {
        PlanRule.TOO_EARLY,
        PlanRule.DEADLINE,
        PlanRule.PIN,
        PlanRule.WINDOW_LENGTH,
        PlanRule.TEAM_MISSING,
        PlanRule.TEAM_UNKNOWN,
        PlanRule.TEAM_SKILL,
        PlanRule.TEAM_ABSENT,
        PlanRule.TEAM_TIME,
        PlanRule.LINK_VOLUME,
        PlanRule.CONCURRENCY,
        PlanRule.BUDGET,
    }
)
# Four Fridays of March 2026.
NIGHTS = ("2026-03-06", "2026-03-13", "2026-03-20", "2026-03-27")


def window(number: int) -> str:
    """The id of the n-th window, from 0."""
    return f"W{NIGHTS[number]}"


def a_row(key: str, *uses: str, **changes: Any) -> dict[str, Any]:
    plain = {"id": key, "owner": "示例局", "zone": "政务外网", "vcpu": 4, "memory_gb": 8, "uses": list(uses)}
    return {**plain, **changes}


def an_estate(*systems: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Four windows of two systems, of eight hours unless `hours` says otherwise; one pool with room for everything."""
    hours = changes.pop("hours", (8, 8, 8, 8))
    calendar = {
        "starts_on": "2026-03-02",
        "weeks": 4,
        "systems_per_window": changes.pop("cap", 2),
        "windows": [
            {
                "id": f"W{day}",
                "starts": f"{day}T22:00:00",
                "ends": datetime.fromisoformat(day) + timedelta(hours=22 + long),
            }
            for day, long in zip(NIGHTS, hours, strict=True)
        ],
    }
    plain: dict[str, Any] = {
        "version": 1,
        "calendar": calendar,
        "pools": [a_pool_row("池")],
        "systems": list(systems),
    }
    return {**plain, **changes}


def a_pool_row(name: str, **changes: Any) -> dict[str, Any]:
    hosts = [{"architecture": "x86_64", "vcpu": 1000, "memory_gb": 4000}]
    return {"id": name, "zones": ["政务外网"], "hosts": hosts, "disk_gb": 10_000, **changes}


def a_team(name: str, *skills: str, **changes: Any) -> dict[str, Any]:
    return {"id": name, "skills": list(skills), "people": 1, **changes}


def problem_of(estate: dict[str, Any]) -> WaveProblem:
    return estate_problem(read_estate(json.dumps(estate, default=lambda each: each.isoformat())))
