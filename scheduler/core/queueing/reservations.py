"""Reservations (预留) in the calendar: capacity of a pool that is kept free for a queue in an interval.

A migration reserves from approval to acceptance, without an end at first. Who holds a reservation is a queue and
every queue below it; what its runs hold in the pool counts as use of the reservation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from inventory.model.units import Resources
from scheduler.core.queueing.backfill import Profile
from scheduler.core.queueing.pool_choice import Timetable
from scheduler.core.queueing.running import FAR, RunningRow
from scheduler.core.queueing.shapes import DIMENSIONS, Int64s, vector
from scheduler.core.queueing.usage import QueueColumns


@dataclass(frozen=True, slots=True)
class Reservation:
    """`amount` of a pool for the queue at path `holder`, from `start_ms` until `end_ms` (None: until it is ended)."""

    reservation_id: str
    pool_id: str
    holder: str
    amount: Resources
    start_ms: int
    end_ms: int | None = None
    reason: str = ""

    @property
    def until_ms(self) -> int:
        return FAR if self.end_ms is None else self.end_ms

    def is_over(self, now_ms: int) -> bool:
        return self.until_ms <= now_ms


@dataclass(frozen=True, slots=True)
class PoolNow:
    """What a timetable begins with: the moment, what the pool has free then, and what runs there."""

    now_ms: int
    free: tuple[int, int, int, int]
    runs: Sequence[RunningRow]
    totals: Int64s


def timetable(pool: PoolNow, reservations: Iterable[Reservation], queues: QueueColumns) -> Timetable:
    """The future of a pool with its reservations taken off for everybody but their holders."""
    kept = [r for r in reservations if not r.is_over(pool.now_ms)]
    unused = {r.reservation_id: _unused(r, pool, queues) for r in kept}
    of_holders: dict[int, Profile] = {}
    for queue in range(len(queues)):
        if any(_holds(r, queue, queues) for r in kept):
            others = [r for r in kept if not _holds(r, queue, queues)]
            of_holders[queue] = _profile(pool, [unused[r.reservation_id] for r in others])
    return Timetable(pool.now_ms, _profile(pool, list(unused.values())), of_holders)


def _profile(pool: PoolNow, unused: Iterable[Sequence[_Part]]) -> Profile:
    profile = Profile(pool.now_ms, pool.free, pool.runs, pool.totals)
    for part in chain.from_iterable(unused):
        profile.take(part.amount, part.start_ms, part.end_ms)
    return profile


def _unused(reservation: Reservation, pool: PoolNow, queues: QueueColumns) -> list[_Part]:
    """What the holder's runs leave of the reservation, from moment to moment.

    A run of the holder uses the reservation while it runs; what it gives back stays with the holder.
    """
    own = [row for row in pool.runs if _holds(reservation, row.queue, queues)]
    held = pool.totals[[row.shape for row in own]].sum(axis=0) if own else np.zeros(DIMENSIONS, dtype=np.int64)
    whole = np.array(vector(reservation.amount), dtype=np.int64)
    parts: list[_Part] = []
    since = max(pool.now_ms, reservation.start_ms)
    for row in own:
        ends = min(max(row.end_ms, pool.now_ms + 1), reservation.until_ms)
        if ends > since:
            parts.append(_Part(np.maximum(0, whole - held).tolist(), since, ends))
            since = ends
        held = held - pool.totals[row.shape]
    return [*parts, _Part(np.maximum(0, whole - held).tolist(), since, reservation.until_ms)]


@dataclass(frozen=True, slots=True)
class _Part:
    amount: Sequence[int]
    start_ms: int
    end_ms: int


def _holds(reservation: Reservation, queue: int, queues: QueueColumns) -> bool:
    name = queues.tree.name(queue)
    return name == reservation.holder or name.startswith(f"{reservation.holder}/")
