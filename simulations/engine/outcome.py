"""What a simulation did, as columns: every run, every change of capacity. Metrics and reports read nothing else.

`simulations.engine.simulation` fills an `OutcomeLog` while it runs and closes it into an `Outcome`. Everything that
can be computed afterwards (waiting, utilisation, energy, money) is, from these columns and without loops.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from inventory.model.pool import Pool
from inventory.model.units import Resources
from simulations.metrics.fragmentation import FragmentationSamples
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
    MOVED = 5  # to another node of its pool, so that another job found room


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
    `cycles` counts scheduling cycles. `fragmentation`: None where no pool has cards.
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
    fragmentation: FragmentationSamples | None = None


_RUN_COLUMNS: Final[Mapping[str, type[np.signedinteger[Any]]]] = {
    "job": np.int64,
    "attempt": np.int32,
    "pool": np.int32,
    "started_ms": np.int64,
    "ended_ms": np.int64,
    "kept_ms": np.int64,
    "ending": np.int8,
}


class OutcomeLog:
    """Grows while the simulation runs: 45 bytes a run, no object each."""

    def __init__(self) -> None:
        self._columns: dict[str, npt.NDArray[Any]] = {
            name: np.zeros(1024, dtype=kind) for name, kind in _RUN_COLUMNS.items()
        }
        self._count = 0
        self._steps: list[tuple[int, int, int, Resources]] = []

    def start(self, job: int, attempt: int, pool: int, at_ms: int) -> int:
        """Returns the run's number. Until `end` is called it counts as cut."""
        return self.start_all(np.array([job]), np.array([attempt], dtype=np.int32), pool, at_ms)

    def start_all(self, jobs: Int64s, attempts: Int32s, pool: int, at_ms: int) -> int:
        """Runs that start at one moment in one pool; returns the number of the first, the others follow."""
        first, self._count = self._count, self._count + len(jobs)
        size = len(self._columns["job"])
        if self._count > size:
            more = max(self._count, 2 * size) - size
            for name, column in self._columns.items():
                self._columns[name] = np.concatenate([column, np.zeros(more, dtype=column.dtype)])
        given = {"job": jobs, "attempt": attempts, "pool": pool, "started_ms": at_ms, "ending": Ending.CUT}
        for name, value in given.items():
            self._columns[name][first : self._count] = value
        return first

    def end(self, run: int, at_ms: int, ending: Ending, kept_ms: int) -> None:
        self.end_all(np.array([run]), np.array([at_ms]), ending, np.array([kept_ms]))

    def end_all(self, runs: Int64s, at_ms: Int64s, ending: Ending, kept_ms: Int64s) -> None:
        self._columns["ended_ms"][runs] = at_ms
        self._columns["kept_ms"][runs] = kept_ms
        self._columns["ending"][runs] = ending

    def started_ms(self, runs: Int64s) -> Int64s:
        """When these runs started."""
        started: Int64s = self._columns["started_ms"][runs]
        return started

    def step(self, at_ms: int, pool: int, nodes: int, offered: Resources) -> None:
        self._steps.append((at_ms, pool, nodes, offered))

    def runs(self, ended_ms: int) -> RunColumns:
        """All runs; those that still run are cut at `ended_ms`, and nothing of them is lost."""
        of = {name: column[: self._count].copy() for name, column in self._columns.items()}
        running = of["ending"] == Ending.CUT
        of["ended_ms"][running] = ended_ms
        of["kept_ms"][running] = ended_ms - of["started_ms"][running]
        return RunColumns(**of)

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
