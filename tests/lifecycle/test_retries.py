"""Failed runs against what a workload states: which are tried again, how often, and how soon."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.model.retry import FailureCategory, RetryPolicy, RetryRule
from inventory.model.workload import RunState, WorkloadState
from scheduler.core.failures import pause_ms
from tests.lifecycle.bookkeeping import Bookkeeping, submission

PROGRAM, NODE, TIMEOUT = FailureCategory.PROGRAM, FailureCategory.NODE, FailureCategory.TIMEOUT
QUEUED, ACTIVE, FAILED = WorkloadState.QUEUED, WorkloadState.ACTIVE, WorkloadState.FAILED


def fail(keeping: Bookkeeping, workload_id: str, **how: object) -> None:
    keeping.report(keeping.place(workload_id), RunState.FAILED, **how)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"exit_code": 3}, PROGRAM),
        ({}, NODE),
        ({"exit_code": 137, "failure": FailureCategory.OUT_OF_MEMORY}, FailureCategory.OUT_OF_MEMORY),
        ({"exit_code": 143, "started_ms": 1_000, "ended_ms": 61_000}, TIMEOUT),
        ({"exit_code": 143, "started_ms": 1_000, "ended_ms": 60_999}, PROGRAM),
    ],
    ids=[
        "an exit code is the program's",
        "no exit code is the node's",
        "the pool's word counts",
        "a run that lasted as long as it may was stopped for it",
        "a run that lasted a little less was not",
    ],
)
def test_the_category_of_a_failure_follows_from_what_the_pool_reports(
    how: dict[str, object], expected: FailureCategory
) -> None:
    keeping = Bookkeeping()
    (a,) = keeping.accepted(submission("a", max_runtime_ms=60_000))
    run_id = keeping.place(a)
    (changed, *_) = keeping.report(run_id, RunState.FAILED, **how)
    assert changed.failure is expected  # type: ignore[union-attr]  # the first change is the run's


def test_each_rule_counts_its_own_failures_and_the_rest_count_together() -> None:
    keeping = Bookkeeping()
    rules = (RetryRule(PROGRAM, 3, frozenset({75})), RetryRule(NODE, 2))
    (a,) = keeping.accepted(submission("a", max_attempts=2, retry=RetryPolicy(rules)))
    for how in ({"exit_code": 75}, {}, {"exit_code": 1}, {"exit_code": 75}):
        fail(keeping, a, **how)
        assert keeping.state(a) is QUEUED
    fail(keeping, a, exit_code=1)  # the second that no rule names
    assert keeping.state(a) is FAILED


def test_an_exit_code_that_shall_not_be_tried_again_ends_the_workload_at_once() -> None:
    keeping = Bookkeeping()
    rules = (RetryRule(PROGRAM, 1, frozenset({2})),)
    (a,) = keeping.accepted(submission("a", max_attempts=100, retry=RetryPolicy(rules)))
    fail(keeping, a, exit_code=2)
    assert keeping.state(a) is FAILED


@pytest.mark.parametrize("state", [RunState.LOST, RunState.STOPPED, RunState.PREEMPTED])
def test_a_run_that_is_lost_or_moved_is_never_counted_and_rests_for_nothing(state: RunState) -> None:
    keeping = Bookkeeping()
    (a,) = keeping.accepted(submission("a", retry=RetryPolicy(backoff_ms=1_000)))
    for _ in range(5):
        keeping.report(keeping.place(a), state)
        assert keeping.state(a) is QUEUED
        assert keeping.book.queued_count == 1


def test_a_failed_workload_rests_and_waits_for_a_place_when_its_pause_is_over() -> None:
    keeping = Bookkeeping()
    (a,) = keeping.accepted(submission("a", max_attempts=3, retry=RetryPolicy(backoff_ms=10_000)))
    fail(keeping, a, exit_code=1)
    assert keeping.state(a) is QUEUED
    assert keeping.book.queued_count == 0
    assert keeping.book.wake(100_000) == 0  # the pause begins with the first look
    due = keeping.book.due.next_ms()
    assert due is not None
    assert 105_000 <= due <= 110_000
    assert keeping.book.wake(due - 1) == 0
    assert keeping.book.wake(due) == 1
    assert keeping.book.queued_count == 1
    assert keeping.book.due.next_ms() is None


def test_a_resting_workload_can_be_cancelled() -> None:
    keeping = Bookkeeping()
    (a,) = keeping.accepted(submission("a", max_attempts=3, retry=RetryPolicy(backoff_ms=10_000)))
    fail(keeping, a, exit_code=1)
    keeping.cancel(a)
    assert keeping.book.wake(10**9) == 0
    assert keeping.book.due.next_ms() is None


@given(st.integers(1, 10**6), st.integers(1, 10**7), st.integers(1, 200), st.text(max_size=8))
def test_pauses_double_up_to_the_longest_and_lose_at_most_half(
    backoff: int, longest: int, failures: int, seed: str
) -> None:
    whole = min(longest, backoff * 2 ** (failures - 1))
    pause = pause_ms(RetryPolicy((), backoff, longest), failures, seed)
    assert whole // 2 <= pause <= whole
    assert pause == pause_ms(RetryPolicy((), backoff, longest), failures, seed)
