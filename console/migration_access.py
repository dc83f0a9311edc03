"""Wave plans for the command line: through the running service, or at the store itself where none runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Protocol

from console.connection import PATIENCE_S, service_address
from console.faults import Fault
from console.home import Home
from console.local_store import local_store
from inventory.model.calendar import Window
from inventory.model.migration import Pair, Wave, WavePlan
from inventory.model.pool import Pool
from inventory.reports.document import MonthlyReport
from scheduler.core.waves.check import Violation
from scheduler.core.waves.document import read_plan
from scheduler.core.waves.forecast import FinishForecast
from scheduler.runtime.clock import SystemClock
from scheduler.services.desk_ports import (
    MigrationProgress,
    PlanForecast,
    PlannedWaves,
    PlanRequest,
    ReplanRequest,
    WaveProgress,
)
from scheduler.services.migration_desk import MigrationDesk
from scheduler.services.report_ports import EvidenceRequest, ReportRequest
from scheduler.store.scheduler_store import SchedulerStore
from xisuan.operations import ExportEvidenceRequest as WireEvidenceRequest
from xisuan.operations import Operations
from xisuan.operations import PlanRequest as WirePlanRequest
from xisuan.operations import ReplanRequest as WireReplanRequest
from xisuan.operations import ReportRequest as WireReportRequest
from xisuan.operations import Violation as WireViolation


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """A rule that a plan breaks, as a stable word, and the system (empty: none) that it is about."""

    rule: str
    system_key: str
    message: Pair


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan that was made; `plan_id` is empty when it breaks a rule and was not kept."""

    plan_id: str
    plan: WavePlan
    broken: tuple[BrokenRule, ...]


@dataclass(frozen=True, slots=True)
class Scored:
    """Any plan: broken rules, its value by aim, what it adds to the plan in force (empty: there is none), and how many
    systems lie elsewhere."""

    broken: tuple[BrokenRule, ...]
    scores: Mapping[str, int]
    price: Mapping[str, int]
    changes: int


@dataclass(frozen=True, slots=True)
class Repaired:
    """A repair: `made` with an empty `plan_id` where it was proposed only. `was_broken` are the rules that the plan
    `base_plan_id` breaks now; each change is (system key, window and pool before, after)."""

    made: Planned
    base_plan_id: str
    was_broken: tuple[BrokenRule, ...]
    changes: tuple[tuple[str, tuple[str, str] | None, tuple[str, str] | None], ...]
    price: Mapping[str, int]
    sentence: Pair


class MigrationAccess(Protocol):
    def plan(self, request: PlanRequest, actor: str, pools: Sequence[Pool]) -> Planned: ...

    def check(self, plan_json: str, pools: Sequence[Pool]) -> tuple[BrokenRule, ...]: ...

    def score(self, plan_json: str, pools: Sequence[Pool]) -> Scored: ...

    def replan(self, request: ReplanRequest, actor: str, *, adopt: bool, pools: Sequence[Pool]) -> Repaired: ...

    def forecast(self, seed: int, samples: int, pools: Sequence[Pool]) -> PlanForecast: ...

    def waves(self) -> PlannedWaves: ...

    def status(self) -> MigrationProgress: ...

    def report(self, request: ReportRequest) -> MonthlyReport: ...

    def evidence(self, request: EvidenceRequest) -> bytes: ...


@contextmanager
def open_migration(home: Home, *, writing: bool) -> Iterator[MigrationAccess]:
    """The service's plans when it runs, else the store's; a local writer holds the home's lock."""
    address = service_address(home)
    if address is not None:
        with Operations(address, patience_s=PATIENCE_S) as service:
            yield RemoteMigration(service)
    else:
        with local_store(home, writing=writing) as store:
            yield LocalMigration(MigrationDesk(SchedulerStore(store), SystemClock().now_ms))


class LocalMigration:
    def __init__(self, desk: MigrationDesk) -> None:
        self._desk = desk

    def plan(self, request: PlanRequest, actor: str, pools: Sequence[Pool]) -> Planned:
        draft = self._desk.draft(request, pools)
        plan_id = "" if draft.violations else self._desk.adopt(draft, actor)
        return Planned(plan_id, draft.plan, _broken(draft.violations))

    def check(self, plan_json: str, pools: Sequence[Pool]) -> tuple[BrokenRule, ...]:
        return _broken(self._desk.check(plan_json, pools))

    def score(self, plan_json: str, pools: Sequence[Pool]) -> Scored:
        found = self._desk.score(plan_json, pools)
        return Scored(_broken(found.violations), found.scores, found.price, found.changes)

    def replan(self, request: ReplanRequest, actor: str, *, adopt: bool, pools: Sequence[Pool]) -> Repaired:
        draft = self._desk.repair(request, pools)
        plan_id = self._desk.adopt(draft, actor) if adopt and not draft.violations else ""
        made = Planned(plan_id, draft.plan, _broken(draft.violations))
        broken = _broken(draft.broken)
        return Repaired(made, draft.base_plan_id, broken, draft.changes, draft.price, draft.sentence)

    def forecast(self, seed: int, samples: int, pools: Sequence[Pool]) -> PlanForecast:
        return self._desk.forecast(seed, samples, pools)

    def waves(self) -> PlannedWaves:
        return self._desk.waves()

    def status(self) -> MigrationProgress:
        return self._desk.status()

    def report(self, request: ReportRequest) -> MonthlyReport:
        return self._desk.report(request)

    def evidence(self, request: EvidenceRequest) -> bytes:
        return self._desk.evidence(request)


