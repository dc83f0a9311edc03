"""What the assessment servicer needs, and the values that pass between: typed, without a wire.

`scheduler.services.assessment_desk` does the work; the control plane makes its methods awaitable (writing ones take
turns with its writer). Answers are documents in the form of docs/assessment.md. Errors are `RequestError`s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from scheduler.services.desk_ports import Document


@dataclass(frozen=True, slots=True)
class MeasuredUpload:
    """A measured file as it comes in."""

    file_name: str
    content: bytes
    actor: str


@dataclass(frozen=True, slots=True)
class Minute:
    """Who takes a step, why, under which document number (文号)."""

    actor: str
    reason: str
    document: str = ""


@dataclass(frozen=True, slots=True)
class ReviewStep:
    """One step of a review case. `sha256` is that of the evidence file; `is_override` takes it although living
    systems still use this one."""

    case_id: str
    action: str
    minute: Minute
    sha256: str = ""
    is_override: bool = False


@dataclass(frozen=True, slots=True)
class ExceptionAsked:
    """Leave from one rule for a system or department, until the ISO day `expires_on` (included)."""

    rule: str
    subject: str
    approver: str
    expires_on: str
    minute: Minute


class Assessment(Protocol):
    async def assess(self, as_of: str) -> Document:
        """Every system judged; `as_of` empty: with everything that is recorded."""

    async def take_utilisation(self, upload: MeasuredUpload) -> Document: ...

    async def take_traffic(self, upload: MeasuredUpload) -> Document: ...

    async def open_reviews(self, actor: str) -> Document: ...

    async def reviews(self) -> Document: ...

    async def advance(self, step: ReviewStep) -> Document: ...

    async def decide(self, system: str, disposition: str, minute: Minute) -> Document: ...

    async def grant_exception(self, asked: ExceptionAsked) -> Document: ...

    async def exceptions(self) -> Document: ...

    async def declare_role(self, system: str, role: str, minute: Minute) -> Document: ...

    async def dependencies(self, system: str) -> Document: ...

    async def right_sizes(self, system: str) -> Document: ...

    async def compatibility(self, target: str, system: str) -> Document: ...

    async def check_project(self, text: str, file_name: str) -> Document: ...

    async def lookalikes(self, text: str, limit: int) -> Document: ...
