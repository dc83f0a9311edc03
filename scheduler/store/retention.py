"""Which workloads are old enough that their events go to the archive, and the going.

`xisuan store archive` and a running service with `archive_after_days` call `archive_finished`. The workloads and their runs
stay where they are listed (a client key is refused again after years as it was after a minute); what goes is the history
of how they came there, which is most of a store's size.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import func, select

from inventory.model.workload import RunState, WorkloadState
from inventory.store.archive import archive
from inventory.store.archived import ArchiveFile
from inventory.store.event_store import Store
from inventory.store.schema import events
from scheduler.store.schema import runs, workloads

ACTOR = "retention"
# Workloads of one file and one transaction: other writers wait no longer than that takes.
BATCH = 2_000
DAY_MS = 86_400_000


def archive_finished(
    store: Store, folder: Path, *, before_ms: int, now_ms: int, told: Callable[[ArchiveFile], None]
) -> int:
    """Archives what was last said before `before_ms` about workloads that have ended; returns how many events. `told` is
    called after each file. Raises StoreError; what was told is done."""
    count = 0
    while subjects := finished_before(store, before_ms, BATCH):
        file = archive(store, subjects, folder, actor=ACTOR, recorded_ms=now_ms)
        if file is None:
            break
        count += file.count
        told(file)
    return count


def finished_before(store: Store, before_ms: int, limit: int) -> list[str]:
    """Ids of workloads that have ended, with all their runs, of which nothing was said since, and not archived yet."""
    final = [state.value for state in WorkloadState if state.is_final]
    live = [state.value for state in RunState if not state.is_final]
    newest = (
        select(events.c.subject, func.max(events.c.recorded_ms).label("last_ms"))
        .where(events.c.payload != "")
        .group_by(events.c.subject)
        .subquery()
    )
    still_runs = select(runs.c.run_id).where(runs.c.workload_id == workloads.c.workload_id, runs.c.state.in_(live))
    query = (
        select(workloads.c.workload_id)
        .join(newest, newest.c.subject == workloads.c.workload_id)
        .where(workloads.c.state.in_(final), newest.c.last_ms < before_ms, ~still_runs.exists())
        .order_by(workloads.c.number)
        .limit(limit)
    )
    with store.connect() as connection:
        return list(connection.execute(query).scalars())
