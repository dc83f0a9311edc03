"""`xisuan.assessment.v1.AssessmentService`. Stateless, over the assessment port."""

from __future__ import annotations

import json

from adapters.wire.inspection import Inspection
from scheduler.services.answering import Context, answering
from scheduler.services.assessment_ports import (
    Assessment,
    ExceptionAsked,
    MeasuredUpload,
    Minute,
    ReviewStep,
)
from scheduler.services.desk_ports import Document
from xisuan.assessment.v1 import assessment_service_pb2 as pb
from xisuan.assessment.v1.assessment_service_pb2_grpc import AssessmentServiceServicer

MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_PROJECT_CHARACTERS = 1024 * 1024
MAX_MATCHES = 50
DEFAULT_MATCHES = 10


class AssessmentServicer(AssessmentServiceServicer):
    def __init__(self, assessment: Assessment) -> None:
        self._assessment = assessment

    async def Assess(self, request: pb.AssessRequest, context: Context) -> pb.AssessResponse:
        async with answering(context):
            return pb.AssessResponse(document_json=_text(await self._assessment.assess(request.as_of)))

    async def ImportUtilisation(
        self, request: pb.ImportUtilisationRequest, context: Context
    ) -> pb.ImportUtilisationResponse:
        async with answering(context):
            upload = _upload(request.file_name, request.content, request.actor)
            return pb.ImportUtilisationResponse(
                document_json=_text(await self._assessment.take_utilisation(upload))
            )

    async def ImportTraffic(self, request: pb.ImportTrafficRequest, context: Context) -> pb.ImportTrafficResponse:
        async with answering(context):
            upload = _upload(request.file_name, request.content, request.actor)
            return pb.ImportTrafficResponse(document_json=_text(await self._assessment.take_traffic(upload)))

    async def OpenReviews(self, request: pb.OpenReviewsRequest, context: Context) -> pb.OpenReviewsResponse:
        async with answering(context):
            return pb.OpenReviewsResponse(document_json=_text(await self._assessment.open_reviews(request.actor)))

    async def ListReviews(self, request: pb.ListReviewsRequest, context: Context) -> pb.ListReviewsResponse:
        async with answering(context):
            return pb.ListReviewsResponse(document_json=_text(await self._assessment.reviews()))

    async def AdvanceReview(self, request: pb.AdvanceReviewRequest, context: Context) -> pb.AdvanceReviewResponse:
        async with answering(context):
            step = ReviewStep(
                request.case_id, request.action, _minute(request.minute), request.evidence_sha256, request.override
            )
            return pb.AdvanceReviewResponse(document_json=_text(await self._assessment.advance(step)))

    async def Decide(self, request: pb.DecideRequest, context: Context) -> pb.DecideResponse:
        async with answering(context):
            minute = _minute(request.minute)
            decided = await self._assessment.decide(request.system, request.disposition, minute)
            return pb.DecideResponse(document_json=_text(decided))

    async def GrantException(
        self, request: pb.GrantExceptionRequest, context: Context
    ) -> pb.GrantExceptionResponse:
        async with answering(context):
            asked = ExceptionAsked(
                request.rule, request.subject, request.approver, request.expires_on, _minute(request.minute)
            )
            return pb.GrantExceptionResponse(document_json=_text(await self._assessment.grant_exception(asked)))

    async def ListExceptions(
        self, request: pb.ListExceptionsRequest, context: Context
    ) -> pb.ListExceptionsResponse:
        async with answering(context):
            return pb.ListExceptionsResponse(document_json=_text(await self._assessment.exceptions()))

    async def DeclareRole(self, request: pb.DeclareRoleRequest, context: Context) -> pb.DeclareRoleResponse:
        async with answering(context):
            declared = await self._assessment.declare_role(request.system, request.role, _minute(request.minute))
            return pb.DeclareRoleResponse(document_json=_text(declared))

    async def AnalyseDependencies(
        self, request: pb.AnalyseDependenciesRequest, context: Context
    ) -> pb.AnalyseDependenciesResponse:
        async with answering(context):
            found = await self._assessment.dependencies(request.system)
            return pb.AnalyseDependenciesResponse(document_json=_text(found))

    async def RightSize(self, request: pb.RightSizeRequest, context: Context) -> pb.RightSizeResponse:
        async with answering(context):
            return pb.RightSizeResponse(document_json=_text(await self._assessment.right_sizes(request.system)))

    async def CheckCompatibility(
        self, request: pb.CheckCompatibilityRequest, context: Context
    ) -> pb.CheckCompatibilityResponse:
        async with answering(context):
            found = await self._assessment.compatibility(request.target, request.system)
            return pb.CheckCompatibilityResponse(document_json=_text(found))

    async def CheckProject(self, request: pb.CheckProjectRequest, context: Context) -> pb.CheckProjectResponse:
        async with answering(context):
            check = Inspection()
            if len(request.project) > MAX_PROJECT_CHARACTERS:
                length = f"{len(request.project)}"
                check.refuse(
                    "project", length, "立项文件最大 1 MiB，请精简", "a project has at most 1 MiB: shorten it"
                )
            check.close()
            approval = await self._assessment.check_project(request.project, request.file_name or "project")
            return pb.CheckProjectResponse(document_json=_text(approval))

    async def FindLookalikes(
        self, request: pb.FindLookalikesRequest, context: Context
    ) -> pb.FindLookalikesResponse:
        async with answering(context):
            check = Inspection()
            limit = check.whole_number("limit", request.limit, 0, MAX_MATCHES) or DEFAULT_MATCHES
            check.close()
            found = await self._assessment.lookalikes(request.text, limit)
            return pb.FindLookalikesResponse(document_json=_text(found))


def _upload(file_name: str, content: bytes, actor: str) -> MeasuredUpload:
    check = Inspection()
    if not file_name:
        check.refuse("file_name", "", "必填，写明文件名", "required: name the file")
    if len(content) > MAX_FILE_BYTES:
        size = f"{len(content)} bytes"
        check.refuse("content", size, "文件最大 64 MiB，请拆分", "a file has at most 64 MiB: split it")
    check.close()
    return MeasuredUpload(file_name, content, actor)


def _minute(minute: pb.Minute) -> Minute:
    return Minute(minute.actor, minute.reason, minute.document)


def _text(document: Document) -> str:
    return json.dumps(document, ensure_ascii=False)
