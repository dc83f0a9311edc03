"""Desks over a fresh SQLite file, and a gateway in front of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from inventory.store.assessment.projection import ASSESSMENT_PROJECTION
from inventory.store.engine import open_engine
from inventory.store.event_store import Store
from inventory.store.ledger.projection import LEDGER_PROJECTION
from scheduler.runtime.run_calls import RunCalls
from scheduler.services.ledger_desk import LedgerDesk
from scheduler.services.migration_desk import MigrationDesk
from scheduler.store.projection import SCHEDULER
from scheduler.store.scheduler_store import SchedulerStore
from tests.services.memory import NOW_MS, Awaitable, MemoryScheduling
from tests.services.serving import Serving, serving


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(
        open_engine(f"sqlite:///{tmp_path / 'test.db'}"), (LEDGER_PROJECTION, ASSESSMENT_PROJECTION, SCHEDULER)
    )
    yield opened
    opened.close()


@pytest.fixture
def scheduler_store(store: Store) -> SchedulerStore:
    return SchedulerStore(store)


@pytest.fixture
def ledger_desk(store: Store) -> LedgerDesk:
    return LedgerDesk(store, lambda: NOW_MS)


@pytest.fixture
def migration_desk(scheduler_store: SchedulerStore) -> MigrationDesk:
    return MigrationDesk(scheduler_store, lambda: NOW_MS)


@pytest.fixture
def recording(scheduler_store: SchedulerStore) -> MemoryScheduling:
    """Scheduling that also records its submissions, for the migration desk to see."""
    return MemoryScheduling(scheduler_store)


@pytest.fixture
def gateway(
    recording: MemoryScheduling, store: Store, ledger_desk: LedgerDesk, migration_desk: MigrationDesk
) -> Iterator[Serving]:
    runs = RunCalls(store, migration_desk, lambda: NOW_MS)
    with serving(recording, Awaitable(ledger_desk), Awaitable(migration_desk), Awaitable(runs)) as service:
        yield service


@pytest.fixture
def channel(gateway: Serving) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(gateway.address) as opened:
        yield opened
