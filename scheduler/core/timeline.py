"""The event heap of virtual time: what happens next, and in which order things of one moment happen.

Simulations drive their clock with it, and forecasts of start times may. It is itself the clock: time moves only
when an event is taken.
"""

from __future__ import annotations

import heapq
from typing import Generic, TypeVar

Event = TypeVar("Event")


class Timeline(Generic[Event]):
    """Events ordered by (time, priority, sequence): lower priority numbers first within one moment, and events of
    one moment and priority in the order in which they were added. Deterministic; n events cost O(n log n).

    `now_ms` is the time of the last event taken. Events are never compared with each other.
    """

    __slots__ = ("_heap", "_sequence", "now_ms")

    def __init__(self, start_ms: int) -> None:
        self.now_ms = start_ms
        self._heap: list[tuple[int, int, int, Event]] = []
        self._sequence = 0

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, at_ms: int, priority: int, event: Event) -> None:
        """Raises ValueError for a time before now: the past cannot be changed."""
        if at_ms < self.now_ms:
            raise ValueError(f"an event at {at_ms} ms is in the past: the clock stands at {self.now_ms} ms")
        self._sequence += 1
        heapq.heappush(self._heap, (at_ms, priority, self._sequence, event))

    def next_ms(self) -> int | None:
        """When the next event happens; None when there is none."""
        return self._heap[0][0] if self._heap else None

    def take(self) -> Event:
        """The next event; moves the clock to it. Raises IndexError when there is none."""
        at_ms, _, _, event = heapq.heappop(self._heap)
        self.now_ms = at_ms
        return event

    def take_until(self, at_ms: int) -> list[tuple[int, Event]]:
        """All events up to and including `at_ms` with their times, in order; then moves the clock to `at_ms`.

        Events added by whoever works on the list are not in it: look again with `next_ms`.
        """
        heap, pop, taken = self._heap, heapq.heappop, []
        while heap and heap[0][0] <= at_ms:
            when, _, _, event = pop(heap)
            taken.append((when, event))
        self.now_ms = max(self.now_ms, at_ms)
        return taken
