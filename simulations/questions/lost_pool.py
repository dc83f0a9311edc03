"""What if a pool is lost? The N-1 table: the scenario as it is, and once more without each of its pools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from simulations.metrics.result import Result
from simulations.metrics.statistics import Estimate, paired_difference
from simulations.questions.asking import Ask, by_seed, only_capacity, over_seeds
from simulations.scenarios.cell import cells
from simulations.scenarios.form import Scenario

METRICS = ("jobs_unplaceable", "jobs_unstarted", "wait_mean", "wait_p95", "slowdown_p95")
ALL_PRESENT = ""


@dataclass(frozen=True, slots=True)
class PoolLoss:
    """`pool_id` is lost from the beginning on ("" for none). `differences` from nothing lost, seed by seed."""

    pool_id: str
    values: dict[str, Estimate]
    differences: dict[str, Estimate]


def lose_each_pool(scenario: Scenario, folder: Path, version: str, ask: Ask) -> list[PoolLoss]:
    """The first row is the scenario as it is. The scenario has one trace, capacity, policy and failure model.

    Jobs that fit into none of the remaining pools are counted, not refused: they are part of the answer.
    Raises ValueError for a scenario of a single pool, or several capacities.
    """
    name, capacity = only_capacity(scenario)
    pools = [plan.pool.pool_id for plan in capacity.plans(folder)]
    if len(pools) < 2:
        raise ValueError(
            f"容量 {name} 只有一个池 {pools[0]}，没有可失去的；请用至少两个池的场景"
            f" / capacity {name} has the one pool {pools[0]}; take a scenario with at least two"
        )
    variants = {ALL_PRESENT: capacity} | {
        pool: capacity.model_copy(update={"without": (*capacity.without, pool)}) for pool in pools
    }
    names = {pool: name if pool == ALL_PRESENT else f"{name}-without-{pool}" for pool in variants}
    asked = scenario.model_copy(update={"capacities": {names[pool]: form for pool, form in variants.items()}})
    results = ask(list(cells(asked, str(folder), version, counts_unplaceable=True)))
    mine = {pool: [one for one in results if one.label.capacity == names[pool]] for pool in variants}
    return [_row(pool, mine[pool], mine[ALL_PRESENT]) for pool in variants]


def _row(pool: str, mine: Sequence[Result], base: Sequence[Result]) -> PoolLoss:
    values = {metric: over_seeds(mine, metric) for metric in METRICS}
    differences = {
        metric: None if pool == ALL_PRESENT else paired_difference(by_seed(base, metric), by_seed(mine, metric))
        for metric in METRICS
    }
    return PoolLoss(
        pool,
        {metric: value for metric, value in values.items() if value is not None},
        {metric: value for metric, value in differences.items() if value is not None},
    )
