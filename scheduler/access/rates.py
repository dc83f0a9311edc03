"""Rate limits: a token bucket for each principal. The clock is an argument."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

# Buckets of principals that have been quiet the longest are forgotten: full ones, in practice.
MAX_BUCKETS = 100_000


@dataclass(frozen=True, slots=True)
class Rate:
    """`per_second` calls in the long run, `burst` at once. 0: without limit."""

    per_second: float
    burst: float


class Buckets:
    """One bucket a name, full at first."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._buckets: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def take(self, name: str, now_ms: int, cost: float = 1.0) -> int:
        """0 when `cost` was taken, else after how many milliseconds it can be. A cost above the burst is taken from a
        full bucket, and owed."""
        if not self._rate.per_second:
            return 0
        level, since = self._buckets.get(name, (self._rate.burst, now_ms))
        level = min(self._rate.burst, level + max(0, now_ms - since) * self._rate.per_second / 1000)
        needed = min(cost, self._rate.burst)
        if level < needed:
            self._put(name, level, now_ms)
            return max(1, round((needed - level) * 1000 / self._rate.per_second))
        self._put(name, level - cost, now_ms)
        return 0

    def _put(self, name: str, level: float, now_ms: int) -> None:
        self._buckets[name] = (level, now_ms)
        self._buckets.move_to_end(name)
        if len(self._buckets) > MAX_BUCKETS:
            self._buckets.popitem(last=False)
