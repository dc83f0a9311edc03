"""A workload that names pools runs only in one of them."""

from __future__ import annotations

from inventory.model.placement import Reason, ReasonCode
from scheduler.core.placement.protocol import PoolView, Shape


def refuse(shape: Shape, pool: PoolView) -> Reason | None:
    allowed, pool_id = shape.requirements.pools, pool.pool.pool_id
    if not allowed or pool_id in allowed:
        return None
    return Reason(
        ReasonCode.POOL_NOT_ALLOWED,
        needed="|".join(sorted(allowed)),
        offered=pool_id,
        remedy_zh=f"把 {pool_id} 加入作业允许的算力池",
        remedy_en=f"add {pool_id} to the workload's pools",
    )
