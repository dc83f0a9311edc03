"""Room in time: when a waiting workload will fit, and what may run before it without delaying it.

`shadow_of` is EASY's look at the runs in the order in which they end; `Profile` is the whole future of one pool, for
conservative backfill and for reservations in the calendar. Both count a pool's sums: which nodes become free is the
pool host's to know, so a start time is an estimate, and never before the sums allow it.

Source: Mu'alem and Feitelson, Utilization, Predictability, Workloads, and User Runtime Estimates in Scheduling the
IBM SP2 with Backfilling, IEEE TPDS 12(6), 2001, algorithms 2 (EASY) and 1 (conservative).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from scheduler.core.queueing.running import FAR, RunningRow
from scheduler.core.queueing.shapes import DIMENSIONS, Int64s

Amount = Sequence[int]


class Backfill(StrEnum):
    """What may go before a workload that waits for room.

    none: nothing in the pools in which it waits. easy: what does not delay the first that waits in a pool.
    conservative: what delays none that waits, as far as the window reaches.
    """

    NONE = "none"
    EASY = "easy"
    CONSERVATIVE = "conservative"


@dataclass(frozen=True, slots=True)
class Shadow:
    """When a waiting workload will have room (`FAR`: nobody knows), and what it will leave over at that moment."""

    start_ms: int
    extra: tuple[int, int, int, int]


def shadow_of(
    need: Amount, free: Amount, runs: Iterable[RunningRow], totals: Int64s, now_ms: int
) -> Shadow | None:
    """The earliest moment when the runs that have ended by then leave room for `need`; None when they never do.

    `runs` by expected end, first to end first; a run that is overdue counts as ending now. Runs that end at one
    moment end together: what they leave beside the need is extra.
    """
    room = [int(value) for value in free]
    asked = [d for d in range(DIMENSIONS) if need[d] > 0]
    start: int | None = now_ms if all(need[d] <= room[d] for d in asked) else None
    for row in runs:
        end_ms = max(row.end_ms, now_ms)
        if start is not None and end_ms > start:
            break
        amount = totals[row.shape]
        for d in range(DIMENSIONS):
            room[d] += int(amount[d])
        if start is None and all(need[d] <= room[d] for d in asked):
            start = end_ms
    if start is None:
        return None
    cpu, memory, disk, cards = (room[d] - int(need[d]) for d in range(DIMENSIONS))
    return Shadow(start, (cpu, memory, disk, cards))


class Profile:
    """What a pool will have free at every moment from now on: `levels[i]` from `times[i]` until `times[i + 1]`."""

    def __init__(
        self, now_ms: int, free: Amount, runs: Sequence[RunningRow] = (), totals: Int64s | None = None
    ) -> None:
        """`runs` give back their totals at their expected ends, those overdue at once after now."""
        self.times: list[int] = [now_ms]
        self.levels: Int64s = np.array([free], dtype=np.int64)
        if runs and totals is not None:
            self._add_runs(runs, totals)

    def fits(self, need: Amount, start_ms: int, end_ms: int) -> bool:
        """True when `need` is free from start until end."""
        first = max(0, bisect_right(self.times, start_ms) - 1)
        last = max(first + 1, bisect_left(self.times, end_ms))
        asked = np.asarray(need, dtype=np.int64)
        return bool(((self.levels[first:last] >= asked) | (asked <= 0)).all())

    def earliest(self, need: Amount, length_ms: int) -> int | None:
        """The first moment from which `need` is free for so long; None when there is none.

        A length of 0 is unknown: it has to fit for ever.
        """
        asked = np.asarray(need, dtype=np.int64)
        has_room = np.all((self.levels >= asked) | (asked <= 0), axis=1).tolist()
        start: int | None = None
        for i, time in enumerate(self.times):
            if not has_room[i]:
                start = None
                continue
            start = time if start is None else start
            following = self.times[i + 1] if i + 1 < len(self.times) else FAR
            if i + 1 == len(self.times) or (length_ms > 0 and following - start >= length_ms):
                return start
        return None

    def take(self, need: Amount, start_ms: int, end_ms: int, sign: int = 1) -> None:
        """From start until end `need` is not free any more; with sign -1 it is again."""
        if end_ms <= start_ms:
            return
        first, last = self._cut(start_ms), self._cut(end_ms)
        self.levels[first:last] -= sign * np.asarray(need, dtype=np.int64)

    def lower_to(self, other: Profile, start_ms: int, end_ms: int) -> None:
        """From start until end no more is free here than there."""
        for time in [start_ms, *(t for t in other.times if start_ms < t < end_ms), end_ms]:
            self._cut(time)
        for i in range(bisect_left(self.times, start_ms), bisect_left(self.times, end_ms)):
            there = other.levels[bisect_right(other.times, self.times[i]) - 1]
            self.levels[i] = np.minimum(self.levels[i], there)

    def _cut(self, time_ms: int) -> int:
        """The position at which a level begins at this moment; before now is now."""
        time_ms = max(time_ms, self.times[0])
        at = bisect_left(self.times, time_ms)
        if at == len(self.times) or self.times[at] != time_ms:
            self.times.insert(at, time_ms)
            self.levels = np.insert(self.levels, at, self.levels[at - 1], axis=0)
        return at

    def _add_runs(self, runs: Sequence[RunningRow], totals: Int64s) -> None:
        now_ms = self.times[0]
        ends = np.maximum(np.array([row.end_ms for row in runs], dtype=np.int64), now_ms + 1)
        amounts = totals[np.array([row.shape for row in runs], dtype=np.int32)]
        times, at = np.unique(ends, return_inverse=True)
        released = np.zeros((len(times), DIMENSIONS), dtype=np.int64)
        np.add.at(released, at, amounts)
        self.times += times.tolist()
        self.levels = np.concatenate([self.levels, self.levels[0] + np.cumsum(released, axis=0)])
