"""The migration desk: wave plans over the stored ledger and the registered pools, without a wire.

The control plane holds one for the gateways (its writing methods take turns with the writer), and the command line
uses it directly where no service runs. It reads, asks the planner and the judge, and records; it decides nothing
itself. What a user does wrong is a `RequestError` with one clear line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from inventory.graph import build_graph
from inventory.intake import Intake, StandingSystem
from inventory.model.migration import Assignment, Wave, WavePlan, WaveSettings
from inventory.model.pool import Pool
from inventory.model.system import system_key
from inventory.reports.document import MonthlyReport
from inventory.reports.facts import FinishOdds
from inventory.store.chain import civil_day
from scheduler.core.budget import Budget
from scheduler.core.migration.moves import Move, MoveState, RecordedMove, WaveMoves
from scheduler.core.waves.check import Violation, check_plan
from scheduler.core.waves.document import read_plan, write_plan
from scheduler.core.waves.greedy import plan_waves
from scheduler.core.waves.items import need_of
from scheduler.core.waves.plan_options import read_options
from scheduler.core.waves.problem import WaveProblem
from scheduler.core.waves.replan import remaining
from scheduler.core.waves.solve import ParallelMap, solve
from scheduler.services.desk_ports import (
    EditedPlan,
    MigrationProgress,
    PlanDraft,
    PlanForecast,
    PlannedWaves,
    PlanRequest,
    RepairDraft,
    ReplanRequest,
    WaveProgress,
)
from scheduler.services.evidence_desk import evidence_bundle
from scheduler.services.plan_problem import PlanProblems, refusing
from scheduler.services.ports import ErrorCode, RequestError
from scheduler.services.replan_desk import DurationDesk, Standing, repair_document, repaired, scored
from scheduler.services.report_desk import monthly_report
from scheduler.services.report_ports import EvidenceRequest, ReportRequest
from scheduler.store.projection import waves_planned
from scheduler.store.scheduler_store import Batch, SchedulerStore
from scheduler.store.wave_runs import newest_moves

# Methods that write nothing; the others are one transaction each.
READS = frozenset(
    {"draft", "check", "score", "repair", "forecast", "waves", "status", "wave_moves", "report", "evidence"}
)
_SAMPLES = 2_000


class MigrationDesk:
    """`scheduler_store` stands on a store that carries the ledger's projection too; `now_ms` tells the moment of a
    request, UTC since 1970."""

    def __init__(
        self, scheduler_store: SchedulerStore, now_ms: Callable[[], int], parallel_map: ParallelMap = map
    ) -> None:
        """`parallel_map` carries parts of large problems to other processors: tasks of Ray in the service."""
        self._store = scheduler_store
        self._problems = PlanProblems(scheduler_store)
        self._durations = DurationDesk(scheduler_store)
        self._map = parallel_map
        self._intake = Intake(scheduler_store.store)
        self._now_ms = now_ms

    def draft(self, request: PlanRequest, pools: Sequence[Pool] = ()) -> PlanDraft:
        """Plans every system that should migrate and has not, and has the judge check the plan. Stores nothing.

        `pools` are planned for where none is registered; beside registered ones they are refused.
        """
        self._require_no_cutover_under_way()
        with refusing():
            settings = WaveSettings(request.starts_on)
            if request.window_cap:
                settings = replace(settings, systems_per_window=request.window_cap)
            if request.horizon_weeks:
                settings = replace(settings, horizon_weeks=request.horizon_weeks)
            problem = self._problems.of(settings, request.options, pools)
        if not problem.items:
            raise _nothing_to_move(problem)
        plan = replace(_planned(problem, request, self._map), options=request.options)
        return PlanDraft(plan, check_plan(problem, plan))

    def adopt(self, draft: PlanDraft, actor: str) -> str:
        """Records the plan; the newest plan again is recorded once. FAILED_PRECONDITION when it breaks a rule."""
        if draft.violations:
            zh, en = draft.violations[0].message
            raise RequestError(
                ErrorCode.FAILED_PRECONDITION,
                f"计划违反 {len(draft.violations)} 条规则，不能采用：{zh}"
                f" / the plan breaks {len(draft.violations)} rules and cannot be adopted: {en}",
                "PLAN_BREAKS_RULES",
            )
        document = json.loads(write_plan(draft.plan))
        newest = self._store.newest_plan()
        if newest is not None and newest.document == document:
            return newest.plan_id
        plan_id = f"P{self._store.plan_count() + 1}"
        repairs = repair_document(draft) if isinstance(draft, RepairDraft) else None
        batch = Batch([waves_planned(plan_id, document, repairs)])
        self._store.record(batch, actor=_named(actor), now_ms=self._now_ms())
        return plan_id

    def check(self, plan_json: str, pools: Sequence[Pool] = ()) -> tuple[Violation, ...]:
        """Judges any plan against the ledger, the pools and the calendar as they are now."""
        with refusing():
            plan = read_plan(plan_json)
            return check_plan(self._problems.of_plan(plan, pools), plan)

    def score(self, plan_json: str, pools: Sequence[Pool] = ()) -> EditedPlan:
        """An edited plan, judged and measured at once against the plan in force: see `replan_desk.scored`."""
        in_force = self._store.newest_plan() is not None
        return scored(self._problems, self._in_force() if in_force else None, plan_json, pools)

    def repair(self, request: ReplanRequest, pools: Sequence[Pool] = ()) -> RepairDraft:
        """The smallest change that repairs the plan in force: see `replan_desk.repaired`. Stores nothing; `adopt` does."""
        today = civil_day(self._now_ms())
        return repaired(self._problems, self._in_force(), request, today, self._map, pools)

    def forecast(self, seed: int, samples: int, pools: Sequence[Pool] = ()) -> PlanForecast:
        """When the plan in force will really end, with durations learned from the cutovers that were done."""
        _, plan = self._newest()
        with refusing():
            problem = self._problems.of_plan(plan, pools)
            return self._durations.forecast(problem, remaining(problem, plan), seed, samples)

    def waves(self) -> PlannedWaves:
        plan_id, plan = self._newest()
        return PlannedWaves(plan_id, plan.waves)

    def status(self) -> MigrationProgress:
        plan_id, plan = self._newest()
        runs = newest_moves(self._store.store, plan_id)
        waves = tuple(_progress(wave, runs) for wave in plan.waves)
        return MigrationProgress(plan_id, waves, len(plan.unplaced))

    def wave_moves(self, number: int) -> WaveMoves:
        """What of a wave no run moves yet: a run that was rolled back leaves its systems to be started again."""
        plan_id, plan = self._newest()
        wave = _wave(plan, number)
        runs = newest_moves(self._store.store, plan_id)
        _require_earlier_waves(runs, plan, number)
        ledger = self._systems()
        merges = build_graph(self._intake.systems())[1].merges
        pools = {stored.pool.pool_id for stored in self._store.pools()}
        groups: dict[str, tuple[Move, ...]] = {}
        for assignment in plan.assignments:
            if assignment.wave != number or _has_run(runs, assignment.system_key):
                continue
            standing = _standing(assignment, ledger, pools)
            if standing.system.migrated:
                continue  # it was moved by other means since the plan was made
            into = merges.get(assignment.system_key, "")
            move = _move(assignment, standing, ledger[into].system_key if into in ledger else "")
            groups[assignment.group] = (*groups.get(assignment.group, ()), move)
        run_ids = [one.run_id for one in runs.values() if one.wave == number and _has_run(runs, one.plan_key)]
        overruns = self._overruns(plan, wave.window.window_id) if groups else {}
        limit = read_options(plan.options).max_overrun_pct
        return WaveMoves(plan_id, number, wave.window, groups, tuple(dict.fromkeys(run_ids)), overruns, limit)

    def report(self, request: ReportRequest) -> MonthlyReport:
        """The monthly report (上云月报): see `report_desk`."""
        return monthly_report(self._store.store, request, self._now_ms(), self._finish_odds)

    def evidence(self, request: EvidenceRequest) -> bytes:
        """An offline bundle with its verifier: see `evidence_desk`."""
        members: tuple[str, ...] = ()
        if request.wave:
            _, plan = self._newest()
            ledger = self._systems()
            keys = _wave(plan, request.wave).system_keys
            members = tuple(ledger[key].system_key if key in ledger else key for key in keys)
        return evidence_bundle(self._store.store, request, members)

    def _finish_odds(self, plan: WavePlan) -> FinishOdds | None:
        """When the plan will really end; None where the ledger and the pools no longer make a problem of it."""
        try:
            with refusing():
                problem = self._problems.of_plan(plan)
        except RequestError:
            return None
        found = self._durations.forecast(problem, remaining(problem, plan), plan.seed, _SAMPLES)
        finish = found.finish
        deviation = round(100 * found.deviation / found.factor)
        on_time = round(100 * finish.on_time)
        return FinishOdds(finish.p50, finish.p80, finish.p95, on_time, deviation, finish.samples, found.measured)

    def _overruns(self, plan: WavePlan, window_id: str) -> Mapping[str, int]:
        """By move group: percent; empty where the ledger and the pools no longer make a problem of the plan."""
        try:
            with refusing():
                return self._durations.overruns(self._problems.of_plan(plan), plan, window_id)
        except RequestError:
            return {}

    def _in_force(self) -> Standing:
        return Standing(*self._newest())

    def _newest(self) -> tuple[str, WavePlan]:
        stored = self._store.newest_plan()
        if stored is None:
            raise RequestError(
                ErrorCode.NOT_FOUND,
                "还没有计划；请先运行 xisuan migration plan --start DAY"
                " / there is no plan yet; run xisuan migration plan --start DAY first",
                "NO_PLAN",
            )
        return stored.plan_id, read_plan(json.dumps(stored.document))

    def _systems(self) -> dict[str, StandingSystem]:
        """The ledger by the key that plans use."""
        found: dict[str, StandingSystem] = {}
        for standing in self._intake.standing():
            found.setdefault(system_key(standing.system.name, standing.system.department), standing)
        return found

    def _require_no_cutover_under_way(self) -> None:
        newest = self._store.newest_plan()
        if newest is None:
            return
        runs = newest_moves(self._store.store, newest.plan_id)
        moving = [key for key, move in runs.items() if move.state is MoveState.MOVING]
        if moving:
            raise RequestError(
                ErrorCode.FAILED_PRECONDITION,
                f"计划 {newest.plan_id} 有 {len(moving)} 个系统正在割接（如 {moving[0]}）；完成后再编排"
                f" / {len(moving)} systems of plan {newest.plan_id} are being cut over (such as {moving[0]}); "
                "plan again when they are done",
                "CUTOVER_UNDER_WAY",
            )


def _planned(problem: WaveProblem, request: PlanRequest, parallel_map: ParallelMap) -> WavePlan:
    """By the solver that was asked for; the search is bounded by effort, not by a clock, so that it repeats."""
    if request.solver in ("", "greedy"):
        return plan_waves(problem, request.seed)
    if request.solver != "cp-sat":
        raise RequestError(
            ErrorCode.INVALID_ARGUMENT,
            f"求解器 {request.solver!r} 须为 greedy 或 cp-sat / the solver {request.solver!r} must be greedy or cp-sat",
            "BAD_SOLVER",
        )
    budget = Budget(effort=request.effort if request.effort > 0 else 5.0)
    return solve(problem, request.seed, budget, parallel_map)


def _nothing_to_move(problem: WaveProblem) -> RequestError:
    if not problem.left_out:
        line = (
            "台账为空，没有可迁移的系统；请先运行 xisuan ledger import FILE"
            " / the ledger is empty: there is no system to move; run xisuan ledger import FILE first"
        )
    else:
        first = problem.left_out[0]
        line = (
            f"台账的 {len(problem.left_out)} 个系统都不在迁移之列，例如“{first.system_name}”：{first.reason[0]}"
            f" / none of the {len(problem.left_out)} systems is to be moved, for example {first.system_name}: "
            f"{first.reason[1]}"
        )
    return RequestError(ErrorCode.FAILED_PRECONDITION, line, "NOTHING_TO_MOVE")


def _named(actor: str) -> str:
    if not actor.strip():
        raise RequestError(
            ErrorCode.INVALID_ARGUMENT,
            "缺少经办人 actor；请写明是谁 / the actor is empty; say who does it",
            "NO_ACTOR",
        )
    return actor.strip()


def _wave(plan: WavePlan, number: int) -> Wave:
    waves = plan.waves
    if not 1 <= number <= len(waves):
        raise RequestError(
            ErrorCode.NOT_FOUND,
            f"没有第 {number} 批；计划共有 {len(waves)} 批（1..{len(waves)}）"
            f" / there is no wave {number}; the plan has {len(waves)} (1..{len(waves)})",
            "NO_WAVE",
        )
    return waves[number - 1]


def _require_earlier_waves(runs: Mapping[str, RecordedMove], plan: WavePlan, number: int) -> None:
    """Waves start in order, because what a system uses moves before it."""
    for wave in plan.waves[: number - 1]:
        if runs.keys().isdisjoint(wave.system_keys):
            raise RequestError(
                ErrorCode.FAILED_PRECONDITION,
                f"第 {number} 批不能早于第 {wave.number} 批开始，其系统依赖较早的批次；请先运行"
                f" xisuan migration start {wave.number} / wave {number} cannot start before {wave.number},"
                f" on which its systems depend; run xisuan migration start {wave.number} first",
                "WAVES_IN_ORDER",
            )


def _has_run(runs: Mapping[str, RecordedMove], plan_key: str) -> bool:
    return plan_key in runs and runs[plan_key].state is not MoveState.ROLLED_BACK


def _standing(
    assignment: Assignment, ledger: Mapping[str, StandingSystem], pools: Collection[str]
) -> StandingSystem:
    standing = ledger.get(assignment.system_key)
    if standing is None:
        raise RequestError(
            ErrorCode.FAILED_PRECONDITION,
            f"系统 {assignment.system_key} 已不在台账中；请重新编排"
            f" / the system {assignment.system_key} is no longer in the ledger; plan again",
            "PLAN_IS_STALE",
        )
    if assignment.pool_id not in pools:
        raise RequestError(
            ErrorCode.FAILED_PRECONDITION,
            f"算力池 {assignment.pool_id} 未登记；请先登记或重新编排"
            f" / the pool {assignment.pool_id} is not registered; register it or plan again",
            "PLAN_IS_STALE",
        )
    return standing


def _move(assignment: Assignment, standing: StandingSystem, merged_into: str) -> Move:
    system = standing.system
    try:
        need = need_of(system)
        if system.arch is None:
            raise ValueError(assignment.system_key)
    except ValueError as error:
        raise RequestError(
            ErrorCode.FAILED_PRECONDITION,
            f"系统 {assignment.system_key} 的台账已改变，缺少编排所需的字段；请重新编排"
            f" / the ledger of {assignment.system_key} changed and lacks what the plan needs; plan again",
            "PLAN_IS_STALE",
        ) from error
    return Move(
        plan_key=assignment.system_key,
        system_key=standing.system_key,
        disposition=system.disposition,
        merged_into=merged_into,
        pool_id=assignment.pool_id,
        architecture=system.arch,
        need=need,
    )


def _progress(wave: Wave, runs: Mapping[str, RecordedMove]) -> WaveProgress:
    states = [runs[key].state for key in wave.system_keys if key in runs]
    return WaveProgress(
        number=wave.number,
        systems=len(wave.system_keys),
        started=len(states),
        migrated=states.count(MoveState.MOVED),
        failed=states.count(MoveState.ROLLED_BACK),
    )
