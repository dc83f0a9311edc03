"""The assessment desk: everything that people do with assessments, over the store, without a wire.

The control plane holds one for the gateways (its writing methods take turns with the writer), and the command line
uses it directly where no service runs. What a user does wrong is a `RequestError` with one clear line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date

from inventory.assessment.assessor import Assessor
from inventory.assessment.declarations import ExceptionRequest, Statement
from inventory.assessment.errors import AssessmentError, Refusal
from inventory.assessment.measuring import ReceivedFile
from inventory.assessment.reviews import Minute as CaseMinute
from inventory.assessment.reviews import Request
from inventory.rules.source import RuleFileError
from inventory.rules.workflow import Action
from inventory.store.event_store import Store
from scheduler.services.assessment_ports import ExceptionAsked, MeasuredUpload, Minute, ReviewStep
from scheduler.services.desk_ports import Document
from scheduler.services.ports import ErrorCode, RequestError

# Methods that write nothing; the others are one transaction each.
READS = frozenset(
    {
        "assess",
        "reviews",
        "exceptions",
        "dependencies",
        "right_sizes",
        "compatibility",
        "check_project",
        "lookalikes",
    }
)
MAX_MATCHES = 50
_CODES = {
    Refusal.INVALID: ErrorCode.INVALID_ARGUMENT,
    Refusal.NOT_FOUND: ErrorCode.NOT_FOUND,
    Refusal.PRECONDITION: ErrorCode.FAILED_PRECONDITION,
}


class AssessmentDesk:
    """`store` carries the projections of the ledger and of assessment; `now_ms` tells the moment of a request, UTC
    since 1970."""

    def __init__(self, store: Store, now_ms: Callable[[], int]) -> None:
        self._assessor = Assessor(store)
        self._now_ms = now_ms

    def assess(self, as_of: str) -> Document:
        with _refusing():
            return self._assessor.assess(self._now_ms(), _day(as_of, "as_of") if as_of else None)

    def take_utilisation(self, upload: MeasuredUpload) -> Document:
        with _refusing():
            return self._assessor.take_utilisation(_file(upload), _named(upload.actor), self._now_ms())

    def take_traffic(self, upload: MeasuredUpload) -> Document:
        with _refusing():
            return self._assessor.take_traffic(_file(upload), _named(upload.actor), self._now_ms())

    def open_reviews(self, actor: str) -> Document:
        with _refusing():
            return self._assessor.open_reviews(_named(actor), self._now_ms())

    def reviews(self) -> Document:
        with _refusing():
            return self._assessor.reviews(self._now_ms())

    def advance(self, step: ReviewStep) -> Document:
        with _refusing():
            said = step.minute
            minute = CaseMinute(_named(said.actor), said.reason, said.document, step.sha256, step.is_override)
            return self._assessor.advance(Request(step.case_id, _action(step.action), minute), self._now_ms())

    def decide(self, system: str, disposition: str, minute: Minute) -> Document:
        with _refusing():
            return self._assessor.decide(system, disposition, _statement(minute), self._now_ms())

    def grant_exception(self, asked: ExceptionAsked) -> Document:
        with _refusing():
            until = _day(asked.expires_on, "expires_on")
            request = ExceptionRequest(asked.rule, asked.subject, asked.approver, until)
            return self._assessor.grant_exception(request, _statement(asked.minute), self._now_ms())

    def exceptions(self) -> Document:
        with _refusing():
            return self._assessor.exceptions(self._now_ms())

    def declare_role(self, system: str, role: str, minute: Minute) -> Document:
        with _refusing():
            return self._assessor.declare_role(system, role, _statement(minute), self._now_ms())

    def dependencies(self, system: str) -> Document:
        with _refusing():
            return self._assessor.dependencies(system, self._now_ms())

    def right_sizes(self, system: str) -> Document:
        with _refusing():
            return self._assessor.right_sizes(system, self._now_ms())

    def compatibility(self, target: str, system: str) -> Document:
        with _refusing():
            return self._assessor.compatibility(target, system, self._now_ms())

    def check_project(self, text: str, file_name: str) -> Document:
        with _refusing():
            return self._assessor.check_project(text, file_name, self._now_ms())

    def lookalikes(self, text: str, limit: int) -> Document:
        with _refusing():
            return self._assessor.lookalikes(text, min(limit, MAX_MATCHES), self._now_ms())


@contextmanager
def _refusing() -> Iterator[None]:
    """Turns what a user did wrong into a RequestError with the same line."""
    try:
        yield
    except AssessmentError as error:
        raise RequestError(_CODES[error.kind], str(error), error.reason) from error
    except RuleFileError as error:
        first, *more = error.lines
        line = first + (f" (+{len(more)})" if more else "")
        raise RequestError(ErrorCode.INVALID_ARGUMENT, line, "BAD_RULE_FILE") from error


def _file(upload: MeasuredUpload) -> ReceivedFile:
    return ReceivedFile(upload.file_name, upload.content)


def _statement(minute: Minute) -> Statement:
    return Statement(_named(minute.actor), minute.reason, minute.document)


def _named(actor: str) -> str:
    if not actor.strip():
        raise RequestError(
            ErrorCode.INVALID_ARGUMENT,
            "缺少经办人 actor；请写明是谁 / the actor is empty; say who does it",
            "NO_ACTOR",
        )
    return actor.strip()


def _action(text: str) -> Action:
    try:
        return Action(text)
    except ValueError as error:
        known = ", ".join(action.value for action in Action)
        raise RequestError(
            ErrorCode.INVALID_ARGUMENT,
            f"没有步骤 {text!r}；可用：{known} / there is no step {text!r}; use one of {known}",
            "NO_SUCH_STEP",
        ) from error


def _day(text: str, field: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise RequestError(
            ErrorCode.INVALID_ARGUMENT,
            f"{field} {text!r} 不是日期；请写 YYYY-MM-DD，例如 2027-06-30"
            f" / {field} {text!r} is not a day; write YYYY-MM-DD, for example 2027-06-30",
            "BAD_DAY",
        ) from error
