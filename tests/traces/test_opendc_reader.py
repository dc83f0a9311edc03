"""OpenDC's tasks and fragments: a folder or a file, every value checked."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from simulations.traces.bad_rows import TraceError
from simulations.traces.reading import form_of, read_trace


def tasks(folder: Path, **columns: list[object]) -> Path:
    table = {
        "id": [1, 2],
        "submission_time": [1_664_575_260_000, 1_664_575_200_000],
        "duration": [60_000, 120_000],
        "cpu_count": [16, 4],
        "cpu_capacity": [32_000.0, 8_000.0],
        "mem_capacity": [100_000, 2_000],
        "deadline": [1_664_575_300_000, None],
    } | columns
    pq.write_table(pa.table(table), folder / "tasks.parquet")
    return folder / "tasks.parquet"


def fragments(folder: Path, ids: list[int], durations: list[int]) -> None:
    usage = [16_000.0] * len(ids)
    pq.write_table(pa.table({"id": ids, "duration": durations, "cpu_usage": usage}), folder / "fragments.parquet")


def test_tasks_become_jobs_in_order_of_submission(tmp_path: Path) -> None:
    trace = read_trace(tasks(tmp_path))
    assert form_of(tmp_path / "tasks.parquet") == "opendc"
    assert trace.job_ids.tolist() == ["2", "1"]
    assert trace.origin_ms == 1_664_575_200_000
    assert trace.submitted_ms.tolist() == [0, 60_000]
    assert "1 rows lie before the row above them, the first is line 2" in trace.notes[0]
    assert trace.deadline_ms.tolist() == [0, 100_000]
    assert trace.cpu_milli.tolist() == [4_000, 16_000]
    assert trace.shapes[0].requirements.per_task.memory_bytes == 2_000 * 10**6


def test_with_fragments_the_running_time_is_their_sum_and_the_use_is_told(tmp_path: Path) -> None:
    tasks(tmp_path)
    fragments(tmp_path, [1, 1, 2], [30_000, 40_000, 8_000])
    trace = read_trace(tmp_path)
    assert trace.runtime_ms.tolist() == [8_000, 70_000]
    # 16,000 MHz for 78 s, of 32,000 for 70 s and 8,000 for 8 s
    assert "54.2%" in trace.notes[-1]


@pytest.mark.parametrize(
    ("ids", "durations", "said"),
    [
        ([1, 2, 9], [1, 1, 1], "line 3, column id: '9'"),
        ([1, 1], [1, 1], "line 2, column id: '2'"),
        ([1, 2], [1, -1], "line 2, column duration: '-1'"),
    ],
)
def test_fragments_and_tasks_must_belong_together(
    tmp_path: Path, ids: list[int], durations: list[int], said: str
) -> None:
    tasks(tmp_path)
    fragments(tmp_path, ids, durations)
    with pytest.raises(TraceError, match=said):
        read_trace(tmp_path)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"duration": [60_000, -1]}, "line 2, column duration: '-1'"),
        ({"cpu_count": [0, 4]}, "line 1, column cpu_count: '0'"),
        ({"id": [1, 1]}, "line 2, column id: '1'"),
        ({"mem_capacity": [1.0, float("nan")]}, "line 2, column mem_capacity: 'nan'"),
    ],
)
def test_a_bad_task_is_named_by_row_and_column(
    tmp_path: Path, columns: dict[str, list[object]], said: str
) -> None:
    with pytest.raises(TraceError, match=said):
        read_trace(tasks(tmp_path, **columns))
