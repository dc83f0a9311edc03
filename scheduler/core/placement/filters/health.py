"""Health: a pool that does not answer, or answers nonsense, takes no new runs."""

from __future__ import annotations

from inventory.model.placement import Reason, ReasonCode
from inventory.model.pool import PoolHealth
from scheduler.core.placement.protocol import PoolView, Shape


def refuse(shape: Shape, pool: PoolView) -> Reason | None:
    if pool.health is PoolHealth.READY:
        return None
    if pool.health is PoolHealth.QUARANTINED:
        return Reason(
            ReasonCode.QUARANTINED,
            needed="正常/ready",
            offered="已隔离/quarantined",
            remedy_zh="检修该池的适配器",
            remedy_en="have the pool's adapter repaired",
        )
    return Reason(
        ReasonCode.UNREACHABLE,
        needed="正常/ready",
        offered="从未应答/never answered" if pool.health is PoolHealth.UNKNOWN else "不应答/unreachable",
        remedy_zh="等待该池的适配器恢复应答",
        remedy_en="wait until the pool's adapter answers",
    )
