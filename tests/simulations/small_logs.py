"""Small logs and the pools that they run on, for tests of the engine: jobs in seconds and processors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inventory.model.units import GIB, Resources
from inventory.model.workload import Requirements
from scheduler.core.placement.protocol import Shape
from simulations.engine.outcome import Outcome
from simulations.engine.simulation import EngineSettings, SimulationInput, simulate
from simulations.engine.site import PoolPlan
from simulations.scenarios.capacity import PoolForm
from simulations.scenarios.policy import PolicyForm
from simulations.traces.trace import Trace, TraceColumns, strings


@dataclass(frozen=True)
class Job:
    """One line of a log. `estimate` 0: none given; `tasks` equal tasks of `cpus` each."""

    name: str
    at: float
    cpus: float
    runs: float
    estimate: float = 0
    queue: str = "default"
    priority: int = 0
    tasks: int = 1
    pools: frozenset[str] = frozenset()


def log(*jobs: Job) -> Trace:
    queues = list(dict.fromkeys(job.queue for job in jobs)) or ["default"]
    shapes = [
        Shape(Requirements(Resources(round(job.cpus * 1000), GIB), job.tasks, pools=job.pools)) for job in jobs
    ]

    def seconds(values: Sequence[float]) -> np.ndarray:
        return np.array([round(value * 1000) for value in values], dtype=np.int64)

    return Trace.of(
        "log",
        TraceColumns(
            job_ids=strings([job.name for job in jobs]),
            submitted_ms=seconds([job.at for job in jobs]),
            runtime_ms=seconds([job.runs for job in jobs]),
            estimate_ms=seconds([job.estimate for job in jobs]),
            shape=np.arange(len(jobs), dtype=np.int32),
            shapes=shapes,
            queue=np.array([queues.index(job.queue) for job in jobs], dtype=np.int32),
            queues=queues,
            priority=np.array([job.priority for job in jobs], dtype=np.int32),
        ),
    )


def a_pool(pool_id: str = "pool", nodes: int = 1, cpus: int = 10, **changes: object) -> PoolPlan:
    """`nodes` equal nodes of so many processors and plenty of memory."""
    group = {"count": nodes, "cpu": cpus, "memory": "1Ti"}
    return PoolPlan.plain(PoolForm.model_validate({"id": pool_id, "nodes": [group], **changes}).pool())


def policy(**fields: object) -> EngineSettings:
    """Textbook settings: room is kept for the first that waits at once, and a cycle follows every event."""
    return EngineSettings(PolicyForm.model_validate(fields).settings(seed=0))


def run(trace: Trace, *pools: PoolPlan, settings: EngineSettings | None = None, **more: object) -> Outcome:
    given = SimulationInput(pools or (a_pool(),), **more)  # type: ignore[arg-type]  # fields of SimulationInput
    return simulate(trace, given, settings or policy())


def starts(outcome: Outcome) -> dict[str, float]:
    """When each job first began, in seconds."""
    first: dict[str, float] = {}
    for job, started in zip(outcome.runs.job.tolist(), outcome.runs.started_ms.tolist(), strict=True):
        first.setdefault(outcome.trace.job_ids[job], started / 1000)
    return first


def endings(outcome: Outcome) -> list[tuple[str, float, float, int]]:
    """Every run: job, start and end in seconds, and the `Ending`, in the order in which they began."""
    runs = outcome.runs
    columns = (runs.job, runs.started_ms, runs.ended_ms, runs.ending)
    return [
        (outcome.trace.job_ids[job], start / 1000, end / 1000, ending)
        for job, start, end, ending in zip(*(column.tolist() for column in columns), strict=True)
    ]
