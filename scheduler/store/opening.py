"""Opens the store with every projection of the product: the ledger's and the scheduler's on one chain."""

from __future__ import annotations

from sqlalchemy import Engine

from inventory.store.assessment.projection import ASSESSMENT_PROJECTION
from inventory.store.engine import open_engine
from inventory.store.event_store import Store
from inventory.store.ledger.projection import LEDGER_PROJECTION
from scheduler.store.projection import SCHEDULER


def open_store(url: str) -> Store:
    """The caller closes it. Raises StoreError."""
    return over(open_engine(url))


def over(engine: Engine) -> Store:
    """The store over an engine that somebody else opened: a backup's, which is only read."""
    return Store(engine, (LEDGER_PROJECTION, ASSESSMENT_PROJECTION, SCHEDULER))
