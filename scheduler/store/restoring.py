"""What must be so after a store was restored: nobody who acted on the later history may be mistaken for us, nor we for him.

The service whose backup it is may have gone on: it raised its epoch at every start, and gave numbers to workloads that
the backup does not know. A restored store therefore goes on with an epoch above any that the other can have reached, and
marks its ids anew, so that no run of ours has the name of one that was launched after the backup.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, select

from inventory.store.chain import Draft, Head
from inventory.store.event_store import Store
from inventory.store.schema import events
from scheduler.store.projection import LEADERSHIP_STARTED

# No control plane starts more often than once in this many milliseconds: Ray and the store alone take longer.
_SHORTEST_REIGN_MS = 500
RESTORED_FROM = "restored_from"


def latest_epoch(connection: Connection) -> int:
    """The epoch of the newest leadership; 0 before the first."""
    payload = _newest(connection)
    return 0 if payload is None else int(payload["epoch"])


def record_restoration(store: Store, backup_head: Head, made_ms: int, now_ms: int) -> int:
    """Notes in the chain that this store was restored from a backup made at `made_ms`; returns its epoch.

    The epoch is that of the backup, and one more for each start that the service may have had since.
    """
    with store.transaction() as tx:
        starts = max(0, now_ms - made_ms) // _SHORTEST_REIGN_MS
        epoch = latest_epoch(tx.connection) + starts + 1
        payload = {"epoch": epoch, RESTORED_FROM: {"seq": backup_head.seq, "hash": backup_head.hash}}
        tx.append([Draft(LEADERSHIP_STARTED, "restore", payload)], actor="restore", recorded_ms=now_ms)
    return epoch


def id_mark(connection: Connection) -> str:
    """Six digits of a hash that tell the ids of this store from those of others: of the first event, or of the newest
    restoration."""
    restored = select(events.c.hash).where(events.c.kind == LEADERSHIP_STARTED, events.c.subject == "restore")
    found = connection.execute(restored.order_by(events.c.seq.desc()).limit(1)).scalar_one_or_none()
    first = select(events.c.hash).order_by(events.c.seq).limit(1)
    return str(found or connection.execute(first).scalar_one())[:6]


def _newest(connection: Connection) -> Any:
    query = select(events.c.payload).where(events.c.kind == LEADERSHIP_STARTED).order_by(events.c.seq.desc())
    payload = connection.execute(query.limit(1)).scalar_one_or_none()
    return None if payload is None else json.loads(payload)
