"""From an outcome to its measures. The portfolio calls `measure` once a run; the parts stand in files of their own.

Every number is defined in the docstring of the function that computes it and listed in `definitions.METRICS`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from simulations.engine.outcome import DIMENSIONS, Outcome
from simulations.metrics.accounts import charges, energy
from simulations.metrics.fairness import Shares, fairness_measures, queue_shares, share_deviation
from simulations.metrics.fragmentation import fragmentation_measures
from simulations.metrics.jobs import NEVER, JobTimes, job_measures, job_times
from simulations.metrics.moments import COUNT, Moments
from simulations.metrics.power import PoolPower
from simulations.metrics.result import Curves, Measures
from simulations.metrics.usage import NAMED, Usage, pool_usage, usage, usage_measures

Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]


def measure(
    outcome: Outcome,
    powers: Sequence[PoolPower] | None = None,
) -> Measures:
    """All metrics of one simulated run.

    `powers`: one a pool of the outcome; None leaves out energy, electricity and carbon. Raises ValueError where powers
    and pools differ in number.
    """
    if powers is not None and len(powers) != len(outcome.pools):
        raise ValueError(f"{len(powers)} power models for {len(outcome.pools)} pools")
    times, used = job_times(outcome), usage(outcome)
    moments = Moments.of(outcome.began_ms, outcome.ended_ms)
    offered = _offered_at(outcome, moments)
    shares = queue_shares(outcome, used, times, offered.sum(axis=0), moments)
    pools = [pool_usage(used, number) for number in range(len(outcome.pools))]
    metrics = job_measures(outcome, times) | usage_measures(outcome, used) | fairness_measures(shares)
    metrics |= fragmentation_measures(outcome.fragmentation)
    metrics["charge_cny"] = _share_out(pools, "charge_cny", charges(outcome, used))
    if powers is not None:
        accounts = energy(outcome, used, powers)
        for column, name in enumerate(("energy_kwh", "electricity_cny", "carbon_kg")):
            metrics[name] = _share_out(pools, name, accounts[:, column])
    for number, mine in enumerate(pools):
        mine["runs"] = float((outcome.runs.pool == number).sum())
    names = [pool.pool_id for pool in outcome.pools]
    curves = _curves(outcome, used, times, shares, (moments, offered))
    return Measures(metrics, dict(zip(names, pools, strict=True)), curves)


def _share_out(pools: Sequence[dict[str, float]], name: str, amounts: Floats) -> float:
    """Writes each pool's amount; returns the sum."""
    for mine, amount in zip(pools, amounts.tolist(), strict=True):
        mine[name] = amount
    return float(amounts.sum())


def _offered_at(outcome: Outcome, moments: Moments) -> Floats:
    """What each pool offers at each moment (p, 4, COUNT)."""
    steps = outcome.capacity
    offered = np.zeros((len(outcome.pools), DIMENSIONS, COUNT))
    for pool in range(len(outcome.pools)):
        mine = steps.pool == pool
        for i in range(DIMENSIONS):
            offered[pool, i] = moments.stepped(steps.at_ms[mine], steps.offered[mine, i].astype(np.float64))
    return offered


def _curves(
    outcome: Outcome, used: Usage, times: JobTimes, shares: Shares, sampled: tuple[Moments, Floats]
) -> Curves:
    moments, offered = sampled
    runs, pools = outcome.runs, len(outcome.pools)
    held = {
        i: moments.covered_by_row(runs.started_ms, runs.ended_ms, used.need[:, i], runs.pool, pools)
        for i in NAMED.values()
    }
    begun = np.where(times.first_start_ms == NEVER, outcome.ended_ms, times.first_start_ms)[times.counts]
    come = outcome.trace.submitted_ms[times.counts]
    waiting = moments.covered(come, begun, np.ones(len(come), dtype=np.int64))
    values: dict[str, Floats] = {"waiting.jobs": waiting.astype(np.float64)}
    for resource, i in NAMED.items():
        if offered[:, i].any():
            values[f"allocated.{resource}"] = _part(held[i].sum(axis=0), offered[:, i].sum(axis=0))
    if shares.contested.any():
        values["deviation"] = share_deviation(shares)
    for number, pool in enumerate(outcome.pools):
        parts = [_part(held[i][number], offered[number, i]) for i in NAMED.values()]
        values[f"pool.{pool.pool_id}"] = np.max(parts, axis=0)
    return Curves(moments.at_ms, values)


def _part(held: Int64s, offered: Floats) -> Floats:
    """held / offered; 0 where nothing is offered."""
    return np.divide(held, offered, out=np.zeros(COUNT), where=offered > 0)
