"""How things stand in one home, from the service where it runs and from the store: `xisuan status`."""

from __future__ import annotations

from collections import Counter
from typing import Any

from adapters.wire.scalars import POOL_HEALTH_OF
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
from scheduler.store.measures import revision, size_bytes
from scheduler.store.scheduler_store import SchedulerStore
from xisuan.operations import Operations

Json = dict[str, Any]
# `--json` has all of them.
_QUEUES_SHOWN = 10


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
        now = service.service_status()
    return {
        "address": address,
        "pid": endpoint.pid if endpoint is not None else None,
        "started_ms": endpoint.started_ms if endpoint is not None else None,
        "pools": dict(sorted(healths.items())),
        "troubled_pools": troubled,
        "workloads": dict(sorted(now.workloads.items())),
        "version": now.version,
        "epoch": now.epoch,
        "leading_since_ms": now.leading_since.ToMilliseconds(),
        "metrics": endpoint.metrics if endpoint is not None and endpoint.metrics else None,
        "last_minute": dict(sorted(now.last_minute.items())),
        "queues": [
            {
                "path": queue.path,
                "waiting": queue.waiting,
                "running": queue.running,
                "oldest_ms": queue.oldest.ToMilliseconds() if queue.HasField("oldest") else None,
            }
            for queue in now.queues
        ],
        "settings": {"digest": now.settings.digest, "loaded_ms": now.settings.loaded.ToMilliseconds()},
    }


def _stored(home: Home) -> Json:
    with local_store(home, writing=False) as store:
        intake, head = Intake(store), store.head()
        imports = intake.imports()
        return {
            "store": name_of(store.engine),
            "events": head.seq,
            "head": f"{head.seq}:{head.hash}",
            "size_bytes": size_bytes(store.engine),
            "revision": revision(store.engine),
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
        f"数据库 / store: {seen['store']}（{seen['size_bytes'] / 2**20:.1f} MiB，表版本 / revision {seen['revision']}）",
        f"事件链 / chain: {seen['events']} 个事件 / events，链尾 / head {seen['head']}",
    ]
    if service is None:
        lines.append("服务 / service: 未运行，可用 xisuan up 启动 / not running; start it with xisuan up")
    else:
        lines += _service_lines(service)
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


def _service_lines(service: Json) -> list[str]:
    since, leading = local_time(service["started_ms"] or 0), local_time(service["leading_since_ms"])
    rates = service["last_minute"]
    lines = [
        f"服务 / service: {service['address']}（进程 / process {service['pid']}，自 / since {since}，"
        f"版本 / version {service['version']}）",
        f"领导任期 / leader epoch: {service['epoch']}，自 / since {leading}",
        f"算力池 / pools: {_counts(service['pools'])}",
        *(f"  {one['pool_id']}: {one['message']}" for one in service["troubled_pools"]),
        f"作业 / workloads: {_counts(service['workloads'])}",
        f"近一分钟 / last minute: 提交 / submitted {rates['submitted']}，安置 / placed {rates['placed']}，"
        f"启动 / started {rates['started']}，结束 / finished {rates['finished']}",
    ]
    queues = sorted(service["queues"], key=lambda queue: -queue["waiting"])
    busy = [queue for queue in queues if queue["waiting"] or queue["running"]][:_QUEUES_SHOWN]
    lines += [
        f"  队列 / queue {queue['path']}: 等待 / waiting {queue['waiting']}，运行 / running {queue['running']}"
        + _oldest(queue)
        for queue in busy
    ]
    if service["metrics"]:
        lines.append(f"指标 / metrics: http://{service['metrics']}/metrics")
    return lines


def _oldest(queue: Json) -> str:
    return f"，最早 / oldest {local_time(queue['oldest_ms'])}" if queue["oldest_ms"] else ""


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "0"
