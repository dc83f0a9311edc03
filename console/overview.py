"""How things stand in one home, from the service where it runs and from the store: `xisuan status`."""

from __future__ import annotations

from collections import Counter
from typing import Any

from adapters.wire.scalars import POOL_HEALTH_OF, WORKLOAD_STATE_OF
from console import printing
from console.connection import PATIENCE_S, service_address
from console.home import Home
from console.local_store import local_store
from console.workload_views import local_time
from inventory.intake import Intake
from inventory.store.engine import name_of
from scheduler.runtime.clock import SystemClock
from scheduler.services.migration_desk import MigrationDesk
from scheduler.services.ports import RequestError
from scheduler.store.scheduler_store import SchedulerStore
from xisuan.client import Client
from xisuan.operations import Operations

Json = dict[str, Any]


def overview(home: Home) -> Json:
    """One JSON object. Raises StoreError, Fault."""
    address = service_address(home)
    return {"home": str(home.folder), "service": _service(home, address), **_stored(home)}


def _service(home: Home, address: str | None) -> Json | None:
    if address is None:
        return None
    endpoint = home.read_endpoint()
    with Operations(address, patience_s=PATIENCE_S) as service:
        pools = service.pools()
        healths = Counter(str(POOL_HEALTH_OF.get(pool.health, "?")) for pool in pools)
        troubled = [
            {"pool_id": pool.spec.pool_id, "message": pool.health_message} for pool in pools if pool.health_message
        ]
    with Client(address, patience_s=PATIENCE_S) as client:
        states = Counter(str(WORKLOAD_STATE_OF.get(one.state, "?")) for one in client.list())
    return {
        "address": address,
        "pid": endpoint.pid if endpoint is not None else None,
        "started_ms": endpoint.started_ms if endpoint is not None else None,
        "pools": dict(sorted(healths.items())),
        "troubled_pools": troubled,
        "workloads": dict(sorted(states.items())),
    }


def _stored(home: Home) -> Json:
    with local_store(home, writing=False) as store:
        intake = Intake(store)
        imports = intake.imports()
        return {
            "store": name_of(store.engine),
            "events": store.head().seq,
            "ledger": {
                "imports": len(imports),
                "pending": [record.id for record in imports if record.status == "pending"],
                "open_findings": len(intake.findings()) + len(intake.conflicts()),
                "illustrative": any(record.illustrative for record in imports if record.status == "applied"),
            },
            "migration": _migration(MigrationDesk(SchedulerStore(store), SystemClock().now_ms)),
        }


def _migration(desk: MigrationDesk) -> Json | None:
    try:
        progress = desk.status()
    except RequestError:  # no plan yet
        return None
    return {
        "plan_id": progress.plan_id,
        "waves": len(progress.waves),
        "systems": sum(wave.systems for wave in progress.waves),
        "migrated": sum(wave.migrated for wave in progress.waves),
        "failed": sum(wave.failed for wave in progress.waves),
        "unplaced": progress.unplaced,
    }


def show_overview(seen: Json) -> None:
    ledger, service, migration = seen["ledger"], seen["service"], seen["migration"]
    printing.watermark(ledger["illustrative"])
    lines = [
        f"数据目录 / home: {seen['home']}",
        f"数据库 / store: {seen['store']}（{seen['events']} 个事件 / events）",
    ]
    if service is None:
        lines.append("服务 / service: 未运行，可用 xisuan up 启动 / not running; start it with xisuan up")
    else:
        since = local_time(service["started_ms"] or 0)
        lines += [
            f"服务 / service: {service['address']}（进程 / process {service['pid']}，自 / since {since}）",
            f"算力池 / pools: {_counts(service['pools'])}",
            f"作业 / workloads: {_counts(service['workloads'])}",
        ]
        lines += [f"  {one['pool_id']}: {one['message']}" for one in service["troubled_pools"]]
    waiting = f"，等待应用 / waiting: {', '.join(ledger['pending'])}" if ledger["pending"] else ""
    lines.append(
        f"台账 / ledger: {ledger['imports']} 次导入 / imports{waiting}，{ledger['open_findings']} 个待处理 / open findings"
    )
    if migration is None:
        lines.append("计划 / plan: 尚无 / none yet")
    else:
        lines.append(
            f"计划 / plan: {migration['plan_id']}，{migration['waves']} 批 / waves，{migration['migrated']}/"
            f"{migration['systems']} 已迁移 / migrated，{migration['failed']} 失败 / failed"
        )
    printing.panel("西算 / Xisuan", lines)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "0"
