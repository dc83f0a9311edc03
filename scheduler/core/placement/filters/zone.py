"""网络区域: a workload runs only in a pool that serves its network zone."""

from __future__ import annotations

from inventory.model.placement import Reason, ReasonCode
from scheduler.core.placement.protocol import PoolView, Shape
from scheduler.core.placement.wording import zone_en


def refuse(shape: Shape, pool: PoolView) -> Reason | None:
    zone = shape.requirements.zone
    if zone is None or zone in pool.pool.zones:
        return None
    served = sorted(pool.pool.zones)
    return Reason(
        ReasonCode.ZONE,
        needed=zone,
        offered="|".join(served) or "无/none",
        remedy_zh=f"允许网络区域 {' 或 '.join(served) or '（无）'}，或请该池接入 {zone}",
        remedy_en=f"allow zone {' or '.join(map(zone_en, served)) or '(none)'}, or have the pool serve {zone_en(zone)}",
    )
