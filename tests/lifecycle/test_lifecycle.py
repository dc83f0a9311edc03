"""The life of workloads and runs: every transition, and reports that come late, twice or out of order."""

from __future__ import annotations

import pytest

from inventory.model.placement import Placement
from inventory.model.units import Resources
from inventory.model.workload import RUN_TRANSITIONS, IllegalTransition, RunState, WorkloadState
from scheduler.core.changes import RunChanged, RunPlaced, WorkloadChanged
from scheduler.core.lifecycle import place, report_run
from tests.lifecycle.bookkeeping import ONE_CORE, Bookkeeping, submission

SUBMITTED, QUEUED, ACTIVE = WorkloadState.SUBMITTED, WorkloadState.QUEUED, WorkloadState.ACTIVE
SUCCEEDED, FAILED, CANCELLED = WorkloadState.SUCCEEDED, WorkloadState.FAILED, WorkloadState.CANCELLED
ENDINGS = [state for state in RunState if state.is_final]


@pytest.fixture
def keeping() -> Bookkeeping:
    return Bookkeeping()


@pytest.fixture
def a(keeping: Bookkeeping) -> str:
    return keeping.accepted(submission("a"))[0]


# Placing


def test_a_placed_workload_is_active_and_holds_its_share(keeping: Bookkeeping, a: str) -> None:
    run_id = keeping.place(a)
    assert keeping.state(a) is ACTIVE
    assert keeping.book.queued_count == 0
    assert keeping.book.usage() == {"q": ONE_CORE}
    assert [run.run_id for run in keeping.book.launches_owed("p")] == [run_id]


@pytest.mark.parametrize("meanwhile", ["cancelled", "placed", "finished", "failed once"])
def test_a_placement_of_an_older_snapshot_is_refused(keeping: Bookkeeping, meanwhile: str) -> None:
    (a,) = keeping.accepted(submission("a", max_attempts=2))
    old = Placement(a, f"{a}.1", 1, "p", ("n1",))
    match meanwhile:
        case "cancelled":
            keeping.cancel(a)
        case "placed":
            keeping.place(a)
        case "finished":
            keeping.run_to(a, RunState.SUCCEEDED)
        case "failed once":
            keeping.run_to(a, RunState.FAILED)
    assert place(keeping.book, [old], 0) == ([], frozenset({f"{a}.1"}))


def test_a_plan_that_names_a_workload_twice_places_it_once(keeping: Bookkeeping, a: str) -> None:
    twice = [Placement(a, f"{a}.1", 1, pool, ("n1",)) for pool in ("p", "q")]
    changes, refused = place(keeping.book, twice, 0)
    assert len(changes) == 1
    assert refused == {f"{a}.1"}


# Reports


@pytest.mark.parametrize("before", list(RunState))
@pytest.mark.parametrize("reported", list(RunState))
def test_a_report_counts_exactly_when_the_table_allows_the_step(
    keeping: Bookkeeping, a: str, before: RunState, reported: RunState
) -> None:
    run_id = keeping.place(a)
    if before is not RunState.PLACED:
        keeping.report(run_id, before)
    changes = keeping.report(run_id, reported)
    assert bool(changes) is (reported in RUN_TRANSITIONS[before])


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_same_ending_told_twice_counts_once(keeping: Bookkeeping, a: str, ending: RunState) -> None:
    run_id = keeping.run_to(a, ending)
    before = keeping.workload(a)
    assert keeping.report(run_id, ending) == []
    assert keeping.report(run_id, RunState.RUNNING) == []
    assert keeping.workload(a) == before


def test_a_report_of_an_earlier_attempt_does_not_touch_the_new_one(keeping: Bookkeeping, a: str) -> None:
    old = keeping.run_to(a, RunState.LOST)
    new = keeping.place(a)
    assert keeping.report(old, RunState.SUCCEEDED) == []
    assert keeping.run(new).state is RunState.PLACED


def test_a_report_of_a_run_that_nobody_placed_is_ignored(keeping: Bookkeeping) -> None:
    assert keeping.report("w77.1", RunState.RUNNING) == []


def test_a_run_may_end_before_its_launch_is_acknowledged(keeping: Bookkeeping, a: str) -> None:
    run_id = keeping.place(a)
    keeping.report(run_id, RunState.SUCCEEDED, exit_code=0, ended_ms=9)
    assert keeping.state(a) is SUCCEEDED
    assert keeping.report(run_id, RunState.STARTING) == []


def test_the_start_time_stays_when_a_later_report_does_not_repeat_it(keeping: Bookkeeping, a: str) -> None:
    run_id = keeping.place(a)
    keeping.report(run_id, RunState.STARTING, started_ms=5)
    keeping.report(run_id, RunState.RUNNING)
    assert keeping.run(run_id).started_ms == 5


# What the end of a run means


