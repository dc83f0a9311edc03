"""Which submissions are accepted: idempotency, predecessors, circles, and items that fail alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.model.units import GIB, Resources
from inventory.model.workload import Program, Requirements, RunState, WorkloadState
from scheduler.core.admission import Accepted, Known, RefusalKind, admit
from scheduler.core.changes import RunChanged
from scheduler.core.lifecycle import report_run
from tests.lifecycle.bookkeeping import ONE_CORE, Bookkeeping, refusal, submission

SUBMITTED, QUEUED = WorkloadState.SUBMITTED, WorkloadState.QUEUED


def test_a_new_key_is_a_new_workload_that_is_queued_at_once() -> None:
    (outcome,) = Bookkeeping().submit(submission("a"))
    assert isinstance(outcome, Accepted)
    assert outcome.created
    assert (outcome.workload_id, outcome.state, outcome.submitted_ms) == (
        "w1",
        QUEUED,
        1_000,
    )


@pytest.mark.parametrize(
    "until",
    ["queued", "active", "succeeded", "cancelled", "cancelled while its run goes on"],
)
def test_the_same_key_and_body_is_the_same_workload_whatever_has_become_of_it(until: str) -> None:
    keeping = Bookkeeping()
    (a,) = keeping.accepted(submission("a"))
    if until in ("active", "cancelled while its run goes on"):
        keeping.place(a)
    if until == "succeeded":
        keeping.run_to(a, RunState.SUCCEEDED)
    if until.startswith("cancelled"):
        keeping.cancel(a)
    (outcome,) = keeping.submit(submission("a"))
    assert outcome == Accepted.of(keeping.workload(a), created=False)


def test_the_same_key_in_another_queue_is_another_workload() -> None:
    assert Bookkeeping().accepted(submission("a"), submission("a", queue="other")) == ["w1", "w2"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"priority": 7}, "priority: 0 → 7"),
        ({"name": "b"}, "name: 'a' → 'b'"),
        ({"requirements": Requirements(Resources(2_000, GIB))}, "requirements.per_task.cpu_milli: 1000 → 2000"),
        ({"requirements": Requirements(ONE_CORE, pools=frozenset({"p"}))}, "requirements.pools: [] → ['p']"),
        ({"program": Program(("false",))}, "program.command: ('true',) → ('false',)"),
        ({"program": Program(("true",), None, {"MODE": "fast"})}, "program.environment['MODE']"),
        ({"labels": {"team": "x"}}, "labels['team']"),
        ({"after": ("w2",)}, "after: () → ('w2',)"),
    ],
)
def test_the_same_key_with_another_body_is_refused_with_the_difference(
    changes: dict[str, object], told: str
) -> None:
    keeping = Bookkeeping()
    keeping.accepted(submission("a"), submission("other"))
    said = refusal(keeping.submit(submission("a", **changes))[0])
    assert said.kind is RefusalKind.CONFLICT
    assert told in said.message
    assert "fast" not in said.message  # a setting's value is the submitter's own affair


def test_a_conflict_over_a_huge_command_is_still_one_short_line() -> None:
    keeping = Bookkeeping()
    keeping.accepted(submission("a", program=Program(("x" * 60_000,))))
    said = refusal(keeping.submit(submission("a", program=Program(("y" * 60_000,))))[0])
    assert len(said.message) < 500
    assert "\n" not in said.message


# Predecessors


@pytest.mark.parametrize("name", ["w1", "first"])
def test_after_names_a_workload_by_id_or_by_client_key_and_is_stored_as_the_id(name: str) -> None:
    keeping = Bookkeeping()
    keeping.accepted(submission("first"))
    (second,) = keeping.accepted(submission("second", name))
    assert keeping.workload(second).after == ("w1",)
    assert keeping.state(second) is SUBMITTED


def test_after_may_name_later_items_of_the_same_batch() -> None:
    keeping = Bookkeeping()
    last, first = keeping.accepted(submission("last", "first"), submission("first"))
    assert keeping.workload(last).after == (first,)
    assert (keeping.state(first), keeping.state(last)) == (QUEUED, SUBMITTED)


def test_a_client_key_of_another_queue_is_not_a_name_here() -> None:
    keeping = Bookkeeping()
    keeping.accepted(submission("first", queue="other"))
    said = refusal(keeping.submit(submission("second", "first"))[0])
    assert (said.kind, said.field) == (RefusalKind.INVALID, "after")
    assert "first" in said.message


def test_who_names_the_same_predecessor_twice_waits_for_it_once_and_may_say_so_again() -> None:
    keeping = Bookkeeping()
    keeping.accepted(submission("first"))
    twice = submission("second", "first", "w1", "first")
    (second,) = keeping.accepted(twice)
    assert keeping.workload(second).after == ("w1",)
    assert keeping.submit(twice) == [Accepted.of(keeping.workload(second), created=False)]


@pytest.mark.parametrize("name", ["w1", "first"])
def test_who_waits_for_what_has_succeeded_is_queued_at_once(name: str) -> None:
    keeping = Bookkeeping()
    keeping.run_to(*keeping.accepted(submission("first")), RunState.SUCCEEDED)
    assert keeping.book.workload("w1") is None  # gone from the book: the store knew it
    assert keeping.state(*keeping.accepted(submission("second", name))) is QUEUED


@pytest.mark.parametrize("name", ["w1", "first"])
@pytest.mark.parametrize("ending", ["failed", "cancelled", "cancelled while its run goes on"])
def test_who_waits_for_what_can_no_longer_succeed_is_refused(name: str, ending: str) -> None:
    keeping = Bookkeeping()
    (first,) = keeping.accepted(submission("first"))
    if ending == "failed":
        keeping.run_to(first, RunState.FAILED)
    elif ending == "cancelled":
        keeping.cancel(first)
    else:
        keeping.place(first)
        keeping.cancel(first)
    said = refusal(keeping.submit(submission("second", name))[0])
    assert said.kind is RefusalKind.PRECONDITION
    assert name in said.message


def test_what_ended_a_moment_ago_in_the_same_commit_counts_as_ended() -> None:
    """The store does not say so yet: only the book knows, until it is settled."""
    keeping = Bookkeeping()
    (first,) = keeping.accepted(submission("first"))
    run_id = keeping.place(first)
    keeping.book.apply(report_run(keeping.book, RunChanged(run_id, RunState.SUCCEEDED)))
    stale = keeping.workload(first)
    known = Known({}, {})
    outcomes, _ = admit(keeping.book, known, [submission("second", "first"), submission("first")], lambda: "w9", 0)
    assert isinstance(outcomes[0], Accepted)
    assert outcomes[0].state is QUEUED
    assert outcomes[1] == Accepted.of(stale, created=False)
    keeping.book.settle()
    assert keeping.book.workload(first) is None


# Circles, repeats, and what depends on refused items


@pytest.mark.parametrize("length", [1, 2, 3, 50])
def test_items_that_wait_for_each_other_in_a_circle_are_refused_and_named(length: int) -> None:
    keys = [f"k{i}" for i in range(length)]
    circle = [submission(key, keys[(i + 1) % length]) for i, key in enumerate(keys)]
    *refused, fine = Bookkeeping().submit(*circle, submission("fine"))
    assert isinstance(fine, Accepted)
    for outcome in refused:
        said = refusal(outcome)
        assert said.kind is RefusalKind.INVALID
        assert "k0" in said.message
        assert len(said.message) < 300


def test_two_circles_that_share_an_item_are_both_refused() -> None:
    outcomes = Bookkeeping().submit(
        submission("a", "b"), submission("b", "a", "c"), submission("c", "b"), submission("d", "c")
    )
    assert all(refusal(outcome) for outcome in outcomes)


def test_an_item_that_depends_on_a_refused_item_is_refused_and_the_others_are_not() -> None:
    unknown, behind, far_behind, fine = Bookkeeping().submit(
        submission("a", "nobody"), submission("b", "a"), submission("c", "b"), submission("d")
    )
    assert "nobody" in refusal(unknown).message
    assert "a" in refusal(behind).message
    assert "b" in refusal(far_behind).message
    assert isinstance(fine, Accepted)


def test_an_item_that_comes_twice_in_a_batch_is_accepted_once() -> None:
    keeping = Bookkeeping()
    first, again = keeping.submit(submission("a"), submission("a"))
    assert isinstance(first, Accepted)
    assert again == first._replace(created=False)
    assert keeping.book.live_count == 1


def test_an_item_that_comes_twice_in_a_batch_with_another_body_is_a_conflict_the_second_time() -> None:
    first, again = Bookkeeping().submit(submission("a"), submission("a", priority=1))
    assert isinstance(first, Accepted)
    assert refusal(again).kind is RefusalKind.CONFLICT


def test_the_repeat_of_a_refused_item_is_refused_alike() -> None:
    first, again = Bookkeeping().submit(submission("a", "a"), submission("a", "a"))
    assert refusal(first) == refusal(again)


def test_a_whole_batch_given_again_is_the_same_workloads_in_every_order() -> None:
    keeping = Bookkeeping()
    batch = [submission("c", "b"), submission("b", "a"), submission("a")]
    ids = keeping.accepted(*batch)
    for again in (batch, batch[::-1], batch[1:]):
        outcomes = keeping.submit(*again)
        assert [outcome.created for outcome in outcomes if isinstance(outcome, Accepted)] == [False] * len(again)
    assert keeping.book.live_count == len(ids)


def test_a_chain_of_ten_thousand_in_one_batch_needs_no_deep_recursion() -> None:
    length = 10_000
    chain = [submission(f"k{i}", f"k{i + 1}") for i in range(length)] + [submission(f"k{length}")]
    keeping = Bookkeeping()
    outcomes = keeping.submit(*chain)
    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert keeping.book.queued_count == 1


@st.composite
def batches(draw: st.DrawFn) -> list[tuple[str, tuple[str, ...]]]:
    keys = [f"k{i}" for i in range(draw(st.integers(1, 7)))]
    names = st.lists(st.sampled_from([*keys, "nobody"]), max_size=3).map(tuple)
    return [(key, draw(names)) for key in draw(st.permutations(keys))]


@given(batches())
def test_exactly_those_items_are_accepted_whose_predecessors_all_can_be(
    batch: list[tuple[str, tuple[str, ...]]],
) -> None:
    """The oracle: an item is good when all that it names are good; the least fixed point leaves circles out."""
    good: set[str] = set()
    while more := {key for key, after in batch if key not in good and set(after) <= good}:
        good |= more
    outcomes = Bookkeeping().submit(*(submission(key, *after) for key, after in batch))
    assert {
        key for (key, _), outcome in zip(batch, outcomes, strict=True) if isinstance(outcome, Accepted)
    } == good
