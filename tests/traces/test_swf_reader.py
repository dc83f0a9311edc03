"""The Standard Workload Format: eighteen fields, -1 for what is not known, and everything odd counted or named."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulations.traces.bad_rows import TraceError
from simulations.traces.swf import read_swf
from simulations.traces.trace import Outcome
from tests.traces.small_traces import swf_file, swf_line

HEAD = ("; Version: 2.2", "; UnixStartTime: 749458803", "; MaxProcs: 128", "; Queue:  1  batch")


@pytest.mark.parametrize("packed", [False, True])
def test_a_record_becomes_a_job_of_one_task_a_processor(tmp_path: Path, packed: bool) -> None:
    line = swf_line(7, submit=5, run=60, processors=4, requested_time=90, status=0, user=3, queue=1)
    trace = read_swf(swf_file(tmp_path, *HEAD, line, packed=packed))
    assert (trace.name, trace.origin_ms) == ("log", 749458803000)
    assert trace.job_ids.tolist() == ["7"]
    assert (trace.submitted_ms[0], trace.runtime_ms[0], trace.estimate_ms[0]) == (5000, 60000, 90000)
    assert trace.shapes[0].requirements.tasks == 4
    assert trace.shapes[0].requirements.per_task.cpu_milli == 1000
    assert (trace.queues, trace.users, trace.outcome[0]) == (("batch",), ("user-3",), Outcome.FAILED)


def test_processors_are_those_requested_and_else_those_allocated(tmp_path: Path) -> None:
    lines = (swf_line(1, processors=4, allocated=8), swf_line(2, processors=-1, allocated=8))
    assert read_swf(swf_file(tmp_path, *lines)).tasks.tolist() == [4, 8]


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ({"run": -1}, "running time not known"),
        ({"processors": -1}, "number of processors not known"),
        ({"run": 0, "status": 5}, "cancelled before they ran"),
        ({"status": 2}, "parts of checkpointed jobs"),
    ],
)
def test_lawful_records_that_cannot_be_replayed_are_counted(
    tmp_path: Path, odd: dict[str, int], said: str
) -> None:
    trace = read_swf(swf_file(tmp_path, swf_line(1), swf_line(2, **odd)))
    assert trace.job_ids.tolist() == ["1"]
    assert any("1 x" in note and said in note for note in trace.notes)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((swf_line(1, run=-5),), "line 1, column run: '-5'"),
        ((swf_line(1, run="nan"),), "line 1, column run: 'nan'"),
        ((swf_line(1, run="six"),), "line 1, column run: 'six'"),
        ((swf_line(1, submit=-2),), "line 1, column submit"),
        ((swf_line(1), swf_line(1)), "line 2, column job: '1'"),
        ((swf_line(1, submit=9), swf_line(2, submit=3)), "line 2, column submit: '3'"),
        (("; MaxProcs: 8", swf_line(1, processors=9)), "line 2, column requested: '9'"),
        (("1 2 3",), "line 1, column run"),
        ((swf_line(1), "2 0 -1 \xff9" + " -1" * 14), "line 2, column run"),
    ],
)
def test_what_breaks_the_format_is_named_by_line_and_field(
    tmp_path: Path, lines: tuple[str, ...], said: str
) -> None:
    with pytest.raises(TraceError, match=said):
        read_swf(swf_file(tmp_path, *lines))


def test_skipped_lines_are_counted(tmp_path: Path) -> None:
    trace = read_swf(swf_file(tmp_path, swf_line(1), swf_line(2, run=-5), swf_line(3, run="x")), skip_bad=True)
    assert len(trace) == 1
    assert "2 rows skipped" in trace.notes[0]


def test_a_gzip_that_is_cut_short_is_refused_even_when_bad_rows_may_be_skipped(tmp_path: Path) -> None:
    whole = swf_file(
        tmp_path, *(swf_line(i, submit=i * 7919 % 100000 + i * 100000) for i in range(2000)), packed=True
    )
    whole.write_bytes(whole.read_bytes()[:-2000])
    with pytest.raises(TraceError, match="cut short or damaged after line"):
        read_swf(whole, skip_bad=True)


def test_old_headers_in_any_encoding_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "old.swf"
    path.write_bytes("; Contact: André\n".encode("latin-1") + swf_line(1).encode())
    assert len(read_swf(path)) == 1


def test_a_log_without_a_usable_job_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="no job that can be replayed"):
        read_swf(swf_file(tmp_path, *HEAD))
