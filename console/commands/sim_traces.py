"""`xisuan sim inspect`, `convert`, `generate` and `record`: traces from files, from assumptions, from the live log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from console import printing
from console.commands.options import AsJson
from console.faults import Fault
from console.home import find_home
from console.local_store import local_store
from inventory.intake.intake import Intake
from inventory.ledger import read_ledger
from inventory.model.system import System
from inventory.model.units import GIB, Resources, format_resources
from inventory.store.errors import StoreError
from simulations.generator import STRESS_NODE, StressSettings, stress_trace
from simulations.generator_ledger import DAY_MS, HOUR_MS, LedgerSettings, ledger_trace
from simulations.recorder import KINDS, Recorder
from simulations.traces.bad_rows import TraceError
from simulations.traces.reading import Reading, read_trace
from simulations.traces.trace import Outcome, Trace
from simulations.traces.trace_file import write_trace

generate = typer.Typer(
    help="生成负载：压力测试，或由台账推算 / workloads for stress, or from a ledger", no_args_is_help=True
)
CITY_MS = 8 * HOUR_MS  # midnight in the city is 16:00 UTC
PAGE = 10_000  # events read at a time
SHOWN_SHAPES = 8

TraceFile = Annotated[Path, typer.Argument(metavar="TRACE", help="轨迹文件 / trace (docs/traces.md)")]
Form = Annotated[
    str | None, typer.Option("--format", help="格式，缺省按文件名判断 / form; default: as the name tells")
]
Beside = Annotated[
    Path | None,
    typer.Option("--beside", help="第二个文件：openb 节点表或 OpenDC 片段 / openb nodes, OpenDC fragments"),
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="跳过并统计坏行 / leave bad rows out, counted")]
Out = Annotated[Path, typer.Option("--out", metavar="FILE", help="写到此 Parquet 文件 / Parquet file to write")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="随机种子 / random seed")]


def inspect(
    trace: TraceFile,
    format: Form = None,
    beside: Beside = None,
    skip_bad: SkipBad = False,
    as_json: AsJson = False,
) -> None:
    """读入并检查轨迹，给出概要 / read and check a trace, and say what is in it."""
    with _input_faults():
        found = read_trace(trace, format, Reading(skip_bad=skip_bad, beside=beside))
    for note in found.notes:
        printing.warn(note)
    if as_json:
        printing.write_json(summary(found))
    else:
        _show(found)


def convert(
    trace: TraceFile,
    out: Out,
    format: Form = None,
    beside: Beside = None,
    skip_bad: SkipBad = False,
) -> None:
    """转成本项目的 Parquet 轨迹 / write any trace as the project's own Parquet."""
    with _input_faults():
        found = read_trace(trace, format, Reading(skip_bad=skip_bad, beside=beside))
    _keep(found, out)


@generate.command()
def stress(
    out: Out,
    jobs: Annotated[int, typer.Option("--jobs", help="作业数 / number of jobs")] = 100_000,
    shapes: Annotated[int, typer.Option("--shapes", help="形状数 / number of shapes")] = 200,
    load: Annotated[float, typer.Option("--load", help="负荷，1 为满 / offered load; 1: all")] = 0.9,
    nodes: Annotated[int, typer.Option("--nodes", help="节点数 / number of nodes")] = 1000,
    node_cpu: Annotated[int, typer.Option("--node-cpu", help="每节点核数 / vCPUs a node")] = 128,
    node_gib: Annotated[int, typer.Option("--node-gib", help="每节点内存 GiB / memory a node")] = 512,
    node_cards: Annotated[int, typer.Option("--node-cards", help="每节点卡数 / cards a node")] = 0,
    runtime: Annotated[float, typer.Option("--runtime", help="平均运行秒数 / mean running time, s")] = 3600.0,
    seed: Seed = 0,
) -> None:
    """压力负载：N 个作业、S 种形状、M 个节点上的负荷 L / N jobs of S shapes at load L of M nodes."""
    node = Resources(node_cpu * 1000, node_gib * GIB, 0, node_cards * 1000)
    settings = StressSettings(
        jobs, shapes, load, nodes, STRESS_NODE if node == STRESS_NODE else node, round(runtime * 1000)
    )
    with _input_faults():
        made = stress_trace(settings, seed)
    _keep(made, out)


@generate.command()
def ledger(
    out: Out,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="台账文件，缺省用已导入的台账 / workbook; default: the stored ledger"),
    ] = None,
    days: Annotated[int, typer.Option("--days", help="天数 / number of days")] = 7,
    start: Annotated[
        str, typer.Option("--from", metavar="DAY", help="首日 YYYY-MM-DD / first day")
    ] = "2026-01-05",
    seed: Seed = 0,
) -> None:
    """由台账推算负载：服务的昼夜与季节、批处理、训练 / services by day and season, batch, training."""
    try:
        first = date.fromisoformat(start)
    except ValueError:
        raise Fault(f"--from {start!r}：请写 YYYY-MM-DD / write YYYY-MM-DD") from None
    origin = (first - date(1970, 1, 1)).days * DAY_MS - CITY_MS
    with _input_faults():
        made = ledger_trace(_systems(file), LedgerSettings(days=days, origin_ms=origin), seed)
    _keep(made, out)


