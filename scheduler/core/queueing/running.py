"""What runs, by pool and expected end: what backfill, preemption and reservations look at.

The book and the simulator each own a `RunningTable`; a cycle asks for a pool's runs only when somebody waits for
room there. Ends are expected, from the submitter's estimate or limit; a run without either ends at `FAR`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from sortedcontainers import SortedList

from scheduler.core.queueing.shapes import DIMENSIONS, Int64s, ShapeTable

# Later than every moment: the end of a run of which nobody said how long it takes.
FAR: Final = 1 << 61


class RunningRow(NamedTuple):
    """One run that holds resources. `end_ms` is expected; `is_stopping` once its stop has been decided."""

    end_ms: int
    run_id: str
    workload_id: str
    shape: int
    queue: int
    priority: int
    started_ms: int
    is_preemptible: bool = True
    is_stopping: bool = False


class RunningTable:
    """Every run that holds resources. Not thread-safe: one owner calls it."""

    def __init__(self, shapes: ShapeTable) -> None:
        self._shapes = shapes
        self._pool_of: dict[str, str] = {}
        self._rows: dict[str, RunningRow] = {}
        self._by_end: dict[str, SortedList[RunningRow]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def start(self, pool_id: str, row: RunningRow) -> None:
        """Raises ValueError for a run that is running already."""
        if row.run_id in self._rows:
            raise ValueError(f"{row.run_id} runs twice; a run has one pool")
        self._rows[row.run_id] = row
        self._pool_of[row.run_id] = pool_id
        if pool_id not in self._by_end:
            self._by_end[pool_id] = SortedList()
        self._by_end[pool_id].add(row)

    def end(self, run_id: str) -> RunningRow | None:
        """The run holds nothing any more; None for a run that is not known."""
        row = self._rows.pop(run_id, None)
        if row is None:
            return None
        pool_id = self._pool_of.pop(run_id)
        self._by_end[pool_id].remove(row)
        return row

    def change(self, run_id: str, row: RunningRow) -> None:
        """The run has begun, or is being stopped: its expected end is another."""
        pool_id = self._pool_of[run_id]
        self.end(run_id)
        self.start(pool_id, row)

    def pool_of(self, run_id: str) -> str | None:
        """Where it runs; None for a run that is not known."""
        return self._pool_of.get(run_id)

    def row(self, run_id: str) -> RunningRow | None:
        return self._rows.get(run_id)

    def by_end(self, pool_id: str) -> Sequence[RunningRow]:
        """The runs of a pool, first to end first: the table's own list, not a copy."""
        runs: Sequence[RunningRow] = self._by_end.get(pool_id, ())
        return runs

    def counts(self) -> dict[int, int]:
        """How many runs hold resources for each leaf, by the queue's number."""
        return Counter(row.queue for row in self._rows.values())

    def held(self, pool_id: str) -> Mapping[int, Int64s]:
        """What each queue holds in a pool (4), by the queue's number; added up when somebody asks."""
        held: dict[int, Int64s] = {}
        for row in self.by_end(pool_id):
            held.setdefault(row.queue, np.zeros(DIMENSIONS, dtype=np.int64))
            held[row.queue] += self._shapes.totals[row.shape]
        return held
