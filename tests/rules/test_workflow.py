"""The workflows of reviews: which steps are open, and from which day a timed step may be taken."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory.holidays import known_years, read_days
from inventory.model.calendar import DayKind
from inventory.rules.workflow import (
    FIRST_STATE,
    TRANSITIONS,
    WORDS,
    Action,
    CaseState,
    Workflow,
    add_months,
    add_workdays,
    due_day,
    steps_from,
)
from tests.rules.subjects import the_rules


def test_every_state_of_a_workflow_is_reached_and_every_way_ends() -> None:
    for workflow, table in TRANSITIONS.items():
        reached, frontier = {FIRST_STATE[workflow]}, [FIRST_STATE[workflow]]
        while frontier:
            for step in steps_from(workflow, frontier.pop()).values():
                if step.to not in reached:
                    reached.add(step.to)
                    frontier.append(step.to)
        assert {state for state, _ in table} <= reached
        assert all(state.is_final == (not steps_from(workflow, state)) for state in reached)
    assert set(WORDS) == set(CaseState)


def test_closing_always_passes_the_department_quarantine_and_archive() -> None:
    def ways(state: CaseState, gone: tuple[Action, ...]) -> list[tuple[Action, ...]]:
        if state is CaseState.CLOSED:
            return [gone]
        steps = steps_from(Workflow.CLOSURE, state)
        return [way for action, step in steps.items() for way in ways(step.to, (*gone, action))]

    (only,) = ways(CaseState.PROPOSED, ())
    assert only == (Action.ATTEST_UNUSED, Action.QUARANTINE, Action.ARCHIVE, Action.CLOSE)


@pytest.mark.parametrize(
    ("case", "state", "since", "action", "day"),
    [
        ("thirty days of quarantine", CaseState.QUARANTINED, "2026-03-02", Action.ARCHIVE, "2026-04-01"),
        ("over a month after the reminder", CaseState.REMINDED, "2026-03-02", Action.URGE, "2026-04-03"),
        ("a month that is shorter", CaseState.REMINDED, "2026-01-31", Action.URGE, "2026-03-01"),
        ("five workdays of an ordinary week", CaseState.URGED, "2026-03-02", Action.RECLAIM, "2026-03-09"),
        # 2026: National Day 1 to 7 October, make-up workdays on 20 September and 10 October.
        ("the holiday does not count, its make-up day does", CaseState.URGED, "2026-09-29", Action.RECLAIM, "2026-10-11"),
    ],
)  # fmt: skip
def test_when_a_timed_step_is_due(case: str, state: CaseState, since: str, action: Action, day: str) -> None:
    start = date.fromisoformat(since)
    due = due_day(state, start, the_rules().terms, read_days(start, start + timedelta(days=60)))
    assert due is not None and due.action is action, case
    if case.startswith("the holiday"):
        # What the State Council's table says is read, not repeated here: five workdays by the calendar itself.
        worked = [
            one
            for one in read_days(start + timedelta(days=1), due.day or start).values()
            if one.kind in (DayKind.WORKDAY, DayKind.MAKEUP_WORKDAY)
        ]
        assert len(worked) == 5 and due.day == worked[-1].day
        assert due.day is not None and due.day - start > timedelta(days=7)
    else:
        assert due.day == date.fromisoformat(day), case


def test_workdays_of_an_unknown_year_are_not_counted() -> None:
    unknown = date(max(known_years()) + 1, 3, 1)
    days = read_days(unknown, unknown + timedelta(days=60))
    due = due_day(CaseState.URGED, unknown, the_rules().terms, days)
    assert due is not None and due.day is None


@settings(deadline=None)
@given(st.dates(date(2024, 1, 1), date(2025, 11, 1)), st.integers(1, 12))
def test_so_many_workdays_lie_between(day: date, count: int) -> None:
    days = read_days(day, day + timedelta(days=60))
    end = add_workdays(day, count, days)
    assert end is not None
    assert count == sum(not one.kind.is_day_off for one in days.values() if day < one.day <= end)
    assert not days[end].kind.is_day_off


@settings(deadline=None)
@given(st.dates(date(2000, 1, 1), date(2090, 1, 1)), st.integers(0, 30))
def test_a_month_later_is_the_same_day_or_the_month_s_last(day: date, months: int) -> None:
    later = add_months(day, months)
    assert (later.year * 12 + later.month) - (day.year * 12 + day.month) == months
    assert later.day == day.day or (later + timedelta(days=1)).day == 1


@pytest.mark.parametrize(
    "state", sorted(set(CaseState) - {CaseState.QUARANTINED, CaseState.REMINDED, CaseState.URGED})
)
def test_other_states_have_no_term(state: CaseState) -> None:
    assert due_day(state, date(2026, 3, 2), the_rules().terms, {}) is None
