"""The waiting workloads, kept in order while they come and go, so that a cycle reads only its window of them.

The book and the simulator each own a `WaitingTable`. A lane is the waiting workloads of one queue and one priority,
first come first. Adding and removing cost a logarithm; `window` costs what it gives, however many wait.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NamedTuple

import numpy as np
from sortedcontainers import SortedList

from scheduler.core.queueing.shapes import Int32s, Int64s

Lane = tuple[int, int]  # priority, queue
Kind = tuple[int, int]  # shape, estimated milliseconds: those of one kind in one lane are alike to a cycle


# A deadline moves a workload forward in its lane by this much at most: nobody is overtaken by who came later than that.
MOST_AHEAD_MS: Final = 86_400_000


def order_of(submitted_ms: int, finish_by_ms: int, expected_ms: int) -> int:
    """The moment by which a workload is ordered in its lane: that of its submission, or, where its deadline leaves less
    than a day until its latest start, so much earlier. Earliest deadline first among those that are pressed, first come
    first served among the others, and no wait beyond the bound above for either."""
    if not finish_by_ms:
        return submitted_ms
    latest_start_ms = max(submitted_ms, finish_by_ms - expected_ms)
    return min(submitted_ms, latest_start_ms - MOST_AHEAD_MS)


class WaitingRow(NamedTuple):
    """One waiting workload. The fields before `attempt` are the order within a lane: `order_ms` is as `order_of` says.

    Ids end in a number without leading zeros: the shorter one is the smaller, as ...-9 is before ...-10.
    `shape` and `queue` are positions in the shape table and the queue tree; `estimated_ms` is 0 where unknown.
    """

    order_ms: int
    id_length: int
    workload_id: str
    attempt: int
    shape: int
    queue: int
    priority: int
    estimated_ms: int
    submitted_ms: int

    @property
    def lane(self) -> Lane:
        return self.priority, self.queue

    @property
    def kind(self) -> Kind:
        return self.shape, self.estimated_ms


@dataclass(frozen=True, slots=True, eq=False)
class WaitingColumns:
    """A window of n waiting workloads as columns: lane after lane (higher priority first, then queue), in order of
    arrival in each. `truncated` names the lanes of which more wait than the window shows."""

    workload_ids: Sequence[str]
    attempt: Int32s
    shape: Int32s
    queue: Int32s
    priority: Int32s
    submitted_ms: Int64s
    estimated_ms: Int64s
    truncated: frozenset[Lane] = frozenset()

    def __len__(self) -> int:
        return len(self.workload_ids)

    @classmethod
    def of(cls, rows: Sequence[WaitingRow], truncated: frozenset[Lane] = frozenset()) -> WaitingColumns:
        """Rows that stand lane after lane already."""
        columns: list[Sequence[int]] = list(zip(*rows, strict=True)) if rows else [()] * len(WaitingRow._fields)
        _, _, ids, attempt, shape, queue, priority, estimated, submitted = columns
        return cls(
            workload_ids=ids,  # type: ignore[arg-type]  # the third column holds the ids
            attempt=np.array(attempt, dtype=np.int32),
            shape=np.array(shape, dtype=np.int32),
            queue=np.array(queue, dtype=np.int32),
            priority=np.array(priority, dtype=np.int32),
            submitted_ms=np.array(submitted, dtype=np.int64),
            estimated_ms=np.array(estimated, dtype=np.int64),
            truncated=truncated,
        )


@dataclass(slots=True)
class Passed:
    """How far a look over all that wait has come, window by window: the last row passed over in each lane, the kinds that
    found no place there, and the workloads for whom pools keep room, which stand in every window so that their room is
    not given away."""

    after: dict[Lane, WaitingRow] = field(default_factory=dict)
    hopeless: dict[Lane, set[Kind]] = field(default_factory=dict)
    heads: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows of one window. `is_complete`: nothing waits behind it."""

    rows: Sequence[WaitingRow]
    truncated: frozenset[Lane]
    is_complete: bool

    def columns(self) -> WaitingColumns:
        return WaitingColumns.of(self.rows, self.truncated)


