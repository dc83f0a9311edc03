"""The live log becomes a trace: what ran and ended, with its last run's length; the rest is counted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from inventory.model.units import Resources
from inventory.model.workload import Program, Requirements, Run, RunState, Workload, WorkloadState
from scheduler.core.changes import Change, RunChanged, RunPlaced, WorkloadChanged, WorkloadSubmitted
from scheduler.store.opening import open_store
from scheduler.store.projection import draft_of, workload_id_at
from simulations.recorder import KINDS, Recorder
from simulations.traces.trace import Outcome, Trace

NOON = 1_767_585_600_000


def workload(number: int, **changes: object) -> Workload:
    given = {
        "workload_id": workload_id_at("w", number),
        "queue": "科研",
        "client_key": f"key-{number}",
        "name": f"job {number}",
        "requirements": Requirements(Resources(cpu_milli=2000), tasks=2),
        "program": Program(("true",)),
        "submitted_ms": NOON + number * 1000,
        "state": WorkloadState.QUEUED,
        "estimated_ms": 90_000,
        "priority": 3,
        "labels": {"user": "李"},
    }
    return Workload(**(given | changes))  # type: ignore[arg-type]  # a table of fields


def one_run(of: Workload, attempt: int, seconds: int, ending: RunState) -> list[Change]:
    """Placed, running, ended after so many seconds; the last event does not repeat the start."""
    run_id, start = f"{of.workload_id}.{attempt}", NOON + 60_000 * attempt
    return [
        RunPlaced(Run(run_id, of.workload_id, attempt, "p", ("n1", "n2"), RunState.PLACED, placed_ms=start)),
        RunChanged(run_id, RunState.RUNNING, started_ms=start),
        RunChanged(run_id, ending, ended_ms=start + seconds * 1000),
    ]


def ended(of: Workload, state: WorkloadState) -> list[Change]:
    return [WorkloadChanged(of.workload_id, state)]


def recorded(folder: Path, changes: Sequence[Change]) -> Trace:
    """Through a real store, read back in small pages."""
    store = open_store(f"sqlite:///{folder / 'x.db'}")
    try:
        with store.transaction() as transaction:
            transaction.append([draft_of(change) for change in changes], actor="test", recorded_ms=NOON)
        recorder, after = Recorder(), 0
        while events := store.read(after, 3, kinds=KINDS):
            recorder.add(events)
            after = events[-1].seq
        return recorder.trace("live")
    finally:
        store.close()


def test_a_workload_becomes_a_job_as_long_as_its_last_run(tmp_path: Path) -> None:
    first = workload(1)
    trace = recorded(
        tmp_path,
        [
            WorkloadSubmitted(first),
            *one_run(first, 1, 500, RunState.LOST),
            *one_run(first, 2, 42, RunState.SUCCEEDED),
            *ended(first, WorkloadState.SUCCEEDED),
        ],
    )
    assert trace.job_ids.tolist() == [first.workload_id]
    assert (trace.origin_ms, trace.runtime_ms[0], trace.estimate_ms[0]) == (first.submitted_ms, 42_000, 90_000)
    assert (trace.queues, trace.users, trace.priority[0]) == (("科研",), ("李",), 3)
    assert trace.shapes[0].requirements == first.requirements
    assert trace.outcome[0] == Outcome.SUCCEEDED and trace.notes == ()


def test_what_has_not_ended_or_never_ran_is_counted(tmp_path: Path) -> None:
    done, running, cancelled = workload(1), workload(2), workload(3)
    trace = recorded(
        tmp_path,
        [
            *(WorkloadSubmitted(one) for one in (done, running, cancelled)),
            *one_run(done, 1, 5, RunState.FAILED),
            *ended(done, WorkloadState.FAILED),
            *one_run(running, 1, 5, RunState.SUCCEEDED)[:2],
            *ended(cancelled, WorkloadState.CANCELLED),
        ],
    )
    assert len(trace) == 1 and trace.outcome[0] == Outcome.FAILED
    assert [note.partition(" x ")[0] for note in trace.notes] == ["1", "1"]
    assert "not ended yet" in trace.notes[0] and "without having run" in trace.notes[1]


def test_jobs_that_waited_for_others_are_pointed_out(tmp_path: Path) -> None:
    first = workload(1)
    second = workload(2, after=(first.workload_id,))
    changes: list[Change] = [WorkloadSubmitted(first), WorkloadSubmitted(second)]
    for one in (first, second):
        changes += [*one_run(one, 1, 5, RunState.SUCCEEDED), *ended(one, WorkloadState.SUCCEEDED)]
    assert "1 workloads waited for others" in recorded(tmp_path, changes).notes[0]


def test_an_empty_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no workload that ran and ended"):
        recorded(tmp_path, [])