class RemoteMigration:
    def __init__(self, service: Operations) -> None:
        self._service = service

    def plan(self, request: PlanRequest, actor: str, pools: Sequence[Pool]) -> Planned:
        _refuse_pools(pools)
        answer = self._service.plan(
            WirePlanRequest(
                starts_on=request.starts_on.isoformat(),
                seed=request.seed,
                window_cap=request.window_cap,
                horizon_weeks=request.horizon_weeks,
                actor=actor,
                solver=request.solver,
                effort=request.effort,
                options_yaml=request.options,
            )
        )
        return Planned(answer.plan_id, read_plan(answer.plan_json), _broken_of_wire(answer.violations))

    def check(self, plan_json: str, pools: Sequence[Pool]) -> tuple[BrokenRule, ...]:
        _refuse_pools(pools)
        return _broken_of_wire(self._service.check_plan(plan_json))

    def score(self, plan_json: str, pools: Sequence[Pool]) -> Scored:
        _refuse_pools(pools)
        found = self._service.score_plan(plan_json)
        return Scored(_broken_of_wire(found.violations), dict(found.scores), dict(found.price), found.changes)

    def replan(self, request: ReplanRequest, actor: str, *, adopt: bool, pools: Sequence[Pool]) -> Repaired:
        _refuse_pools(pools)
        answer = self._service.replan(
            WireReplanRequest(
                approved=request.approved,
                seed=request.seed,
                effort=request.effort,
                plan_json=request.plan_json,
                options_yaml=request.options,
                not_before="" if request.not_before is None else request.not_before.isoformat(),
                adopt=adopt,
                actor=actor,
            )
        )
        made = Planned(answer.plan_id, read_plan(answer.plan_json), _broken_of_wire(answer.violations))
        changes = tuple(
            (
                each.system_key,
                _place(each.window_before, each.pool_before),
                _place(each.window_after, each.pool_after),
            )
            for each in answer.changes
        )
        sentence = (answer.sentence_zh, answer.sentence_en)
        was_broken = _broken_of_wire(answer.broken)
        return Repaired(made, answer.base_plan_id, was_broken, changes, dict(answer.price), sentence)

    def forecast(self, seed: int, samples: int, pools: Sequence[Pool]) -> PlanForecast:
        _refuse_pools(pools)
        answer = self._service.forecast(seed, samples)
        p50, p80, p95 = (
            date.fromisoformat(text) if text else None for text in (answer.p50, answer.p80, answer.p95)
        )
        finish = FinishForecast(p50, p80, p95, answer.on_time, dict(answer.overrun), answer.samples)
        return PlanForecast(finish, answer.factor, answer.deviation, answer.measured)

    def waves(self) -> PlannedWaves:
        answer = self._service.waves()
        waves = (
            Wave(
                wave.number,
                Window(
                    wave.window_id,
                    datetime.fromisoformat(wave.starts),
                    datetime.fromisoformat(wave.ends),
                    wave.provisional,
                ),
                tuple(wave.system_keys),
            )
            for wave in answer.waves
        )
        return PlannedWaves(answer.plan_id, tuple(waves))

    def status(self) -> MigrationProgress:
        answer = self._service.migration_status()
        waves = (
            WaveProgress(wave.number, wave.systems, wave.started, wave.migrated, wave.failed)
            for wave in answer.waves
        )
        return MigrationProgress(answer.plan_id, tuple(waves), answer.unplaced)

    def report(self, request: ReportRequest) -> MonthlyReport:
        return MonthlyReport.model_validate_json(self._service.report(WireReportRequest(**asdict(request))))

    def evidence(self, request: EvidenceRequest) -> bytes:
        return self._service.export_evidence(WireEvidenceRequest(**asdict(request)))


def _refuse_pools(pools: Sequence[Pool]) -> None:
    if pools:
        raise Fault(
            "服务运行时按已登记的算力池编排；请去掉 --pools 和 --node-groups，或先用 xisuan pool register 登记"
            " / the service plans for its registered pools; leave out --pools and --node-groups, or register them "
            "with xisuan pool register"
        )


def _place(window: str, pool: str) -> tuple[str, str] | None:
    return (window, pool) if window or pool else None


def _broken(violations: Sequence[Violation]) -> tuple[BrokenRule, ...]:
    return tuple(BrokenRule(one.rule.value, one.system_key or "", one.message) for one in violations)


def _broken_of_wire(violations: Sequence[WireViolation]) -> tuple[BrokenRule, ...]:
    return tuple(BrokenRule(one.rule, one.system_key, (one.message_zh, one.message_en)) for one in violations)
