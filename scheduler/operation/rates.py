"""How many of each kind happened in the last minute: a ring of seconds, for `xisuan status`.

Prometheus works out its own rates from counters; this is for people who look without one.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

WINDOW_S = 60


class RateWindow:
    """Counts by kind over the last `WINDOW_S` whole seconds. The present second is not in it: it is not over."""

    def __init__(self, kinds: Sequence[str]) -> None:
        self._kinds = tuple(kinds)
        # One second more than the window: the present one.
        self._counts = {kind: [0] * (WINDOW_S + 1) for kind in self._kinds}
        self._latest = 0
        self._lock = threading.Lock()

    def add(self, counts: Mapping[str, int], second: int) -> None:
        """`second` is any clock's; it never runs backwards here, what comes late counts as now."""
        with self._lock:
            self._turn(second)
            place = self._latest % (WINDOW_S + 1)
            for kind, count in counts.items():
                self._counts[kind][place] += count

    def last_minute(self, second: int) -> Mapping[str, int]:
        with self._lock:
            self._turn(second)
            present = self._latest % (WINDOW_S + 1)
            return {kind: sum(ring) - ring[present] for kind, ring in self._counts.items()}

    def _turn(self, second: int) -> None:
        """Empties the seconds that passed since the last call."""
        for passed in range(max(self._latest + 1, second - WINDOW_S), second + 1):
            for ring in self._counts.values():
                ring[passed % (WINDOW_S + 1)] = 0
        self._latest = max(self._latest, second)
