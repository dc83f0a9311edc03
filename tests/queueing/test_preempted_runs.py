"""What becomes of a preempted run in the book: it is owed a stop, ends as preempted, and its workload waits again."""

from __future__ import annotations

from inventory.model.placement import Placement
from inventory.model.workload import RunState, WorkloadState
from scheduler.core.book import Book
from scheduler.core.changes import RunChanged, WorkloadSubmitted
from scheduler.core.lifecycle import place, preempt, report_run
from scheduler.ports import Preemption
from tests.cycle.fakes import a_workload

VICTIM = Preemption("w.1", "w", "p", "urgent", cost=7)


def running() -> Book:
    book = Book()
    book.apply([WorkloadSubmitted(a_workload("w", state=WorkloadState.QUEUED, estimated_ms=100))])
    changes, _ = place(book, [Placement("w", "w.1", 1, "p", ("n",))], now_ms=5)
    book.apply(changes)
    book.apply(report_run(book, RunChanged("w.1", RunState.RUNNING, started_ms=10)))
    return book


def test_its_expected_end_counts_from_its_start() -> None:
    (row,) = running().tables.running.by_end("p")
    assert (row.started_ms, row.end_ms, row.is_stopping) == (10, 110, False)


def test_a_victim_is_owed_a_stop_and_counts_as_stopping() -> None:
    book = running()
    assert preempt(book, [VICTIM]) == {"p"}
    assert [run.run_id for run in book.stops_owed("p", draining=False)] == ["w.1"]
    assert [row.is_stopping for row in book.tables.running.by_end("p")] == [True]
    assert preempt(book, [VICTIM]) == frozenset(), "once is enough"


def test_when_it_has_stopped_its_workload_waits_for_another_attempt() -> None:
    book = running()
    preempt(book, [VICTIM])
    changes = report_run(book, RunChanged("w.1", RunState.STOPPED, ended_ms=20))
    book.apply(changes)
    assert [getattr(change, "state", None) for change in changes] == [RunState.PREEMPTED, WorkloadState.QUEUED]
    workload = book.workload("w")
    assert workload is not None and "preempted for urgent" in workload.message
    row = book.tables.waiting.row("w")
    assert row is not None and row.attempt == 2
    assert list(book.stops_owed("p", draining=False)) == [] and book.usage() == {}


def test_a_victim_that_succeeds_before_it_is_stopped_has_succeeded() -> None:
    book = running()
    preempt(book, [VICTIM])
    book.apply(report_run(book, RunChanged("w.1", RunState.SUCCEEDED, ended_ms=20)))
    workload = book.workload("w")
    assert workload is not None and workload.state is WorkloadState.SUCCEEDED


def test_who_has_ended_is_no_victim() -> None:
    book = running()
    book.apply(report_run(book, RunChanged("w.1", RunState.SUCCEEDED, ended_ms=20)))
    assert preempt(book, [VICTIM]) == frozenset()
