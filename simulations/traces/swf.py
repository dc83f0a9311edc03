"""Reads the Standard Workload Format of the Parallel Workloads Archive, version 2.2.

Eighteen numbers a line, ";" before header comments, -1 for what is not known. Source: Chapin et al., "Benchmarks
and standards for the evaluation of parallel job schedulers", JSSPP 1999, and the archive's page on the format.

What becomes of a record: processors (requested, else allocated) become that many tasks of one CPU each, all
together. N free processors anywhere then hold a job of N, on any layout of nodes: the machine of the textbooks, and
EASY backfill over it is exact. Memory is not asked for, because in those textbooks it never stops a job.
Requested time is the estimate.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from inventory.model.units import Resources
from inventory.model.workload import Requirements
from scheduler.core.placement.protocol import Shape
from simulations.traces.bad_rows import BadRows, BadValue, TraceError
from simulations.traces.parquet_table import OUT_OF_ORDER
from simulations.traces.text_file import raw_lines
from simulations.traces.trace import Outcome, Trace, TraceColumns, strings

FIELDS = (
    "job", "submit", "wait", "run", "allocated", "cpu_used", "memory_used", "requested", "requested_time",
    "requested_memory", "status", "user", "group", "executable", "queue", "partition", "preceding", "think",
)  # fmt: skip
UNKNOWN = -1
LARGEST_S = 10**11  # 3,000 years
LARGEST_COUNT = 10**9
COMMENT = b";"

FAILED, COMPLETED, PARTIAL, LAST_COMPLETED, LAST_FAILED, CANCELLED = range(6)
OUTCOMES = {FAILED: Outcome.FAILED, COMPLETED: Outcome.SUCCEEDED, CANCELLED: Outcome.CANCELLED}
POSITIONS = {name: number for number, name in enumerate(FIELDS)}


@dataclass(slots=True)
class SwfHeader:
    """What the comments of the head say, as far as replaying needs it. 0: not said."""

    unix_start_s: int = 0
    processors: int = 0
    queue_names: dict[int, str] = field(default_factory=dict)

    def learn(self, comment: str) -> None:
        key, _, value = comment.lstrip("; \t").partition(":")
        words = value.split()
        first = int(words[0]) if words and words[0].isascii() and words[0].isdecimal() else None
        match key.strip():
            case "UnixStartTime" if first is not None:
                self.unix_start_s = first
            case "MaxProcs" if first is not None:
                self.processors = first
            case "MaxNodes" if first is not None and not self.processors:
                self.processors = first
            case "Queue" if first is not None and len(words) > 1:
                self.queue_names[first] = words[1]


class _Jobs:
    """The columns as they grow."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.submitted, self.runtime, self.estimate = array("q"), array("q"), array("q")
        self.processors, self.queue, self.user, self.outcome = array("q"), array("q"), array("q"), array("b")


def read_swf(path: Path, *, skip_bad: bool = False) -> Trace:
    """Raises TraceError, naming line and field, for what breaks the format, for jobs that ask for more processors
    than the header says the machine has, and for submit times that fall.

    The format allows records that cannot be replayed: jobs cancelled before they ran, running time or processors
    unknown, parts of a job that was checkpointed (status 2 to 4; the whole job has its own record). They are left
    out, and the notes count them.
    """
    bad, header, jobs = BadRows(path, skip_bad), SwfHeader(), _Jobs()
    seen: dict[int, int] = {}
    latest = 0.0
    for line, content in raw_lines(path):
        text = content.strip()
        if not text:
            continue
        if text.startswith(COMMENT):
            # Names of people and places in old headers are in any encoding; nothing that is read here is.
            header.learn(text.decode("utf-8", errors="replace"))
            continue
        try:
            record = _record(text, line)
            reason = _unusable(record)
            if reason is None:
                _check(record, header, seen, line)
        except _Refused as refused:
            bad.refuse(refused.bad)
            continue
        if reason is not None:
            bad.remark(reason)
            continue
        if record[1] < latest:
            bad.disorder(BadValue(line, "submit", f"{record[1]:g}", *OUT_OF_ORDER))
        latest = max(latest, record[1])
        seen[int(record[0])] = line
        _add(jobs, record)
    if not jobs.ids:
        raise TraceError(
            f"{path.name}: 没有可重放的作业 / no job that can be replayed; 请检查文件是否为 SWF / check that it is SWF: "
            + "; ".join(bad.report())
        )
    return _trace(path, jobs, header, bad)


class _Refused(Exception):
    def __init__(self, line: int, column: str, value: str, rule_zh: str, rule_en: str) -> None:
        super().__init__(rule_en)
        self.bad = BadValue(line, column, value, rule_zh, rule_en)


