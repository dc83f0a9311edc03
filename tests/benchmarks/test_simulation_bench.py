"""How fast the engine simulates: 200 shapes at a load of 0.9, with queueing, backfill over 100 waiting, departures.

Run with `make bench`, or `pytest tests/benchmarks/test_simulation_bench.py --benchmark-only -s -k million`. One cycle in
thirty seconds of virtual time; jobs last an hour on average; estimates are one to three times too long.
"""

from __future__ import annotations

import resource
from typing import Any

import numpy as np
import pytest

from inventory.model.units import GIB, Resources
from inventory.model.workload import Requirements
from scheduler.core.placement.protocol import Shape
from simulations.engine.outcome import Outcome
from simulations.engine.simulation import EngineSettings, SimulationInput, simulate
from simulations.engine.site import PoolPlan
from simulations.scenarios.capacity import PoolForm
from simulations.scenarios.policy import PolicyForm
from simulations.traces.trace import Trace, TraceColumns, strings
from tests.benchmarks.rates import Work, naive_scans_per_second, report_rate

SHAPES, LOAD = 200, 0.9
CPUS, MEMORY_GIB = 96, 384


def stress(jobs: int, nodes: int) -> Trace:
    dice = np.random.default_rng(1)
    asked = [(int(dice.integers(1, 33)), int(dice.integers(1, 129))) for _ in range(SHAPES)]
    shapes = [Shape(Requirements(Resources(cpus * 1000, gib * GIB))) for cpus, gib in asked]
    shape = dice.integers(0, SHAPES, jobs).astype(np.int32)
    runtime = (dice.exponential(3_600_000, jobs) + 1000).astype(np.int64)
    needs = np.array(asked, dtype=np.float64)[shape] * runtime[:, None]
    span = (needs.sum(axis=0) / (nodes * np.array([CPUS, MEMORY_GIB]))).max() / LOAD
    return Trace.of(
        "stress",
        TraceColumns(
            job_ids=strings([f"j{i}" for i in range(jobs)]),
            submitted_ms=np.sort(dice.integers(0, int(span), jobs)).astype(np.int64),
            runtime_ms=runtime,
            estimate_ms=(runtime * dice.uniform(1, 3, jobs)).astype(np.int64),
            shape=shape,
            shapes=shapes,
        ),
    )


@pytest.mark.parametrize(
    ("jobs", "nodes"), [(50_000, 600), (1_000_000, 10_000)], ids=["fifty-thousand", "million"]
)
@pytest.mark.benchmark(group="simulation")
def test_a_stress_trace_at_a_load_of_nine_tenths(benchmark: Any, jobs: int, nodes: int) -> None:
    trace = stress(jobs, nodes)
    group = {"count": nodes, "cpu": CPUS, "memory": f"{MEMORY_GIB}Gi"}
    given = SimulationInput((PoolPlan.plain(PoolForm.model_validate({"id": "p", "nodes": [group]}).pool()),))
    settings = EngineSettings(PolicyForm(window=100).settings(seed=0), granularity_ms=30_000)
    simulate(stress(100, nodes), given, settings)  # compiles or loads the kernels
    outcome: Outcome = benchmark.pedantic(lambda: simulate(trace, given, settings), rounds=1)
    assert (outcome.runs.ending == 0).sum() == jobs
    scan = naive_scans_per_second(np.full((2, nodes), CPUS * 1000), (16_000, 16_000), scans=100)
    floor = jobs // 120 if jobs == 1_000_000 else None  # in under 120 s
    report_rate(benchmark, Work(f"simulation, {jobs:,} jobs, {nodes:,} nodes", jobs, scan, floor))
    benchmark.extra_info["cycles"] = outcome.cycles
    benchmark.extra_info["peak_gib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
