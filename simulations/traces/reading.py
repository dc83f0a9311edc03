"""One door to every trace form: `read_trace`. Scenarios and the command line come in here.

A new form is one reader in a file of its own, and a line in `READERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inventory.model.units import Resources, format_resources
from simulations.traces.bad_rows import SHOWN, TraceError
from simulations.traces.openb import read_nodes
from simulations.traces.openb_departures import read_openb
from simulations.traces.opendc import read_opendc
from simulations.traces.philly import read_philly
from simulations.traces.swf import read_swf
from simulations.traces.trace import Trace
from simulations.traces.trace_file import read_trace_file


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read. `skip_bad`: leave bad rows out, counted in the notes. `largest`: the element-wise maximum over
    the nodes that the jobs are meant for; a job with a larger task is bad. `beside`: the second file of forms that
    have one (openb: the node list; opendc: the fragments)."""

    skip_bad: bool = False
    largest: Resources | None = None
    beside: Path | None = None


def _openb(path: Path, how: Reading) -> Trace:
    nodes = read_nodes(how.beside, skip_bad=how.skip_bad) if how.beside is not None else None
    return read_openb(path, nodes, skip_bad=how.skip_bad)


READERS: Mapping[str, Callable[[Path, Reading], Trace]] = {
    "xisuan": lambda path, how: read_trace_file(path, skip_bad=how.skip_bad),
    "swf": lambda path, how: read_swf(path, skip_bad=how.skip_bad),
    "opendc": lambda path, how: read_opendc(path, how.beside, skip_bad=how.skip_bad),
    "philly": lambda path, how: read_philly(path, skip_bad=how.skip_bad),
    "openb": _openb,
}


DEFAULT = Reading()


def read_trace(path: Path, form: str | None = None, how: Reading = DEFAULT) -> Trace:
    """The trace in `path`. `form` None: as the name and the first bytes say (`form_of`).

    Raises TraceError (one bilingual line) for an unknown form, a file or row that cannot be used, and, where
    `how.largest` is given, for jobs that no node can hold.
    """
    form = form or form_of(path)
    if form not in READERS:
        raise TraceError(f"轨迹格式 {form!r} 未知 / unknown trace form; 可用 / known: {', '.join(READERS)}")
    trace = READERS[form](path, how)
    return trace if how.largest is None else _without_giants(trace, how.largest, how.skip_bad)


def form_of(path: Path) -> str:
    """The form that a file seems to have. Raises TraceError where nothing tells."""
    name = path.name.lower().removesuffix(".gz")
    if path.is_dir():
        return "opendc"
    if name.endswith(".swf"):
        return "swf"
    if name.endswith(".parquet"):
        return _parquet_form(path)
    if name.endswith(".csv"):
        return "openb" if "openb" in name or "pod" in name else "philly"
    raise TraceError(
        f"{path.name}: 看不出格式，请用 --format 指明 / the name tells no form; say it with --format: {', '.join(READERS)}"
    )


def _parquet_form(path: Path) -> str:
    # Imported here: only this question needs the schema without the table.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(path).names
    except (OSError, pa.ArrowException):
        return "xisuan"  # its reader says what is wrong with the file
    return "opendc" if "submission_time" in names else "xisuan"


def _without_giants(trace: Trace, largest: Resources, skip_bad: bool) -> Trace:
    """Refuses (or leaves out, counted) jobs with a task above the largest node in some dimension."""
    too_large = np.array([not _on_one_node(shape.requirements.per_task, largest) for shape in trace.shapes])
    if not len(trace) or not too_large.any():
        return trace
    jobs = np.flatnonzero(too_large[trace.shape])
    if not len(jobs):
        return trace

    def describe(job: int) -> str:
        asked = trace.shapes[int(trace.shape[job])].requirements.per_task
        return (
            f"{trace.name} 第 {job + 1} 个作业 {trace.job_ids[job]} requirements 列: 一个任务要 {format_resources(asked)}，"
            f"大于最大的节点 ({format_resources(largest)}) / job {job + 1} (column requirements): one task asks for more "
            "than the largest node"
        )

    if not skip_bad:
        raise TraceError(
            f"{describe(int(jobs[0]))}; 请改正，或用 --skip-bad 跳过 / correct it, or pass --skip-bad"
        )
    kept = trace.select(~too_large[trace.shape])
    skipped = (
        f"{trace.name}: 跳过 {len(jobs)} 个大于最大节点的作业 / {len(jobs)} jobs larger than any node skipped"
    )
    notes = (*kept.notes, skipped, *(f"  {describe(job)}" for job in jobs[:SHOWN].tolist()))
    return Trace.of(kept.name, kept.columns(), origin_ms=kept.origin_ms, notes=notes)


def _on_one_node(asked: Resources, largest: Resources) -> bool:
    """Disk is the pool's shared storage, not the node's."""
    return Resources(asked.cpu_milli, asked.memory_bytes, 0, asked.accelerator_milli).fits_in(largest)