@pytest.mark.parametrize(
    ("ending", "becomes"),
    [
        (RunState.SUCCEEDED, SUCCEEDED),
        (RunState.FAILED, FAILED),
        (RunState.STOPPED, QUEUED),
        (RunState.PREEMPTED, QUEUED),
        (RunState.LOST, QUEUED),
    ],
)
@pytest.mark.parametrize("seen", [RunState.PLACED, RunState.STARTING, RunState.RUNNING])
def test_the_end_of_a_run_decides_about_its_workload(
    keeping: Bookkeeping, a: str, seen: RunState, ending: RunState, becomes: WorkloadState
) -> None:
    run_id = keeping.place(a)
    keeping.report(run_id, seen)
    keeping.report(run_id, ending)
    assert keeping.state(a) is becomes
    assert keeping.book.usage() == {}
    assert keeping.book.live_run_of(a) is None


def test_a_failed_run_is_tried_again_until_the_attempts_are_used_up(keeping: Bookkeeping) -> None:
    (a,) = keeping.accepted(submission("a", max_attempts=3))
    assert [keeping.run_to(a, RunState.FAILED) for _ in range(2)] == [f"{a}.1", f"{a}.2"]
    assert keeping.state(a) is QUEUED
    keeping.run_to(a, RunState.FAILED)
    assert keeping.state(a) is FAILED


@pytest.mark.parametrize("ending", [RunState.LOST, RunState.STOPPED, RunState.PREEMPTED])
def test_lost_and_moved_runs_are_not_held_against_the_workload(keeping: Bookkeeping, ending: RunState) -> None:
    (a,) = keeping.accepted(submission("a", max_attempts=2))
    for _ in range(5):
        keeping.run_to(a, ending)
    keeping.run_to(a, RunState.FAILED)
    assert keeping.state(a) is QUEUED
    assert keeping.place(a) == f"{a}.7"


def test_a_failed_workload_says_why(keeping: Bookkeeping, a: str) -> None:
    run_id = keeping.place(a)
    keeping.report(run_id, RunState.FAILED, exit_code=137)
    assert "137" in keeping.workload(a).message


# Waiters


def test_waiters_are_queued_when_all_their_predecessors_have_succeeded(keeping: Bookkeeping) -> None:
    a, b, c = keeping.accepted(submission("a"), submission("b"), submission("c", "a", "b"))
    keeping.run_to(a, RunState.SUCCEEDED)
    assert keeping.state(c) is SUBMITTED
    keeping.run_to(b, RunState.SUCCEEDED)
    assert keeping.state(c) is QUEUED


def test_waiters_are_queued_when_their_last_two_predecessors_succeed_in_one_commit(keeping: Bookkeeping) -> None:
    a, b, c = keeping.accepted(submission("a"), submission("b"), submission("c", "a", "b"))
    for run_id in (keeping.place(a), keeping.place(b)):  # decided one after the other, settled together
        keeping.book.apply(report_run(keeping.book, RunChanged(run_id, RunState.SUCCEEDED)))
    keeping.book.settle()
    assert keeping.state(c) is QUEUED


def test_a_failure_fails_whoever_waits_directly_or_through_others(keeping: Bookkeeping) -> None:
    a, b, c, d, alone = keeping.accepted(
        submission("a"), submission("b", "a"), submission("c", "b"), submission("d", "b", "c"), submission("alone")
    )
    keeping.run_to(a, RunState.FAILED)
    assert {keeping.state(waiter) for waiter in (b, c, d)} == {FAILED}
    assert a in keeping.workload(b).message
    assert b in keeping.workload(c).message
    assert keeping.state(alone) is QUEUED
    assert keeping.book.live_count == 1


def test_a_waiter_of_two_that_fail_in_one_commit_fails_once(keeping: Bookkeeping) -> None:
    a, b, c = keeping.accepted(submission("a"), submission("b"), submission("c", "a", "b"))
    for run_id in (keeping.place(a), keeping.place(b)):
        keeping.book.apply(report_run(keeping.book, RunChanged(run_id, RunState.FAILED)))
    assert keeping.state(c) is FAILED
    keeping.book.settle()
    assert keeping.book.live_count == 0


def test_retries_of_a_predecessor_keep_its_waiters_waiting(keeping: Bookkeeping) -> None:
    a, b = keeping.accepted(submission("a", max_attempts=2), submission("b", "a"))
    keeping.run_to(a, RunState.FAILED)
    assert keeping.state(b) is SUBMITTED
    keeping.run_to(a, RunState.SUCCEEDED)
    assert keeping.state(b) is QUEUED


# Cancelling


@pytest.mark.parametrize("seen", [RunState.PLACED, RunState.STARTING, RunState.RUNNING])
def test_a_cancelled_workload_is_finished_at_once_and_its_run_is_owed_a_stop(
    keeping: Bookkeeping, a: str, seen: RunState
) -> None:
    run_id = keeping.place(a)
    keeping.report(run_id, seen)
    keeping.cancel(a, "not needed")
    assert (keeping.state(a), keeping.workload(a).message) == (CANCELLED, "not needed")
    assert [run.run_id for run in keeping.book.stops_owed("p", draining=False)] == [run_id]
    assert list(keeping.book.launches_owed("p")) == []
    assert keeping.book.usage() == {"q": ONE_CORE}  # its nodes are not free before the pool says so


