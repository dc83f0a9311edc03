"""Moments at which something follows though nothing happens: a retry's pause ends, a deadline passes.

The book keeps one; `scheduler.runtime.due_dates` asks when the next moment comes, and acts when it has.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field


@dataclass(slots=True)
class DueDates:
    """`pausing`: workloads whose pause has not begun to count, with its length; `resting`: those that may not be placed
    before a moment; `deadlines`: those that should be finished by one. A pause counts from the first look at the clock:
    the moment at which the run ended is the pool's clock, not ours."""

    pausing: dict[str, int] = field(default_factory=dict)
    resting: dict[str, int] = field(default_factory=dict)
    deadlines: dict[str, int] = field(default_factory=dict)
    _heap: list[tuple[int, str]] = field(default_factory=list)

    def rest(self, workload_id: str, pause_ms: int) -> None:
        self.pausing[workload_id] = pause_ms

    def expect(self, workload_id: str, finish_by_ms: int) -> None:
        self.deadlines[workload_id] = finish_by_ms
        heapq.heappush(self._heap, (finish_by_ms, workload_id))

    def forget(self, workload_id: str) -> None:
        """It is finished."""
        self.wake(workload_id)
        self.deadlines.pop(workload_id, None)

    def next_ms(self) -> int | None:
        """When to look next; None: never."""
        while self._heap and not self._counts(*self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def rested(self, now_ms: int) -> list[str]:
        """Those whose pause is over; it begins now for who has just failed. They are told until `wake` is called."""
        for workload_id, pause_ms in self.pausing.items():
            self.resting[workload_id] = now_ms + pause_ms
            heapq.heappush(self._heap, (now_ms + pause_ms, workload_id))
        self.pausing.clear()
        return [workload_id for workload_id, until_ms in self.resting.items() if until_ms <= now_ms]

    def wake(self, workload_id: str) -> None:
        """It rests no longer."""
        self.pausing.pop(workload_id, None)
        self.resting.pop(workload_id, None)

    def missed(self, now_ms: int) -> list[tuple[str, int]]:
        """Workloads whose deadline has passed, with it. They are told until `tell` is called."""
        return [(workload_id, due_ms) for workload_id, due_ms in self.deadlines.items() if due_ms <= now_ms]

    def tell(self, workload_id: str) -> None:
        self.deadlines.pop(workload_id, None)

    def _counts(self, at_ms: int, workload_id: str) -> bool:
        return self.resting.get(workload_id) == at_ms or self.deadlines.get(workload_id) == at_ms
