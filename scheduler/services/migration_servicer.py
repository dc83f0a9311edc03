"""`xisuan.migration.v1.MigrationService`: wave plans and how far they are. Stateless, over the migration port."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from adapters.wire.inspection import Inspection
from inventory.model.migration import Wave
from scheduler.core.waves.check import Violation
from scheduler.core.waves.document import write_plan
from scheduler.services.answering import Context, answering
from scheduler.services.desk_ports import Migration, PlanRequest, ReplanRequest
from scheduler.services.migration_reports import ReportCalls
from scheduler.services.migration_runs import ExecutionCalls
from scheduler.services.run_ports import Runs, WaveStarting
from xisuan.migration.v1 import migration_service_pb2 as pb
from xisuan.migration.v1.migration_service_pb2_grpc import MigrationServiceServicer

MAX_CAP = 1000
MAX_WEEKS = 520
MAX_SAMPLES = 1_000_000
_SAMPLES = 5_000


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
            found = await self._migration.score(request.plan_json)
            return pb.CheckResponse(
                violations=_violations(found.violations),
                scores=found.scores,
                price=found.price,
                changes=found.changes,
            )

    async def Replan(self, request: pb.ReplanRequest, context: Context) -> pb.ReplanResponse:
        async with answering(context):
            draft = await self._migration.repair(_replan_request(request))
            plan_id = ""
            if request.adopt and not draft.violations:
                plan_id = await self._migration.adopt(draft, request.actor)
            return pb.ReplanResponse(
                plan_id=plan_id,
                plan_json=write_plan(draft.plan),
                violations=_violations(draft.violations),
                base_plan_id=draft.base_plan_id,
                broken=_violations(draft.broken),
                changes=[_change(*each) for each in draft.changes],
                price=draft.price,
                sentence_zh=draft.sentence[0],
                sentence_en=draft.sentence[1],
            )

    async def Forecast(self, request: pb.ForecastRequest, context: Context) -> pb.ForecastResponse:
        async with answering(context):
            check = Inspection()
            samples = check.whole_number("samples", request.samples, 0, MAX_SAMPLES) or _SAMPLES
            check.close()
            found = await self._migration.forecast(request.seed, samples)
            finish = found.finish
            p50, p80, p95 = (
                "" if day is None else day.isoformat() for day in (finish.p50, finish.p80, finish.p95)
            )
            return pb.ForecastResponse(
                p50=p50,
                p80=p80,
                p95=p95,
                on_time=finish.on_time,
                overrun=finish.overrun,
                samples=finish.samples,
                factor=found.factor,
                deviation=found.deviation,
                measured=found.measured,
            )

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


def _replan_request(request: pb.ReplanRequest) -> ReplanRequest:
    check = Inspection()
    not_before = _day(request.not_before, check, "not_before") if request.not_before else None
    check.close()
    return ReplanRequest(
        approved=tuple(request.approved),
        seed=request.seed,
        effort=request.effort,
        plan_json=request.plan_json,
        options=request.options_yaml if request.HasField("options_yaml") else None,
        not_before=not_before,
    )


def _change(key: str, before: tuple[str, str] | None, after: tuple[str, str] | None) -> pb.PlanChange:
    (window_before, pool_before), (window_after, pool_after) = before or ("", ""), after or ("", "")
    return pb.PlanChange(
        system_key=key,
        window_before=window_before,
        pool_before=pool_before,
        window_after=window_after,
        pool_after=pool_after,
    )


def _day(text: str, check: Inspection, field: str = "starts_on") -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        check.refuse(field, text, "须为 YYYY-MM-DD 日期", "must be a day as YYYY-MM-DD, for example 2026-03-02")
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
