"""The simulation's columns of waiting jobs show what production's waiting table shows."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.queueing.waiting import WaitingRow, WaitingTable
from simulations.engine.waiting import JobColumns, WaitingJobs

JOBS = 24


@st.composite
def jobs(draw: st.DrawFn) -> JobColumns:
    """A trace of two queues and two priorities, in which several jobs may come at one moment."""
    some = [draw(st.lists(st.integers(0, most), min_size=JOBS, max_size=JOBS)) for most in (5, 1, 1, 3)]
    submitted, queue, priority, shape = (np.array(column) for column in some)
    return JobColumns(
        np.sort(submitted).astype(np.int64),
        np.ones(JOBS, dtype=np.int32),
        shape.astype(np.int32),
        queue.astype(np.int32),
        priority.astype(np.int32),
        np.arange(JOBS, dtype=np.int64),
    )


@given(jobs(), st.lists(st.sets(st.integers(0, JOBS - 1), min_size=1, max_size=8), max_size=8), st.integers(1, 9))
def test_windows_are_those_of_the_waiting_table(trace: JobColumns, steps: list[set[int]], limit: int) -> None:
    """Each step turns some jobs round: who waits goes, who does not comes, as another attempt if he was there."""
    columns, table = WaitingJobs(trace), WaitingTable()
    for step in steps:
        going = [job for job in sorted(step) if str(job) in table]
        coming = [job for job in sorted(step) if str(job) not in table]
        columns.remove(np.array(going[::-1], dtype=np.int64))
        for job in going:
            table.remove(str(job))
            trace.attempt[job] += 1
        columns.add(np.array(coming, dtype=np.int64))
        for job in coming:
            of = (trace.attempt, trace.shape, trace.queue, trace.priority, trace.estimated_ms)
            came_ms = int(trace.submitted_ms[job])
            table.add(WaitingRow(came_ms, len(str(job)), str(job), *(int(c[job]) for c in of), came_ms))
        shown, expected = columns.window(limit), table.window(limit)
        assert len(columns) == len(table)
        assert shown.columns.workload_ids == list(expected.workload_ids) == [str(job) for job in shown.jobs]
        assert shown.columns.truncated == expected.truncated
        for name in ("attempt", "shape", "queue", "priority", "submitted_ms", "estimated_ms"):
            assert (getattr(shown.columns, name) == getattr(expected, name)).all(), name
