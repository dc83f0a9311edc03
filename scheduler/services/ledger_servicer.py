"""`xisuan.inventory.v1.LedgerService`: import, query, rates. Stateless, over the ledger port."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from adapters.wire.inspection import Inspection
from scheduler.services.answering import Context, answering
from scheduler.services.desk_ports import Document, Ledger, RateLine, Upload
from xisuan.inventory.v1 import ledger_service_pb2 as pb
from xisuan.inventory.v1.ledger_service_pb2_grpc import LedgerServiceServicer

if TYPE_CHECKING:  # the workbook reader takes half a second to load, and most gateways are sent no workbook
    from inventory.ledger import LedgerReading

MAX_WORKBOOK_BYTES = 64 * 1024 * 1024
# Above this the answer of Import leaves the systems out (about 1 KB each) and says so: the sender has the file.
MAX_SYSTEMS_IN_ANSWER = 20_000
DEFAULT_PAGE = 200


class LedgerServicer(LedgerServiceServicer):
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def Import(self, request: pb.ImportRequest, context: Context) -> pb.ImportResponse:
        async with answering(context):
            read = await self._ledger.read_workbook(_upload(request))
            answer = await self._ledger.take_in(read)
            shown = _shown_reading(read.reading) | {
                "mapping_yaml": read.mapping_yaml,
                "effective_on": answer.effective_on.isoformat(),
                "questions": list(answer.questions),
                "notes": list(answer.notes),
            }
            return pb.ImportResponse(
                import_id=answer.import_id,
                status=answer.status,
                sender=answer.sender,
                reading_json=_text(shown),
                diff_json=_text(answer.diff),
            )

    async def Apply(self, request: pb.ApplyRequest, context: Context) -> pb.ApplyResponse:
        async with answering(context):
            answer = await self._ledger.apply(request.import_id, request.actor)
            return pb.ApplyResponse(diff_json=_text(answer.diff))

    async def GetDiff(self, request: pb.GetDiffRequest, context: Context) -> pb.GetDiffResponse:
        async with answering(context):
            answer = await self._ledger.diff(request.import_id)
            # Whoever asked for the newest import learns here which one it is.
            document = {"import_id": answer.import_id, **answer.diff}
            return pb.GetDiffResponse(status=answer.status, diff_json=_text(document))

    async def Resolve(self, request: pb.ResolveRequest, context: Context) -> pb.ResolveResponse:
        async with answering(context):
            finding = await self._ledger.resolve(
                request.finding_id, request.decision, request.actor, request.reason
            )
            return pb.ResolveResponse(finding_json=_text(finding))

    async def QuerySystems(self, request: pb.QuerySystemsRequest, context: Context) -> pb.QuerySystemsResponse:
        async with answering(context):
            check = Inspection()
            size = check.whole_number("page_size", request.page_size, 0, 1000) or DEFAULT_PAGE
            check.close()
            page = await self._ledger.systems(request.scope, request.as_of, size, request.page_token)
            return pb.QuerySystemsResponse(
                systems_json=[_text(system) for system in page.systems], next_page_token=page.next_token
            )

    async def ListFindings(self, request: pb.ListFindingsRequest, context: Context) -> pb.ListFindingsResponse:
        async with answering(context):
            found = await self._ledger.findings(request.settled)
            return pb.ListFindingsResponse(findings_json=[_text(finding) for finding in found])

    async def GetRates(self, request: pb.GetRatesRequest, context: Context) -> pb.GetRatesResponse:
        async with answering(context):
            answer = await self._ledger.rates(request.as_of, request.scope, request.rows)
            return pb.GetRatesResponse(
                rates=[_rate(rate) for rate in answer.rates], document_json=_text(answer.document)
            )


def _upload(request: pb.ImportRequest) -> Upload:
    check = Inspection()
    if not request.file_name:
        check.refuse("file_name", "", "必填，写明文件名", "required: name the file")
    if len(request.content) > MAX_WORKBOOK_BYTES:
        check.refuse(
            "content",
            f"{len(request.content)} bytes",
            "工作簿最大 64 MiB，请拆分后导入",
            "a workbook has at most 64 MiB: split it",
        )
    if not request.actor.strip():
        check.refuse("actor", request.actor, "必填，写明经办人", "required: say who imports")
    check.close()
    return Upload(request.file_name, request.content, request.sender, request.actor, request.mapping_yaml)


def _shown_reading(reading: LedgerReading) -> dict[str, object]:
    from inventory.ledger import reading_json

    if len(reading.systems) <= MAX_SYSTEMS_IN_ANSWER:
        return reading_json(reading)
    return {
        "filename": reading.filename,
        "sha256": reading.sha256,
        "illustrative": reading.illustrative,
        "sender": reading.sender,
        "systems_left_out": len(reading.systems),
    }


def _text(document: Document) -> str:
    return json.dumps(document, ensure_ascii=False)


def _rate(rate: RateLine) -> pb.Rate:
    return pb.Rate(
        name_zh=rate.name_zh,
        name_en=rate.name_en,
        numerator=rate.numerator,
        denominator=rate.denominator,
        percent=rate.percent,
        scope=rate.scope,
        as_of=rate.as_of,
        numerator_rows=rate.numerator_rows,
        denominator_rows=rate.denominator_rows,
    )
