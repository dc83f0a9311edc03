"""`xisuan status`, `doctor`, `verify`: is it running, can it run here, and is what it stored still true."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from console import examination, printing
from console.commands.options import AsJson
from console.connection import service_address
from console.faults import AnswerIsNo, Fault
from console.home import find_home
from console.local_store import local_store
from console.overview import overview, show_overview
from inventory.store.chain import Head
from inventory.store.verify import ChainBreak, Difference, Verification
from inventory.store.verify import verify as verify_store


def status(as_json: AsJson = False) -> None:
    """现在的情况：服务、算力池、作业、台账、计划 / how things stand: service, pools, workloads, ledger, plan."""
    seen = overview(find_home())
    if as_json:
        printing.write_json(seen)
    else:
        show_overview(seen)


def doctor(as_json: AsJson = False) -> None:
    """检查这台机器能否运行西算 / can Xisuan run on this machine: Python, disk, ports, Ray, store, adapters."""
    checks = examination.examine(find_home())
    if as_json:
        printing.write_json(
            [{"name": one.name, "good": one.good, "found": one.found, "remedy": one.remedy} for one in checks]
        )
    else:
        rows = [("✓" if one.good else "✗", one.name, one.found, one.remedy) for one in checks]
        printing.table("检查 / checks", ("", "项目/item", "结果/found", "办法/remedy"), rows)
    bad = [one for one in checks if not one.good]
    if bad:
        raise AnswerIsNo(
            f"{len(bad)} 项不合格 / {len(bad)} checks failed: {bad[0].name}: {bad[0].found}；{bad[0].remedy}"
        )


def verify(
    anchor: Annotated[
        str, typer.Option("--anchor", metavar="SEQ:HASH", help="以前记下的链尾 / a head written down earlier")
    ] = "",
    without_archives: Annotated[
        bool, typer.Option("--without-archives", help="归档只核对哈希 / of archived events the hashes alone")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """重新计算事件链和投影，指出首个不符之处 / recompute the event chain and the projections."""
    known = _anchor(anchor)
    home = find_home()
    service_address(home)  # a service that hangs is said here, and not taken for a broken store
    with local_store(home, writing=False) as store:
        archives = home.archive_folder if home.archive_folder.is_dir() and not without_archives else None
        verdict = verify_store(store, anchor=known, archives=archives)
    if as_json:
        printing.write_json(_verdict_json(verdict))
    elif verdict.holds:
        printing.say(
            f"完整 / whole: {verdict.head.seq} 个事件 / events，{verdict.rows_compared} 行投影 / projected rows",
            "bold green",
        )
        if verdict.archived:
            how = "内容 / their content" if verdict.archives_read else "仅哈希 / hashes only"
            printing.say(f"其中已归档 / of them archived: {verdict.archived}，核对 / verified: {how}")
        printing.say(f"链尾 / head: {verdict.head.seq}:{verdict.head.hash}")
    if not verdict.holds:
        raise AnswerIsNo(_first_fault(verdict.chain_break, verdict.differences))


def _anchor(text: str) -> Head | None:
    if not text:
        return None
    match = re.fullmatch(r"(\d+):([0-9a-f]{64})", text.strip())
    if match is None:
        raise Fault(
            f"--anchor {text!r} 须为 序号:哈希（64 位十六进制），如 xisuan verify 所印"
            f" / --anchor {text!r} must be SEQ:HASH (64 hexadecimal digits), as xisuan verify prints it"
        )
    return Head(int(match[1]), match[2])


def _first_fault(chain_break: ChainBreak | None, differences: tuple[Difference, ...]) -> str:
    if chain_break is not None:
        return f"事件链不完整：{chain_break.chinese} / the chain is broken: {chain_break.english}"
    first = differences[0]
    where = f"{first.table}{list(first.key)}" + (f".{first.column}" if first.column else "")
    return (
        f"投影与事件不符（{len(differences)} 张表），首处：{where}，存储 {_short(first.stored)}，应为 {_short(first.rebuilt)}"
        f" / the projections differ from the events in {len(differences)} tables, first at {where}: stored "
        f"{_short(first.stored)}, rebuilt {_short(first.rebuilt)}"
    )


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:59]}…"


def _verdict_json(verdict: Verification) -> dict[str, object]:
    broken = verdict.chain_break
    return {
        "holds": verdict.holds,
        "head": {"seq": verdict.head.seq, "hash": verdict.head.hash},
        "rows_compared": verdict.rows_compared,
        "archived": verdict.archived,
        "archives_read": verdict.archives_read,
        "chain_break": None
        if broken is None
        else {"seq": broken.seq, "fault": broken.fault.value, "zh": broken.chinese, "en": broken.english},
        "differences": [
            {
                "projection": one.projection,
                "table": one.table,
                "key": list(one.key),
                "column": one.column,
                "stored": _short(one.stored),
                "rebuilt": _short(one.rebuilt),
            }
            for one in verdict.differences
        ],
    }
