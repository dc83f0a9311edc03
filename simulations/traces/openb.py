"""Reads the openb trace (Alibaba cluster-trace-gpu-v2023): node lists and pod lists, in their CSV form.

`simulations.evaluation` calls this. Amounts keep the trace's units: milli-CPU, MiB, milli-GPU.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from scheduler.core.placement.policies.encode import MAX_CARDS
from scheduler.core.placement.policies.shape import WHOLE_CARD, NodeFree, TaskShape
from simulations.traces.bad_rows import BadRows, BadValue, TraceError

NODE_COLUMNS = ("sn", "cpu_milli", "memory_mib", "gpu", "model")
POD_COLUMNS = ("name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli")  # gpu_spec may be missing
LARGEST = 10**12  # no amount of the trace comes near; above it sums would leave 64 bits

Parsed = TypeVar("Parsed")
Row = tuple[int, dict[str, str]]  # line in the file, value by column


class BadCell(Exception):
    def __init__(self, column: str, value: str, rule_zh: str, rule_en: str) -> None:
        super().__init__(rule_en)
        self.column, self.value, self.rule_zh, self.rule_en = column, value, rule_zh, rule_en


@dataclass(frozen=True, slots=True)
class NodeList:
    """The cluster. `notes`: what was skipped while reading, for the person who asked."""

    names: tuple[str, ...]
    nodes: tuple[NodeFree, ...]
    notes: tuple[str, ...] = ()

    @property
    def card_milli(self) -> int:
        return sum(node.idle_milli for node in self.nodes)


@dataclass(frozen=True, slots=True)
class PodList:
    """One workload, sorted by pod name. `name` is the list's own: "default", "gpuspec33"."""

    name: str
    names: tuple[str, ...]
    pods: tuple[TaskShape, ...]
    notes: tuple[str, ...] = ()


def read_nodes(path: Path, *, skip_bad: bool = False) -> NodeList:
    """Raises TraceError for a file or row that cannot be used, and for a list without a single GPU."""
    bad = BadRows(path, skip_bad)
    rows = dict(named_rows(rows_of(path, NODE_COLUMNS), "sn", _node, bad))
    listed = NodeList(tuple(rows), tuple(rows.values()), tuple(bad.report()))
    if not listed.card_milli:
        raise TraceError(
            f"{path.name}: 没有一张可用的卡，无法计算分配率 / not one card in the list, so there is no allocation "
            "ratio; 请检查 gpu 列 / check the gpu column"
        )
    return listed


def read_pods(path: Path, nodes: NodeList, *, skip_bad: bool = False) -> PodList:
    """Raises TraceError for a file or row that cannot be used, and for a pod that no node of the list could hold.

    The last rule leaves the card model aside: a pod that asks for a model which is too small, or not in this
    cluster, is a real request; it arrives, fits nowhere, and is counted in `notes`.
    """
    bad = BadRows(path, skip_bad)

    def pod(row: dict[str, str]) -> TaskShape:
        task = pod_of(row)
        refuse_giant(task, row, nodes.nodes)
        return task

    rows = dict(named_rows(rows_of(path, POD_COLUMNS), "name", pod, bad))
    notes = bad.report()
    if not rows:
        raise TraceError(f"{path.name}: 没有可用的行 / no usable row; 请检查文件 / check the file")
    hopeless = sum(not _fits_somewhere(task, nodes.nodes) for task in set(rows.values()))
    if hopeless:
        notes.append(
            f"{path.name}: {hopeless} 种请求因卡型号在空集群上也放不下，到达即丢弃 / "
            f"{hopeless} kinds of request fit on no empty node of their card model: they arrive and are dropped"
        )
    ordered = sorted(rows)
    name = path.name.removesuffix(".csv").removeprefix("openb_pod_list_")
    return PodList(name, tuple(ordered), tuple(rows[key] for key in ordered), tuple(notes))


