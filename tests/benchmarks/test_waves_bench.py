"""How long a large plan takes: 1,000 systems, 4,000 dependencies, 8 pools, 52 weeks. Run with `make bench`."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from inventory.freezes import read_operations_calendar
from inventory.model.migration import WaveSettings
from inventory.model.pool import Pool
from inventory.model.system import Architecture, System, Zone
from inventory.model.units import TIB
from scheduler.core.budget import Budget
from scheduler.core.waves.check import check_plan
from scheduler.core.waves.estate import build_problem
from scheduler.core.waves.estate_file import estate_problem
from scheduler.core.waves.greedy import plan_waves
from scheduler.core.waves.problem import WaveProblem
from scheduler.core.waves.solve import solve
from simulations.estates import EstateShape, realistic_estate
from tests.waves.estates import A_MONDAY, a_pool, a_system, nodes

SETTINGS = WaveSettings(starts_on=A_MONDAY, systems_per_window=20)
X86, C86, ARM = Architecture.X86_64, Architecture.C86, Architecture.ARM64


def large_estate(tangled: bool) -> tuple[list[System], list[Pool]]:
    """`tangled`: dependencies run anywhere, so that most systems are in one cycle; otherwise they run in layers,
    but for one in a hundred. Every tenth system shares a database with another."""
    chance = random.Random(2026)
    uses: dict[int, set[str]] = {number: set() for number in range(1000)}
    left = 4000
    while left:
        user, used = chance.sample(range(1000), k=2)
        if user < used and not tangled and chance.random() > 0.01:
            user, used = used, user
        if f"系统{used:04}" not in uses[user]:
            uses[user].add(f"系统{used:04}")
            left -= 1
    systems = [
        a_system(
            f"系统{number:04}",
            *sorted(uses[number]),
            zone=chance.choice([Zone.EXTRANET, Zone.EXTRANET, Zone.INTERNET]),
            arch=chance.choice([X86, C86, ARM]),
            vcpu=chance.choice([2, 4, 8, 16, 32]),
            mlps=chance.choice(["none", "1", "2", "3"]),
            users=chance.choice([0, 50, 5000, 90_000]),
            database_instance=f"库{number // 2 % 50}" if number % 20 < 2 else None,
        )
        for number in range(1000)
    ]
    pools = [
        a_pool(
            f"pool-{number}",
            nodes("x", 60),
            nodes("a", 60, ARM),
            disk_bytes=100 * TIB,
            vcpu_hour_cny=0.05 + number / 100,
            one_way_ms=0.6 + number,
        )
        for number in range(8)
    ]
    return systems, pools


def a_large_problem(tangled: bool) -> WaveProblem:
    systems, pools = large_estate(tangled)
    calendar = read_operations_calendar(SETTINGS.starts_on, SETTINGS.horizon_weeks)
    return build_problem(systems, pools, calendar, SETTINGS)


@pytest.mark.parametrize("tangled", [False, True], ids=["in layers", "one tangle"])
def test_planning_a_thousand_systems(benchmark: Callable[..., Any], tangled: bool) -> None:
    problem = a_large_problem(tangled)
    assert len(problem.items) == 1000 and len(problem.windows) > 100
    plan = benchmark(plan_waves, problem, 1)
    assert len(plan.assignments) > 900
    assert check_plan(problem, plan) == ()


def test_building_the_problem_of_a_thousand_systems(benchmark: Callable[..., Any]) -> None:
    systems, pools = large_estate(tangled=True)
    calendar = read_operations_calendar(SETTINGS.starts_on, SETTINGS.horizon_weeks)
    problem = benchmark(build_problem, systems, pools, calendar, SETTINGS)
    assert len(problem.items) == 1000


def test_checking_a_plan_of_a_thousand_systems(benchmark: Callable[..., Any]) -> None:
    problem = a_large_problem(tangled=True)
    plan = plan_waves(problem, 1)
    assert benchmark(check_plan, problem, plan) == ()


@pytest.mark.parametrize(
    ("shape", "effort"),
    [(EstateShape(127, 300, 3), 2.0), (EstateShape(1000, 4000, 8), 30.0)],
    ids=["127 systems", "1,000 systems"],
)
def test_solving_an_estate(benchmark: Callable[..., Any], shape: EstateShape, effort: float) -> None:
    problem = estate_problem(realistic_estate(shape, 1))
    plan = benchmark.pedantic(solve, (problem, 1, Budget(effort=effort)), rounds=1)  # type: ignore[attr-defined]  # the fixture
    assert check_plan(problem, plan) == ()
    benchmark.extra_info["gap"] = plan.measure.gap  # type: ignore[attr-defined]  # the fixture
