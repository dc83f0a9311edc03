"""Energy, carbon and money of a simulation, pool by pool. Called by `measure`.

Electricity follows the power model of `PoolPower`; its price and the grid's carbon intensity are integrated exactly
over the times at which power was drawn. The charge follows the pools' own price lists: what is held is paid.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from simulations.engine.outcome import Outcome
from simulations.metrics.power import PoolPower
from simulations.metrics.usage import ACCELERATOR, CPU, HOUR_MS, MILLI, Usage, step_ends
from simulations.series import StepSeries

Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]

KWH = 3.6e9  # watt-milliseconds
GRAM_TO_KG = 1e-3


def charges(outcome: Outcome, used: Usage) -> Floats:
    """CNY by pool (p): vCPU hours and card hours that runs held, at the pool's price an hour."""
    prices = [(pool.vcpu_hour_cny, pool.card_hour_cny or 0.0) for pool in outcome.pools]
    hours = used.held[:, [CPU, ACCELERATOR]] / MILLI / HOUR_MS
    return np.asarray((hours * np.array(prices, dtype=np.float64).reshape(-1, 2)).sum(axis=1))


def energy(outcome: Outcome, used: Usage, powers: Sequence[PoolPower]) -> Floats:
    """By pool (p, 3): kWh, CNY of electricity, kg of CO2."""
    found = np.zeros((len(outcome.pools), 3))
    ends = step_ends(outcome)
    for pool, power in enumerate(powers):
        steps = outcome.capacity.pool == pool
        mine = outcome.runs.pool == pool
        watts = power.pue * np.concatenate(
            (
                outcome.capacity.nodes[steps] * power.idle_watts,
                (used.need[mine, CPU] * power.vcpu_watts + used.need[mine, ACCELERATOR] * power.card_watts)
                / MILLI,
            )
        )
        begin = np.concatenate((outcome.capacity.at_ms[steps], outcome.runs.started_ms[mine]))
        end = np.concatenate((ends[steps], outcome.runs.ended_ms[mine]))
        one = StepSeries.constant(1.0)
        found[pool] = [
            float((watts * _between(series, begin, end)).sum()) / KWH
            for series in (one, power.price_kwh, power.carbon)
        ]
    found[:, 2] *= GRAM_TO_KG
    return found


def _between(series: StepSeries, begin: Int64s, end: Int64s) -> Floats:
    return series.integral(end) - series.integral(begin)
