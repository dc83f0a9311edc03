"""Notices of the idle-resource rule: which are due, which were sent. Sending is `scheduler.runbooks.notices`'.

The rule (assessment of idle resources, `rules.yaml`) knows three moments: the reminder, the end of a month, the end of five
workdays. Each is told once: a notice is named by its case and its kind, and the event that it was sent is kept in the
chain, under its case. A notice belongs to the state that the case is in: what a case has left behind is not sent later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from inventory.assessment.reviews import due_of
from inventory.model.migration import Pair
from inventory.rules.rulebook import ReviewTerms
from inventory.rules.workflow import CaseState, Workflow
from inventory.store.assessment import kinds
from inventory.store.assessment.records import AssessmentRecords, Record
from inventory.store.chain import Draft, Event, civil_day
from inventory.store.event_store import Store, read_events


class NoticeKind(StrEnum):
    """REMINDED and URGED tell the department what was decided; the others tell the authority that a term has passed."""

    REMINDED = "reminded"  # 闲置提醒
    MONTH_OVER = "month_over"  # 提醒后超过一个月，可督促
    URGED = "urged"  # 督促
    WORKDAYS_OVER = "workdays_over"  # 督促后满五个工作日，可处置


_MOST = 1_000_000  # events: all of them
_TOLD = {CaseState.REMINDED: NoticeKind.REMINDED, CaseState.URGED: NoticeKind.URGED}
_TERM_OVER = {CaseState.REMINDED: NoticeKind.MONTH_OVER, CaseState.URGED: NoticeKind.WORKDAYS_OVER}


@dataclass(frozen=True, slots=True)
class Notice:
    """One message. `due` is the first day on which it may be sent; `document` the number (文号) of the step behind it."""

    case_id: str
    kind: NoticeKind
    system_key: str
    due: date
    document: str
    text: Pair

    @property
    def key(self) -> str:
        """The same for the same notice for ever: receivers know repetitions by it."""
        return f"{self.case_id}/{self.kind}"


def due_notices(case: Record, terms: ReviewTerms, today: date) -> tuple[Notice, ...]:
    """The notices of the state that the case is in, as far as they are due, sent or not."""
    state = CaseState(case["state"])
    if case["workflow"] != Workflow.IDLE or state not in _TOLD:
        return ()
    found = [_notice(case, _TOLD[state], date.fromisoformat(case["since"]), terms)]
    term = due_of(case, terms)
    if term is not None and term.day is not None and term.day <= today:
        found.append(_notice(case, _TERM_OVER[state], term.day, terms))
    return tuple(found)


class NoticeBook:
    """The notices of one store. `terms` are those of the rule file."""

    def __init__(self, store: Store, terms: ReviewTerms) -> None:
        self._store = store
        self._terms = terms

    def unsent(self, now_ms: int) -> tuple[Notice, ...]:
        """What is due today and was not sent, oldest case first."""
        with self._store.connect() as connection:
            cases = AssessmentRecords(connection).cases(Workflow.IDLE.value)
        today = civil_day(now_ms)
        due = [notice for case in cases for notice in due_notices(case, self._terms, today)]
        sent = self.sent() if due else {}
        return tuple(notice for notice in due if notice.key not in sent)

    def sent(self) -> Mapping[str, Event]:
        """By key of the notice: the event that says so."""
        return {event.payload["key"]: event for event in self._store.read(limit=_MOST, kinds=(kinds.NOTICE_SENT,))}

    def record(self, notice: Notice, status: int, *, actor: str, now_ms: int) -> bool:
        """It was taken by the receiver, who answered `status`. False where the chain says so already."""
        body = {
            "key": notice.key,
            "notice": notice.kind.value,
            "due": notice.due.isoformat(),
            "document": notice.document,
            "text": notice.text[0],
            "status": status,
        }
        with self._store.transaction() as transaction:
            # Alone in the database until the end: two senders cannot both write it down.
            said = read_events(
                transaction.connection, 0, _MOST, kinds=(kinds.NOTICE_SENT,), subject=notice.case_id
            )
            if any(event.payload["key"] == notice.key for event in said):
                return False
            draft = Draft(kinds.NOTICE_SENT, notice.case_id, body, civil_day(now_ms))
            transaction.append([draft], actor=actor, recorded_ms=now_ms)
        return True


def _notice(case: Record, kind: NoticeKind, due: date, terms: ReviewTerms) -> Notice:
    key, step = case["system_key"], case["history"][-1]
    says = case["evidence"]["says"]
    paper = f"（{step['document']}）" if step["document"] else ""
    months, days = terms.urge_after_months, terms.reclaim_after_workdays
    text: Pair
    match kind:
        case NoticeKind.REMINDED:
            text = (
                f"闲置资源提醒{paper}：{key}，{says['zh']}。请在 {months} 个月内整改或说明。",
                f"idle resources, reminder: {key}, {says['en']}; reduce them or say why within {months} month(s)",
            )
        case NoticeKind.MONTH_OVER:
            text = (
                f"{key} 提醒后已超过 {months} 个月仍闲置，主管部门可自 {due} 起督促（{case['id']}）。",
                f"{key} idles for over {months} month(s) after the reminder: the authority may urge from {due}",
            )
        case NoticeKind.URGED:
            text = (
                f"闲置资源督促{paper}：{key}，{says['zh']}。请在 {days} 个工作日内整改，逾期可由主管部门处置。",
                f"idle resources, urged: {key}, {says['en']}; reduce them within {days} workdays",
            )
        case NoticeKind.WORKDAYS_OVER:
            text = (
                f"{key} 督促后已满 {days} 个工作日，主管部门可自 {due} 起处置（{case['id']}）。",
                f"{key}: {days} workdays have passed since the urging; the authority may act from {due}",
            )
    return Notice(case["id"], kind, key, due, step["document"], text)
