"""Deadlines in a lane: who is pressed goes before, by a day at most; the others keep their order of arrival."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.queueing.tables import QueueTables
from scheduler.core.queueing.waiting import MOST_AHEAD_MS, order_of
from scheduler.runtime.dry_runs import as_workload
from tests.lifecycle.bookkeeping import submission

HOUR_MS = 3_600_000
NOW_MS = 1_000 * HOUR_MS


def order(*submitted: tuple[str, int, int]) -> list[str]:
    """The names in the order of their lane; each with the hour of its submission and of its deadline (0: none)."""
    tables = QueueTables()
    names = {}
    for number, (name, at, due) in enumerate(submitted):
        finish_by_ms = NOW_MS + due * HOUR_MS if due else 0
        asked = submission(name, estimated_ms=HOUR_MS, finish_by_ms=finish_by_ms)
        workload = as_workload(asked, number, NOW_MS + at * HOUR_MS)
        names[workload.workload_id] = name
        tables.wait(workload, next_attempt=1)
    return [names[one] for one in tables.waiting.window(100).workload_ids]


def test_without_deadlines_first_come_is_first() -> None:
    assert order(("b", 2, 0), ("a", 1, 0), ("c", 3, 0)) == ["a", "b", "c"]


def test_the_nearest_deadline_goes_first() -> None:
    assert order(("late", 1, 12), ("soon", 2, 6), ("plain", 0, 0)) == ["soon", "late", "plain"]


def test_a_deadline_that_is_far_away_changes_nothing() -> None:
    assert order(("plain", 0, 0), ("far", 1, 24 * 30)) == ["plain", "far"]


def test_who_came_a_day_before_is_not_overtaken() -> None:
    assert order(("plain", 0, 0), ("pressed", 25, 26)) == ["plain", "pressed"]


@given(st.integers(0, 10**15), st.integers(0, 10**15), st.integers(0, 10**12))
def test_nobody_is_moved_forward_by_more_than_the_bound_nor_back(submitted: int, due: int, expected: int) -> None:
    assert submitted - MOST_AHEAD_MS <= order_of(submitted, due, expected) <= submitted
