"""Drafts of one transaction may pass each other, but never their causes, and then few statements are needed."""

from __future__ import annotations

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from inventory.store.chain import Draft
from scheduler.store.recording_order import RecordingOrder


def test_ten_runs_that_end_need_two_turns_and_not_twenty() -> None:
    order = RecordingOrder()
    for i in range(10):
        order.add([Draft("run.changed", f"w{i}", {}), Draft("workload.changed", f"w{i}", {})])
    kinds = [kind for kind, _ in groupby(draft.kind for draft in order.drafts())]
    assert kinds == ["run.changed", "workload.changed"]


def test_a_submission_follows_what_happened_to_the_workload_that_it_waits_for() -> None:
    order = RecordingOrder()
    order.add([Draft("workload.submitted", "other", {})])
    order.add([Draft("run.changed", "a", {}), Draft("workload.changed", "a", {})])
    order.add([Draft("workload.submitted", "b", {})], causes=["a"])
    assert [draft.subject for draft in order.drafts()] == ["other", "a", "a", "b"]


kinds = st.sampled_from(["submitted", "placed", "changed", "ended"])
subjects = st.sampled_from([f"w{i}" for i in range(5)])
decisions = st.lists(
    st.tuples(st.lists(st.tuples(kinds, subjects), max_size=4), st.lists(subjects, max_size=2)), max_size=20
)


@given(decisions)
def test_nothing_is_lost_and_no_effect_comes_before_its_cause(
    given_decisions: list[tuple[list[tuple[str, str]], list[str]]],
) -> None:
    order = RecordingOrder()
    drafts: list[Draft] = []
    must_precede: list[tuple[int, int]] = []
    for made, causes in given_decisions:
        first = len(drafts)
        for kind, subject in made:
            drafts.append(Draft(kind, subject, {"number": len(drafts)}))
        for now in range(first, len(drafts)):
            must_precede += [(now - 1, now)] if now > first else []
            same = (before for before in range(now) if drafts[before].subject == drafts[now].subject)
            must_precede += [(before, now) for before in same]
            must_precede += [(before, now) for before in range(first) if drafts[before].subject in causes]
        order.add(drafts[first:], causes)
    placed = [int(str(draft.payload["number"])) for draft in order.drafts()]
    assert sorted(placed) == list(range(len(drafts)))
    at = {number: position for position, number in enumerate(placed)}
    assert all(at[before] < at[now] for before, now in must_precede)
