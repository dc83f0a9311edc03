"""`xisuan.migration.v1.MigrationService`: wave plans and how far they are. Stateless, over the migration port."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from adapters.wire.inspection import Inspection
from inventory.model.migration import Wave
from scheduler.core.waves.check import Violation
from scheduler.core.waves.document import write_plan
from scheduler.services.answering import Context, answering
from scheduler.services.desk_ports import Migration, PlanRequest
from scheduler.services.migration_reports import ReportCalls
from scheduler.services.migration_runs import ExecutionCalls
from scheduler.services.run_ports import Runs, WaveStarting
from xisuan.migration.v1 import migration_service_pb2 as pb
from xisuan.migration.v1.migration_service_pb2_grpc import MigrationServiceServicer

MAX_CAP = 1000
MAX_WEEKS = 520


class MigrationServicer(ExecutionCalls, ReportCalls, MigrationServiceServicer):
    """Plans and waves; the calls about runs of runbooks are in `migration_runs`, reports in `migration_reports`."""

    def __init__(self, migration: Migration, runs: Runs) -> None:
        self._runs = runs
        self._migration = migration

    async def Plan(self, request: pb.PlanRequest, context: Context) -> pb.PlanResponse:
        async with answering(context):
            draft = await self._migration.draft(_plan_request(request))
            plan_id = "" if draft.violations else await self._migration.adopt(draft, request.actor)
            measure = draft.plan.measure
            return pb.PlanResponse(
                plan_id=plan_id,
                plan_json=write_plan(draft.plan),
                violations=_violations(draft.violations),
                solver=draft.plan.solver,
                finish_days=measure.finish_days if measure else 0,
                bound_days=measure.bound_days if measure else 0,
            )

    async def Check(self, request: pb.CheckRequest, context: Context) -> pb.CheckResponse:
        async with answering(context):
            return pb.CheckResponse(violations=_violations(await self._migration.check(request.plan_json)))

    async def ListWaves(self, request: pb.ListWavesRequest, context: Context) -> pb.ListWavesResponse:
        async with answering(context):
            planned = await self._migration.waves()
            return pb.ListWavesResponse(plan_id=planned.plan_id, waves=[_wave(wave) for wave in planned.waves])

    async def GetStatus(self, request: pb.GetStatusRequest, context: Context) -> pb.GetStatusResponse:
        async with answering(context):
            progress = await self._migration.status()
            waves = [
                pb.WaveStatus(
                    number=wave.number,
                    systems=wave.systems,
                    started=wave.started,
                    migrated=wave.migrated,
                    failed=wave.failed,
                )
                for wave in progress.waves
            ]
            return pb.GetStatusResponse(plan_id=progress.plan_id, waves=waves, unplaced=progress.unplaced)

    async def StartWave(self, request: pb.StartWaveRequest, context: Context) -> pb.StartWaveResponse:
        async with answering(context):
            starting = WaveStarting(request.number, request.actor, request.site_yaml, dict(request.runbooks))
            started = await self._runs.start_wave(starting)
            return pb.StartWaveResponse(run_ids=started.run_ids, waiting=started.waiting)


def _plan_request(request: pb.PlanRequest) -> PlanRequest:
    check = Inspection()
    starts_on = _day(request.starts_on, check)
    cap = check.whole_number("window_cap", request.window_cap, 0, MAX_CAP)
    weeks = check.whole_number("horizon_weeks", request.horizon_weeks, 0, MAX_WEEKS)
    check.close()
    return PlanRequest(starts_on, request.seed, cap, weeks, request.solver, request.effort, request.options_yaml)


def _day(text: str, check: Inspection) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        check.refuse(
            "starts_on", text, "须为 YYYY-MM-DD 日期", "must be a day as YYYY-MM-DD, for example 2026-03-02"
        )
        return date.min


def _violations(violations: Sequence[Violation]) -> list[pb.Violation]:
    return [
        pb.Violation(
            rule=violation.rule.value,
            system_key=violation.system_key or "",
            message_zh=violation.message[0],
            message_en=violation.message[1],
        )
        for violation in violations
    ]


def _wave(wave: Wave) -> pb.Wave:
    return pb.Wave(
        number=wave.number,
        window_id=wave.window.window_id,
        starts=wave.window.starts.isoformat(),
        ends=wave.window.ends.isoformat(),
        provisional=wave.window.provisional,
        system_keys=wave.system_keys,
    )
