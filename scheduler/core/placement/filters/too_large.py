"""Too large: one task exceeds every node of the pool, or all tasks together exceed the whole pool.

Waiting does not help, so this is not a matter of free capacity (`capacity` is silent then). Cards that the pool
does not have at all are the accelerator filter's to refuse: one fact, one reason.
"""

from __future__ import annotations

from dataclasses import replace

from inventory.model.placement import Reason, ReasonCode
from inventory.model.units import Resources
from scheduler.core.placement.protocol import PoolView, Shape
from scheduler.core.placement.wording import fewer_en, fewer_zh, where_short


def refuse(shape: Shape, pool: PoolView) -> Reason | None:
    if not pool.is_described:
        return None
    task, total = judged(shape.requirements.per_task, pool), judged(shape.total, pool)
    if not task.fits_in(pool.largest_task):
        shortage = task.shortage(pool.largest_task)
        return Reason(
            ReasonCode.TOO_LARGE,
            needed=f"每任务/per task {where_short(task, shortage)}",
            offered=f"最大节点/largest node {where_short(pool.largest_task, shortage)}",
            remedy_zh=f"每个任务{fewer_zh(shortage)}",
            remedy_en=f"{fewer_en(shortage)} per task",
        )
    if exceeds_pool(total, pool):
        shortage = total.shortage(pool.allocatable)
        return Reason(
            ReasonCode.TOO_LARGE,
            needed=where_short(total, shortage),
            offered=f"整池/whole pool {where_short(pool.allocatable, shortage)}",
            remedy_zh=f"总量{fewer_zh(shortage)}",
            remedy_en=f"{fewer_en(shortage)} in all",
        )
    return None


def judged(amount: Resources, pool: PoolView) -> Resources:
    """`amount` without cards where the pool has no cards."""
    return amount if pool.largest_task.accelerator_milli else replace(amount, accelerator_milli=0)


def exceeds_pool(total: Resources, pool: PoolView) -> bool:
    """True when the empty pool is too small. Cordoned nodes come back, so the declared size counts too."""
    return not (total.fits_in(pool.allocatable) or total.fits_in(pool.pool.capacity))
