"""The project's own Parquet: what was written is read back, and whatever is wrong is named by row and column."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from simulations.traces.bad_rows import TraceError
from simulations.traces.reading import form_of, read_trace
from simulations.traces.trace_file import read_trace_file, write_trace
from tests.traces.small_traces import a_trace

ASKED = '{"per_task":{"cpu_milli":1000}}'


def a_file(path: Path, **columns: list[object]) -> Path:
    """Three good rows, with the given columns exchanged or added (None: taken away)."""
    table = {
        "job_id": ["a", "b", "c"],
        "submitted_ms": [0, 1000, 2000],
        "runtime_ms": [10, 20, 30],
        "requirements": [ASKED] * 3,
    } | columns
    pq.write_table(pa.table(table), path)
    return path


def test_a_trace_survives_the_file_and_equal_traces_give_equal_bytes(tmp_path: Path) -> None:
    trace = a_trace([5, 1, 2])
    write_trace(trace, tmp_path / "a.parquet")
    write_trace(trace, tmp_path / "b.parquet")
    back = read_trace_file(tmp_path / "a.parquet")
    assert (back.digest, back.name, back.origin_ms) == (trace.digest, trace.name, trace.origin_ms)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert form_of(tmp_path / "a.parquet") == "xisuan"


def test_another_tool_needs_only_four_columns(tmp_path: Path) -> None:
    trace = read_trace(a_file(tmp_path / "theirs.parquet"))
    assert (trace.name, len(trace), trace.queues, trace.origin_ms) == ("theirs", 3, ("default",), 0)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"runtime_ms": [10, -5, 30]}, "line 2, column runtime_ms: '-5'"),
        ({"runtime_ms": [10.0, float("nan"), 30.0]}, "line 2, column runtime_ms: 'nan'"),
        ({"runtime_ms": [10, None, 30]}, "line 2, column runtime_ms: 'None'"),
        ({"runtime_ms": [10.0, 2.5, 30.0]}, "line 2, column runtime_ms: '2.5'"),
        ({"submitted_ms": [0, 1000, -1]}, "line 3, column submitted_ms"),
        ({"submitted_ms": [0, 3000, 2000]}, "line 3, column submitted_ms: '2000'"),
        ({"job_id": ["a", "b", "a"]}, "line 3, column job_id: 'a'"),
        ({"job_id": ["a", "", "c"]}, "line 2, column job_id"),
        ({"requirements": [ASKED, ASKED, "{"]}, "line 3, column requirements"),
        ({"outcome": ["failed", "lost", "failed"]}, "line 2, column outcome: 'lost'"),
        ({"runtime_ms": ["x", "y", "z"]}, "column runtime_ms is"),
    ],
)
def test_a_bad_value_is_named_by_row_and_column(
    tmp_path: Path, columns: dict[str, list[object]], said: str
) -> None:
    with pytest.raises(TraceError, match=said):
        read_trace_file(a_file(tmp_path / "bad.parquet", **columns))


def test_skipped_rows_are_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    path = a_file(tmp_path / "bad.parquet", runtime_ms=[10, -5, 30], requirements=[ASKED, ASKED, "{"])
    trace = read_trace_file(path, skip_bad=True)
    assert trace.job_ids.tolist() == ["a"]
    assert "2 rows skipped" in trace.notes[0]


def test_rows_out_of_order_are_sorted_in_when_bad_rows_may_be_skipped(tmp_path: Path) -> None:
    trace = read_trace_file(a_file(tmp_path / "bad.parquet", submitted_ms=[0, 3000, 2000]), skip_bad=True)
    assert trace.job_ids.tolist() == ["a", "c", "b"]
    assert "1 rows out of order were sorted in" in trace.notes[0]


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"job_id": ["a"], "submitted_ms": [0]}), tmp_path / "short.parquet")
    with pytest.raises(TraceError, match="missing columns: runtime_ms, requirements"):
        read_trace_file(tmp_path / "short.parquet")


@pytest.mark.parametrize("part", [0.0, 0.3, 0.99])
def test_a_parquet_that_is_cut_short_is_refused(tmp_path: Path, part: float) -> None:
    write_trace(a_trace(list(range(50))), tmp_path / "whole.parquet")
    content = (tmp_path / "whole.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(content[: int(len(content) * part)])
    with pytest.raises(TraceError, match="not a whole Parquet file"):
        read_trace(tmp_path / "cut.parquet", "xisuan")


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    table = pq.read_table(a_file(tmp_path / "a.parquet"))
    pq.write_table(table.replace_schema_metadata({b"xisuan.trace.version": b"2"}), tmp_path / "b.parquet")
    with pytest.raises(TraceError, match="trace version 2"):
        read_trace_file(tmp_path / "b.parquet")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="cannot be read"):
        read_trace_file(tmp_path / "none.parquet")
