"""The desks of the control plane that place nothing: the ledger's, migration's, its runs', and assessment's.

The control-plane actor loads this module when one of them is first asked for, or when nobody waits for the start any more:
the reader of workbooks, graphs and calendars take a second to load, and no workload needs them.
"""

from __future__ import annotations

from collections.abc import Callable

from scheduler.runtime.capacity_calendar import CapacityCalendar, RunsInTurn
from scheduler.runtime.control_plane import ControlPlane
from scheduler.runtime.desks import InTurn
from scheduler.runtime.ray_map import RayMap
from scheduler.runtime.run_calls import READS as RUN_READS
from scheduler.runtime.run_calls import RunCalls
from scheduler.services.assessment_desk import READS as ASSESSMENT_READS
from scheduler.services.assessment_desk import AssessmentDesk
from scheduler.services.ledger_desk import READS as LEDGER_READS
from scheduler.services.ledger_desk import LedgerDesk
from scheduler.services.migration_desk import READS as MIGRATION_READS
from scheduler.services.migration_desk import MigrationDesk
from scheduler.store.scheduler_store import SchedulerStore


def desk_parts(plane: ControlPlane, store: SchedulerStore, now_ms: Callable[[], int]) -> dict[str, InTurn]:
    """By the names of `ControlPlaneProcess.call`. They take turns with the writer of `plane`, on whose store they are."""
    migration = MigrationDesk(store, now_ms, RayMap())
    runs = RunCalls(store.store, migration, now_ms)
    return {
        "ledger": InTurn(LedgerDesk(store.store, now_ms), plane.writer, LEDGER_READS),
        "migration": InTurn(migration, plane.writer, MIGRATION_READS),
        "runs": RunsInTurn(runs, plane.writer, RUN_READS, CapacityCalendar(plane.queues)),
        "assessment": InTurn(AssessmentDesk(store.store, now_ms), plane.writer, ASSESSMENT_READS),
    }
