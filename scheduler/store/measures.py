"""How large the store is and what lies in it, for people and for metrics. Read only.

The operation desk of the control plane asks, and `xisuan status` where no service runs. `ObservedStore` is the store of
a leader whose transactions are timed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from sqlalchemy import Engine, func, select, text

from inventory.store.event_store import Store
from inventory.store.migrations import VERSION_TABLE
from scheduler.store.recording_process import RecordingProcess
from scheduler.store.scheduler_store import Batch, SchedulerStore
from scheduler.store.schema import workloads

Committed = Callable[[float, int], None]


class ObservedStore(SchedulerStore):
    """Tells `committed` of each transaction: how many seconds it took, and how many events it has recorded."""

    def __init__(self, store: Store, committed: Committed, recording: RecordingProcess | None = None) -> None:
        super().__init__(store, recording)
        self._committed = committed

    def record(self, batch: Batch, *, actor: str, now_ms: int) -> int:
        began = time.perf_counter()
        recorded = super().record(batch, actor=actor, now_ms=now_ms)
        self._committed(time.perf_counter() - began, recorded)
        return recorded


def workloads_by_state(store: Store) -> Mapping[str, int]:
    query = select(workloads.c.state, func.count()).group_by(workloads.c.state)
    with store.connect() as connection:
        return {row[0]: row[1] for row in connection.execute(query)}


def size_bytes(engine: Engine) -> int:
    """What the database takes on disk: SQLite's files (0 in memory), or what PostgreSQL says."""
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())
    name = engine.url.database
    if name in (None, "", ":memory:"):
        return 0
    files = (Path(f"{name}{suffix}") for suffix in ("", "-wal", "-shm"))
    return sum(file.stat().st_size for file in files if file.exists())


def revision(engine: Engine) -> str:
    """The revision of its tables. The store is open, so there is one."""
    with engine.connect() as connection:
        return str(connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one())
