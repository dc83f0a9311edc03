"""An empty ledger on each database, and one way to send files to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from inventory.intake import ImportResult, Intake
from inventory.ledger import LedgerReading
from inventory.store.engine import open_engine
from inventory.store.event_store import Store
from inventory.store.ledger.projection import LEDGER_PROJECTION
from inventory.store.verify import verify
from tests.intake.readings import BUREAU, NOW

Send = Callable[..., ImportResult]


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """Whatever a test does to the ledger: in the end the chain holds, and the projections are what it says."""
    store = Store(open_engine(database_url), [LEDGER_PROJECTION])
    yield store
    verdict = verify(store)
    assert verdict.holds, verdict
    store.close()


@pytest.fixture
def intake(store: Store) -> Intake:
    return Intake(store)


@pytest.fixture
def send(intake: Intake) -> Send:
    def send(content: LedgerReading, *, sender: str = BUREAU, now_ms: int = NOW) -> ImportResult:
        return intake.import_reading(content, filename="台账.xlsx", sender=sender, actor="张三", now_ms=now_ms)

    return send
