"""`xisuan pool`: the registry of pools. Needs the running service. How pools are shown stands in `console.pool_views`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from adapters.wire.pools import pool_to_wire
from console import printing
from console.commands.options import AsJson, NodeGroupFile, PoolFile
from console.connection import operations
from console.faults import Fault
from console.home import find_home
from console.job_fields import duration_ms
from console.pool_views import COLUMNS, details, pool_json, row
from console.workload_views import CHINA
from inventory.model.pool import Pool as DeclaredPool
from inventory.pool_catalogue import read_pools
from xisuan.operations import MaintenanceWindow, Pool

app = typer.Typer(no_args_is_help=True, help="算力池：列出、登记、封锁、排空 / compute pools")

PoolId = Annotated[str, typer.Argument(metavar="POOL", help="算力池编号 / pool id")]
Reason = Annotated[str, typer.Option("--reason", help="原因，记入台账 / kept in the record")]
_ENDPOINT = re.compile(r"([a-z0-9-]+)=(\S+:\d+)")


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
def show(pool_id: PoolId, as_json: AsJson = False) -> None:
    """一个算力池的详情：承诺与实际、维护窗口 / one pool: what was promised, what is there, maintenance."""
    with operations(find_home()) as service:
        pool = _known(service.pools(), pool_id)
    if as_json:
        printing.write_json(pool_json(pool))
    else:
        printing.table(f"算力池 / pool {pool_id}", ("项目/item", "内容/value"), details(pool))


@app.command()
def drain(
    pool_id: PoolId,
    reason: Reason = "",
    deadline: Annotated[
        str, typer.Option("--deadline", metavar="30m", help="宽限，到期强制停止 / then runs are ended by force")
    ] = "",
) -> None:
    """排空：封锁并把运行中的作业移走 / cordon, and move what runs elsewhere."""
    deadline_ms = _duration(deadline, "--deadline") if deadline else 0
    with operations(find_home()) as service:
        pool, run_ids = service.drain_pool(pool_id, reason=reason, deadline_ms=deadline_ms)
    _show([pool], as_json=False)
    printing.say(f"正在停止 {len(run_ids)} 个运行 / stopping {len(run_ids)} runs")


@app.command()
def maintain(
    pool_id: PoolId,
    starts: Annotated[
        str, typer.Option("--from", metavar="TIME", help="开始，如 2026-12-01T22:00+08:00 / start")
    ] = "",
    ends: Annotated[str, typer.Option("--to", metavar="TIME", help="结束 / end")] = "",
    cordon_before: Annotated[
        str, typer.Option("--cordon-before", metavar="1h", help="提前多久封锁 / closed so long before")
    ] = "1h",
    drain_before: Annotated[
        str, typer.Option("--drain-before", metavar="10m", help="提前多久排空 / emptied so long before")
    ] = "10m",
    clear: Annotated[bool, typer.Option("--clear", help="取消全部窗口 / no maintenance at all")] = False,
    reason: Reason = "",
) -> None:
    """维护窗口：之前封锁并排空，之后自动开放 / closed and emptied before, open again after."""
    if clear == bool(starts or ends) or bool(starts) != bool(ends):
        raise Fault("请给出 --from 与 --to，或单独给出 --clear / give --from and --to, or --clear alone")
    window = MaintenanceWindow(reason=reason)
    if not clear:
        window.starts_at.FromDatetime(_moment(starts, "--from"))
        window.ends_at.FromDatetime(_moment(ends, "--to"))
        window.cordon_before.FromMilliseconds(_duration(cordon_before, "--cordon-before"))
        window.drain_before.FromMilliseconds(_duration(drain_before, "--drain-before"))
        if window.starts_at.ToNanoseconds() >= window.ends_at.ToNanoseconds():
            raise Fault(f"--to {ends} 须晚于 --from {starts} / --to {ends} must be later than --from {starts}")
    with operations(find_home()) as service:
        windows = [] if clear else [*_known(service.pools(), pool_id).maintenance, window]
        pool = service.maintain_pool(pool_id, windows)
    printing.table(f"算力池 / pool {pool_id}", ("项目/item", "内容/value"), details(pool))


@app.command()
def leave(pool_id: PoolId, reason: Reason = "") -> None:
    """注销：算力池退出；有运行时拒绝，先排空 / the pool leaves; refused while runs hold it, drain it first."""
    with operations(find_home()) as service:
        # The call itself is content where there is no such pool; a person has mistyped its name.
        _known(service.pools(), pool_id)
        service.leave_pool(pool_id, reason=reason)
    printing.say(f"算力池 {pool_id} 已退出 / pool {pool_id} has left")


def _known(pools: Iterable[Pool], pool_id: str) -> Pool:
    known = {pool.spec.pool_id: pool for pool in pools}
    if pool_id not in known:
        names = ", ".join(sorted(known)) or "-"
        raise Fault(f"没有算力池 {pool_id}，已登记：{names} / no pool {pool_id}; registered are: {names}")
    return known[pool_id]


def _duration(text: str, option: str) -> int:
    try:
        return duration_ms(text)
    except ValueError as error:
        raise Fault(f"{option} {text!r}: {error}") from None


def _moment(text: str, option: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Fault(
            f"{option} {text!r} 不是时间，例如 2026-12-01T22:00+08:00"
            f" / {option} {text!r} is not a time, such as 2026-12-01T22:00+08:00"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=CHINA)).astimezone(UTC)


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
        printing.write_json([pool_json(pool) for pool in pools])
    else:
        rows = [row(pool) for pool in pools]
        printing.table(f"算力池 / pools: {len(pools)}", COLUMNS, rows)