def record(
    out: Out,
    name: Annotated[str, typer.Option("--name", help="轨迹名 / name of the trace")] = "recorded",
) -> None:
    """把运行日志录成可重放的轨迹 / turn the live event log into a trace that replays."""
    recorder, after = Recorder(), 0
    with _input_faults(), local_store(find_home(), writing=False) as store:
        while events := store.read(after, PAGE, kinds=KINDS):
            recorder.add(events)
            after = events[-1].seq
    with _input_faults():
        made = recorder.trace(name)
    _keep(made, out)


def summary(trace: Trace) -> dict[str, object]:
    """What `inspect --json` prints. Sums are exact; core and card hours are of the recorded running times."""
    return {
        "name": trace.name,
        "jobs": len(trace),
        "digest": trace.digest,
        "origin_ms": trace.origin_ms,
        "span_ms": trace.span_ms,
        "runtime_ms": int(trace.runtime_ms.sum()),
        "with_estimate": int((trace.estimate_ms > 0).sum()),
        "with_deadline": int((trace.deadline_ms > 0).sum()),
        "core_hours": float((trace.cpu_milli * trace.runtime_ms.astype(np.float64)).sum() / 1000 / HOUR_MS),
        "card_hours": float(
            (trace.accelerator_milli * trace.runtime_ms.astype(np.float64)).sum() / 1000 / HOUR_MS
        ),
        "shapes": len(trace.shapes),
        "queues": {
            queue: int(count)
            for queue, count in zip(
                trace.queues, np.bincount(trace.queue, minlength=len(trace.queues)), strict=True
            )
        },
        "users": len(trace.users),
        "outcomes": {one.name.lower(): int((trace.outcome == one).sum()) for one in Outcome},
        "notes": list(trace.notes),
    }


def _show(trace: Trace) -> None:
    said = summary(trace)
    days = trace.span_ms / DAY_MS
    rows = [
        ("作业 / jobs", f"{len(trace):,}"),
        ("时间跨度 / span", f"{days:,.2f} 天/days"),
        ("核时 / core hours", f"{said['core_hours']:,.0f}"),
        ("卡时 / card hours", f"{said['card_hours']:,.0f}"),
        ("有估计 / with estimate", f"{said['with_estimate']:,}"),
        ("有截止 / with deadline", f"{said['with_deadline']:,}"),
        ("队列 / queues", f"{len(trace.queues):,}"),
        ("用户 / users", f"{len(trace.users):,}"),
        ("形状 / shapes", f"{len(trace.shapes):,}"),
        ("内容哈希 / digest", trace.digest),
    ]
    printing.table(trace.name, ("", ""), rows)
    counts = np.bincount(trace.shape, minlength=len(trace.shapes))
    common = np.argsort(-counts, kind="stable")[:SHOWN_SHAPES]
    printing.table(
        "最常见的形状 / the most frequent shapes",
        ("作业/jobs", "任务/tasks", "每任务/each task"),
        [
            (
                f"{counts[i]:,}",
                trace.shapes[i].requirements.tasks,
                format_resources(trace.shapes[i].requirements.per_task),
            )
            for i in common.tolist()
        ],
    )


def _systems(file: Path | None) -> tuple[System, ...]:
    if file is not None:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise Fault(f"{file}: 无法读取（{error.strerror}） / cannot be read; check the path") from error
        return tuple(read_ledger(content, file.name, None).systems)
    with local_store(find_home(), writing=False) as store:
        return Intake(store).systems()


def _keep(trace: Trace, out: Path) -> None:
    for note in trace.notes:
        printing.warn(note)
    try:
        write_trace(trace, out)
    except OSError as error:
        raise Fault(f"--out {out}: 无法写入（{error.strerror}） / cannot be written; name another file") from error
    printing.say(
        f"{out}: {len(trace):,} 个作业，跨 {trace.span_ms / DAY_MS:.2f} 天，哈希 {trace.digest[:12]} / {len(trace):,} jobs "
        f"over {trace.span_ms / DAY_MS:.2f} days, digest {trace.digest[:12]}"
    )


@contextmanager
def _input_faults() -> Iterator[None]:
    """What the input is to blame for becomes one line on the terminal."""
    try:
        yield
    except (TraceError, ValueError, StoreError) as error:
        raise Fault(str(error)) from error
