"""Capacity: the pool has too little free in sum, though it is large enough.

Where the sum is enough, the pool host judges node by node. This filter and the free-capacity score are the two
policies that read `PoolView.free`.
"""

from __future__ import annotations

from inventory.model.placement import Reason, ReasonCode
from scheduler.core.placement.filters.too_large import exceeds_pool, judged
from scheduler.core.placement.protocol import PoolView, Shape
from scheduler.core.placement.wording import less_or_later, where_short


def refuse(shape: Shape, pool: PoolView) -> Reason | None:
    total = shape.total
    if total.fits_in(pool.free) or not pool.is_described:
        return None
    total = judged(total, pool)
    task = judged(shape.requirements.per_task, pool)
    if total.fits_in(pool.free) or not task.fits_in(pool.largest_task) or exceeds_pool(total, pool):
        return None  # no cards at all, or too large: said by those filters, and waiting would not help
    shortage = total.shortage(pool.free)
    remedy_zh, remedy_en = less_or_later(total, shortage)
    return Reason(
        ReasonCode.CAPACITY,
        needed=where_short(total, shortage),
        offered=f"空闲/free {where_short(pool.free, shortage)}",
        remedy_zh=remedy_zh,
        remedy_en=remedy_en,
    )
