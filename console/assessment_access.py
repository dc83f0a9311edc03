"""Assessments for the command line: through the running service, or at the store itself where none runs.

Both ways give the same documents; a command does not know which one it uses.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from console.connection import PATIENCE_S, service_address
from console.home import Home
from console.local_store import local_store
from scheduler.runtime.clock import SystemClock
from scheduler.services.assessment_desk import AssessmentDesk
from scheduler.services.assessment_ports import ExceptionAsked, MeasuredUpload, Minute, ReviewStep
from scheduler.services.desk_ports import Document
from xisuan.assessments import AdvanceReviewRequest, Assessments, GrantExceptionRequest
from xisuan.assessments import Minute as WireMinute


class AssessmentAccess(Protocol):
    """The methods of `scheduler.services.assessment_ports.Assessment`, called and waited for."""

    def assess(self, as_of: str) -> Document: ...

    def take_utilisation(self, upload: MeasuredUpload) -> Document: ...

    def take_traffic(self, upload: MeasuredUpload) -> Document: ...

    def open_reviews(self, actor: str) -> Document: ...

    def reviews(self) -> Document: ...

    def advance(self, step: ReviewStep) -> Document: ...

    def decide(self, system: str, disposition: str, minute: Minute) -> Document: ...

    def grant_exception(self, asked: ExceptionAsked) -> Document: ...

    def exceptions(self) -> Document: ...

    def declare_role(self, system: str, role: str, minute: Minute) -> Document: ...

    def dependencies(self, system: str) -> Document: ...

    def right_sizes(self, system: str) -> Document: ...

    def compatibility(self, target: str, system: str) -> Document: ...

    def check_project(self, text: str, file_name: str) -> Document: ...

    def lookalikes(self, text: str, limit: int) -> Document: ...


@contextmanager
def open_assessment(home: Home, *, writing: bool) -> Iterator[AssessmentAccess]:
    """The service's desk when it runs, else the store's; a local writer holds the home's lock."""
    address = service_address(home)
    if address is not None:
        with Assessments(address, patience_s=PATIENCE_S) as service:
            yield RemoteAssessment(service)
    else:
        with local_store(home, writing=writing) as store:
            yield AssessmentDesk(store, SystemClock().now_ms)


class RemoteAssessment:
    def __init__(self, service: Assessments) -> None:
        self._service = service

    def assess(self, as_of: str) -> Document:
        return _read(self._service.assess(as_of))

    def take_utilisation(self, upload: MeasuredUpload) -> Document:
        return _read(self._service.import_utilisation(upload.file_name, upload.content, upload.actor))

    def take_traffic(self, upload: MeasuredUpload) -> Document:
        return _read(self._service.import_traffic(upload.file_name, upload.content, upload.actor))

    def open_reviews(self, actor: str) -> Document:
        return _read(self._service.open_reviews(actor))

    def reviews(self) -> Document:
        return _read(self._service.reviews())

    def advance(self, step: ReviewStep) -> Document:
        request = AdvanceReviewRequest(
            case_id=step.case_id,
            action=step.action,
            minute=_minute(step.minute),
            evidence_sha256=step.sha256,
            override=step.is_override,
        )
        return _read(self._service.advance_review(request))

    def decide(self, system: str, disposition: str, minute: Minute) -> Document:
        return _read(self._service.decide(system, disposition, _minute(minute)))

    def grant_exception(self, asked: ExceptionAsked) -> Document:
        request = GrantExceptionRequest(
            rule=asked.rule,
            subject=asked.subject,
            approver=asked.approver,
            expires_on=asked.expires_on,
            minute=_minute(asked.minute),
        )
        return _read(self._service.grant_exception(request))

    def exceptions(self) -> Document:
        return _read(self._service.exceptions())

    def declare_role(self, system: str, role: str, minute: Minute) -> Document:
        return _read(self._service.declare_role(system, role, _minute(minute)))

    def dependencies(self, system: str) -> Document:
        return _read(self._service.dependencies(system))

    def right_sizes(self, system: str) -> Document:
        return _read(self._service.right_sizes(system))

    def compatibility(self, target: str, system: str) -> Document:
        return _read(self._service.compatibility(target, system))

    def check_project(self, text: str, file_name: str) -> Document:
        return _read(self._service.check_project(file_name, text))

    def lookalikes(self, text: str, limit: int) -> Document:
        return _read(self._service.lookalikes(text, limit))


def _read(text: str) -> Document:
    document: Document = json.loads(text)
    return document


def _minute(minute: Minute) -> WireMinute:
    return WireMinute(actor=minute.actor, reason=minute.reason, document=minute.document)
