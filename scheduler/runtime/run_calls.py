"""The port `scheduler.services.run_ports.Runs`, synchronous, over the run desk and the migration desk.

The control-plane actor holds one (its writing methods take turns with the writer); the command line uses it directly
where no service runs. It turns the runbooks' refusals into the services' errors: the two layers do not know each
other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from inventory.assessment.assessor import Assessor
from inventory.intake import Intake, StandingSystem
from inventory.model.calendar import Window
from inventory.model.migration import Wave
from inventory.model.system import Disposition, system_key
from inventory.store.event_store import Store
from scheduler.core.waves.eligibility import protection_level
from scheduler.runbooks.admission import APPROVAL_PAPERS, KnownSystem
from scheduler.runbooks.desk import Paper, RunDesk
from scheduler.runbooks.faults import RefusalKind, RequestRefused, RunbookRefused
from scheduler.runbooks.order import read_order
from scheduler.runbooks.pool_rules import KnownPool
from scheduler.runbooks.record import RunRecord
from scheduler.services.migration_desk import MigrationDesk
from scheduler.services.ports import ErrorCode, RequestError
from scheduler.services.run_ports import Act, RunAction, RunDocument, RunOpening, StartedWave, WaveStarting
from scheduler.store.scheduler_store import SchedulerStore, StoredPool

# Methods that write nothing; the others are one transaction each.
READS = frozenset({"run", "history", "runs"})
_CODES: Final = {
    RefusalKind.INVALID: ErrorCode.INVALID_ARGUMENT,
    RefusalKind.UNKNOWN: ErrorCode.NOT_FOUND,
    RefusalKind.PRECONDITION: ErrorCode.FAILED_PRECONDITION,
}


class RunCalls:
    def __init__(self, store: Store, migration: MigrationDesk, now_ms: Callable[[], int]) -> None:
        intake = Intake(store)
        self._intake = intake
        self._migration = migration
        self._assessor = Assessor(store)
        self._pools = SchedulerStore(store).pools
        self._desk = RunDesk(RunRecord(store), now_ms, self._known_systems, self._known_pools)

    def open(self, opening: RunOpening) -> str:
        with _translated():
            window = self._window(opening) if opening.wave else None
            return self._desk.open(opening.runbook, opening.order, opening.actor, window)

    def start_wave(self, starting: WaveStarting) -> StartedWave:
        with _translated():
            moves = self._migration.wave_moves(starting.number)
            if not moves.groups:
                return StartedWave(moves.run_ids)
            if not starting.site.strip():
                raise RequestError(
                    ErrorCode.INVALID_ARGUMENT,
                    f"第 {starting.number} 批有 {len(moves.groups)} 个组待割接，须给出实施单位文件：--site FILE.yaml / wave "
                    f"{starting.number} has {len(moves.groups)} groups to move; give the site file: --site FILE.yaml",
                    "SITE_MISSING",
                )
            opened, waiting = self._desk.open_wave(starting.site, starting.runbooks, moves, starting.actor)
            return StartedWave((*moves.run_ids, *opened), waiting)

    def act(self, action: RunAction) -> RunDocument:
        with _translated():
            match action.act:
                case Act.APPROVE:
                    paper = Paper(action.number, action.sha256)
                    self._desk.approve(action.run_id, action.step_id, action.actor, paper, action.duties)
                case Act.REFUSE:
                    self._desk.refuse(action.run_id, action.step_id, action.actor, action.reason, action.duties)
                case Act.PAUSE:
                    self._desk.pause(action.run_id, action.actor, action.reason)
                case Act.RESUME:
                    self._desk.resume(action.run_id, action.actor)
                case Act.RETRY:
                    self._desk.retry(action.run_id, action.actor)
                case Act.SKIP:
                    self._desk.skip(action.run_id, action.actor, action.reason, action.number)
                case Act.ROLL_BACK:
                    self._desk.roll_back(action.run_id, action.actor, action.reason)
            return self._desk.show(action.run_id)

    def run(self, run_id: str) -> RunDocument:
        with _translated():
            return self._desk.show(run_id)

    def history(self, run_id: str) -> tuple[RunDocument, ...]:
        with _translated():
            return self._desk.history(run_id)

    def runs(self) -> tuple[Mapping[str, Any], ...]:
        return self._desk.list()

    def _known_systems(self) -> Mapping[str, KnownSystem]:
        """The ledger's systems, by their own keys and by those that plans use."""
        standing = self._intake.standing()
        decided = self._assessor.decisions()
        known = {one.system_key: _known(one, decided.get(one.system_key)) for one in standing}
        by_name = {system_key(one.system.name, one.system.department): known[one.system_key] for one in standing}
        return by_name | known

    def _known_pools(self) -> Mapping[str, KnownPool]:
        return {stored.pool.pool_id: _known_pool(stored) for stored in self._pools()}

    def _window(self, opening: RunOpening) -> Window:
        """The window of the wave. FAILED_PRECONDITION for a system that is not in it."""
        order = read_order(opening.order, "order")
        wave = self._wave(opening.wave)
        strangers = [system.key for system in order.sources if system.key not in wave.system_keys]
        if strangers:
            raise RequestError(
                ErrorCode.FAILED_PRECONDITION,
                f"系统 {strangers[0]} 不在第 {wave.number} 批；见 xisuan migration waves / the system {strangers[0]} is not "
                f"in wave {wave.number}; see xisuan migration waves",
                "NOT_IN_WAVE",
            )
        return wave.window

    def _wave(self, number: int) -> Wave:
        waves = self._migration.waves().waves
        for wave in waves:
            if wave.number == number:
                return wave
        raise RequestError(
            ErrorCode.NOT_FOUND,
            f"没有第 {number} 批；批次为 1..{len(waves)} / there is no wave {number}; waves are 1..{len(waves)}",
            "NO_SUCH_WAVE",
        )


def _known(one: StandingSystem, decided: Disposition | None) -> KnownSystem:
    # A merger counts from the day on which it was decided; the system itself may move long after (先集中、后整合).
    ended = "关停" if one.closed_on is not None else ""
    lacks = tuple(paper for paper in APPROVAL_PAPERS if getattr(one.system, paper) is False)
    is_moved_as_it_is = (decided or one.system.disposition) is Disposition.REHOST
    return KnownSystem(
        key=one.system_key,
        is_classified=one.system.classified is True,
        ended=ended,
        lacks=lacks,
        zone=one.system.zone,
        level=protection_level(one.system),
        built_for=one.system.arch if is_moved_as_it_is else None,
        has_owner=bool(one.system.department),
    )


def _known_pool(stored: StoredPool) -> KnownPool:
    pool = stored.pool
    return KnownPool(
        pool_id=pool.pool_id,
        zones=pool.zones,
        level=pool.protection_level,
        architectures=pool.architectures,
        capacity=pool.capacity,
        is_open=stored.admission == "open",
    )


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except RunbookRefused as refused:
        raise RequestError(ErrorCode.INVALID_ARGUMENT, str(refused), "RUNBOOK_REFUSED") from None
    except RequestRefused as refused:
        raise RequestError(_CODES[refused.kind], str(refused), refused.reason) from None