def _record(text: bytes, line: int) -> list[float]:
    words = text.split()
    if len(words) < len(FIELDS):
        raise _Refused(
            line,
            FIELDS[len(words)],
            f"{len(words)} 列/fields",
            "每行须有 18 列",
            "18 fields are needed in each line",
        )
    record: list[float] = []
    for name, word in zip(FIELDS, words, strict=False):
        try:
            number = float(word)
        except ValueError:
            number = float("nan")
        if not -LARGEST_S <= number <= LARGEST_S:
            raise _Refused(
                line, name, word.decode("ascii", errors="backslashreplace"), "须为数值", "a number is needed"
            )
        record.append(number)
    return record


def _unusable(record: list[float]) -> str | None:
    """Why a lawful record cannot be replayed; None for one that can."""
    status, run, processors = int(record[10]), record[3], _processors(record)
    if status in (PARTIAL, LAST_COMPLETED, LAST_FAILED):
        return "检查点作业的片段，整个作业另有记录 / parts of checkpointed jobs, which have a record as a whole"
    if status == CANCELLED and run in (UNKNOWN, 0):
        return "运行前已取消 / cancelled before they ran"
    if run == UNKNOWN:
        return "运行时间未知 / running time not known"
    if processors == UNKNOWN:
        return "处理器数未知 / number of processors not known"
    return None


def _processors(record: list[float]) -> int:
    """Requested; where that is not known, allocated. 0 is as unknown as -1: no job has none."""
    requested, allocated = int(record[7]), int(record[4])
    if requested in (UNKNOWN, 0):
        return UNKNOWN if allocated in (UNKNOWN, 0) else allocated
    return requested


def _check(record: list[float], header: SwfHeader, seen: dict[int, int], line: int) -> None:
    job, submit, run, processors = int(record[0]), record[1], record[3], _processors(record)
    if job in seen:
        raise _Refused(line, "job", str(job), f"与第 {seen[job]} 行重复", f"line {seen[job]} has the same number")
    if submit < 0:
        raise _Refused(line, "submit", f"{submit:g}", "不能为负", "must not be negative")
    if run < 0:
        raise _Refused(line, "run", f"{run:g}", "不能为负（-1 表示未知）", "must not be negative (-1: not known)")
    if record[8] < 0 and record[8] != UNKNOWN:
        raise _Refused(
            line,
            "requested_time",
            f"{record[8]:g}",
            "不能为负（-1 表示未知）",
            "must not be negative (-1: not known)",
        )
    most = header.processors or LARGEST_COUNT
    if not 0 < processors <= most:
        column = "requested" if int(record[7]) not in (UNKNOWN, 0) else "allocated"
        raise _Refused(
            line,
            column,
            str(processors),
            f"须为 1 到 {most}（机器的处理器数）",
            f"1..{most} (the machine) is needed",
        )


def _add(jobs: _Jobs, record: list[float]) -> None:
    jobs.ids.append(str(int(record[0])))
    jobs.submitted.append(round(record[1] * 1000))
    jobs.runtime.append(round(record[3] * 1000))
    jobs.estimate.append(max(0, round(record[8] * 1000)))
    jobs.processors.append(_processors(record))
    jobs.queue.append(int(record[14]))
    jobs.user.append(int(record[11]))
    jobs.outcome.append(OUTCOMES.get(int(record[10]), Outcome.UNKNOWN))


def _trace(path: Path, jobs: _Jobs, header: SwfHeader, bad: BadRows) -> Trace:
    sizes, shape = np.unique(np.array(jobs.processors, dtype=np.int64), return_inverse=True)
    queues, queue = np.unique(np.array(jobs.queue, dtype=np.int64), return_inverse=True)
    users, user = np.unique(np.array(jobs.user, dtype=np.int64), return_inverse=True)
    one_cpu = Resources(cpu_milli=1000)
    columns = TraceColumns(
        job_ids=strings(jobs.ids),
        submitted_ms=np.array(jobs.submitted, dtype=np.int64),
        runtime_ms=np.array(jobs.runtime, dtype=np.int64),
        estimate_ms=np.array(jobs.estimate, dtype=np.int64),
        shape=shape.astype(np.int32),
        shapes=[Shape(Requirements(one_cpu, tasks=size)) for size in sizes.tolist()],
        queue=queue.astype(np.int32),
        queues=[_named("queue", number, header.queue_names) for number in queues.tolist()],
        user=user.astype(np.int32),
        users=[_named("user", number, {}) for number in users.tolist()],
        outcome=np.array(jobs.outcome, dtype=np.int8),
    )
    notes = bad.report()
    if not any(jobs.estimate):
        notes.append(f"{path.name}: 没有运行时间估计 / no estimates of the running time")
    return Trace.of(_stem(path), columns, origin_ms=header.unix_start_s * 1000, notes=notes)


def _named(kind: str, number: int, names: dict[int, str]) -> str:
    return names.get(number, "unknown" if number == UNKNOWN else f"{kind}-{number}")


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".swf")
