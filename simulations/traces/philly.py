"""Reads the Microsoft Philly trace in its derived CSV form: timestamp, duration, num_gpus, gpu_time, cluster.

Source of the trace: Jeon et al., USENIX ATC'19 (CC-BY-4.0). It names no servers and no CPU: jobs ask for cards only.
Philly's servers had up to eight cards, so a job of more is a gang of equal tasks, each of the largest size up to
eight that divides it: 16 cards are two tasks of eight. The virtual cluster is the queue.
"""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from inventory.model.units import Resources
from inventory.model.workload import Requirements
from scheduler.core.placement.protocol import Shape
from simulations.traces.bad_rows import BadRows, BadValue, TraceError
from simulations.traces.text_file import decoded_lines
from simulations.traces.trace import Trace, TraceColumns, strings

NEEDED = ("timestamp", "duration", "num_gpus", "cluster")
CARDS_A_NODE = 8
LARGEST_S = 10**9
LARGEST_CARDS = 10**6
MILLI = 1000


class _Refused(Exception):
    def __init__(self, column: str, value: str, rule_zh: str, rule_en: str) -> None:
        super().__init__(rule_en)
        self.of = (column, value, rule_zh, rule_en)


def read_philly(path: Path, *, skip_bad: bool = False) -> Trace:
    """Raises TraceError, naming line and column. Rows need no order: the file has none. Time is read as UTC."""
    bad = BadRows(path, skip_bad)
    ids: list[str] = []
    rows: list[tuple[int, int, int]] = []
    clusters: list[str] = []
    header: list[str] = []
    for line, words in _csv_rows(path):
        if not header:
            header = [word.strip() for word in words]
            missing = [column for column in NEEDED if column not in header]
            if missing:
                raise TraceError(
                    f"{path.name} 第 {line} 行: 缺少列 / line {line}: missing columns: {', '.join(missing)}; "
                    f"需要 / needed: {', '.join(NEEDED)}"
                )
            continue
        try:
            if len(words) != len(header):
                rule = f"须有 {len(header)} 列", f"{len(header)} fields are needed"
                raise _Refused(header[min(len(words), len(header) - 1)], f"{len(words)} 列/fields", *rule)
            row = dict(zip(header, words, strict=True))
            parsed = (_moment(row), round(_number(row, "duration", LARGEST_S) * MILLI), _cards(row))
        except _Refused as refused:
            bad.refuse(BadValue(line, *refused.of))
            continue
        ids.append(f"philly-{line}")
        rows.append(parsed)
        clusters.append(row["cluster"].strip() or "unknown")
    if not rows:
        raise TraceError(f"{path.name}: 没有可用的行 / no usable row; 请检查文件 / check the file")
    times, runtimes, cards = np.array(rows, dtype=np.int64).T
    bad.sort_in(times, [int(one.removeprefix("philly-")) for one in ids])
    origin = int(times.min())
    sizes, shape = np.unique(cards, return_inverse=True)
    names = list(dict.fromkeys(clusters))
    of_name = {name: number for number, name in enumerate(names)}
    columns = TraceColumns(
        job_ids=strings(ids),
        submitted_ms=times - origin,
        runtime_ms=runtimes,
        shape=shape.astype(np.int32),
        shapes=[cards_shape(size) for size in sizes.tolist()],
        queue=np.array([of_name[name] for name in clusters], dtype=np.int32),
        queues=names,
    )
    name = path.name.removesuffix(".gz").removesuffix(".csv")
    return Trace.of(name, columns, origin_ms=origin, notes=bad.report())


def cards_shape(cards: int) -> Shape:
    """So many cards, in equal tasks of at most eight."""
    each = next(size for size in range(CARDS_A_NODE, 0, -1) if cards % size == 0)
    return Shape(Requirements(Resources(accelerator_milli=each * MILLI), tasks=cards // each))


def _csv_rows(path: Path) -> list[tuple[int, list[str]]]:
    numbers: list[int] = []

    def texts() -> list[str]:
        found = []
        for line, text in decoded_lines(path):
            if text.strip():
                numbers.append(line)
                found.append(text)
        return found

    lines = texts()
    try:
        return list(zip(numbers, csv.reader(lines, strict=True), strict=True))
    except (csv.Error, ValueError) as error:
        raise TraceError(
            f"{path.name}: 不是每行一条记录的 CSV / not a CSV with one record a line ({error})"
        ) from error


def _moment(row: dict[str, str]) -> int:
    text = row["timestamp"].strip()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _Refused(
            "timestamp",
            text,
            "须为 2017-10-09 07:01:55 这样的时间",
            "a time such as 2017-10-09 07:01:55 is needed",
        ) from None
    return round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * MILLI)


def _number(row: dict[str, str], column: str, most: int) -> float:
    text = row[column].strip()
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= most:
        raise _Refused(column, text, f"须为 0 到 {most} 的数", f"a number 0..{most} is needed")
    return number


def _cards(row: dict[str, str]) -> int:
    cards = _number(row, "num_gpus", LARGEST_CARDS)
    if cards < 1 or cards != int(cards):
        raise _Refused("num_gpus", row["num_gpus"], "须为不小于 1 的整数", "a whole number from 1 on is needed")
    return int(cards)
