"""The execution calls of `xisuan.migration.v1.MigrationService`: runs of runbooks. Stateless, over the port `Runs`.

`migration_servicer.MigrationServicer` inherits them; planning is in that file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from adapters.wire.inspection import Inspection
from scheduler.services.answering import Context, answering
from scheduler.services.run_ports import Act, HeldCapacity, RunAction, RunOpening, Runs
from xisuan.migration.v1 import migration_service_pb2 as pb

_ACTS: Final = {
    pb.RUN_ACT_APPROVE: Act.APPROVE,
    pb.RUN_ACT_REFUSE: Act.REFUSE,
    pb.RUN_ACT_PAUSE: Act.PAUSE,
    pb.RUN_ACT_RESUME: Act.RESUME,
    pb.RUN_ACT_RETRY: Act.RETRY,
    pb.RUN_ACT_SKIP: Act.SKIP,
    pb.RUN_ACT_ROLL_BACK: Act.ROLL_BACK,
}
_SHA256 = re.compile(r"([0-9a-f]{64})?")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_MAX_WAVE = 100_000
_MOST = 2**62


class ExecutionCalls:
    """The calls about runs, and about the capacity that they hold."""

    _runs: Runs

    async def OpenRun(self, request: pb.OpenRunRequest, context: Context) -> pb.OpenRunResponse:
        async with answering(context):
            check = Inspection()
            wave = check.whole_number("wave", request.wave, 0, _MAX_WAVE)
            check.close()
            opening = RunOpening(request.runbook_yaml, request.order_yaml, request.actor, wave)
            return pb.OpenRunResponse(run_id=await self._runs.open(opening))

    async def ActOnRun(self, request: pb.ActOnRunRequest, context: Context) -> pb.ActOnRunResponse:
        async with answering(context):
            run = await self._runs.act(_action(request))
            return pb.ActOnRunResponse(run_json=_json(run))

    async def GetRun(self, request: pb.GetRunRequest, context: Context) -> pb.GetRunResponse:
        async with answering(context):
            run = await self._runs.run(request.run_id)
            history = await self._runs.history(request.run_id) if request.history else ()
            return pb.GetRunResponse(run_json=_json(run), history_json=[_json(event) for event in history])

    async def ListRuns(self, request: pb.ListRunsRequest, context: Context) -> pb.ListRunsResponse:
        async with answering(context):
            return pb.ListRunsResponse(run_json=[_json(run) for run in await self._runs.runs()])

    async def HoldCapacity(self, request: pb.HoldCapacityRequest, context: Context) -> pb.HoldCapacityResponse:
        async with answering(context):
            check = Inspection()
            for field, text in (("run_id", request.run_id), ("pool_id", request.pool_id)):
                if _ID.fullmatch(text) is None:
                    check.refuse(
                        field, text[:80], "须为字母、数字、点、横线", "must be letters, digits, dots, dashes"
                    )
            cpu_milli = check.whole_number("cpu_milli", request.cpu_milli, 1, _MOST)
            memory = check.whole_number("memory_bytes", request.memory_bytes, 1, _MOST)
            check.close()
            await self._runs.hold(HeldCapacity(request.run_id, request.pool_id, cpu_milli, memory))
            return pb.HoldCapacityResponse()

    async def ReleaseCapacity(
        self, request: pb.ReleaseCapacityRequest, context: Context
    ) -> pb.ReleaseCapacityResponse:
        async with answering(context):
            await self._runs.release(request.run_id, request.as_allocation)
            return pb.ReleaseCapacityResponse()


def _action(request: pb.ActOnRunRequest) -> RunAction:
    check = Inspection()
    if request.act not in _ACTS:
        check.refuse(
            "act", request.act, "须为 RunAct 中除 UNSPECIFIED 外的值", "must be a value of RunAct, not UNSPECIFIED"
        )
    if _SHA256.fullmatch(request.document_sha256) is None:
        check.refuse(
            "document_sha256",
            request.document_sha256[:80],
            "须为 64 位小写十六进制",
            "must be 64 lower-case hex digits",
        )
    check.close()
    return RunAction(
        act=_ACTS[request.act],
        run_id=request.run_id,
        actor=request.actor,
        step_id=request.step_id,
        reason=request.reason,
        number=request.document_number,
        sha256=request.document_sha256,
    )


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False)
