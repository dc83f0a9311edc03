"""Assessments for the command line: through the running service, or at the store itself where none runs.

Both ways give the same documents; a command does not know which one it uses.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from console.home import Home
from console.local_store import local_store
from scheduler.runtime.clock import SystemClock
from scheduler.services.assessment_desk import AssessmentDesk
from scheduler.services.assessment_ports import ExceptionAsked, MeasuredUpload, Minute, ReviewStep
from scheduler.services.desk_ports import Document


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
    with local_store(home, writing=writing) as store:
        yield AssessmentDesk(store, SystemClock().now_ms)
