"""Opens the store with every projection of the product: the ledger's and the scheduler's on one chain."""

from __future__ import annotations

from sqlalchemy import Engine

from inventory.store.assessment.projection import ASSESSMENT_PROJECTION
from inventory.store.engine import IDLE_WRITER_MS, open_engine
from inventory.store.event_store import Store
from inventory.store.ledger.projection import LEDGER_PROJECTION
from scheduler.store.projection import SCHEDULER


def open_store(url: str, *, idle_writer_ms: int = IDLE_WRITER_MS) -> Store:
    """The caller closes it. `idle_writer_ms` is `open_engine`'s. Raises StoreError."""
    return over(open_engine(url, idle_writer_ms=idle_writer_ms))


def over(engine: Engine) -> Store:
    """The store over an engine that somebody else opened: a backup's, which is only read."""
    return Store(engine, (LEDGER_PROJECTION, ASSESSMENT_PROJECTION, SCHEDULER))
