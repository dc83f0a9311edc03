"""Free capacity: the pool that keeps the larger free share after taking the workload scores higher (spread).

Between pools we spread, within a pool the nodes are packed (`policies/tightest.py`): a lost pool then takes fewer runs with
it and every zone keeps room, while whole nodes and whole cards stay together for gangs. Only dimensions that the
workload asks for count, so that a pool out of cards is not bad for work that needs none.
"""

from __future__ import annotations

from scheduler.core.placement.protocol import PoolView, Shape


def score(shape: Shape, pool: PoolView) -> int:
    total, free, whole = shape.total, pool.free, pool.allocatable
    lowest = 100
    for asked, available, capacity in (
        (total.cpu_milli, free.cpu_milli, whole.cpu_milli),
        (total.memory_bytes, free.memory_bytes, whole.memory_bytes),
        (total.disk_bytes, free.disk_bytes, whole.disk_bytes),
        (total.accelerator_milli, free.accelerator_milli, whole.accelerator_milli),
    ):
        if asked > 0:
            lowest = min(lowest, 100 * (available - asked) // capacity if capacity > 0 else 0)
    return max(0, lowest)
