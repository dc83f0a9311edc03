"""The report and evidence calls of `xisuan.migration.v1.MigrationService`. Stateless, over the port `Migration`.

`migration_servicer.MigrationServicer` inherits them; planning is in that file.
"""

from __future__ import annotations

from scheduler.services.answering import Context, answering
from scheduler.services.desk_ports import Migration
from scheduler.services.report_ports import EvidenceRequest, ReportRequest
from xisuan.migration.v1 import migration_service_pb2 as pb


class ReportCalls:
    """The calls that tell and prove what was done; they write nothing."""

    _migration: Migration

    async def Report(self, request: pb.ReportRequest, context: Context) -> pb.ReportResponse:
        async with answering(context):
            made = await self._migration.report(
                ReportRequest(
                    month=request.month,
                    district=request.district,
                    scope=request.scope,
                    target_percent=request.target_percent,
                    target_day=request.target_day,
                    organisations_yaml=request.organisations_yaml,
                    unit=request.unit,
                    preparer=request.preparer,
                    reviewer=request.reviewer,
                    phone=request.phone,
                )
            )
            return pb.ReportResponse(document_json=made.model_dump_json())

    async def ExportEvidence(
        self, request: pb.ExportEvidenceRequest, context: Context
    ) -> pb.ExportEvidenceResponse:
        async with answering(context):
            bundle = await self._migration.evidence(
                EvidenceRequest(
                    systems=tuple(request.systems),
                    wave=request.wave,
                    first_day=request.first_day,
                    last_day=request.last_day,
                    hashes_only=request.hashes_only,
                )
            )
            return pb.ExportEvidenceResponse(bundle=bundle)