class WaitingTable:
    """Every workload that may be placed. Not thread-safe: one owner calls it."""

    def __init__(self) -> None:
        self._rows: dict[str, WaitingRow] = {}
        self._lanes: dict[Lane, SortedList[WaitingRow]] = {}
        self._kinds: dict[Lane, Counter[Kind]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, workload_id: str) -> bool:
        return workload_id in self._rows

    def add(self, row: WaitingRow) -> None:
        """Raises ValueError for a workload that waits already."""
        if row.workload_id in self._rows:
            raise ValueError(f"{row.workload_id} waits twice; a workload may wait only once")
        self._rows[row.workload_id] = row
        key = row.lane
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = SortedList()
            self._kinds[key] = Counter()
        lane.add(row)
        self._kinds[key][row.kind] += 1

    def remove(self, workload_id: str) -> WaitingRow | None:
        """Who was placed or cancelled waits no longer; None for whoever does not wait."""
        row = self._rows.pop(workload_id, None)
        if row is not None:
            key, kind = row.lane, row.kind
            lane, kinds = self._lanes[key], self._kinds[key]
            lane.remove(row)
            kinds[kind] -= 1
            if not kinds[kind]:
                del kinds[kind]
            if not lane:
                del self._lanes[key], self._kinds[key]
        return row

    def row(self, workload_id: str) -> WaitingRow | None:
        return self._rows.get(workload_id)

    def counts(self) -> dict[int, tuple[int, int]]:
        """How many wait in each leaf, and when the first of them was submitted, by the queue's number."""
        found: dict[int, tuple[int, int]] = {}
        for (_, queue), lane in self._lanes.items():
            waiting, oldest_ms = found.get(queue, (0, lane[0].submitted_ms))
            found[queue] = (waiting + len(lane), min(oldest_ms, lane[0].submitted_ms))
        return found

    def ids(self) -> Iterator[str]:
        """Ids of all, in the order in which they came into the table."""
        return iter(self._rows)

    def window(self, limit: int, passed: Passed | None = None) -> WaitingColumns:
        """The first `limit` of every lane, priority by priority, until `limit` rows are together.

        So the first `limit` rows of any fair order over the lanes are among them.
        """
        return self.select(limit, passed).columns()

    def select(self, limit: int, passed: Passed | None = None) -> Selection:
        """The rows of a window, quickly, for whoever holds a lock; `Selection.columns` makes columns of them."""
        after, heads = ({}, {}) if passed is None else (passed.after, self._rows_of(passed.heads))
        rows: list[WaitingRow] = []
        truncated: list[Lane] = []
        level: int | None = None
        is_complete = True
        for key in sorted(self._lanes, key=lambda lane: (-lane[0], lane[1])):
            if key[0] != level and len(rows) >= limit:
                is_complete = False
                break
            level = key[0]
            lane = self._lanes[key]
            start = lane.bisect_right(after[key]) if key in after else 0
            rows.extend(row for row in heads.get(key, ()) if row <= after[key])
            if passed is not None and self._is_hopeless(key, passed):
                continue
            rows.extend(islice(lane, start, start + limit))
            if len(lane) > start + limit:
                truncated.append(key)
        return Selection(rows, frozenset(truncated), is_complete and not truncated)

    def shows(self, passed: Passed) -> bool:
        """Whether a window behind `passed` has any row in it, heads apart."""
        for key, lane in self._lanes.items():
            if self._is_hopeless(key, passed):
                continue
            if key not in passed.after or lane.bisect_right(passed.after[key]) < len(lane):
                return True
        return False

    def _is_hopeless(self, key: Lane, passed: Passed) -> bool:
        """Whatever stands behind in this lane is like one that found no place in this look."""
        return key in passed.hopeless and self._kinds[key].keys() <= passed.hopeless[key]

    def pass_over(self, passed: Passed, workload_ids: Iterable[str]) -> None:
        """Those were looked at and not placed: the next window of the same look shows what is behind them, unless it is
        of the same kind: in one look room only becomes less."""
        for workload_id in workload_ids:
            row = self._rows.get(workload_id)
            if row is not None:
                passed.after[row.lane] = max(row, passed.after.get(row.lane, row))
                passed.hopeless.setdefault(row.lane, set()).add(row.kind)

    def _rows_of(self, workload_ids: Iterable[str]) -> dict[Lane, list[WaitingRow]]:
        rows = sorted(row for row in map(self._rows.get, workload_ids) if row is not None)
        by_lane: dict[Lane, list[WaitingRow]] = {}
        for row in rows:
            by_lane.setdefault(row.lane, []).append(row)
        return by_lane
