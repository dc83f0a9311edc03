"""Cordon (封锁): an operator has closed the pool to new runs; those that run there go on."""

from __future__ import annotations

from inventory.model.placement import Reason, ReasonCode
from scheduler.core.placement.protocol import PoolView, Shape


def refuse(shape: Shape, pool: PoolView) -> Reason | None:
    if not pool.cordoned:
        return None
    return Reason(
        ReasonCode.CORDONED,
        needed="开放/open",
        offered="已封锁/cordoned",
        remedy_zh="等待解除封锁",
        remedy_en="wait until the pool is uncordoned",
    )
