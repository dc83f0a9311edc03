"""What a simulation did, as columns: every run, every change of capacity. Metrics and reports read nothing else.

`simulations.engine.simulation` fills an `OutcomeLog` while it runs and closes it into an `Outcome`. Everything that
can be computed afterwards (waiting, utilisation, energy, money) is, from these columns and without loops.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from inventory.model.pool import Pool
from inventory.model.units import Resources
from simulations.traces.trace import Trace

Int8s = npt.NDArray[np.int8]
Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]

DIMENSIONS = 4  # milli-CPU, bytes of memory, bytes of disk, milli-accelerators


class Ending(IntEnum):
    """How a run ended."""

    FINISHED = 0
    PREEMPTED = 1  # by a workload of higher priority
    FAILED = 2  # its node or pool failed
    MAINTAINED = 3  # its node or pool went into maintenance
    CUT = 4  # it still ran when the simulation ended


@dataclass(frozen=True, slots=True, eq=False)
class RunColumns:
    """r runs, in the order in which they started. `job` is a position in the trace; `pool` one in `Outcome.pools`;
    `attempt` counts from 1; `kept_ms` is the part of its work that no later run does again (all of a finished
    run, what was checkpointed of another): ended - started - kept is wasted, except for a cut run."""

    job: Int64s
    attempt: Int32s
    pool: Int32s
    started_ms: Int64s
    ended_ms: Int64s
    kept_ms: Int64s
    ending: Int8s


@dataclass(frozen=True, slots=True, eq=False)
class CapacitySteps:
    """From `at_ms[k]` on, `pool[k]` offers `offered[k]` (k, 4: milli-CPU, memory, disk, milli-accelerators) on
    `nodes[k]` nodes that are up. The first step of each pool is at the beginning."""

    at_ms: Int64s
    pool: Int32s
    nodes: Int32s
    offered: Int64s


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """The whole simulation. Times are virtual milliseconds on the trace's own scale.

    `unplaceable` are positions of jobs that fit into no pool, even an empty one: they were counted and left out.
    A job without a run in `runs` that is not unplaceable still waited at `ended_ms`. `weights` by queue number;
    `cycles` counts scheduling cycles.
    """

    trace: Trace
    pools: tuple[Pool, ...]
    runs: RunColumns
    capacity: CapacitySteps
    weights: tuple[int, ...]
    unplaceable: Int64s
    began_ms: int
    ended_ms: int
    cycles: int


class OutcomeLog:
    """Grows while the simulation runs: 45 bytes a run, no object each."""

    def __init__(self) -> None:
        self._job = array("q")
        self._attempt = array("i")
        self._pool = array("i")
        self._started = array("q")
        self._ended = array("q")
        self._kept = array("q")
        self._ending = array("b")
        self._steps: list[tuple[int, int, int, Resources]] = []

    def start(self, job: int, attempt: int, pool: int, at_ms: int) -> int:
        """Returns the run's number. Until `end` is called it counts as cut."""
        self._job.append(job)
        self._attempt.append(attempt)
        self._pool.append(pool)
        self._started.append(at_ms)
        self._ended.append(-1)
        self._kept.append(0)
        self._ending.append(Ending.CUT)
        return len(self._job) - 1

    def end(self, run: int, at_ms: int, ending: Ending, kept_ms: int) -> None:
        self._ended[run] = at_ms
        self._kept[run] = kept_ms
        self._ending[run] = ending

    def step(self, at_ms: int, pool: int, nodes: int, offered: Resources) -> None:
        self._steps.append((at_ms, pool, nodes, offered))

    def runs(self, ended_ms: int) -> RunColumns:
        """All runs; those that still run are cut at `ended_ms`, and nothing of them is lost."""
        started = np.array(self._started, dtype=np.int64)
        ended = np.array(self._ended, dtype=np.int64)
        ending = np.array(self._ending, dtype=np.int8)
        kept = np.array(self._kept, dtype=np.int64)
        running = ending == Ending.CUT
        ended[running] = ended_ms
        kept[running] = ended_ms - started[running]
        return RunColumns(
            job=np.array(self._job, dtype=np.int64),
            attempt=np.array(self._attempt, dtype=np.int32),
            pool=np.array(self._pool, dtype=np.int32),
            started_ms=started,
            ended_ms=ended,
            kept_ms=kept,
            ending=ending,
        )

    def steps(self) -> CapacitySteps:
        offered = [
            (amount.cpu_milli, amount.memory_bytes, amount.disk_bytes, amount.accelerator_milli)
            for _, _, _, amount in self._steps
        ]
        return CapacitySteps(
            at_ms=np.array([step[0] for step in self._steps], dtype=np.int64),
            pool=np.array([step[1] for step in self._steps], dtype=np.int32),
            nodes=np.array([step[2] for step in self._steps], dtype=np.int32),
            offered=np.array(offered, dtype=np.int64).reshape(-1, DIMENSIONS),
        )
