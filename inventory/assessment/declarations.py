"""What people decide beside reviews: dispositions, exceptions, special roles. One event each, with its document.

Who calls this: `Assessor`. A decision that follows the proposal needs no document; one that overrides it does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from inventory.assessment.errors import AssessmentError, Refusal
from inventory.assessment.estate import Estate
from inventory.model.system import Disposition
from inventory.rules.evaluate import SystemAssessment
from inventory.rules.rulebook import Role, Rulebook
from inventory.store.assessment import kinds
from inventory.store.assessment.records import AssessmentRecords
from inventory.store.chain import Draft, civil_day
from inventory.store.event_store import Store


@dataclass(frozen=True, slots=True)
class Statement:
    """Who says it, why, and under which document number (文号)."""

    actor: str
    reason: str
    document: str = ""


def decide(
    store: Store, proposed: SystemAssessment, chosen: Disposition, statement: Statement, now_ms: int
) -> str:
    """Records what shall become of a system; returns the rule that had proposed something, or "". An override of
    the proposal, and any retaining (例外), needs a document number. The ledger's own column is not touched: a system
    counts as closed or merged when that has happened, not when it was decided."""
    rule = "" if proposed.proposal is None else proposed.proposal.rule.rule_id
    is_override = chosen is not proposed.disposition
    require(statement, needs_document=is_override or chosen is Disposition.RETAIN)
    body = {
        "disposition": chosen.value,
        "proposed": None if proposed.disposition is None else proposed.disposition.value,
        "rule": rule or None,
        "reason": statement.reason.strip(),
        "document": statement.document.strip(),
    }
    with store.transaction() as transaction:
        transaction.append(
            [Draft(kinds.DECIDED, proposed.system_key, body)], actor=statement.actor, recorded_ms=now_ms
        )
    return rule


@dataclass(frozen=True, slots=True)
class ExceptionRequest:
    """Leave from one rule for a system or a whole department; from a gate also for a project: 单位/项目名称, since a
    project is in no ledger yet."""

    rule_id: str
    subject: str
    approver: str
    expires_on: date


def grant_exception(
    store: Store,
    estate: Estate,
    book: Rulebook,
    request: ExceptionRequest,
    statement: Statement,
    now_ms: int,
) -> str:
    """Records the exception and returns its id. Raises AssessmentError for an unknown rule or subject, an end that
    has passed, a missing approver, reason or document."""
    today = civil_day(now_ms)
    if request.rule_id not in book.rule_ids:
        known = ", ".join(book.rule_ids)
        raise AssessmentError(
            Refusal.INVALID,
            "NO_SUCH_RULE",
            f"没有规则 {request.rule_id!r}；可用：{known}",
            f"there is no rule {request.rule_id!r}; known: {known}",
        )
    if request.expires_on < today:
        raise AssessmentError(
            Refusal.INVALID,
            "EXPIRED",
            f"到期日 {request.expires_on} 早于今天 {today}，请改正",
            f"the end {request.expires_on} is before today, {today}; correct it",
        )
    if not request.approver.strip():
        raise AssessmentError(
            Refusal.INVALID,
            "NO_APPROVER",
            "缺少批准人，请写明是谁",
            "the approver is missing; say who approved it",
        )
    require(statement, needs_document=True)
    departments = {system.department for system in estate.systems.values()} | set(estate.baseline)
    subject = request.subject.strip()
    is_project = (
        request.rule_id in {gate.rule_id for gate in book.gates} and subject.partition("/")[0] in departments
    )
    if subject not in departments and not (is_project and subject.partition("/")[2].strip()):
        subject = estate.find(subject)
    with store.transaction() as transaction:
        number = AssessmentRecords(transaction.connection).next_number("exceptions")
        body = {
            "number": number,
            "rule": request.rule_id,
            "subject": subject,
            "reason": statement.reason.strip(),
            "document": statement.document.strip(),
            "approver": request.approver.strip(),
            "expires_on": request.expires_on.isoformat(),
        }
        draft = Draft(kinds.EXCEPTED, f"E{number}", body, today)
        transaction.append([draft], actor=statement.actor, recorded_ms=now_ms)
    return draft.subject


def declare_role(store: Store, system_key: str, role: Role, statement: Statement, now_ms: int) -> None:
    """Records that a system is standby, disaster recovery, seasonal, emergency, or ordinary after all."""
    require(statement, needs_document=False)
    body = {
        "role": role.value,
        "reason": statement.reason.strip(),
        "document": statement.document.strip(),
    }
    with store.transaction() as transaction:
        transaction.append(
            [Draft(kinds.ROLE_DECLARED, system_key, body)], actor=statement.actor, recorded_ms=now_ms
        )


def require(statement: Statement, *, needs_document: bool) -> None:
    """Raises AssessmentError when the person, the reason, or a document that is needed is missing."""
    if not statement.actor.strip():
        raise AssessmentError(
            Refusal.INVALID, "NO_ACTOR", "缺少经办人，请写明是谁", "the actor is empty; say who does it"
        )
    if not statement.reason.strip():
        raise AssessmentError(
            Refusal.INVALID,
            "NO_REASON",
            "缺少理由，请用 --reason 写明",
            "the reason is missing; give it with --reason",
        )
    if needs_document and not statement.document.strip():
        raise AssessmentError(
            Refusal.INVALID,
            "NO_DOCUMENT",
            "缺少文号；与规则建议不同的决定和例外须有文号，请用 --document 写明",
            "a decision against the proposal and an exception need a document number; give it with --document",
        )
