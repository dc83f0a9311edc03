"""Who waits at the head of a pool, and what is kept for it: the cycle's side of backfill.

Called by the cycle when a row finds no pool. Under `easy` the first row that waits in a pool gets the moment at which
it will fit, and only what does not delay it goes before; under `conservative` every row gets one; under `none`
nothing goes before it. What the calendar keeps is a timetable from the start.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from inventory.model.placement import Reason, Verdict
from scheduler.core.queueing.backfill import Backfill, Profile, Shadow, shadow_of
from scheduler.core.queueing.pool_choice import PoolChoice, Timetable
from scheduler.core.queueing.reservations import PoolNow, Reservation, timetable
from scheduler.core.queueing.running import FAR, RunningRow
from scheduler.core.queueing.shapes import Flags, Int32s, Int64s, ShapeTable, vector
from scheduler.core.queueing.usage import QueueColumns
from scheduler.core.queueing.waiting import WaitingColumns
from scheduler.core.queueing.wording import kept_by_calendar, kept_for_head

_NOTHING = (0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class BackfillRules:
    """What may be chosen about backfill.

    `window`: how many workloads behind the head of a pool are looked at for it. `hold_after_ms`: how long a workload
    waits before anything is kept for it (0: at once, as in the textbook). `drain_after_ms`: how much longer the head
    of a pool that has enough free in sum, but on no set of nodes, lets others use what it leaves over.
    """

    policy: Backfill = Backfill.EASY
    window: int = 100
    hold_after_ms: int = 600_000
    drain_after_ms: int = 600_000


@dataclass(frozen=True, slots=True)
class Head:
    """A workload that waits for room in a pool where something is kept for it. `start_ms` None: nobody knows."""

    pool_id: str
    workload_id: str
    start_ms: int | None


@dataclass(frozen=True, slots=True)
class WaitingRoom:
    """One row that found no pool."""

    workload_id: str
    shape: int
    queue: int
    submitted_ms: int
    estimated_ms: int


@dataclass(slots=True)
class Holding:
    """The heads of one cycle."""

    choice: PoolChoice
    waiting: WaitingColumns
    shapes: ShapeTable
    queues: QueueColumns
    running: Callable[[str], Sequence[RunningRow]]
    now_ms: int
    rules: BackfillRules
    heads: list[Head] = field(default_factory=list)
    reasons: dict[int, Reason] = field(default_factory=dict)  # by pool: what is kept for its first head; grows
    calendar: dict[int, Reason] = field(default_factory=dict)  # by pool: what the calendar keeps
    refused: dict[tuple[int, int], Reason] = field(default_factory=dict)  # by shape and pool, by pool hosts
    placed: dict[int, list[Int32s]] = field(default_factory=dict)  # rows that this cycle placed, by pool
    _looked_at: dict[int, int] = field(default_factory=dict)
    _hopeless: set[int] = field(default_factory=set)

    def keep_calendar(self, reservations: Sequence[Reservation]) -> None:
        """Gives every pool with reservations its timetable."""
        by_pool: dict[str, list[Reservation]] = {}
        for reservation in reservations:
            if not reservation.is_over(self.now_ms):
                by_pool.setdefault(reservation.pool_id, []).append(reservation)
        for pool, view in enumerate(self.choice.views):
            kept = by_pool.get(view.pool.pool_id)
            if kept:
                self.choice.timetables[pool] = timetable(self._pool_now(pool), kept, self.queues)
                self.calendar[pool] = kept_by_calendar(kept[0], self.now_ms)

    def may_wait(self, shapes: Int32s) -> Flags:
        """Which of these rows something could still be kept for in this cycle (n)."""
        if self.rules.policy is Backfill.EASY and len(self._looked_at) == len(self.choice.views):
            # Every pool has its head, and a pool keeps room for one: no row needs to be waited for.
            return np.zeros(len(shapes), dtype=np.bool_)
        if not self._hopeless:
            return np.ones(len(shapes), dtype=np.bool_)
        return ~np.isin(shapes, list(self._hopeless))

    def allowance(self, shapes: Int32s) -> int:
        """How many of these rows may be tried before the window of some pool is reached: at least one."""
        count = len(shapes)
        for pool, looked_at in self._looked_at.items():
            if not self.choice.is_closed(pool):
                considered = np.cumsum(self.choice.is_open(shapes[:count], pool))
                count = int(np.searchsorted(considered, self.rules.window - looked_at)) + 1
        return max(1, min(count, len(shapes)))

    def look(self, shapes: Int32s) -> None:
        """These rows were tried: pools whose window is reached take nobody else in this cycle."""
        for pool in self._looked_at:
            if self.choice.is_closed(pool):
                continue
            self._looked_at[pool] += int(self.choice.is_open(shapes, pool).sum())
            if self._looked_at[pool] >= self.rules.window:
                self.choice.close(pool)

    def wait(self, row: WaitingRoom) -> bool:
        """The row found no pool: keeps room for it where the policy says so. False when nothing is kept."""
        pools = self.pools_to_wait_in(row.shape)
        if not pools:
            self._hopeless.add(row.shape)
            return False
        if self.rules.policy is Backfill.NONE:
            for pool in pools:
                self.choice.close(pool)
                self._set_head(pool, row, None)
            return True
        if self.rules.policy is Backfill.EASY and all(pool in self._looked_at for pool in pools):
            self._hopeless.add(row.shape)
            return False
        start_ms, _, pool = min((self._start(pool, row), rank, pool) for rank, pool in enumerate(pools))
        if self.rules.policy is Backfill.EASY and pool in self._looked_at:
            return False
        self._keep(pool, row, start_ms)
        return True

    def pools_to_wait_in(self, shape: int) -> list[int]:
        """Pools that will have room for this shape when others end."""
        return [pool for pool in self.choice.waits_in(shape) if self._waiting_helps(shape, pool)]

    def _waiting_helps(self, shape: int, pool: int) -> bool:
        """Nodes that can never hold the shape keep nothing for it."""
        refusal = self.refused.get((shape, pool))
        return refusal is None or refusal.verdict is Verdict.UNSCHEDULABLE

    def _start(self, pool: int, row: WaitingRoom) -> int:
        if pool in self.choice.timetables or self.rules.policy is Backfill.CONSERVATIVE:
            earliest = self._timetable(pool).profile(row.queue).earliest(self._need(row), self._length(pool, row))
            return FAR if earliest is None else earliest
        return self._shadow(pool, row).start_ms

    def _keep(self, pool: int, row: WaitingRoom, start_ms: int) -> None:
        self._set_head(pool, row, None if start_ms >= FAR else start_ms)
        if pool in self.choice.timetables:
            if self._drains(pool, row):
                self.choice.close(pool)
                return
            end_ms = start_ms + self._length(pool, row) if row.estimated_ms else FAR * 2
            need = self.shapes.totals[row.shape]
            self.choice.timetables[pool].reserve(need, (start_ms, max(end_ms, start_ms + 1)))
        else:
            self.choice.keep_for_head(pool, self._shadow(pool, row))

    def _set_head(self, pool: int, row: WaitingRoom, start_ms: int | None) -> None:
        pool_id = self.choice.views[pool].pool.pool_id
        self.heads.append(Head(pool_id, row.workload_id, start_ms))
        if pool not in self._looked_at:
            self._looked_at[pool] = 0
            self.reasons[pool] = kept_for_head(row.workload_id, start_ms)

    def _shadow(self, pool: int, row: WaitingRoom) -> Shadow:
        need, totals = self._need(row), self.shapes.totals
        if self._drains(pool, row):
            # Free sums do not help it: only what ends can, and nothing may take its place.
            shadow = shadow_of(need, _NOTHING, self._runs(pool), totals, self.now_ms)
            return Shadow(FAR if shadow is None else shadow.start_ms, _NOTHING)
        shadow = shadow_of(need, self.choice.free[pool].tolist(), self._runs(pool), totals, self.now_ms)
        if shadow is not None:
            return shadow
        # Something holds the pool that is not among its runs: it fits when that is gone, whenever that is.
        left = np.array(vector(self.choice.views[pool].allocatable), dtype=np.int64) - totals[row.shape]
        cpu, memory, disk, cards = left.tolist()
        return Shadow(FAR, (cpu, memory, disk, cards))

    def _drains(self, pool: int, row: WaitingRoom) -> bool:
        """True for a row that the nodes refused though the sums suffice, once it has waited long enough."""
        waited = self.now_ms - row.submitted_ms
        patience = self.rules.hold_after_ms + self.rules.drain_after_ms
        return (row.shape, pool) in self.refused and waited >= patience

    def _length(self, pool: int, row: WaitingRoom) -> int:
        """How long it would hold the pool, staging included; 0: nobody knows."""
        return row.estimated_ms + self.choice.staging_ms(row.shape, pool) if row.estimated_ms else 0

    def _need(self, row: WaitingRoom) -> list[int]:
        need: list[int] = self.shapes.totals[row.shape].tolist()
        return need

    def _timetable(self, pool: int) -> Timetable:
        if pool not in self.choice.timetables:
            now = self._pool_now(pool)
            profile = Profile(now.now_ms, now.free, now.runs, now.totals)
            self.choice.timetables[pool] = Timetable(self.now_ms, profile, {})
        return self.choice.timetables[pool]

    def _pool_now(self, pool: int) -> PoolNow:
        cpu, memory, disk, cards = self.choice.free[pool].tolist()
        return PoolNow(self.now_ms, (cpu, memory, disk, cards), list(self._runs(pool)), self.shapes.totals)

    def _runs(self, pool: int) -> Iterable[RunningRow]:
        """By expected end, with those of this cycle. Merged as far as somebody reads: EASY reads a few of many."""
        before = self.running(self.choice.views[pool].pool.pool_id)
        if pool not in self.placed:
            return before
        waiting, now_ms, staging_ms = self.waiting, self.now_ms, self.choice.staging_ms
        placed = [
            RunningRow(
                end_ms=now_ms + int(waiting.estimated_ms[row]) + staging_ms(int(waiting.shape[row]), pool)
                if waiting.estimated_ms[row]
                else FAR,
                run_id=waiting.workload_ids[row],
                workload_id=waiting.workload_ids[row],
                shape=int(waiting.shape[row]),
                queue=int(waiting.queue[row]),
                priority=int(waiting.priority[row]),
                started_ms=now_ms,
            )
            for row in np.concatenate(self.placed[pool]).tolist()
        ]
        return heapq.merge(before, sorted(placed))


def expected_ends(now_ms: int, estimated_ms: Int64s) -> Int64s:
    """When rows that start now are expected to end, where their inputs lie already; 0 where nobody said."""
    return np.where(estimated_ms > 0, now_ms + estimated_ms, 0)
