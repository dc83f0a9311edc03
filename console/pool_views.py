"""Pools as people and programs see them: rows of a table, the details of one, JSON objects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from adapters.wire.scalars import POOL_HEALTH_OF, ZONE_OF, timestamp_from_wire, total_from_wire
from console.workload_views import local_time
from inventory.model.pool import PoolHealth
from inventory.model.units import Resources, format_resources
from scheduler.store.documents import resources_document
from xisuan.operations import MaintenanceWindow, Pool

COLUMNS = (
    *("算力池/pool", "名称/name", "技术/adapter", "网络/zones", "等保/level", "状态/health", "节点/nodes"),
    *("可用/allocatable", "空闲/free", "运行/runs", "地址/endpoint"),
)
HEALTH_ZH = {
    PoolHealth.UNKNOWN: "未知",
    PoolHealth.READY: "就绪",
    PoolHealth.UNREACHABLE: "失联",
    PoolHealth.QUARANTINED: "隔离",
}


def row(pool: Pool) -> tuple[object, ...]:
    health = POOL_HEALTH_OF.get(pool.health)
    words = [f"{HEALTH_ZH[health]} {health}" if health else "?"]
    if pool.draining:
        words.append("排空中 draining")
    elif pool.cordoned:
        words.append("已封锁 cordoned")
    if pool.health_message:
        words.append(pool.health_message)
    if gap := _gap(pool):
        words.append(gap)
    return (
        pool.spec.pool_id,
        pool.spec.name,
        pool.spec.adapter,
        "|".join(str(ZONE_OF[number]) for number in pool.spec.zones if number in ZONE_OF),
        pool.spec.protection_level,
        "; ".join(words),
        pool.nodes,
        format_resources(total_from_wire(pool.allocatable)),
        format_resources(total_from_wire(pool.free)),
        pool.active_runs,
        pool.endpoint,
    )


def pool_json(pool: Pool) -> dict[str, Any]:
    return {
        "pool_id": pool.spec.pool_id,
        "name": pool.spec.name,
        "adapter": pool.spec.adapter,
        "zones": [str(ZONE_OF[number]) for number in pool.spec.zones if number in ZONE_OF],
        "protection_level": pool.spec.protection_level,
        "accelerator": pool.spec.accelerator or None,
        "endpoint": pool.endpoint,
        "health": str(POOL_HEALTH_OF.get(pool.health, "")),
        "health_message": pool.health_message,
        "cordoned": pool.cordoned,
        "draining": pool.draining,
        "nodes": pool.nodes,
        "allocatable": resources_document(total_from_wire(pool.allocatable)),
        "free": resources_document(total_from_wire(pool.free)),
        "active_runs": pool.active_runs,
        "promised": resources_document(total_from_wire(pool.promised)),
        "maintenance": [_window_json(window) for window in pool.maintenance],
        "drain_deadline_ms": timestamp_from_wire(pool.drain_deadline) if pool.HasField("drain_deadline") else None,
    }


def _window_json(window: MaintenanceWindow) -> dict[str, Any]:
    return {
        "starts_ms": timestamp_from_wire(window.starts_at),
        "ends_ms": timestamp_from_wire(window.ends_at),
        "cordon_before_ms": window.cordon_before.ToMilliseconds(),
        "drain_before_ms": window.drain_before.ToMilliseconds(),
        "reason": window.reason,
    }


def details(pool: Pool) -> list[tuple[object, ...]]:
    """One fact a line: name and value."""
    rows: list[tuple[object, ...]] = list(zip(COLUMNS, row(pool), strict=True))
    rows.append(("承诺/promised", format_resources(total_from_wire(pool.promised))))
    if pool.HasField("drain_deadline"):
        rows.append(("排空期限/drain deadline", local_time(timestamp_from_wire(pool.drain_deadline))))
    for window in pool.maintenance:
        span = f"{local_time(timestamp_from_wire(window.starts_at))} – {local_time(timestamp_from_wire(window.ends_at))}"
        rows.append(("维护/maintenance", f"{span} {window.reason}".rstrip()))
    return rows


def _gap(pool: Pool) -> str:
    """What is there beside what was promised, where they differ."""
    there, promised = total_from_wire(pool.allocatable), total_from_wire(pool.promised)
    missing = replace(promised.shortage(there), disk_bytes=0)  # shared storage is measured by few technologies
    surplus = replace(there.shortage(promised), disk_bytes=0)
    if promised == Resources() or POOL_HEALTH_OF.get(pool.health) is not PoolHealth.READY:
        return ""
    words = []
    if missing != Resources():
        words.append(f"少于承诺 {format_resources(missing)} less than promised")
    if surplus != Resources():
        words.append(f"多于承诺 {format_resources(surplus)} more than promised, not used")
    return "; ".join(words)