@pytest.mark.parametrize("ending", ENDINGS)
def test_however_the_run_of_a_cancelled_workload_ends_it_stays_cancelled(
    keeping: Bookkeeping, a: str, ending: RunState
) -> None:
    run_id = keeping.place(a)
    keeping.cancel(a)
    keeping.report(run_id, ending)
    assert keeping.state(a) is CANCELLED
    assert keeping.book.live_count == 0
    assert list(keeping.book.stops_owed("p", draining=True)) == []
    assert keeping.book.usage() == {}


def test_cancelling_in_the_queue_ends_it_and_fails_its_waiters(keeping: Bookkeeping) -> None:
    a, b = keeping.accepted(submission("a"), submission("b", "a"))
    keeping.cancel(a)
    assert (keeping.state(a), keeping.state(b)) == (CANCELLED, FAILED)


def test_cancelling_a_waiter_leaves_its_predecessor_alone(keeping: Bookkeeping) -> None:
    a, b = keeping.accepted(submission("a"), submission("b", "a"))
    keeping.cancel(b)
    keeping.run_to(a, RunState.SUCCEEDED)
    assert (keeping.state(a), keeping.state(b)) == (SUCCEEDED, CANCELLED)


def test_cancelling_what_is_finished_or_unknown_changes_nothing(keeping: Bookkeeping, a: str) -> None:
    keeping.run_to(a, RunState.SUCCEEDED)
    assert keeping.cancel(a) == []
    assert keeping.cancel("w77") == []


# Draining and reconciling


def test_a_drained_pool_is_owed_a_stop_for_every_run(keeping: Bookkeeping) -> None:
    here, there = keeping.accepted(submission("a"), submission("b"))
    run_id = keeping.place(here)
    keeping.place(there, "other")
    assert [run.run_id for run in keeping.book.stops_owed("p", draining=True)] == [run_id]
    assert list(keeping.book.stops_owed("p", draining=False)) == []


def test_acknowledged_runs_that_the_pool_forgot_are_lost_and_placed_anew(keeping: Bookkeeping) -> None:
    ids = keeping.accepted(*(submission(key) for key in "abcd"))
    placed, starting, running, kept = (keeping.place(workload_id) for workload_id in ids)
    keeping.report(starting, RunState.STARTING)
    keeping.report(running, RunState.RUNNING)
    keeping.report(kept, RunState.RUNNING)
    keeping.reconcile("p", kept)
    assert [keeping.state(workload_id) for workload_id in ids] == [ACTIVE, QUEUED, QUEUED, ACTIVE]
    assert keeping.run(placed).state is RunState.PLACED  # its launch is owed, and sent again


def test_reconciling_one_pool_leaves_the_others_alone(keeping: Bookkeeping, a: str) -> None:
    run_id = keeping.place(a, "other")
    keeping.report(run_id, RunState.RUNNING)
    assert keeping.reconcile("p") == []


def test_a_forgotten_run_of_a_cancelled_workload_is_simply_over(keeping: Bookkeeping, a: str) -> None:
    run_id = keeping.place(a)
    keeping.report(run_id, RunState.RUNNING)
    keeping.cancel(a)
    keeping.reconcile("p")
    assert keeping.state(a) is CANCELLED
    assert keeping.book.live_count == 0


# The book itself


def test_the_book_refuses_impossible_changes(keeping: Bookkeeping, a: str) -> None:
    with pytest.raises(IllegalTransition):
        keeping.book.apply([WorkloadChanged(a, SUCCEEDED)])


def test_usage_is_by_queue_and_empty_queues_are_not_named(keeping: Bookkeeping) -> None:
    a, b = keeping.accepted(submission("a"), submission("b", queue="other"))
    run_id = keeping.place(a)
    keeping.place(b)
    assert keeping.book.usage() == {"q": ONE_CORE, "other": ONE_CORE}
    keeping.report(run_id, RunState.SUCCEEDED)
    assert keeping.book.usage() == {"other": ONE_CORE}
    assert Resources() not in keeping.book.usage().values()


def test_what_ended_stays_in_the_book_until_its_end_is_durable(keeping: Bookkeeping, a: str) -> None:
    keeping.book.apply([WorkloadChanged(a, CANCELLED)])
    assert keeping.book.workload_by_key("q", "a") == keeping.book.workload(a)
    keeping.book.settle()
    assert keeping.book.workload_by_key("q", "a") is None


def test_a_run_that_is_placed_is_named_after_its_workload_and_attempt(keeping: Bookkeeping, a: str) -> None:
    changes, _ = place(keeping.book, [Placement(a, f"{a}.1", 1, "p", ("n1",))], 7)
    assert [(change.run.run_id, change.run.placed_ms) for change in changes if isinstance(change, RunPlaced)] == [
        (f"{a}.1", 7)
    ]
