"""When does each pool saturate if demand grows? The scenario simulated at the demand of later and later days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simulations.metrics.result import Result
from simulations.metrics.statistics import Estimate
from simulations.questions.asking import Ask, only_capacity, over_seeds
from simulations.scenarios.cell import cells
from simulations.scenarios.form import Scenario

YEAR = 365


@dataclass(frozen=True, slots=True)
class GrowthPlan:
    """Demand on day d is (1 + `yearly`)^(d / 365) of today's; days up to `days` are looked at, `every` so many.

    A pool is saturated when its dominant share (the largest allocated share of CPU, memory or cards) is at
    `threshold` or above for at least a twentieth of the time.
    """

    yearly: float
    days: int = 3 * YEAR
    every: int = 91
    threshold: float = 0.95


@dataclass(frozen=True, slots=True)
class DemandLevel:
    """What the simulation of one day's demand says. `loads` by pool: the p95 over time of its dominant share, mean
    of the seeds."""

    day: int
    demand: float
    loads: dict[str, float]
    waiting: Estimate | None


@dataclass(frozen=True, slots=True)
class Saturation:
    """`days` by pool: the first day (interpolated between levels) on which it is saturated; None: not by the end."""

    days: dict[str, int | None]
    levels: tuple[DemandLevel, ...]


def saturation(scenario: Scenario, folder: Path, version: str, ask: Ask, plan: GrowthPlan) -> Saturation:
    """One trace, capacity, policy and failure model; the trace stands for a typical day, week or month of today.

    Work that finds a pool full goes where the policy sends it, so one pool's saturation moves load to the others,
    as it would. Ends early when all pools are saturated. Raises ValueError for several capacities or traces.
    """
    _, capacity = only_capacity(scenario)
    pools = [one.pool.pool_id for one in capacity.plans(folder)]
    ((trace, form),) = scenario.traces.items()
    levels: list[DemandLevel] = []
    for day in range(0, plan.days + 1, plan.every):
        demand = (1 + plan.yearly) ** (day / YEAR)
        grown = {f"{trace}-day{day}": form.model_copy(update={"demand": form.demand * demand})}
        asked = scenario.model_copy(update={"traces": grown})
        results = ask(list(cells(asked, str(folder), version, counts_unplaceable=True)))
        loads = {pool: _load(results, pool) for pool in pools}
        levels.append(DemandLevel(day, demand, loads, over_seeds(results, "wait_p95")))
        if all(load >= plan.threshold for load in loads.values()):
            break
    return Saturation({pool: _first_day(levels, pool, plan.threshold) for pool in pools}, tuple(levels))


def _load(results: Sequence[Result], pool: str) -> float:
    """The p95 over the moments of the curve, mean of the seeds."""
    peaks = [np.quantile(result.measures.curves.values[f"pool.{pool}"], 0.95) for result in results]
    return float(np.mean(peaks))


def _first_day(levels: Sequence[DemandLevel], pool: str, threshold: float) -> int | None:
    before: DemandLevel | None = None
    for level in levels:
        load = level.loads[pool]
        if load >= threshold:
            if before is None:
                return level.day
            rise = load - before.loads[pool]
            part = (threshold - before.loads[pool]) / rise if rise > 0 else 1.0
            return round(before.day + part * (level.day - before.day))
        before = level
    return None
