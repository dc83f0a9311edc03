"""Job arrays: one submission, many elements, one state that follows theirs."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory.model.workload import JobArray, RunState, WorkloadState
from scheduler.core.admission import Accepted
from tests.lifecycle.bookkeeping import Bookkeeping, submission

SUBMITTED, QUEUED, ACTIVE = WorkloadState.SUBMITTED, WorkloadState.QUEUED, WorkloadState.ACTIVE
SUCCEEDED, FAILED, CANCELLED = WorkloadState.SUCCEEDED, WorkloadState.FAILED, WorkloadState.CANCELLED


def an_array(count: int, parallel: int = 0, *after: str, key: str = "a") -> tuple[Bookkeeping, str, list[str]]:
    keeping = Bookkeeping()
    if after:
        keeping.accepted(*(submission(name) for name in after))
    return keeping, *elements_of(keeping, count, parallel, *after, key=key)


def elements_of(
    keeping: Bookkeeping, count: int, parallel: int, *after: str, key: str = "a"
) -> tuple[str, list[str]]:
    (array_id,) = keeping.accepted(submission(key, *after, array=JobArray(count, parallel)))
    number = int(array_id[1:])
    return array_id, [f"w{number + 1 + index}" for index in range(count)]


def test_each_element_is_a_workload_that_knows_its_index() -> None:
    keeping, array_id, ids = an_array(3)
    for index, element_id in enumerate(ids):
        element = keeping.workload(element_id)
        assert (element.array_id, element.array_index, element.array) == (array_id, index, None)
        assert element.program.environment == {"XISUAN_ARRAY_INDEX": str(index), "XISUAN_ARRAY_COUNT": "3"}
    assert keeping.book.queued_count == 3  # the array itself is never placed


def test_an_array_is_queued_then_active_then_succeeded() -> None:
    keeping, array_id, ids = an_array(2)
    assert keeping.state(array_id) is QUEUED
    keeping.run_to(ids[0], RunState.SUCCEEDED)
    assert keeping.state(array_id) is ACTIVE
    keeping.run_to(ids[1], RunState.SUCCEEDED)
    assert keeping.state(array_id) is SUCCEEDED
    assert keeping.book.live_count == 0


def test_no_more_than_max_parallel_elements_are_queued_or_active() -> None:
    keeping, _, ids = an_array(5, 2)
    assert [keeping.state(one) for one in ids] == [QUEUED, QUEUED, SUBMITTED, SUBMITTED, SUBMITTED]
    keeping.run_to(ids[1], RunState.SUCCEEDED)
    assert [keeping.state(one) for one in ids] == [QUEUED, SUCCEEDED, QUEUED, SUBMITTED, SUBMITTED]


def test_one_failed_element_fails_the_array_when_all_have_ended() -> None:
    keeping, array_id, ids = an_array(3)
    keeping.run_to(ids[1], RunState.FAILED)
    assert keeping.state(array_id) is ACTIVE
    for one in (ids[0], ids[2]):
        keeping.run_to(one, RunState.SUCCEEDED)
    assert keeping.state(array_id) is FAILED
    assert "1 failed" in keeping.workload(array_id).message


def test_cancelling_an_array_cancels_every_element_and_owes_the_stops() -> None:
    keeping, array_id, ids = an_array(4, 2)
    run_id = keeping.place(ids[0])
    keeping.cancel(array_id)
    assert {keeping.state(one) for one in (array_id, *ids)} == {CANCELLED}
    assert [run.run_id for run in keeping.book.stops_owed("p", draining=False)] == [run_id]


def test_cancelling_the_last_element_ends_the_array() -> None:
    keeping, array_id, ids = an_array(2)
    keeping.run_to(ids[0], RunState.SUCCEEDED)
    keeping.cancel(ids[1])
    assert keeping.state(array_id) is CANCELLED


@pytest.mark.parametrize(
    ("ending", "expected"), [(RunState.SUCCEEDED, QUEUED), (RunState.FAILED, FAILED)], ids=["succeeds", "fails"]
)
def test_who_waits_for_an_array_waits_for_all_its_elements(ending: RunState, expected: WorkloadState) -> None:
    keeping, array_id, ids = an_array(2)
    (waiter,) = keeping.accepted(submission("later", "a"))
    keeping.run_to(ids[0], ending)
    assert keeping.state(waiter) is SUBMITTED
    keeping.run_to(ids[1], RunState.SUCCEEDED)
    assert keeping.state(waiter) is expected
    assert keeping.state(array_id).is_final


def test_an_array_that_waits_starts_its_first_elements_when_it_may() -> None:
    keeping, array_id, ids = an_array(3, 2, "before")
    assert {keeping.state(one) for one in (array_id, *ids)} == {SUBMITTED}
    keeping.run_to("w1", RunState.SUCCEEDED)
    assert [keeping.state(one) for one in (array_id, *ids)] == [QUEUED, QUEUED, QUEUED, SUBMITTED]


def test_an_array_fails_with_what_it_waits_for_and_so_do_its_elements() -> None:
    keeping, array_id, ids = an_array(3, 2, "before")
    keeping.run_to("w1", RunState.FAILED)
    assert {keeping.state(one) for one in (array_id, *ids)} == {FAILED}


def test_the_same_array_again_is_the_array_that_exists() -> None:
    keeping, array_id, _ = an_array(3)
    (again,) = keeping.submit(submission("a", array=JobArray(3)))
    assert isinstance(again, Accepted)
    assert (again.created, again.workload_id) == (False, array_id)


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 6),
    parallel=st.integers(0, 6),
    deeds=st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(["succeed", "fail", "lose", "cancel"])), max_size=30
    ),
)
def test_an_array_ends_exactly_when_its_elements_have_and_never_runs_more_than_it_may(
    count: int, parallel: int, deeds: list[tuple[int, str]]
) -> None:
    keeping, array_id, ids = an_array(count, parallel)
    for which, deed in deeds:
        one = ids[which % count]
        if deed == "cancel":
            keeping.cancel(one)
        elif keeping.state(one) is QUEUED:
            ending = {"succeed": RunState.SUCCEEDED, "fail": RunState.FAILED, "lose": RunState.LOST}[deed]
            keeping.run_to(one, ending)
        states = Counter(keeping.state(one) for one in ids)
        open_count = states[QUEUED] + states[ACTIVE]
        assert open_count <= (parallel or count)
        assert open_count or not states[SUBMITTED]  # whose turn it is starts
        is_over = all(state.is_final for state in states)
        assert keeping.state(array_id).is_final == is_over
        if is_over:
            assert (keeping.state(array_id) is SUCCEEDED) == (states[SUCCEEDED] == count)
