"""A home of its own for every test, and a running service for those that need one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from console.home import Endpoint, Home, find_home
from inventory.store.engine import open_engine
from inventory.store.event_store import Store
from inventory.store.ledger.projection import LEDGER_PROJECTION
from scheduler.operation.instruments import RATES
from scheduler.runtime.run_calls import RunCalls
from scheduler.services.ledger_desk import LedgerDesk
from scheduler.services.migration_desk import MigrationDesk
from scheduler.services.operation_ports import ServiceStatus, SettingsStanding, StoreStanding
from scheduler.store.measures import workloads_by_state
from scheduler.store.projection import SCHEDULER
from scheduler.store.scheduler_store import SchedulerStore
from tests.services.ledgers import FIVE, a_workbook
from tests.services.memory import NOW_MS, Awaitable, MemoryScheduling
from tests.services.serving import Serving, serving


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for name in ("XISUAN_STORE", "XISUAN_ADDRESS", "XISUAN_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XISUAN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XISUAN_ACTOR", "李工")
    return find_home()


@pytest.fixture
def workbook(tmp_path: Path) -> Path:
    """Five systems, three of which are to be moved."""
    path = tmp_path / "台账.xlsx"
    path.write_bytes(a_workbook(FIVE))
    return path


@dataclass(frozen=True, slots=True)
class Service:
    """A service that runs in this process on the home, as `xisuan up` would, with scheduling in memory."""

    scheduling: MemoryScheduling
    store: SchedulerStore
    gateway: Serving


class Leader:
    """How a service that has just begun to lead does, with the workloads that are stored."""

    def __init__(self, store: SchedulerStore) -> None:
        self._store = store

    async def service_status(self) -> ServiceStatus:
        return ServiceStatus(
            version="0",
            epoch=1,
            leading_since_ms=NOW_MS,
            store=StoreStanding("sqlite", 1, "0001", 0, "00"),
            workloads=workloads_by_state(self._store.store),
            queues=(),
            last_minute=RATES.last_minute(NOW_MS // 1000),
            settings=SettingsStanding("00", NOW_MS),
        )


@pytest.fixture
def service(home: Home) -> Iterator[Service]:
    with ExitStack() as stack:
        stack.enter_context(home.writer_lock())
        store = Store(open_engine(home.store_url), (LEDGER_PROJECTION, SCHEDULER))
        stack.callback(store.close)
        scheduler_store = SchedulerStore(store)
        scheduling = MemoryScheduling(scheduler_store)
        ledger, migration = LedgerDesk(store, lambda: NOW_MS), MigrationDesk(scheduler_store, lambda: NOW_MS)
        ports = (ledger, migration, RunCalls(store, migration, lambda: NOW_MS))
        leader = Leader(scheduler_store)
        gateway = stack.enter_context(serving(scheduling, *map(Awaitable, ports), operation=leader))
        home.write_endpoint(Endpoint(gateway.address, os.getpid(), NOW_MS))
        stack.callback(home.remove_endpoint)
        yield Service(scheduling, scheduler_store, gateway)
