"""Sends each pool what it is owed: launches of placed runs, stops of runs that shall end.

What is owed is read from the book, which is durable, so a crash at any point only repeats a call, and calls are
idempotent on the run id. Each pool has a task of its own: a slow pool slows no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from adapters.contract import Launch, Refusal, RefusalCode, RunReport, Stop
from adapters.port import AdapterMisbehaved, AdapterUnavailable, StaleEpoch
from inventory.model.pool import PoolHealth
from inventory.model.workload import Run, RunState, Workload
from scheduler.core.book import Book
from scheduler.core.changes import RunChanged
from scheduler.core.lifecycle import report_run
from scheduler.runtime.pool_host import PoolHosts
from scheduler.runtime.registry import DRAINING, PoolRegistry
from scheduler.runtime.writer import Decision, Writer

# After a refusal or a failure the pool is left alone for this long, so that no two sides spin on each other.
PAUSE_S = 1.0

# What becomes of a run whose launch was refused. A lost run is placed anew and not held against the workload.
_STATE_AFTER_REFUSAL = {
    RefusalCode.INVALID_ARGUMENT: RunState.FAILED,
    RefusalCode.FAILED_PRECONDITION: RunState.STOPPED,
    RefusalCode.RESOURCE_EXHAUSTED: RunState.LOST,
    RefusalCode.NOT_FOUND: RunState.LOST,
}


@dataclass(frozen=True, slots=True)
class _Owed:
    launches: tuple[tuple[Run, Workload], ...]
    stops: tuple[Run, ...]


class Dispatcher:
    def __init__(
        self,
        writer: Writer,
        hosts: PoolHosts,
        registry: PoolRegistry,
        epoch: int,
        on_stale: Callable[[StaleEpoch], None],
    ) -> None:
        self._writer = writer
        self._hosts = hosts
        self._registry = registry
        self._epoch = epoch
        self._on_stale = on_stale
        self._wanted: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopping: dict[str, set[str]] = {}

    def wake(self, pool_id: str) -> None:
        """Something may be owed to this pool, or it has become ready."""
        if pool_id not in self._tasks:
            self._wanted[pool_id] = asyncio.Event()
            self._stopping[pool_id] = set()
            self._tasks[pool_id] = asyncio.create_task(self._serve(pool_id), name=f"dispatch {pool_id}")
        self._wanted[pool_id].set()

    def forget_stops(self, pool_id: str) -> None:
        """The pool was listed anew: stops that it still owes an end for are sent again."""
        self._stopping.get(pool_id, set()).clear()

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _serve(self, pool_id: str) -> None:
        wanted = self._wanted[pool_id]
        while True:
            await wanted.wait()
            wanted.clear()
            if self._registry.get(pool_id).health is not PoolHealth.READY:
                continue  # its return wakes us
            try:
                went_well = await self._send(pool_id)
            except (AdapterUnavailable, AdapterMisbehaved):
                went_well = False
            except StaleEpoch as error:
                self._on_stale(error)
                return
            if not went_well:
                await asyncio.sleep(PAUSE_S)
                wanted.set()

    async def _send(self, pool_id: str) -> bool:
        """Sends until nothing is owed. False when something was refused or has to be repeated."""
        batch = max(1, self._registry.get(pool_id).max_batch)
        while True:
            owed = self._owed(pool_id, batch)
            if not owed.launches and not owed.stops:
                return True
            results: list[RunReport | Refusal] = []
            if owed.stops:
                self._stopping[pool_id] |= {run.run_id for run in owed.stops}
                results += await self._hosts.stop(pool_id, self._epoch, [Stop(run.run_id) for run in owed.stops])
            if owed.launches:
                launches = [_launch_of(run, workload) for run, workload in owed.launches]
                results += await self._hosts.launch(pool_id, self._epoch, launches)
            await self._record(results)
            if any(isinstance(result, Refusal) for result in results):
                return False

    def _owed(self, pool_id: str, batch: int) -> _Owed:
        draining = self._registry.get(pool_id).admission == DRAINING
        already = self._stopping[pool_id]
        with self._writer.reading() as book:
            stops = [run for run in book.stops_owed(pool_id, draining) if run.run_id not in already]
            launches = [] if draining else book.launches_owed(pool_id)[:batch]
            pairs = tuple((run, _workload_of(book, run)) for run in launches)
        return _Owed(pairs, tuple(stops[:batch]))

    async def _record(self, results: Sequence[RunReport | Refusal]) -> None:
        futures = self._writer.submit_each([decide_result(result) for result in results])
        await asyncio.gather(*(asyncio.wrap_future(future) for future in futures))


def decide_result(result: RunReport | Refusal) -> Callable[[Book], Decision[None]]:
    """What follows from one report or refusal, decided when those before it have been applied."""

    def decide(book: Book) -> Decision[None]:
        if isinstance(result, RunReport):
            return Decision(None, report_run(book, run_changed(result)))
        if result.code not in _STATE_AFTER_REFUSAL:
            return Decision(None)
        state = _STATE_AFTER_REFUSAL[result.code]
        return Decision(None, report_run(book, RunChanged(result.run_id, state, message=result.message)))

    return decide


def run_changed(report: RunReport) -> RunChanged:
    return RunChanged(
        run_id=report.run_id,
        state=report.state,
        exit_code=report.exit_code,
        message=report.message,
        started_ms=report.started_ms,
        ended_ms=report.ended_ms,
    )


def _workload_of(book: Book, run: Run) -> Workload:
    workload = book.workload(run.workload_id)
    assert workload is not None  # a live run keeps its workload in the book
    return workload


def _launch_of(run: Run, workload: Workload) -> Launch:
    return Launch(
        run_id=run.run_id,
        workload_id=workload.workload_id,
        name=workload.name,
        requirements=workload.requirements,
        program=workload.program,
        nodes=run.nodes,
        max_runtime_ms=workload.max_runtime_ms,
        estimated_ms=workload.estimated_ms,
    )
