"""Assessment over gRPC: what `xisuan migration assess` calls where a service runs, and other programs may call.

Requests are the messages of the contract, answers JSON texts in the form of docs/assessment.md, failures
`CallError`s. Calls that write are not repeated by themselves.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from xisuan.assessment.v1 import assessment_service_pb2 as pb
from xisuan.assessment.v1.assessment_service_pb2 import (
    AdvanceReviewRequest,
    GrantExceptionRequest,
    Minute,
)
from xisuan.assessment.v1.assessment_service_pb2_grpc import AssessmentServiceStub
from xisuan.calls import CallError, Channel
from xisuan.credentials import Credentials

__all__ = ["AdvanceReviewRequest", "Assessments", "CallError", "GrantExceptionRequest", "Minute"]

PATIENCE_S = 10.0
# Judging ten thousand systems, or reading a file of a million rows, takes minutes.
LONG_CALL_S = 900.0


class Assessments:
    """Calls one service at `address` (host:port). Use it in a `with` block, or `close` it."""

    def __init__(
        self, address: str, *, patience_s: float = PATIENCE_S, credentials: Credentials | None = None
    ) -> None:
        self._channel = Channel(address, patience_s, credentials)
        self._stub = AssessmentServiceStub(self._channel.grpc)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._channel.close()

    def assess(self, as_of: str) -> str:
        return self._channel.call(
            self._stub.Assess, pb.AssessRequest(as_of=as_of), timeout_s=LONG_CALL_S
        ).document_json

    def import_utilisation(self, file_name: str, content: bytes, actor: str) -> str:
        """Repeated by itself where the service goes away: a file is kept once."""
        request = pb.ImportUtilisationRequest(file_name=file_name, content=content, actor=actor)
        return self._channel.call(self._stub.ImportUtilisation, request, timeout_s=LONG_CALL_S).document_json

    def import_traffic(self, file_name: str, content: bytes, actor: str) -> str:
        """Repeated by itself where the service goes away: a file is kept once."""
        request = pb.ImportTrafficRequest(file_name=file_name, content=content, actor=actor)
        return self._channel.call(self._stub.ImportTraffic, request, timeout_s=LONG_CALL_S).document_json

    def open_reviews(self, actor: str) -> str:
        request = pb.OpenReviewsRequest(actor=actor)
        answer = self._channel.call(self._stub.OpenReviews, request, timeout_s=LONG_CALL_S, is_idempotent=False)
        return answer.document_json

    def reviews(self) -> str:
        return self._channel.call(
            self._stub.ListReviews, pb.ListReviewsRequest(), timeout_s=LONG_CALL_S
        ).document_json

    def advance_review(self, request: AdvanceReviewRequest) -> str:
        return self._channel.call(self._stub.AdvanceReview, request, is_idempotent=False).document_json

    def decide(self, system: str, disposition: str, minute: Minute) -> str:
        request = pb.DecideRequest(system=system, disposition=disposition, minute=minute)
        return self._channel.call(self._stub.Decide, request, is_idempotent=False).document_json

    def grant_exception(self, request: GrantExceptionRequest) -> str:
        return self._channel.call(self._stub.GrantException, request, is_idempotent=False).document_json

    def exceptions(self) -> str:
        return self._channel.call(self._stub.ListExceptions, pb.ListExceptionsRequest()).document_json

    def declare_role(self, system: str, role: str, minute: Minute) -> str:
        request = pb.DeclareRoleRequest(system=system, role=role, minute=minute)
        return self._channel.call(self._stub.DeclareRole, request, is_idempotent=False).document_json

    def dependencies(self, system: str) -> str:
        request = pb.AnalyseDependenciesRequest(system=system)
        return self._channel.call(self._stub.AnalyseDependencies, request, timeout_s=LONG_CALL_S).document_json

    def right_sizes(self, system: str) -> str:
        return self._channel.call(self._stub.RightSize, pb.RightSizeRequest(system=system)).document_json

    def compatibility(self, target: str, system: str) -> str:
        request = pb.CheckCompatibilityRequest(target=target, system=system)
        return self._channel.call(self._stub.CheckCompatibility, request).document_json

    def check_project(self, file_name: str, project: str) -> str:
        request = pb.CheckProjectRequest(file_name=file_name, project=project)
        return self._channel.call(self._stub.CheckProject, request).document_json

    def lookalikes(self, text: str, limit: int) -> str:
        request = pb.FindLookalikesRequest(text=text, limit=limit)
        return self._channel.call(self._stub.FindLookalikes, request).document_json
