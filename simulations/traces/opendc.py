"""Reads OpenDC's Parquet workloads: a table of tasks, and where there is one the table of their fragments.

Source: OpenDC (atlarge-research, MIT), whose SURF and Bitbrains workloads have this form. A task is one task of
`cpu_count` CPUs and `mem_capacity` MB here. Its running time is its duration; where fragments are given, which tell
what was used in each stretch of it, the sum of their durations.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from inventory.model.units import Resources
from inventory.model.workload import Requirements
from scheduler.core.placement.protocol import Shape
from simulations.traces.bad_rows import BadRows, TraceError
from simulations.traces.parquet_table import ParquetColumns, open_parquet
from simulations.traces.trace import LONGEST_MS, Trace, TraceColumns

Int64s = npt.NDArray[np.int64]

TASK_COLUMNS = ("id", "submission_time", "duration", "cpu_count", "mem_capacity")
FRAGMENT_COLUMNS = ("id", "duration", "cpu_usage")
MB = 10**6
CPU = 1000  # milli
LARGEST_CPUS = 10**6
LARGEST_MB = 10**9


def read_opendc(tasks: Path, fragments: Path | None = None, *, skip_bad: bool = False) -> Trace:
    """`tasks` may be a folder with tasks.parquet and, perhaps, fragments.parquet, as OpenDC lays them out.

    Raises TraceError, naming row and column, for what breaks the form, for fragments of no task, and for tasks
    without any where fragments are given. Rows need no order.
    """
    if tasks.is_dir():
        inner = tasks / "fragments.parquet"
        fragments = fragments or (inner if inner.exists() else None)
        tasks = tasks / "tasks.parquet"
    bad = BadRows(tasks, skip_bad)
    table = open_parquet(tasks, TASK_COLUMNS)
    columns = ParquetColumns(table, tasks, bad)
    ids = columns.texts("id")
    submitted = columns.whole("submission_time", 0, LONGEST_MS)
    runtime = columns.whole("duration", 0, LONGEST_MS)
    cpus = columns.whole("cpu_count", 1, LARGEST_CPUS)
    memory = columns.whole("mem_capacity", 0, LARGEST_MB)
    has_deadline = "deadline" in table.column_names
    deadline = columns.whole("deadline", 0, LONGEST_MS, absent=0) if has_deadline else np.zeros_like(submitted)
    columns.refuse_repeated("id", ids)
    notes: list[str] = []
    if fragments is not None:
        used = _Fragments(fragments, ids, skip_bad)
        columns.refuse("id", ids, used.count == 0, ("没有任何片段", "no fragment speaks of this task"))
        runtime, notes = used.length_ms, used.notes(table, cpus)
    keep = columns.good
    if not keep.any():
        raise TraceError(f"{tasks.name}: 没有可用的行 / no usable row; 请检查文件 / check the file")
    bad.sort_in(submitted[keep], (np.flatnonzero(keep) + 1).tolist())
    origin = int(submitted[keep].min())
    needs, shape = np.unique(np.stack((cpus[keep], memory[keep])), axis=1, return_inverse=True)
    kept_deadline = deadline[keep]
    trace_columns = TraceColumns(
        job_ids=ids[keep],
        submitted_ms=submitted[keep] - origin,
        runtime_ms=runtime[keep],
        deadline_ms=np.where(kept_deadline > 0, np.maximum(kept_deadline - origin, 1), 0),
        shape=shape.reshape(-1).astype(np.int32),
        shapes=[
            Shape(Requirements(Resources(cpu_milli=cpu * CPU, memory_bytes=mb * MB)))
            for cpu, mb in needs.T.tolist()
        ],
    )
    name = tasks.parent.name if tasks.name == "tasks.parquet" else tasks.name.removesuffix(".parquet")
    return Trace.of(name, trace_columns, origin_ms=origin, notes=[*bad.report(), *notes])


class _Fragments:
    """What the fragments say of each task: how many, how long together (ms), how much CPU was used (MHz x ms)."""

    def __init__(self, path: Path, task_ids: npt.NDArray[np.object_], skip_bad: bool) -> None:
        self._path = path
        self._bad = BadRows(path, skip_bad)
        table = open_parquet(path, FRAGMENT_COLUMNS)
        columns = ParquetColumns(table, path, self._bad)
        ids = columns.texts("id")
        length = columns.whole("duration", 0, LONGEST_MS)
        usage = columns.amounts("cpu_usage")
        of_id = {task: row for row, task in reversed(list(enumerate(task_ids.tolist())))}
        task = np.array([of_id.get(one, -1) for one in ids.tolist()], dtype=np.int64)
        columns.refuse("id", ids, task < 0, ("没有这个任务", "there is no such task"))
        keep = columns.good
        self.count = np.bincount(task[keep], minlength=len(task_ids))
        self.length_ms: Int64s = np.zeros(len(task_ids), dtype=np.int64)
        np.add.at(self.length_ms, task[keep], length[keep])
        self._used = np.bincount(task[keep], usage[keep] * length[keep], len(task_ids))

    def notes(self, tasks: pa.Table, cpus: Int64s) -> list[str]:
        """How the use compares with what was asked: of all CPU time asked, the part that was used."""
        notes = self._bad.report()
        if "cpu_capacity" in tasks.column_names:
            asked = float((np.asarray(tasks["cpu_capacity"].to_numpy()) * self.length_ms).sum())
            if asked > 0:
                part = float(self._used.sum()) / asked
                notes.append(
                    f"{self._path.name}: 平均用了所要 CPU 的 {part:.1%} / on average {part:.1%} of the CPU asked for "
                    f"was used ({len(cpus):,} 个任务/tasks)"
                )
        return notes
