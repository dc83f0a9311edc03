"""The jobs that wait in a simulation, as columns: what `queueing.waiting.WaitingTable` is for production.

`simulations.engine.ports.Books` keeps one. A trace is sorted by arrival and a job's id is its position in it, so the
order within a lane (one queue and one priority) is the order of positions, and a lane is a sorted array of them: jobs
come, go and are shown many at a time, with no object for any of them. A Hypothesis test holds its windows equal to
those of the table that production keeps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scheduler.core.queueing.shapes import Int32s, Int64s
from scheduler.core.queueing.waiting import Lane, WaitingColumns


@dataclass(frozen=True, slots=True, eq=False)
class JobColumns:
    """What a row of the waiting table says of each of n jobs. `attempt` and `estimated_ms` (of what is left to do;
    0: unknown) change when a job is interrupted."""

    submitted_ms: Int64s
    attempt: Int32s
    shape: Int32s
    queue: Int32s
    priority: Int32s
    estimated_ms: Int64s


@dataclass(frozen=True, slots=True, eq=False)
class JobWindow:
    """What one cycle sees: the rows, and which job stands in each."""

    jobs: Int64s
    columns: WaitingColumns


class WaitingJobs:
    """Jobs by lane, in order of arrival in each."""

    def __init__(self, jobs: JobColumns) -> None:
        self._jobs = jobs
        pairs = np.stack([-jobs.priority.astype(np.int64), jobs.queue.astype(np.int64)], axis=1)
        keys, lane = np.unique(pairs.reshape(-1, 2), axis=0, return_inverse=True)
        self._keys: list[Lane] = [(-falling, queue) for falling, queue in keys.tolist()]
        self._lane_of: npt.NDArray[np.int64] = lane.reshape(-1)
        self._lanes: list[Int64s] = [np.zeros(0, dtype=np.int64) for _ in self._keys]
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, jobs: Int64s) -> None:
        """Jobs that do not wait yet, in order of their positions."""
        self._count += len(jobs)
        for number, mine in self._by_lane(jobs):
            lane = self._lanes[number]
            if len(lane) and mine[0] < lane[-1]:  # it was interrupted: it takes its old place again
                self._lanes[number] = np.insert(lane, np.searchsorted(lane, mine), mine)
            else:
                self._lanes[number] = np.concatenate([lane, mine])

    def remove(self, jobs: Int64s) -> None:
        """Jobs that wait, in any order."""
        self._count -= len(jobs)
        for number, mine in self._by_lane(jobs):
            lane = self._lanes[number]
            self._lanes[number] = np.delete(lane, np.searchsorted(lane, mine))

    def window(self, limit: int) -> JobWindow:
        """`WaitingTable.window`: the first `limit` of every lane, priority by priority, until `limit` are together."""
        shown: list[Int64s] = []
        truncated: list[Lane] = []
        count, level = 0, None
        for key, lane in zip(self._keys, self._lanes, strict=True):
            if not len(lane):
                continue
            if key[0] != level and count >= limit:
                break
            level = key[0]
            shown.append(lane[:limit])
            count += len(shown[-1])
            if len(lane) > limit:
                truncated.append(key)
        jobs = np.concatenate(shown) if shown else np.zeros(0, dtype=np.int64)
        of = self._jobs
        return JobWindow(
            jobs,
            WaitingColumns(
                workload_ids=[str(job) for job in jobs.tolist()],
                attempt=of.attempt[jobs],
                shape=of.shape[jobs],
                queue=of.queue[jobs],
                priority=of.priority[jobs],
                submitted_ms=of.submitted_ms[jobs],
                estimated_ms=of.estimated_ms[jobs],
                truncated=frozenset(truncated),
            ),
        )

    def _by_lane(self, jobs: Int64s) -> Sequence[tuple[int, Int64s]]:
        if len(self._keys) == 1:
            return [(0, jobs)]
        lanes = self._lane_of[jobs]
        return [(number, jobs[lanes == number]) for number in np.unique(lanes).tolist()]
