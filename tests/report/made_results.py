"""Results as a portfolio would leave them, made up so that the answer is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simulations.metrics.moments import COUNT
from simulations.metrics.result import Curves, Label, Measures, Provenance, Result

LUCK = (0.0, 30.0, -20.0, 10.0, -5.0, 15.0)  # of the seeds: the same for all policies


def a_result(policy: str, seed: int, wait_s: float, capacity: str = "today", **metrics: float) -> Result:
    at = (np.arange(COUNT) * 2 + 1) * 1_000_000
    measured = {
        "jobs": 100.0,
        "wait_mean": wait_s,
        "wait_p50": wait_s / 3,
        "wait_p95": wait_s * 4,
        "wait_p99": wait_s * 6,
        "slowdown_mean": 1 + wait_s / 100,
        "allocation_cpu": 0.8,
        "utilisation_cpu": 0.8,
        "wasted_core_hours": 0.0,
        "charge_cny": 1000 + 10 * len(policy),
    } | metrics
    curves = {"waiting.jobs": np.linspace(10, 0, COUNT), "allocated.cpu": np.full(COUNT, 0.8)}
    return Result(
        Label("month", capacity, "none", policy, seed),
        Provenance("排队对比 <b>", "a" * 64, "b" * 64, "0.1.0+abc"),
        Measures(
            measured, {"pool-1": {"allocation_cpu": 0.7}, "pool-2": {"allocation_cpu": 0.9}}, Curves(at, curves)
        ),
        ("month: 3 rows skipped",),
    )


def results(waits: dict[str, float], seeds: Sequence[int] = range(6), capacity: str = "today") -> list[Result]:
    """Each policy's waiting time, with the luck of the seed and a little of its own."""
    return [
        a_result(policy, seed, wait + LUCK[seed] + 0.5 * ((seed * 7 + len(policy)) % 3), capacity)
        for policy, wait in waits.items()
        for seed in seeds
    ]
