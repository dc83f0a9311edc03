"""`xisuan pool`: the registry of pools. Needs the running service."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from adapters.wire.pools import pool_to_wire
from adapters.wire.scalars import POOL_HEALTH_OF, ZONE_OF, total_from_wire
from console import printing
from console.commands.options import AsJson, NodeGroupFile, PoolFile
from console.connection import operations
from console.faults import Fault
from console.home import find_home
from inventory.model.pool import Pool as DeclaredPool
from inventory.model.pool import PoolHealth
from inventory.model.units import format_resources
from inventory.pool_catalogue import read_pools
from scheduler.store.documents import resources_document
from xisuan.operations import Pool

app = typer.Typer(no_args_is_help=True, help="算力池：列出、登记、封锁、排空 / compute pools")

PoolId = Annotated[str, typer.Argument(metavar="POOL", help="算力池编号 / pool id")]
Reason = Annotated[str, typer.Option("--reason", help="原因，记入台账 / kept in the record")]
_ENDPOINT = re.compile(r"([a-z0-9-]+)=(\S+:\d+)")
_COLUMNS = ("算力池/pool", "名称/name", "技术/adapter", "网络/zones", "等保/level", "状态/health", "节点/nodes")
_MORE = ("可用/allocatable", "空闲/free", "运行/runs", "地址/endpoint")
HEALTH_ZH = {
    PoolHealth.UNKNOWN: "未知",
    PoolHealth.READY: "就绪",
    PoolHealth.UNREACHABLE: "失联",
    PoolHealth.QUARANTINED: "隔离",
}


@app.command("ls")
def ls(as_json: AsJson = False) -> None:
    """列出已登记的算力池 / list the registered pools."""
    with operations(find_home()) as service:
        pools = list(service.pools())
    _show(pools, as_json)


@app.command()
def register(
    pools: PoolFile = None,
    node_groups: NodeGroupFile = None,
    endpoints: Annotated[
        list[str] | None,
        typer.Option(
            "--endpoint", metavar="ID=HOST:PORT", help="适配器地址，可重复 / adapter address, repeatable"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """登记算力池，或更新其声明和地址（可重复执行）/ register pools, or change their declaration or address."""
    declared = {pool.pool_id: pool for pool in read_pool_files(pools, node_groups)}
    given = _endpoints(endpoints or (), declared)
    with operations(find_home()) as service:
        known = {pool.spec.pool_id: pool.endpoint for pool in service.pools()}
        addresses = {pool_id: given.get(pool_id) or known.get(pool_id, "") for pool_id in declared}
        missing = [pool_id for pool_id, address in addresses.items() if not address]
        if missing:
            raise Fault(
                f"{len(missing)} 个算力池没有适配器地址：{', '.join(missing[:5])}；请用 --endpoint ID=主机:端口 给出"
                f" / no adapter address for {', '.join(missing[:5])}; give one with --endpoint ID=HOST:PORT"
            )
        done = [service.register_pool(pool_to_wire(pool), addresses[pool.pool_id]) for pool in declared.values()]
    _show(done, as_json)


@app.command()
def cordon(
    pool_id: PoolId,
    undo: Annotated[bool, typer.Option("--undo", help="解除 / lift it")] = False,
    reason: Reason = "",
) -> None:
    """封锁：不再放新作业，运行中的继续 / place nothing new there; what runs goes on."""
    with operations(find_home()) as service:
        _show([service.cordon_pool(pool_id, undo=undo, reason=reason)], as_json=False)


@app.command()
def drain(pool_id: PoolId, reason: Reason = "") -> None:
    """排空：封锁并把运行中的作业移走 / cordon, and move what runs elsewhere."""
    with operations(find_home()) as service:
        pool, run_ids = service.drain_pool(pool_id, reason=reason)
    _show([pool], as_json=False)
    printing.say(f"正在停止 {len(run_ids)} 个运行 / stopping {len(run_ids)} runs")


def read_pool_files(pools: Path | None, node_groups: Path | None) -> tuple[DeclaredPool, ...]:
    """The pools of both files. Raises Fault when one is not named, CatalogueError with every fault in them."""
    if pools is None or node_groups is None:
        missing = "--pools" if pools is None else "--node-groups"
        raise Fault(f"缺少 {missing} FILE；两个文件要一起给出 / {missing} FILE is missing; give both files")
    return read_pools(pools, node_groups)


def _endpoints(given: Sequence[str], declared: Mapping[str, DeclaredPool]) -> dict[str, str]:
    found = {}
    for text in given:
        match = _ENDPOINT.fullmatch(text)
        if match is None:
            raise Fault(
                f"--endpoint {text!r} 须写作 ID=主机:端口，例如 cq-ai=127.0.0.1:7701"
                f" / --endpoint {text!r} must be ID=HOST:PORT, for example cq-ai=127.0.0.1:7701"
            )
        if match[1] not in declared:
            raise Fault(
                f"--endpoint {text!r}：文件中没有算力池 {match[1]!r}，有：{', '.join(declared)}"
                f" / there is no pool {match[1]!r} in the file, which has: {', '.join(declared)}"
            )
        found[match[1]] = match[2]
    return found


def _show(pools: Sequence[Pool], as_json: bool) -> None:
    if as_json:
        printing.write_json([_pool_json(pool) for pool in pools])
    else:
        rows = [_row(pool) for pool in pools]
        printing.table(f"算力池 / pools: {len(pools)}", (*_COLUMNS, *_MORE), rows)


def _row(pool: Pool) -> tuple[object, ...]:
    health = POOL_HEALTH_OF.get(pool.health)
    words = [f"{HEALTH_ZH[health]} {health}" if health else "?"]
    if pool.draining:
        words.append("排空中 draining")
    elif pool.cordoned:
        words.append("已封锁 cordoned")
    if pool.health_message:
        words.append(pool.health_message)
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


def _pool_json(pool: Pool) -> dict[str, Any]:
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
    }
