"""A queue desk over a real store and a real writer, without a control plane: what `QueueService` answers from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from inventory.model.pool import NodeGroup
from inventory.model.system import Architecture
from inventory.model.units import GIB, Resources
from inventory.model.workload import Submission
from inventory.store.engine import open_engine
from inventory.store.event_store import Store
from inventory.store.ledger.projection import LEDGER_PROJECTION
from scheduler.core.admission import Known, admit
from scheduler.core.book import Book
from scheduler.runtime.queue_desk import QueueDesk
from scheduler.runtime.registry import PoolRegistry
from scheduler.runtime.writer import Decision, Writer, WriterEvents
from scheduler.store.projection import SCHEDULER, pool_registered
from scheduler.store.scheduler_store import Batch, SchedulerStore
from tests.cycle.fakes import a_pool
from tests.services.memory import NOW_MS

HOUR_MS = 3_600_000
# Sixteen cores, 64 GiB and two cards in all.
POOL = a_pool(
    "cq-extranet",
    disk_bytes=0,
    node_groups=(NodeGroup("general", 2, Architecture.X86_64, Resources(8_000, 32 * GIB, 0, 1_000)),),
)


@dataclass(slots=True)
class StandingClock:
    """Time goes on when a test says so."""

    ms: int = NOW_MS

    def now_ms(self) -> int:
        return self.ms


class Site:
    """One installation's queues: `restart` loads all anew from what is stored."""

    def __init__(self, folder: Path) -> None:
        self._url = f"sqlite:///{folder}/queues.db"
        self.clock = StandingClock()
        self.wakes = 0
        self._start()
        self.store.record(Batch([pool_registered(POOL, "127.0.0.1:1")], {}), actor="test", now_ms=NOW_MS)
        self._start()

    def _start(self) -> None:
        self.store = SchedulerStore(Store(open_engine(self._url), (LEDGER_PROJECTION, SCHEDULER)))
        events = WriterEvents(lambda _: None, _never)
        self.writer = Writer(self.store, "control-plane", self.clock.now_ms, events)
        registry = PoolRegistry(self.store.pools(), {}, self.clock)
        self.desk = QueueDesk(self.store, self.writer, registry, self.clock, self._woken)

    def _woken(self) -> None:
        self.wakes += 1

    def restart(self) -> None:
        self.close()
        self._start()

    def close(self) -> None:
        self.writer.close()
        self.store.store.close()

    def submit(self, submission: Submission) -> None:
        def decide(book: Book) -> Decision[None]:
            ids = iter([f"w-test-{self.store.store.head().seq}"])
            _, changes = admit(book, Known({}, {}), [submission], lambda: next(ids), self.clock.now_ms())
            return Decision(None, changes)

        self.writer.submit(decide).result()


def _never(error: BaseException) -> None:
    raise AssertionError(f"the writer ended: {error}")


@contextmanager
def queue_site(folder: Path) -> Iterator[Site]:
    site = Site(folder)
    try:
        yield site
    finally:
        site.close()
