"""Fragmentation as the engine samples it: worked out by hand, and only where there are cards and jobs still come."""

from __future__ import annotations

import numpy as np
import pytest

from inventory.model.units import GIB, Resources
from inventory.model.workload import Requirements
from scheduler.core.placement.protocol import Shape
from simulations.engine.sampling import SAMPLES
from simulations.engine.simulation import SimulationInput, simulate
from simulations.engine.site import PoolPlan
from simulations.metrics.measure import measure
from simulations.scenarios.capacity import PoolForm
from simulations.traces.trace import Trace, TraceColumns, strings
from tests.simulations.small_logs import a_pool, policy

CARDS = {"id": "p", "nodes": [{"count": 1, "cpu": 10, "memory": "1Ti", "accelerator": "A800", "cards": 2}]}


def trace(*jobs: tuple[float, int]) -> Trace:
    """Jobs of an hour as (second of arrival, milli-cards)."""
    sizes = sorted({milli for _, milli in jobs})
    return Trace.of(
        "cards",
        TraceColumns(
            job_ids=strings([f"j{i}" for i in range(len(jobs))]),
            submitted_ms=np.array([round(1000 * at) for at, _ in jobs], dtype=np.int64),
            runtime_ms=np.full(len(jobs), 3_600_000, dtype=np.int64),
            shape=np.array([sizes.index(milli) for _, milli in jobs], dtype=np.int32),
            shapes=[Shape(Requirements(Resources(1000, GIB, 0, milli))) for milli in sizes],
        ),
    )


def card_pool() -> PoolPlan:
    return PoolPlan.plain(PoolForm.model_validate(CARDS).pool())


def test_what_typical_tasks_cannot_use_is_a_part_of_what_is_offered() -> None:
    """600 of the first card is taken. The other 400 is too little for another 600; two whole cards are not left."""
    outcome = simulate(trace((0, 600), (0, 2000)), SimulationInput((card_pool(),)), policy())
    samples = outcome.fragmentation
    assert samples is not None
    assert (samples.at_ms.tolist(), samples.offered_milli.tolist()) == ([0], [2000])
    assert samples.stranded_milli.tolist() == [(400 + 1400) / 2]
    assert measure(outcome).metrics["fragmentation"] == pytest.approx(900 / 2000)


def test_samples_are_few_and_end_with_the_last_arrival() -> None:
    jobs = [(10.0 * i, 500) for i in range(300)]
    samples = simulate(trace(*jobs), SimulationInput((card_pool(),)), policy()).fragmentation
    assert samples is not None
    assert SAMPLES / 2 <= len(samples.at_ms) <= SAMPLES + 1
    assert samples.at_ms.max() <= 2990 * 1000 and (np.diff(samples.at_ms) > 0).all()


def test_pools_without_cards_are_not_sampled() -> None:
    outcome = simulate(trace((0, 0)), SimulationInput((a_pool(),)), policy())
    assert outcome.fragmentation is None
    assert "fragmentation" not in measure(outcome).metrics
