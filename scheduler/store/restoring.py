"""What must be so after a store was restored: nobody who acted on the later history may be mistaken for us, nor we for him.

The service whose backup it is may have gone on: it raised its epoch at every start, gave numbers to workloads that the
backup does not know, and started workloads that wait in it. A restored store therefore goes on with an epoch above any that
the other can have reached, marks its ids anew, lists every pool anew, and has every pool cordoned: what waits may have run
since, which no store can tell, so nothing is started until a person opens the pools.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, select

from inventory.model.workload import WorkloadState
from inventory.store.chain import Draft, Head
from inventory.store.event_store import Store
from inventory.store.schema import events
from scheduler.store.projection import LEADERSHIP_STARTED, pool_admission_changed
from scheduler.store.schema import adapter_cursors, pools, workloads

# No control plane starts more often than once in this many milliseconds: Ray and the store alone take longer.
_SHORTEST_REIGN_MS = 500
RESTORED_FROM = "restored_from"
_ACTOR = "restore"
_WHY = "自备份恢复，核对等待中的作业后开放 / restored from a backup: judge what waits, then open it"


@dataclass(frozen=True, slots=True)
class Restoration:
    """`epoch` is below that of the next leader; `waiting` workloads may have run after the backup; `cordoned` pools start
    nothing until they are opened."""

    epoch: int
    waiting: int
    cordoned: tuple[str, ...]


def latest_epoch(connection: Connection) -> int:
    """The epoch of the newest leadership; 0 before the first."""
    payload = _newest(connection)
    return 0 if payload is None else int(payload["epoch"])


def record_restoration(store: Store, backup_head: Head, made_ms: int, now_ms: int) -> Restoration:
    """Notes in the chain that this store was restored from a backup made at `made_ms`, and closes its pools.

    The epoch is that of the backup, and one more for each start that the service may have had since.
    """
    with store.transaction() as tx:
        starts = max(0, now_ms - made_ms) // _SHORTEST_REIGN_MS
        epoch = latest_epoch(tx.connection) + starts + 1
        payload = {"epoch": epoch, RESTORED_FROM: {"seq": backup_head.seq, "hash": backup_head.hash}}
        found = tx.connection.execute(select(pools.c.pool_id).where(pools.c.admission == "open"))
        cordoned = tuple(sorted(found.scalars()))
        drafts = [pool_admission_changed(pool_id, "cordoned", _WHY) for pool_id in cordoned]
        tx.append([Draft(LEADERSHIP_STARTED, _ACTOR, payload), *drafts], actor=_ACTOR, recorded_ms=now_ms)
        tx.connection.execute(delete(adapter_cursors))  # no stream is resumed: every pool says all that it knows
        waits = workloads.c.state.in_((WorkloadState.SUBMITTED.value, WorkloadState.QUEUED.value))
        waiting = tx.connection.execute(select(func.count()).select_from(workloads).where(waits)).scalar_one()
    return Restoration(epoch, int(waiting), cordoned)


def id_mark(connection: Connection) -> str:
    """Six digits of a hash that tell the ids of this store from those of others: of the first event, or of the newest
    restoration."""
    restored = select(events.c.hash).where(events.c.kind == LEADERSHIP_STARTED, events.c.subject == _ACTOR)
    found = connection.execute(restored.order_by(events.c.seq.desc()).limit(1)).scalar_one_or_none()
    first = select(events.c.hash).order_by(events.c.seq).limit(1)
    return str(found or connection.execute(first).scalar_one())[:6]


def _newest(connection: Connection) -> Any:
    query = select(events.c.payload).where(events.c.kind == LEADERSHIP_STARTED).order_by(events.c.seq.desc())
    payload = connection.execute(query.limit(1)).scalar_one_or_none()
    return None if payload is None else json.loads(payload)
