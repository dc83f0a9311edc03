"""Latency: one-way network time from the city; 100 at 0 ms, 0 at 20 ms and beyond.

20 ms is the outer circle (between hubs) of the 1/5/20 ms latency circles of the national compute network.
"""

from __future__ import annotations

from scheduler.core.placement.protocol import PoolView, Shape

WORST_MS = 20


def score(shape: Shape, pool: PoolView) -> int:
    microseconds = round(pool.pool.one_way_ms * 1000)
    return max(0, 100 - 100 * microseconds // (WORST_MS * 1000))
