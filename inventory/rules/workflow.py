"""Workflows of review cases: one enum of states and one transition table each.

Who calls this: `inventory.assessment.reviews` carries the steps out and keeps them on the chain. Pure. Rules open
cases, people take every step: nothing here closes or reclaims by itself.

closure: a system that the rules take for a zombie. flag → the department answers → quarantine → archive → closed.
idle: a resource that idles. watched → reminder → urged (a month later) → reclaimable (five workdays later).
Sources: domain rules in `rules.yaml` (closure: S1, R12; idle resources: R2).
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from inventory.model.calendar import CalendarDay
from inventory.model.migration import Pair
from inventory.rules.rulebook import ReviewTerms


class Workflow(StrEnum):
    CLOSURE = "closure"
    IDLE = "idle"


class CaseState(StrEnum):
    PROPOSED = "proposed"  # 待单位答复
    AGREED = "agreed"  # 单位同意关停
    KEPT = "kept"  # 单位证实在用
    QUARANTINED = "quarantined"  # 隔离观察
    ARCHIVED = "archived"  # 数据已归档
    CLOSED = "closed"  # 已注销
    WATCHED = "watched"  # 闲置，待提醒
    REMINDED = "reminded"  # 已提醒
    URGED = "urged"  # 已督促
    RECLAIMED = "reclaimed"  # 已回收
    RESTORED = "restored"  # 已恢复使用

    @property
    def is_final(self) -> bool:
        return self in (CaseState.KEPT, CaseState.CLOSED, CaseState.RECLAIMED, CaseState.RESTORED)


class Action(StrEnum):
    ATTEST_UNUSED = "attest_unused"
    ATTEST_IN_USE = "attest_in_use"
    QUARANTINE = "quarantine"
    RELEASE = "release"
    ARCHIVE = "archive"
    CLOSE = "close"
    REMIND = "remind"
    URGE = "urge"
    RECLAIM = "reclaim"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class Step:
    """One row of the table: where an action leads from a state, and what must come with it."""

    to: CaseState
    needs_document: bool = True
    needs_evidence: bool = False  # the SHA-256 of a file: attestation, archive record, closure record


TRANSITIONS: Mapping[Workflow, Mapping[tuple[CaseState, Action], Step]] = {
    Workflow.CLOSURE: {
        (CaseState.PROPOSED, Action.ATTEST_UNUSED): Step(CaseState.AGREED),
        (CaseState.PROPOSED, Action.ATTEST_IN_USE): Step(CaseState.KEPT),
        (CaseState.AGREED, Action.QUARANTINE): Step(CaseState.QUARANTINED),
        (CaseState.AGREED, Action.ATTEST_IN_USE): Step(CaseState.KEPT),
        (CaseState.QUARANTINED, Action.RELEASE): Step(CaseState.KEPT),
        (CaseState.QUARANTINED, Action.ARCHIVE): Step(CaseState.ARCHIVED, needs_evidence=True),
        (CaseState.ARCHIVED, Action.RELEASE): Step(CaseState.KEPT),
        (CaseState.ARCHIVED, Action.CLOSE): Step(CaseState.CLOSED, needs_evidence=True),
    },
    Workflow.IDLE: {
        (CaseState.WATCHED, Action.REMIND): Step(CaseState.REMINDED),
        (CaseState.WATCHED, Action.RESTORE): Step(CaseState.RESTORED, needs_document=False),
        (CaseState.REMINDED, Action.URGE): Step(CaseState.URGED),
        (CaseState.REMINDED, Action.RESTORE): Step(CaseState.RESTORED, needs_document=False),
        (CaseState.URGED, Action.RECLAIM): Step(CaseState.RECLAIMED),
        (CaseState.URGED, Action.RESTORE): Step(CaseState.RESTORED, needs_document=False),
    },
}
FIRST_STATE: Mapping[Workflow, CaseState] = {
    Workflow.CLOSURE: CaseState.PROPOSED,
    Workflow.IDLE: CaseState.WATCHED,
}
WORDS: Mapping[CaseState, Pair] = {
    CaseState.PROPOSED: ("待单位答复", "waits for the department"),
    CaseState.AGREED: ("单位同意关停", "the department agrees"),
    CaseState.KEPT: ("证实在用，保留", "kept: it is in use"),
    CaseState.QUARANTINED: ("隔离观察", "in quarantine"),
    CaseState.ARCHIVED: ("数据已归档", "archived"),
    CaseState.CLOSED: ("已注销", "closed"),
    CaseState.WATCHED: ("闲置，待提醒", "idle; to be reminded"),
    CaseState.REMINDED: ("已提醒", "reminded"),
    CaseState.URGED: ("已督促", "urged"),
    CaseState.RECLAIMED: ("已回收", "reclaimed"),
    CaseState.RESTORED: ("已恢复使用", "in use again"),
}


def steps_from(workflow: Workflow, state: CaseState) -> Mapping[Action, Step]:
    """The actions that are open in this state."""
    return {action: step for (at, action), step in TRANSITIONS[workflow].items() if at is state}


@dataclass(frozen=True, slots=True)
class DueDay:
    """The first day on which an action may be taken. `day` is None when the holiday calendar does not reach so far
    or does not know the year: then nobody may act on a count of workdays."""

    action: Action
    day: date | None
    because: Pair


def due_day(state: CaseState, since: date, terms: ReviewTerms, days: Mapping[date, CalendarDay]) -> DueDay | None:
    """From when the next step of a timed state may be taken; None when the state has no term.

    Quarantine lasts `quarantine_days`. A reminder is followed by the authority's urging once the idleness has gone
    on for `urge_after_months`, counted from the reminder; the authority may reclaim `reclaim_after_workdays` later.
    Both reminder and urging are days that do not count themselves.
    """
    match state:
        case CaseState.QUARANTINED:
            day: date | None = since + timedelta(days=terms.quarantine_days)
            return DueDay(
                Action.ARCHIVE,
                day,
                (f"隔离观察满 {terms.quarantine_days} 天", f"{terms.quarantine_days} days in quarantine"),
            )
        case CaseState.REMINDED:
            day = add_months(since, terms.urge_after_months) + timedelta(days=1)
            return DueDay(
                Action.URGE,
                day,
                (
                    f"提醒后超过 {terms.urge_after_months} 个月",
                    f"over {terms.urge_after_months} month(s) after it",
                ),
            )
        case CaseState.URGED:
            day = add_workdays(since, terms.reclaim_after_workdays, days)
            count = terms.reclaim_after_workdays
            return DueDay(
                Action.RECLAIM, day, (f"督促后满 {count} 个工作日", f"{count} workdays after the urging")
            )
        case _:
            return None


def add_months(day: date, months: int) -> date:
    """The same day of a later month, or its last day where it has no such day."""
    at = day.year * 12 + day.month - 1 + months
    year, month = divmod(at, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def add_workdays(day: date, count: int, days: Mapping[date, CalendarDay]) -> date | None:
    """The `count`-th workday after `day` (make-up workdays count). None where a day on the way is unknown."""
    at = day
    while count > 0:
        at += timedelta(days=1)
        known = days.get(at)
        if known is None or known.kind.is_unknown:
            return None
        if not known.kind.is_day_off:
            count -= 1
    return at
