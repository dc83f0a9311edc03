"""The project's own trace file: Parquet, one row a job, written and read here; docs/traces.md has the schema.

Each row carries its own requirements as JSON (dictionary-encoded, so a thousand equal ones cost one), so that any
tool that writes Parquet can make a trace. Times are milliseconds since the trace's origin.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from simulations.traces.bad_rows import BadRows, TraceError
from simulations.traces.parquet_table import ParquetColumns, open_parquet
from simulations.traces.shape_json import shape_from_json, shape_to_json
from simulations.traces.trace import LONGEST_MS, SCHEMA_VERSION, Outcome, Trace, TraceColumns
from simulations.whole_file import whole_file

VERSION_KEY = b"xisuan.trace.version"
ORIGIN_KEY = b"xisuan.trace.origin_ms"
NAME_KEY = b"xisuan.trace.name"
NEEDED = ("job_id", "submitted_ms", "runtime_ms", "requirements")
TIMES = ("submitted_ms", "runtime_ms", "estimate_ms", "deadline_ms")
TEXTS = ("job_id", "queue", "user", "requirements", "outcome")


def write_trace(trace: Trace, path: Path) -> None:
    """Replaces the file as a whole. Equal traces of one name give equal bytes under one version of pyarrow."""
    table = pa.table(
        {
            "job_id": pa.array(trace.job_ids.tolist(), pa.string()),
            "submitted_ms": trace.submitted_ms,
            "runtime_ms": trace.runtime_ms,
            "estimate_ms": trace.estimate_ms,
            "deadline_ms": trace.deadline_ms,
            "queue": _dictionary(trace.queue, trace.queues),
            "user": _dictionary(trace.user, trace.users),
            "priority": trace.priority,
            "outcome": _dictionary(trace.outcome.astype(np.int32), [one.name.lower() for one in Outcome]),
            "requirements": _dictionary(trace.shape, [shape_to_json(shape) for shape in trace.shapes]),
        }
    ).replace_schema_metadata(
        {
            VERSION_KEY: str(SCHEMA_VERSION).encode(),
            ORIGIN_KEY: str(trace.origin_ms).encode(),
            NAME_KEY: trace.name.encode(),
        }
    )
    with whole_file(path) as draft:
        pq.write_table(table, draft, compression="zstd", row_group_size=1 << 20)


def read_trace_file(path: Path, *, skip_bad: bool = False) -> Trace:
    """Raises TraceError, naming row and column, for what is no trace of ours. `skip_bad` leaves bad rows out and
    counts them in the trace's notes; rows out of order are then sorted in, and counted too."""
    bad = BadRows(path, skip_bad)
    table = open_parquet(path, NEEDED)
    origin_ms, name = _header(table, path)
    columns = ParquetColumns(table, path, bad)
    times = {
        key: columns.whole(key, 0, LONGEST_MS, absent=None if key in NEEDED else 0)
        for key in TIMES
        if key in table.column_names
    }
    texts = {key: columns.texts(key) if key in table.column_names else None for key in TEXTS}
    priority = (
        columns.whole("priority", -(2**31), 2**31 - 1, absent=0) if "priority" in table.column_names else None
    )
    requirements, job_id, submitted = texts["requirements"], texts["job_id"], times["submitted_ms"]
    assert requirements is not None and job_id is not None  # open_parquet has seen that they are there
    shapes = columns.parsed("requirements", requirements, shape_from_json)
    outcome = columns.parsed("outcome", texts["outcome"], _outcome) if texts["outcome"] is not None else None
    columns.refuse_repeated("job_id", job_id)
    columns.refuse_falling("submitted_ms", submitted)
    keep = columns.good

    def kept(column: npt.NDArray[Any] | None) -> Any:
        return None if column is None else column[keep]

    queue, user = columns.numbered(texts["queue"]), columns.numbered(texts["user"])
    trace_columns = TraceColumns(
        job_ids=job_id[keep],
        submitted_ms=submitted[keep],
        runtime_ms=times["runtime_ms"][keep],
        estimate_ms=kept(times.get("estimate_ms")),
        deadline_ms=kept(times.get("deadline_ms")),
        shape=shapes.position[keep],
        shapes=shapes.values,
        queue=kept(queue.position) if queue else None,
        queues=queue.values if queue else ("default",),
        user=kept(user.position) if user else None,
        users=user.values if user else ("",),
        priority=kept(priority.astype(np.int32)) if priority is not None else None,
        outcome=np.array(outcome.values, dtype=np.int8)[outcome.position[keep]] if outcome else None,
    )
    return Trace.of(name or path.stem, trace_columns, origin_ms=origin_ms, notes=bad.report())


def _dictionary(positions: npt.NDArray[np.int32], values: Any) -> pa.DictionaryArray[Any, Any]:
    return pa.DictionaryArray.from_arrays(pa.array(positions, pa.int32()), pa.array(list(values), pa.string()))


def _outcome(text: str) -> int:
    try:
        return int(Outcome[text.upper()])
    except KeyError:
        known = ", ".join(one.name.lower() for one in Outcome)
        raise ValueError(f"须为以下之一 / one of {known}") from None


def _header(table: pa.Table, path: Path) -> tuple[int, str]:
    """Origin and name. A file without our keys may come from another tool: origin unknown, named as the file."""
    metadata = table.schema.metadata or {}
    version = metadata.get(VERSION_KEY, str(SCHEMA_VERSION).encode())
    if version != str(SCHEMA_VERSION).encode():
        raise TraceError(
            f"{path.name}: 轨迹格式版本 {version.decode(errors='replace')}，本程序读版本 {SCHEMA_VERSION} / "
            f"trace version {version.decode(errors='replace')}, this program reads {SCHEMA_VERSION}; "
            "请用较新的程序 / use a newer program"
        )
    origin = metadata.get(ORIGIN_KEY, b"0").decode(errors="replace")
    if not origin.lstrip("-").isdecimal():
        raise TraceError(f"{path.name}: {ORIGIN_KEY.decode()} {origin!r} 须为毫秒 / must be milliseconds")
    return int(origin), metadata.get(NAME_KEY, b"").decode(errors="replace")
