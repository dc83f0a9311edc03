"""What becomes of a plan after it was made: edits scored, slips repaired, its end forecast with learned durations.

Who calls this: `MigrationDesk`, which hands on the calls of the service and of the command line. It reads; what is kept
is recorded by the desk.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from inventory.model.migration import Declarations, WavePlan
from inventory.model.pool import Pool
from scheduler.core.budget import Budget
from scheduler.core.waves.check import check_plan
from scheduler.core.waves.document import read_plan
from scheduler.core.waves.forecast import FinishForecast, Spread, forecast_finish
from scheduler.core.waves.learning import DoneCutover, Learned, group_overruns, learn, spreads
from scheduler.core.waves.plan_options import PlanOptions, read_options
from scheduler.core.waves.problem import WaveProblem
from scheduler.core.waves.replan import changed, edited_score, past_closed, remaining, replan
from scheduler.core.waves.solve import ParallelMap
from scheduler.services.desk_ports import EditedPlan, PlanForecast, RepairDraft, ReplanRequest
from scheduler.services.plan_problem import PlanProblems, refusing
from scheduler.store.cutover_times import cutover_times
from scheduler.store.projection import WAVES_PLANNED
from scheduler.store.scheduler_store import SchedulerStore

_EFFORT = 5.0
_NO_SEED_BELOW = 2**63 - 1  # numpy's generators take no negative seed


@dataclass(frozen=True, slots=True)
class Standing:
    """The plan that is in force: the newest one."""

    plan_id: str
    plan: WavePlan


def repaired(
    problems: PlanProblems,
    standing: Standing,
    request: ReplanRequest,
    today: date,
    parallel_map: ParallelMap,
    pools: Sequence[Pool] = (),
) -> RepairDraft:
    """The smallest change that makes the plan keep every rule as things are now; what was approved stays. Raises
    RequestError for options, windows or an edited plan that cannot be used."""
    with refusing():
        base = read_plan(request.plan_json) if request.plan_json else standing.plan
        options = base.options if request.options is None else request.options
        base = replace(base, options=options, declarations=_declarations(base, request.options))
        problem = problems.of_plan(base, pools)
        first_open = max(today if request.not_before is None else request.not_before, base.starts_on)
        closed = past_closed(problem, first_open)
        old = remaining(closed, base)
        approved = _approved(old, request, first_open)
        budget = Budget(effort=request.effort if request.effort > 0 else _EFFORT)
        repair = replan(closed, old, approved, request.seed, budget, parallel_map)
    plan = replace(repair.plan, options=options, declarations=base.declarations)
    return RepairDraft(
        plan=plan,
        violations=check_plan(closed, plan),
        base_plan_id=standing.plan_id,
        broken=repair.broken,
        changes=tuple((each.system_key, each.before, each.after) for each in repair.changes),
        price=dict(repair.price),
        sentence=repair.sentence,
    )


def repair_document(draft: RepairDraft) -> dict[str, object]:
    """What the event of an adopted repair says beside the plan: which plan it repairs, what changed, at which price."""
    return {
        "plan_id": draft.base_plan_id,
        "approved": list(draft.plan.approved),
        "changes": [
            {"system_key": key, "before": list(before or ()), "after": list(after or ())}
            for key, before, after in draft.changes
        ],
        "price": dict(draft.price),
    }


def scored(
    problems: PlanProblems, standing: Standing | None, plan_json: str, pools: Sequence[Pool] = ()
) -> EditedPlan:
    """Any plan, judged and measured at once, without a search; the price is against the plan in force."""
    with refusing():
        plan = read_plan(plan_json)
        problem = problems.of_plan(plan, pools)
        violations = check_plan(problem, plan)
        scores = edited_score(problem, plan).aims
        if standing is None:
            return EditedPlan(violations, {aim.value: value for aim, value in scores.items()}, {}, 0)
        before = edited_score(problem, standing.plan).aims
    return EditedPlan(
        violations=violations,
        scores={aim.value: value for aim, value in scores.items()},
        price={aim.value: value - before[aim] for aim, value in scores.items()},
        changes=len(changed(standing.plan, plan)),
    )


class DurationDesk:
    """Durations of one store: what plans declared, and what their cutovers took."""

    def __init__(self, scheduler_store: SchedulerStore) -> None:
        self._store = scheduler_store

    def learned(self) -> Learned:
        plans: dict[str, Mapping[str, Spread]] = {}
        done = []
        for one in cutover_times(self._store.store):
            if one.plan_id not in plans:
                plans[one.plan_id] = self._declared_by(one.plan_id)
            declared = plans[one.plan_id]
            known = all(key in declared for key in one.systems)
            minutes = sum(declared[key].mean for key in one.systems) if known else 0.0
            done.append(DoneCutover(len(one.systems), minutes, one.minutes))
        return learn(done)

    def forecast(self, problem: WaveProblem, plan: WavePlan, seed: int, samples: int) -> PlanForecast:
        """When the plan will really end, with what was learned."""
        learned = self.learned()
        durations = spreads(learned, _declared(read_options(plan.options)), [item.key for item in problem.items])
        found: FinishForecast = forecast_finish(problem, plan, durations, seed & _NO_SEED_BELOW, samples)
        return PlanForecast(found, learned.factor.mean, learned.factor.deviation, learned.measured)

    def overruns(self, problem: WaveProblem, plan: WavePlan, window_id: str) -> dict[str, int]:
        """By move group of a wave: the chance in percent, rounded up, that its window is overrun."""
        durations = spreads(
            self.learned(), _declared(read_options(plan.options)), [item.key for item in problem.items]
        )
        chances = group_overruns(problem, plan, window_id, durations, plan.seed & _NO_SEED_BELOW)
        return {group: min(100, -int(-100 * chance // 1)) for group, chance in chances.items()}

    def _declared_by(self, plan_id: str) -> Mapping[str, Spread]:
        if not plan_id:
            return {}
        events = self._store.store.read(limit=1, kinds=(WAVES_PLANNED,), subject=plan_id)
        if not events:
            return {}
        return _declared(read_options(read_plan(json.dumps(events[0].payload["document"])).options))


def _declared(options: PlanOptions) -> Mapping[str, Spread]:
    return {
        key: Spread(work.minutes, work.minutes_sd) for key, work in options.systems.items() if work.minutes > 0
    }


def _declarations(base: WavePlan, options: str | None) -> Declarations:
    return base.declarations if options is None else read_options(options).declarations


def _approved(old: WavePlan, request: ReplanRequest, first_open: date) -> tuple[str, ...]:
    """What was approved before and what is now, as far as it lies ahead: a night that has passed cannot be kept. Unknown
    windows are for `replan` to refuse."""
    windows = {window.window_id: window for window in old.windows}
    kept = [each for each in old.approved if each in windows]
    asked = dict.fromkeys([*kept, *request.approved])
    return tuple(each for each in asked if each not in windows or windows[each].first_day >= first_open)
