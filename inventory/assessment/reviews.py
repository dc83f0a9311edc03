"""Review cases: opened from what the rules propose, taken on step by step by people, closed with evidence.

Who calls this: `Assessor`. Each function is one transaction. The workflows themselves (states, steps, terms) are
`inventory.rules.workflow`; here they meet the store, the ledger and the calendar.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from inventory.assessment.documents import Document, pair_json, source_json, trace_json
from inventory.assessment.errors import AssessmentError, Refusal
from inventory.assessment.estate import Estate
from inventory.assessment.report import AssessmentReport
from inventory.holidays import read_days
from inventory.model.system import Ownership
from inventory.rules.evaluate import Judgement, Outcome
from inventory.rules.rightsizing import Confidence, right_size
from inventory.rules.rulebook import ReviewTerms, Rulebook
from inventory.rules.workflow import (
    FIRST_STATE,
    WORDS,
    Action,
    CaseState,
    DueDay,
    Step,
    Workflow,
    due_day,
    steps_from,
)
from inventory.store.assessment import kinds
from inventory.store.assessment.records import AssessmentRecords, Record
from inventory.store.chain import Draft, civil_day
from inventory.store.event_store import Store
from inventory.store.ledger import kinds as ledger_kinds

# Steps that take something away from the users of a system.
_HURTS_USERS = (Action.QUARANTINE, Action.ARCHIVE, Action.CLOSE)
# Steps against a department whose resources idle: not against one that uses them again.
_PRESSES = (Action.URGE, Action.RECLAIM)
_IDLE_RULE = "idle-resources"


@dataclass(frozen=True, slots=True)
class Minute:
    """What a person writes down with a step: why, under which document number, with which file (its SHA-256)."""

    actor: str
    reason: str
    document: str = ""
    sha256: str = ""
    is_override: bool = False  # takes the step although living systems still use this one


def open_cases(
    store: Store, estate: Estate, report: AssessmentReport, *, actor: str, now_ms: int
) -> tuple[str, ...]:
    """Opens a case for every system that a rule proposes for review and that has none open; returns the new ids.

    What is blocked is not opened. A case that ended with the system being kept (or in use again) is opened anew only
    by another rule, or on a measurement that began after that end: an older one contradicts nobody.
    """
    closures = _closures(estate, report)
    to_close = {one.system_key for one in closures}
    # What is to be closed as a whole is not also reminded of its size.
    wanted = [*closures, *(one for one in _idle(estate, report.rulebook) if one.system_key not in to_close)]
    with store.transaction() as transaction:
        records = AssessmentRecords(transaction.connection)
        before: dict[tuple[str, str], Record] = {
            (row["system_key"], row["workflow"]): row for row in records.cases()
        }
        number = records.next_number("cases")
        drafts: list[Draft] = []
        for one in wanted:
            known = before.get((one.system_key, one.workflow))
            if known is not None and (not CaseState(known["state"]).is_final or not _is_news(one, known)):
                continue
            drafts.append(_opening(one, number + len(drafts)))
        transaction.append(drafts, actor=actor, recorded_ms=now_ms)
    return tuple(draft.subject for draft in drafts)


@dataclass(frozen=True, slots=True)
class _Wanted:
    system_key: str
    workflow: Workflow
    rule: str
    evidence: Document
    measured_from: date | None


def _is_news(wanted: _Wanted, ended: Record) -> bool:
    since = date.fromisoformat(ended["since"])
    return wanted.rule != ended["rule"] or (wanted.measured_from is not None and wanted.measured_from > since)


def _measured_from(estate: Estate, key: str) -> date | None:
    return estate.measurements[key].first_day if key in estate.measurements else None


def _closures(estate: Estate, report: AssessmentReport) -> list[_Wanted]:
    return [
        _Wanted(
            one.system_key,
            Workflow.CLOSURE,
            judged.rule.rule_id,
            _evidence(judged),
            _measured_from(estate, one.system_key),
        )
        for one in report.assessments
        if estate.is_living(one.system_key)
        and (judged := one.review_rule) is not None
        and judged.outcome is Outcome.HOLDS
    ]


def _idle(estate: Estate, book: Rulebook) -> list[_Wanted]:
    """Living systems with far more capacity than they need. Which role a system has does not matter to the rule
    for its size, but standby and disaster recovery are idle by purpose."""
    found = []
    exempt = estate.exempt(book)
    for key, measurement in sorted(estate.measurements.items()):
        if key not in estate.systems or not estate.is_living(key) or key in exempt:
            continue
        if estate.systems[key].classified is True or estate.systems[key].ownership is Ownership.VERTICAL:
            continue  # not the district's to remind of
        size = right_size(estate.systems[key], measurement, book.sizing, estate.day)
        if size.is_idle(book.sizing):
            says = (
                f"{size.vcpu} vCPU 中只需 {size.proposed_vcpu}，闲置超过冗余率 {book.sizing.idle_redundancy_pct}%",
                f"needs {size.proposed_vcpu} of {size.vcpu} vCPU: more than {book.sizing.idle_redundancy_pct}% idle",
            )
            evidence = {"says": pair_json(says), "source": source_json(book.terms.idle_source)}
            found.append(_Wanted(key, Workflow.IDLE, _IDLE_RULE, evidence, measurement.first_day))
    return found


def _evidence(judged: Judgement) -> Document:
    return {
        "says": pair_json(judged.says),
        "source": source_json(judged.rule.source),
        "trace": trace_json(judged.trace),
    }


def _opening(one: _Wanted, number: int) -> Draft:
    body = {
        "number": number,
        "workflow": one.workflow.value,
        "system_key": one.system_key,
        "rule": one.rule,
        "evidence": one.evidence,
        "state": FIRST_STATE[one.workflow].value,
        "reason": one.evidence["says"]["zh"],
        "document": "",
        "sha256": "",
    }
    return Draft(kinds.CASE_OPENED, f"R{number}", body)


@dataclass(frozen=True, slots=True)
class Request:
    """One step of one case, as a person asks for it."""

    case_id: str
    action: Action
    minute: Minute


def advance(store: Store, estate: Estate, book: Rulebook, request: Request, now_ms: int) -> Record:
    """Takes one step of a case and returns the case as it then stands.

    Raises AssessmentError: no such case, a step that the state does not allow, a term that has not passed, living
    users, missing document or evidence, or one person who attests and closes.
    """
    today = civil_day(now_ms)
    action, minute = request.action, request.minute
    with store.transaction() as transaction:
        records = AssessmentRecords(transaction.connection)
        case = _case(records, request.case_id)
        workflow, state = Workflow(case["workflow"]), CaseState(case["state"])
        step = _step(case, workflow, state, action)
        _require_minute(case["id"], action, step, minute)
        _require_term(case, action, book.terms, today)
        if action in _PRESSES and not minute.is_override:
            _require_still_idle(estate, case, book, action)
        if action in _HURTS_USERS:
            _require_unused(estate, case, action, minute)
        if action is Action.CLOSE:
            _require_two_people(case, minute)
        body = {
            "action": action.value,
            "state": step.to.value,
            "reason": minute.reason.strip(),
            "document": minute.document.strip(),
            "sha256": minute.sha256.strip().lower(),
        }
        drafts = [Draft(kinds.CASE_ADVANCED, case["id"], body, today)]
        if step.to is CaseState.CLOSED:
            source = f"{case['id']} {minute.document.strip()}"
            drafts.append(ledger_kinds.closed(case["system_key"], effective_on=today, source=source))
        transaction.append(drafts, actor=minute.actor, recorded_ms=now_ms)
        return _case(records, case["id"])


def due_of(case: Record, terms: ReviewTerms) -> DueDay | None:
    """From when the next timed step of a case may be taken."""
    since = date.fromisoformat(case["since"])
    days = read_days(since, since + timedelta(days=120)) if case["state"] == CaseState.URGED else {}
    return due_day(CaseState(case["state"]), since, terms, days)


def _case(records: AssessmentRecords, case_id: str) -> Record:
    wanted = case_id.strip().upper()
    found = records.case(wanted) if re.fullmatch(r"R\d{1,9}", wanted) else None
    if found is None:
        listed = ", ".join(row["id"] for row in records.cases() if not CaseState(row["state"]).is_final) or "-"
        raise AssessmentError(
            Refusal.NOT_FOUND,
            "NO_SUCH_CASE",
            f"没有核查单 {case_id!r}；未办结的有：{listed}",
            f"there is no case {case_id!r}; open: {listed}",
        )
    return found


def _step(case: Record, workflow: Workflow, state: CaseState, action: Action) -> Step:
    steps = steps_from(workflow, state)
    if action in steps:
        return steps[action]
    zh, en = WORDS[state]
    allowed = ", ".join(sorted(one.value for one in steps)) or "-"
    raise AssessmentError(
        Refusal.PRECONDITION,
        "STEP_NOT_OPEN",
        f"{case['id']} 现为“{zh}”，不能 {action}；可办：{allowed}",
        f"{case['id']} is {state} ({en}) and cannot {action}; open steps: {allowed}",
    )


def _require_minute(case_id: str, action: Action, step: Step, minute: Minute) -> None:
    missing: Sequence[str] = [
        name
        for name, is_needed, text in (
            ("reason", True, minute.reason),
            ("document", step.needs_document or minute.is_override, minute.document),
            ("evidence", step.needs_evidence, minute.sha256),
        )
        if is_needed and not text.strip()
    ]
    if missing:
        named = {"reason": "理由", "document": "文号", "evidence": "佐证文件"}
        raise AssessmentError(
            Refusal.INVALID,
            "INCOMPLETE_MINUTE",
            f"{case_id} 的 {action} 缺少{'、'.join(named[one] for one in missing)}，请补上",
            f"{action} of {case_id} needs {', '.join(f'--{one}' for one in missing)}",
        )


def _require_term(case: Record, action: Action, terms: ReviewTerms, today: date) -> None:
    due = due_of(case, terms)
    if due is None or due.action is not action:
        return
    if due.day is None:
        raise AssessmentError(
            Refusal.PRECONDITION,
            "TERM_UNKNOWN",
            f"{case['id']}：{due.because[0]}，但节假日安排尚未公布，无法计算工作日",
            f"{case['id']}: {due.because[1]}, but the holiday notice is not out: the workdays cannot be counted",
        )
    if today < due.day:
        raise AssessmentError(
            Refusal.PRECONDITION,
            "TOO_EARLY",
            f"{case['id']} 最早 {due.day} 可 {action}（{due.because[0]}），今天是 {today}",
            f"{case['id']} can {action} from {due.day} ({due.because[1]}); today is {today}",
        )


def _require_unused(estate: Estate, case: Record, action: Action, minute: Minute) -> None:
    if case["system_key"] not in estate.systems or minute.is_override:
        return
    users = estate.living_users_of(case["system_key"])
    if users:
        listed = "、".join(users[:5])
        raise AssessmentError(
            Refusal.PRECONDITION,
            "STILL_USED",
            f"{case['system_key']} 仍被 {len(users)} 个系统使用（{listed}），不能 {action}；"
            "请先解除依赖，或写明文号加 --override",
            f"{case['system_key']} is used by {len(users)} systems ({listed}) and cannot {action}; undo the "
            "dependencies first, or give a document with --override",
        )


def _require_still_idle(estate: Estate, case: Record, book: Rulebook, action: Action) -> None:
    """A newer measurement may show that the resources are used again, or a declaration that they idle by purpose.
    Data that proves nothing (old, or thin) changes nothing."""
    key = case["system_key"]
    if key not in estate.systems:
        return
    size = right_size(estate.systems[key], estate.measurements.get(key), book.sizing, estate.day)
    proves = size.confidence not in (Confidence.NONE, Confidence.LOW)
    if key in estate.exempt(book) or (proves and not size.is_idle(book.sizing)):
        raise AssessmentError(
            Refusal.PRECONDITION,
            "NOT_IDLE",
            f"{case['id']}：{key} 按最新数据或声明已不属闲置，不能 {action}；请 restore，或写明文号加 --override",
            f"{case['id']}: by the newest data or declaration {key} does not idle and cannot {action}; restore it, or "
            "give a document with --override",
        )


def _require_two_people(case: Record, minute: Minute) -> None:
    attested = [step["actor"] for step in case["history"] if step["action"] == Action.ATTEST_UNUSED]
    if minute.actor in attested:
        raise AssessmentError(
            Refusal.PRECONDITION,
            "SAME_PERSON",
            f"{case['id']} 由 {minute.actor} 答复，注销须由另一人办理",
            f"{minute.actor} attested {case['id']}; another person must close it",
        )
