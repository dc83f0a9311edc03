"""A control plane with one pool host in this process, on a store in a temporary folder: no Ray, no gRPC server.

Tests are coroutines marked with `story`; they wait for conditions, never for time.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from adapters.port import AdapterPort
from inventory.model.pool import NodeGroup, Pool
from inventory.model.system import Architecture
from inventory.model.workload import RunState, Submission, WorkloadState
from inventory.store.engine import open_engine
from inventory.store.event_store import Store
from inventory.store.ledger.projection import LEDGER_PROJECTION
from inventory.store.verify import verify
from scheduler.core.admission import Accepted
from scheduler.cycle import CycleSettings
from scheduler.runtime.control_plane import ControlPlane, ControlPlaneSettings
from scheduler.runtime.pool_host import PoolHost
from scheduler.runtime.pool_link import PoolReport
from scheduler.services.ports import ChangeNotice, PoolStatus, WatchFilter
from scheduler.store.projection import SCHEDULER
from scheduler.store.scheduler_store import SchedulerStore
from tests.control_plane.fake_pool import FakeAdapter, FakePool
from tests.cycle.fakes import a_pool

PATIENCE_S = 30.0
ALL = WatchFilter()


def story(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Runs a coroutine test in a loop of its own, for at most a minute."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*arguments, **named), 60))

    return run


async def eventually(condition: Callable[[], bool | Awaitable[bool]], what: str) -> None:
    """Waits until the condition holds; fails with `what` when it does not in time."""
    end = time.monotonic() + PATIENCE_S
    while True:
        held = condition()
        if await held if isinstance(held, Awaitable) else held:
            return
        assert time.monotonic() < end, f"not within {PATIENCE_S:g} s: {what}"
        await asyncio.sleep(0.005)


class TickingClock:
    """A millisecond later at each look: order without the time of day."""

    def __init__(self) -> None:
        self.ms = 1_763_800_000_000

    def now_ms(self) -> int:
        self.ms += 1
        return self.ms


class Site:
    """One installation. `pools` are fakes by id; other endpoints are connected to by `connect`."""

    def __init__(self, folder: Path, connect: Callable[[str], AdapterPort] | None = None) -> None:
        self.url = f"sqlite:///{folder}/xisuan.db"
        self.pools: dict[str, FakePool] = {}
        self.clock = TickingClock()
        self.settings = ControlPlaneSettings(cycle=CycleSettings())
        self.deposed = 0
        self._connect = connect or (lambda endpoint: FakeAdapter(self.pools[endpoint]))
        self._host: PoolHost | None = None
        self.plane: ControlPlane

    def start(self, *, keep_host: bool = False) -> None:
        """A new control plane on the store; `keep_host` as where hosts survive it (they are other processes)."""
        self.store = SchedulerStore(
            Store(open_engine(self.url, lock_wait_ms=1_000), (LEDGER_PROJECTION, SCHEDULER))
        )
        if not keep_host or self._host is None:
            self._host = PoolHost(self._connect, self._report)
        self.host = self._host
        self.plane = ControlPlane(self.store, self.host, self.clock, self.settings, self._on_deposed)
        self.plane.start()

    async def crash(self, *, keep_host: bool = False) -> None:
        """The control plane is gone at this moment: its tasks end, nothing more is written, nobody says goodbye."""
        plane = self.plane
        tasks = [*plane._tasks, *plane._dispatcher._tasks.values(), *plane._under_way]
        plane._is_over = True
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if not keep_host:
            await self.host.close()
        await asyncio.to_thread(plane.writer.close)
        self.store.store.close()

    async def restart(self, *, keep_host: bool = False) -> None:
        await self.crash(keep_host=keep_host)
        self.start(keep_host=keep_host)

    async def close(self) -> None:
        await self.plane.close()
        report = verify(self.store.store)
        self.store.store.close()
        assert (report.chain_break, report.differences) == (None, ())

    async def add_pool(self, pool_id: str, fake: FakePool | None = None, **changes: object) -> FakePool:
        """Registers a fake pool and waits until it is ready."""
        pool = self.pools[pool_id] = fake or FakePool(pool_id)
        offer = NodeGroup("general", len(pool.nodes), Architecture.X86_64, FakePool.node("any").allocatable)
        changes.setdefault("node_groups", (offer,))
        await self.plane.register_pool(a_pool(pool_id, **changes), pool_id)
        await self.until_health(pool_id, "ready")
        return pool

    async def register(self, pool: Pool, endpoint: str) -> None:
        await self.plane.register_pool(pool, endpoint)
        await self.until_health(pool.pool_id, "ready")

    # -- what stories say most often ------------------------------------------------------------------------------

    async def submit(self, *items: Submission) -> list[str]:
        """The ids of items that must be accepted."""
        outcomes = await self.plane.submit(items)
        assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes
        return [outcome.workload_id for outcome in outcomes if isinstance(outcome, Accepted)]

    async def state(self, workload_id: str) -> WorkloadState:
        return (await self.plane.get(workload_id)).workload.state

    async def runs(self, workload_id: str) -> list[RunState]:
        return [run.state for run in (await self.plane.get(workload_id)).runs]

    async def until(self, state: WorkloadState, workload_ids: Iterable[str]) -> None:
        waiting = list(workload_ids)

        async def reached() -> bool:
            while waiting and await self.state(waiting[-1]) is state:
                waiting.pop()
            return not waiting

        await eventually(reached, f"{state} is the state of every workload")

    async def until_run(self, workload_id: str, *states: RunState) -> None:
        async def reached() -> bool:
            return tuple(await self.runs(workload_id)) == states

        await eventually(reached, f"the runs of {workload_id} are {', '.join(states)}")

    async def pool(self, pool_id: str) -> PoolStatus:
        (status,) = [status for status in await self.plane.pools() if status.pool.pool_id == pool_id]
        return status

    async def until_health(self, pool_id: str, health: str) -> PoolStatus:
        async def reached() -> bool:
            return (await self.pool(pool_id)).health == health

        await eventually(reached, f"{pool_id} is {health}")
        return await self.pool(pool_id)

    async def notices(self, cursor: int = 0) -> list[ChangeNotice]:
        """Everything that watchers see from a cursor on, until nothing comes at once."""
        seen: list[ChangeNotice] = []
        while True:
            page = await self.plane.changes(cursor, ALL, 0)
            if page.cursor == cursor:
                return seen
            seen += page.notices
            cursor = page.cursor

    async def counts(self) -> Counter[WorkloadState]:
        counts: Counter[WorkloadState] = Counter()
        token = ""
        while True:
            page = await self.plane.list_workloads("", frozenset(), 1000, token)
            counts.update(record.workload.state for record in page.records)
            token = page.next_token
            if not token:
                return counts

    async def _report(self, report: PoolReport) -> None:
        await self.plane.report(report)

    def _on_deposed(self) -> None:
        self.deposed += 1


@asynccontextmanager
async def running(site: Site) -> AsyncIterator[Site]:
    """The site, up; afterwards it is closed in order, and its store must verify."""
    site.start()
    try:
        yield site
    except BaseException:
        await site.plane.close()
        raise
    await site.close()
