"""`xisuan store`: backups of the database, their check, their restoration."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from console import printing
from console.commands.options import AsJson
from console.faults import AnswerIsNo, Fault
from console.home import find_home
from console.local_store import local_store
from console.workload_views import local_time
from inventory.store.archived import ArchiveFile
from inventory.store.backup import Manifest, back_up, check_files, open_copy, read_manifest, restore_files
from inventory.store.verify import Verification, verify
from scheduler.runtime.clock import SystemClock
from scheduler.store.opening import open_store, over
from scheduler.store.restoring import Restoration, record_restoration
from scheduler.store.retention import DAY_MS, archive_finished

app = typer.Typer(no_args_is_help=True, help="数据库：备份、校验、恢复 / backups of the store")
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="备份文件夹 / the backup's folder")]


@app.command()
def backup(folder: Folder, as_json: AsJson = False) -> None:
    """在线备份，服务不停 / takes a consistent backup, beside a running service too."""
    home = find_home()
    with local_store(home, writing=False) as store:
        manifest = back_up(store.engine, folder.absolute(), SystemClock().now_ms(), home.papers_folder)
    _tell("已备份 / backed up", folder, manifest, as_json)


@app.command("verify-backup")
def verify_backup(folder: Folder, as_json: AsJson = False) -> None:
    """校验备份：文件、链、投影 / are the files whole, does the chain hold, are the projections true."""
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    if manifest.engine == "sqlite":
        store = over(open_copy(folder / "store.db"))
        try:
            _require(verify(store, anchor=manifest.head))
        finally:
            store.close()
    _tell("备份完整 / the backup is whole", folder, manifest, as_json)
    if manifest.engine != "sqlite" and not as_json:
        printing.say("链在恢复时校验 / the chain of a PostgreSQL backup is verified when it is restored")


@app.command()
def restore(folder: Folder, as_json: AsJson = False) -> None:
    """恢复到空的数据目录 / restores into an empty home (XISUAN_HOME, XISUAN_STORE), and verifies it."""
    home = find_home()
    with home.writer_lock():
        if home.endpoint_file.exists() or (home.folder / "adapters").exists():
            raise Fault(
                f"数据目录 {home.folder} 不是空的；请用 XISUAN_HOME 指定另一个"
                f" / the home {home.folder} is not empty; name another with XISUAN_HOME"
            )
        manifest = restore_files(folder, home.store_url, home.papers_folder)
        store = open_store(home.store_url)
        try:
            _require(verify(store, anchor=manifest.head))
            restoration = record_restoration(store, manifest.head, manifest.made_ms, SystemClock().now_ms())
        finally:
            store.close()
    _tell("已恢复并验证 / restored and verified", home.folder, manifest, as_json, restoration)


@app.command()
def archive(
    days: Annotated[
        int, typer.Option("--days", min=0, help="结束超过多少天 / ended more than so many days ago")
    ] = 90,
    as_json: AsJson = False,
) -> None:
    """把早已结束的作业的事件移入 Parquet 归档，哈希留在链中 / moves old events of finished workloads to archives."""
    home, now_ms = find_home(), SystemClock().now_ms()
    files: list[ArchiveFile] = []
    with local_store(home, writing=False) as store:
        count = archive_finished(
            store, home.archive_folder, before_ms=now_ms - days * DAY_MS, now_ms=now_ms, told=files.append
        )
    if as_json:
        printing.write_json({"events": count, "files": [file.name for file in files]})
        return
    printing.say(f"已归档 / archived: {count} 个事件 / events，{len(files)} 个文件 / files", "bold green")
    printing.say(f"归档目录 / folder: {home.archive_folder}")


def _require(verdict: Verification) -> None:
    if verdict.chain_break is not None:
        broken = verdict.chain_break
        raise AnswerIsNo(f"备份的事件链不完整：{broken.chinese} / the backup's chain is broken: {broken.english}")
    if verdict.differences:
        first = verdict.differences[0]
        raise AnswerIsNo(
            f"备份的投影与事件不符，首处 {first.table}{list(first.key)}"
            f" / the backup's projections differ from its events, first at {first.table}{list(first.key)}"
        )


def _tell(
    what: str, folder: Path, manifest: Manifest, as_json: bool, restoration: Restoration | None = None
) -> None:
    if as_json:
        told = {
            "folder": str(folder),
            "engine": manifest.engine,
            "revision": manifest.revision,
            "head": {"seq": manifest.head.seq, "hash": manifest.head.hash},
            "rows": dict(manifest.rows),
            "made_ms": manifest.made_ms,
            "size_bytes": sum(file.size_bytes for file in manifest.files),
        }
        printing.write_json(told | ({} if restoration is None else asdict(restoration)))
        return
    size = sum(file.size_bytes for file in manifest.files) / 2**20
    printing.say(f"{what}: {folder}", "bold green")
    printing.say(
        f"时间 / taken: {local_time(manifest.made_ms)}，{size:.1f} MiB，表版本 / revision {manifest.revision}"
    )
    printing.say(f"链尾 / head: {manifest.head.seq}:{manifest.head.hash}")
    if restoration is not None:
        printing.say(f"下一任期高于 / the next epoch is above: {restoration.epoch}")
        if restoration.cordoned:
            printing.warn(
                f"{restoration.waiting} 个作业在等待，可能已在备份之后运行过；算力池均已封锁，"
                "核对后用 xisuan pool cordon POOL --undo 开放"
                f" / {restoration.waiting} workloads wait and may have run after the backup: every pool is cordoned; "
                "judge them, then open the pools with xisuan pool cordon POOL --undo"
            )
