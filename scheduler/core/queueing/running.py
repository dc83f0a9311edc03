"""What runs, by pool and expected end: what backfill, preemption and reservations look at.

The book and the simulator each own a `RunningTable`; a cycle asks for a pool's runs only when somebody waits for
room there. Ends are expected, from the submitter's estimate or limit; a run without either ends at `FAR`.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

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


# Up to so many changes are made one by one in the ordered list, which moves what stands behind; more are sorted in.
_FEW: Final = 32


class _PoolRuns:
    """The runs of one pool, put in order when somebody asks: thousands come and go between two questions, and few
    questions are asked."""

    def __init__(self) -> None:
        self._ordered: list[RunningRow] = []
        self._come: dict[str, RunningRow] = {}  # by run id: not among the ordered yet
        self._gone: dict[str, RunningRow] = {}  # by run id: among the ordered still

    def add(self, row: RunningRow) -> None:
        self._come[row.run_id] = row

    def remove(self, row: RunningRow) -> None:
        if self._come.pop(row.run_id, None) is None:
            self._gone[row.run_id] = row

    def by_end(self) -> Sequence[RunningRow]:
        """Valid until the table is changed."""
        ordered, gone, come = self._ordered, self._gone, self._come
        if len(gone) <= _FEW:
            for row in gone.values():
                del ordered[bisect_left(ordered, row)]
        else:
            ordered[:] = [row for row in ordered if row.run_id not in gone]
        if len(come) <= _FEW:
            for row in come.values():
                insort(ordered, row)
        else:
            ordered.extend(come.values())
            ordered.sort()  # what is in order already costs one comparison a row
        gone.clear()
        come.clear()
        return ordered


class RunningTable:
    """Every run that holds resources. Not thread-safe: one owner calls it."""

    def __init__(self, shapes: ShapeTable) -> None:
        self._shapes = shapes
        self._pool_of: dict[str, str] = {}
        self._rows: dict[str, RunningRow] = {}
        self._runs: dict[str, _PoolRuns] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def start(self, pool_id: str, row: RunningRow) -> None:
        """Raises ValueError for a run that is running already."""
        if row.run_id in self._rows:
            raise ValueError(f"{row.run_id} runs twice; a run has one pool")
        self._rows[row.run_id] = row
        self._pool_of[row.run_id] = pool_id
        runs = self._runs.get(pool_id)
        if runs is None:
            runs = self._runs[pool_id] = _PoolRuns()
        runs.add(row)

    def end(self, run_id: str) -> RunningRow | None:
        """The run holds nothing any more; None for a run that is not known."""
        row = self._rows.pop(run_id, None)
        if row is None:
            return None
        self._runs[self._pool_of.pop(run_id)].remove(row)
        return row

    def change(self, run_id: str, row: RunningRow) -> None:
        """The run has begun, or is being stopped: its expected end is another."""
        runs = self._runs[self._pool_of[run_id]]
        runs.remove(self._rows[run_id])
        runs.add(row)
        self._rows[run_id] = row

    def pool_of(self, run_id: str) -> str | None:
        """Where it runs; None for a run that is not known."""
        return self._pool_of.get(run_id)

    def row(self, run_id: str) -> RunningRow | None:
        return self._rows.get(run_id)

    def by_end(self, pool_id: str) -> Sequence[RunningRow]:
        """The runs of a pool, first to end first: the table's own list, not a copy, and valid until it is changed."""
        runs = self._runs.get(pool_id)
        return () if runs is None else runs.by_end()

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
