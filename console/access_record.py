"""Records in the chain what `xisuan up` and `xisuan access` issue and revoke, beside a running service or without one."""

from __future__ import annotations

from collections.abc import Sequence

from inventory.store.chain import Draft
from scheduler.access.register import Entry
from scheduler.runtime.clock import SystemClock
from scheduler.store.access_events import access_issued, access_revoked
from scheduler.store.opening import open_store


def record_issued(store_url: str, entries: Sequence[Entry], by: str) -> None:
    drafts = [access_issued(one.id, one.kind, one.name, one.grants, one.expires_ms) for one in entries]
    _record(store_url, drafts, by)


def record_revoked(store_url: str, entry: Entry, reason: str, by: str) -> None:
    _record(store_url, [access_revoked(entry.id, entry.kind, entry.name, reason)], by)


def _record(store_url: str, drafts: Sequence[Draft], by: str) -> None:
    if not drafts:
        return
    store = open_store(store_url)
    try:
        with store.transaction() as transaction:
            transaction.append(drafts, actor=by, recorded_ms=SystemClock().now_ms())
    finally:
        store.close()