def rows_of(path: Path, required: Sequence[str]) -> Iterator[Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            columns = reader.fieldnames or []
            missing = [column for column in required if column not in columns]
            if missing:
                raise TraceError(
                    f"{path.name} 第 1 行: 缺少列 / line 1: missing columns: {', '.join(missing)}; "
                    f"需要 / needed: {', '.join(required)}"
                )
            for row in reader:
                # A short row has None values, a long one a None key: both keep their line for the message.
                yield reader.line_num, {key or "": _text(value) for key, value in row.items()}
    except OSError as error:
        raise TraceError(f"{path}: 无法读取 / cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise TraceError(
            f"{path.name}: 不是 UTF-8 的 CSV / not a CSV in UTF-8 ({error}); 请另存为 UTF-8 / save it as UTF-8"
        ) from error


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ("" if value is None else str(value))


def named_rows(
    rows: Iterator[Row], key: str, parse: Callable[[dict[str, str]], Parsed], bad: BadRows
) -> Iterator[tuple[str, Parsed]]:
    """The usable rows by their name. A name that comes twice is a bad row."""
    seen: dict[str, int] = {}
    for line, row in rows:
        try:
            name = row[key]
            if not name:
                raise BadCell(key, name, "名称不能为空", "a name is needed")
            if name in seen:
                raise BadCell(key, name, f"与第 {seen[name]} 行重复", f"line {seen[name]} has the same name")
            if "" in row:
                raise BadCell(
                    "(多余/extra)", row[""], "该行的列多于表头", "the row has more columns than the header"
                )
            parsed = parse(row)
        except BadCell as refused:
            bad.refuse(BadValue(line, refused.column, refused.value, refused.rule_zh, refused.rule_en))
            continue
        seen[name] = line
        yield name, parsed


def amount(row: dict[str, str], column: str, most: int = LARGEST) -> int:
    """A whole number 0..most; "8", "8.0" and "8e3" alike. NaN, infinite, negative and broken numbers are bad."""
    text = row[column]
    zh, en = f"须为 0 到 {most} 的整数", f"a whole number 0..{most} is needed"
    try:
        number = float(text)
        whole = int(text) if text.isdecimal() else int(number)
    except (ValueError, OverflowError):
        raise BadCell(column, text, zh, en) from None
    if (whole != number and not text.isdecimal()) or not 0 <= whole <= most:
        raise BadCell(column, text, zh, en)
    return whole


def _node(row: dict[str, str]) -> NodeFree:
    return NodeFree.empty(
        cpu=amount(row, "cpu_milli"),
        memory=amount(row, "memory_mib"),
        cards=amount(row, "gpu", MAX_CARDS),
        model=row["model"],
    )


def pod_of(row: dict[str, str]) -> TaskShape:
    cards = amount(row, "num_gpu", MAX_CARDS)
    milli = amount(row, "gpu_milli", WHOLE_CARD)
    if cards and not milli:
        raise BadCell(
            "gpu_milli", row["gpu_milli"], "要卡时须为 1 到 1000", "1..1000 is needed where num_gpu is not 0"
        )
    if cards > 1 and milli != WHOLE_CARD:
        raise BadCell(
            "gpu_milli", row["gpu_milli"], "多卡须为整卡 1000", "several cards are whole: 1000 is needed"
        )
    spec = row.get("gpu_spec", "")
    models = frozenset(part.strip() for part in spec.split("|") if part.strip())
    return TaskShape(
        cpu_milli=amount(row, "cpu_milli"),
        memory=amount(row, "memory_mib"),
        cards=cards,
        card_milli=milli if cards else 0,
        models=models if models and cards else None,
    )


def refuse_giant(task: TaskShape, row: dict[str, str], nodes: Sequence[NodeFree]) -> None:
    """Raises BadCell for a pod above the largest node in one dimension."""
    limits = (
        ("cpu_milli", task.cpu_milli, max(node.cpu_capacity for node in nodes)),
        ("memory_mib", task.memory, max(node.memory_capacity for node in nodes)),
        ("num_gpu", task.cards, max(len(node.free_cards) for node in nodes)),
    )
    for column, asked, most in limits:
        if asked > most:
            raise BadCell(
                column, row[column], f"大于最大的节点 ({most})", f"larger than the largest node ({most})"
            )


def _fits_somewhere(task: TaskShape, nodes: Sequence[NodeFree]) -> bool:
    return any(
        task.suits(node.model)
        and task.cards <= len(node.free_cards)
        and task.cpu_milli <= node.cpu_capacity
        and task.memory <= node.memory_capacity
        for node in set(nodes)
    )
