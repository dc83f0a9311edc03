"""The wave problem of the stored ledger: systems as people decided, registered pools, calendar, options, what moves now.

Who calls this: the migration desk, before it plans, judges, repairs or forecasts. It reads and decides nothing. What a
user does wrong is a `RequestError` with one clear line (`refusing`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date

from inventory.assessment.assessor import Assessor
from inventory.freezes import FreezeFileError, read_operations_calendar
from inventory.intake import Intake
from inventory.model.migration import Declarations, WavePlan, WaveSettings
from inventory.model.pool import Pool
from inventory.model.system import System
from scheduler.core.migration.moves import MoveState, RecordedMove
from scheduler.core.waves.document import PlanUnreadable
from scheduler.core.waves.estate import ProblemError, build_problem
from scheduler.core.waves.estate_rules import EstateError
from scheduler.core.waves.plan_options import read_options, with_options
from scheduler.core.waves.problem import WaveProblem
from scheduler.core.waves.targets import PoolUse
from scheduler.services.ports import ErrorCode, RequestError
from scheduler.store.scheduler_store import SchedulerStore
from scheduler.store.wave_runs import wave_runs

_FIRST_YEAR, _LAST_YEAR = 2004, 2100


class PlanProblems:
    """Makes wave problems of one store, which carries the projections of ledger, assessment and scheduler."""

    def __init__(self, scheduler_store: SchedulerStore) -> None:
        self._store = scheduler_store
        self._intake = Intake(scheduler_store.store)
        self._assessor = Assessor(scheduler_store.store)

    def of_plan(self, plan: WavePlan, pools: Sequence[Pool] = ()) -> WaveProblem:
        """The problem as it is now, by the plan's own settings, declarations and options."""
        return self.of(plan.settings, plan.options, pools, plan.declarations)

    def of(
        self,
        settings: WaveSettings,
        options: str,
        pools: Sequence[Pool] = (),
        declarations: Declarations | None = None,
    ) -> WaveProblem:
        """`options` is the text of the options' file (empty: none); `declarations` take the place of its own ones.
        Raises ProblemError, EstateError, FreezeFileError, ValueError and LookupError as `build_problem` and
        `with_options` do."""
        declared = read_options(options)
        _require_year(settings.starts_on)
        registered = [stored.pool for stored in self._store.pools()]
        if registered and pools:
            raise ProblemError(
                f"已登记 {len(registered)} 个算力池，按它们编排；请不要再给出算力池文件"
                f" / {len(registered)} pools are registered and planned for; give no pool files beside them"
            )
        problem = build_problem(
            self._systems(),
            registered or list(pools),
            read_operations_calendar(settings.starts_on, settings.horizon_weeks),
            settings,
            declarations or declared.declarations,
            _used(wave_runs(self._store.store)),
        )
        return with_options(problem, declared) if options.strip() else problem

    def _systems(self) -> tuple[System, ...]:
        """The ledger's systems, each with the disposition that people decided (`migration assess decide`), where they
        did: it stands above the ledger's own column."""
        decisions = self._assessor.decisions()
        return tuple(
            replace(one.system, disposition=decisions[one.system_key])
            if one.system_key in decisions
            else one.system
            for one in self._intake.standing()
        )


def _used(moves: Sequence[RecordedMove]) -> list[PoolUse]:
    """What systems take that were moved, or are being: they stay where they went."""
    return [
        PoolUse(move.pool_id, move.architecture, move.need, *_moving(move))
        for move in moves
        if move.state is not MoveState.ROLLED_BACK
    ]


def _moving(move: RecordedMove) -> tuple[str, str]:
    return (move.plan_key, move.run_id) if move.state is MoveState.MOVING else ("", "")


@contextmanager
def refusing() -> Iterator[None]:
    """Turns what a user did wrong into a RequestError with the same line."""
    try:
        yield
    except PlanUnreadable as error:
        first, *more = str(error).splitlines()
        raise RequestError(
            ErrorCode.INVALID_ARGUMENT, first + (f" (+{len(more)})" if more else ""), "BAD_PLAN"
        ) from error
    except (ProblemError, FreezeFileError, EstateError) as error:
        raise RequestError(ErrorCode.FAILED_PRECONDITION, str(error).splitlines()[0], "NO_PROBLEM") from error
    except (ValueError, LookupError) as error:
        raise RequestError(ErrorCode.INVALID_ARGUMENT, str(error), "BAD_SETTINGS") from error


def _require_year(day: date) -> None:
    if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        raise ValueError(
            f"起始日 {day} 须在 {_FIRST_YEAR} 年至 {_LAST_YEAR} 年之间，请改正"
            f" / the first day {day} must lie in the years {_FIRST_YEAR} to {_LAST_YEAR}; correct it"
        )
