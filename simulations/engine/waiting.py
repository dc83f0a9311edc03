"""The jobs that wait, in the order in which the cycle looks at them.

`simulations.engine.ports` takes a window of it for each cycle. A job is its position in the trace, which is the
order of arrival; so a line of jobs is a rising list of integers.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

Int32s = npt.NDArray[np.int32]


class _Line:
    """The waiting jobs of one priority and queue: a sorted head that cycles look at, and the rest behind it."""

    __slots__ = ("head", "rest")

    def __init__(self) -> None:
        self.head: list[int] = []
        self.rest: deque[int] = deque()

    def add(self, job: int) -> None:
        last = self.rest[-1] if self.rest else self.head[-1] if self.head else -1
        if job > last:
            self.rest.append(job)
        elif not self.rest or job < self.rest[0]:
            insort(self.head, job)  # it was preempted or its node failed: back to its old place
        else:
            self.rest.insert(next(i for i, other in enumerate(self.rest) if other > job), job)

    def first(self, count: int) -> list[int]:
        while len(self.head) < count and self.rest:
            self.head.append(self.rest.popleft())
        return self.head[:count]

    def remove(self, gone: set[int]) -> None:
        """Jobs that were seen by `first`."""
        self.head = [job for job in self.head if job not in gone]

    def __len__(self) -> int:
        return len(self.head) + len(self.rest)


class WaitingJobs:
    """By priority (higher first) and queue, each in order of arrival."""

    def __init__(self, priority: Int32s, queue: Int32s) -> None:
        """Of every job of the trace."""
        self._priority = priority.tolist()
        self._queue = queue.tolist()
        self._levels: dict[int, dict[int, _Line]] = {}
        self._order: list[int] = []  # priorities, falling
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, jobs: Iterable[int]) -> None:
        for job in jobs:
            priority = self._priority[job]
            level = self._levels.get(priority)
            if level is None:
                level = self._levels[priority] = {}
                self._order = sorted(self._levels, reverse=True)
            line = level.get(self._queue[job])
            if line is None:
                line = level[self._queue[job]] = _Line()
            line.add(job)
            self._count += 1

    def remove(self, jobs: Sequence[int]) -> None:
        """Jobs that a window has shown."""
        gone: dict[tuple[int, int], set[int]] = {}
        for job in jobs:
            gone.setdefault((self._priority[job], self._queue[job]), set()).add(job)
        for (priority, queue), some in gone.items():
            self._levels[priority][queue].remove(some)
        self._count -= len(jobs)

    def window(self, limit: int) -> list[int]:
        """At most `limit` jobs: all of higher priorities first; within one priority each queue its oldest, in equal
        numbers as far as they have so many. Fair shares between the queues of a window are the cycle's."""
        chosen: list[int] = []
        for priority in self._order:
            lines = [line for line in self._levels[priority].values() if len(line)]
            left = limit - len(chosen)
            while lines and left > 0:
                share = max(1, left // len(lines))
                # Who has no more than his share gives the rest of it to the others.
                short = [line for line in lines if len(line) <= share]
                if not short:
                    for i, line in enumerate(lines[:left]):
                        chosen.extend(line.first(share + (i < left - share * len(lines))))
                    break
                for line in short:
                    chosen.extend(line.first(len(line))[: limit - len(chosen)])
                lines = [line for line in lines if len(line) > share]
                left = limit - len(chosen)
            if len(chosen) >= limit:
                break
        return chosen

    def jobs(self) -> list[int]:
        """All of them, in no order that matters."""
        return [
            job for level in self._levels.values() for line in level.values() for job in (*line.head, *line.rest)
        ]
