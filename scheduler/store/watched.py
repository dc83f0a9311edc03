"""What watchers see: stored events of workloads and runs, a page at a time, with what a notice says beside them.

The control plane's change feed asks after every commit that somebody waits for, so a page is one statement, which is made
once; so is that of the runs which its events are about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, bindparam, select

from inventory.model.workload import Run
from inventory.store.engine import is_listed, listed
from inventory.store.schema import events
from scheduler.store.documents import run_of
from scheduler.store.projection import (
    DEADLINE_MISSED,
    RUN_CHANGED,
    RUN_PLACED,
    WORKLOAD_CHANGED,
    WORKLOAD_SUBMITTED,
)
from scheduler.store.schema import runs, workloads

WATCHED_KINDS = (WORKLOAD_SUBMITTED, WORKLOAD_CHANGED, RUN_PLACED, RUN_CHANGED, DEADLINE_MISSED)
_PAGE = (
    select(
        events.c.seq,
        events.c.kind,
        events.c.subject,
        workloads.c.queue,
        events.c.recorded_ms,
        events.c.payload,
    )
    .join(workloads, workloads.c.workload_id == events.c.subject)
    .where(events.c.seq > bindparam("after"), events.c.payload != "", events.c.kind.in_(WATCHED_KINDS))
    .order_by(events.c.seq)
    .limit(bindparam("most"))
)
_RUNS = {
    dialect: select(runs).where(is_listed(dialect, runs.c.run_id, "wanted"))
    for dialect in ("sqlite", "postgresql")
}
_BODIES = {
    dialect: select(workloads.c.workload_id, workloads.c.body).where(
        is_listed(dialect, workloads.c.workload_id, "wanted")
    )
    for dialect in ("sqlite", "postgresql")
}


class WatchedEvent(NamedTuple):
    """One event of a workload, or of its run; `queue` is the workload's."""

    seq: int
    kind: str
    workload_id: str
    queue: str
    recorded_ms: int
    payload: Mapping[str, Any]


def watched_events(connection: Connection, after_seq: int, limit: int) -> list[WatchedEvent]:
    """The first after a sequence number, `limit` at most. Archived ones are left out."""
    found = connection.execute(_PAGE, {"after": after_seq, "most": limit})
    return [WatchedEvent(*row[:-1], orjson.loads(row[-1])) for row in found]


def runs_by_id(connection: Connection, run_ids: Sequence[str]) -> Mapping[str, Run]:
    """Runs as they are now; unknown ids are absent."""
    if not run_ids:
        return {}
    dialect = connection.dialect.name
    found = connection.execute(_RUNS[dialect], {"wanted": listed(dialect, run_ids)}).mappings()
    return {row["run_id"]: run_of(row) for row in found}


def labels_by_id(connection: Connection, workload_ids: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    """The labels of workloads; unknown ids are absent."""
    dialect = connection.dialect.name
    found = connection.execute(_BODIES[dialect], {"wanted": listed(dialect, workload_ids)})
    return {workload_id: orjson.loads(body)["labels"] for workload_id, body in found}
