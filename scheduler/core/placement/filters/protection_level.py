"""等保: a workload runs only in a pool that is graded for its protection level or a higher one."""

from __future__ import annotations

from inventory.model.placement import Reason, ReasonCode
from scheduler.core.placement.protocol import PoolView, Shape
from scheduler.core.placement.wording import level


def refuse(shape: Shape, pool: PoolView) -> Reason | None:
    needed, offered = shape.requirements.protection_level, pool.pool.protection_level
    if needed <= offered:
        return None
    return Reason(
        ReasonCode.PROTECTION_LEVEL,
        needed=level(needed),
        offered=level(offered),
        remedy_zh=f"改用等保{level(needed)}的算力池，或请该池通过{level(needed)}测评",
        remedy_en=f"use a pool of protection level {needed}, or have this pool graded for it",
    )
