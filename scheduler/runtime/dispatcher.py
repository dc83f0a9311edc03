"""Sends each pool what it is owed: launches of placed runs, stops of runs that shall end.

What is owed is read from the book, which is durable, so a crash at any point only repeats a call, and calls are
idempotent on the run id. Each pool has a task of its own: a slow pool slows no other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from itertools import islice

from adapters.contract import Launch, Refusal, RunReport, Stop
from adapters.port import AdapterMisbehaved, AdapterUnavailable, StaleEpoch
from inventory.model.pool import PoolHealth
from inventory.model.retry import FailureCategory
from inventory.model.workload import Run, RunState, Workload
from inventory.store.errors import StoreError
from scheduler.core.book import Book
from scheduler.core.changes import RunChanged
from scheduler.core.lifecycle import report_run
from scheduler.core.partition import hear
from scheduler.runtime.pool_host import PoolHosts
from scheduler.runtime.pool_link import ENDED_BY_REFUSAL
from scheduler.runtime.registry import PoolRegistry
from scheduler.runtime.writer import Decision, Writer, WriterClosed

log = logging.getLogger("xisuan.dispatcher")

# After a refusal or a failure the pool's launches rest, so that no two sides spin on each other: the first time
# this long, then twice as long each time, until something goes well.
FIRST_REST_S = 1.0
LONGEST_REST_S = 30.0
# Failed calls in a row until nothing is placed on a pool: one may be a restart of its host, three are no accident. What
# is owed is tried again after each rest, one item at a time, and the first answer opens the pool.
FAILURES_UNTIL_BROKEN = 3
# How long the end of the service waits for calls to pools that are under way. What takes longer is sent again by the next
# leader: launches are idempotent.
CLOSE_S = 5.0
# Commands and environments may be large (64 KiB each), and a message has a limit (64 MiB).
BATCH_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Owed:
    launches: tuple[Launch, ...]
    stops: tuple[str, ...]


@dataclass(slots=True)
class _Desk:
    """What the dispatcher knows about one pool. Stops in `acknowledged` are under way at the adapter."""

    wanted: asyncio.Event = field(default_factory=asyncio.Event)
    acknowledged: set[str] = field(default_factory=set)
    resting: bool = False
    failures: int = 0
    rest_s: float = field(default_factory=lambda: FIRST_REST_S)

    def end_rest(self) -> None:
        self.resting = False
        self.wanted.set()


class Dispatcher:
    """All methods belong to the control plane's event loop."""

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
        self._desks: dict[str, _Desk] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._loop = asyncio.get_running_loop()
        self._closing = False
        # Called when a pool whose circuit was broken answers again.
        self.on_mended: Callable[[], None] = lambda: None

    def wake(self, pool_id: str) -> None:
        """Something may be owed to this pool, or it has become ready."""
        if pool_id not in self._tasks:
            desk = self._desks[pool_id] = _Desk()
            # In a context of its own: what it does is not done on behalf of the request that woke it first.
            self._tasks[pool_id] = asyncio.create_task(
                self._serve(pool_id, desk), name=f"dispatch {pool_id}", context=Context()
            )
        self._desks[pool_id].wanted.set()

    def forget_stops(self, pool_id: str) -> None:
        """The pool was listed anew: stops that it still owes an end for are sent again."""
        if pool_id in self._desks:
            self._desks[pool_id].acknowledged.clear()

    async def forget(self, pool_id: str) -> None:
        """The pool has left."""
        task = self._tasks.pop(pool_id, None)
        self._desks.pop(pool_id, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def close(self) -> None:
        """What is being sent is sent to its end, and its answers are stored; nothing more is begun."""
        self._closing = True
        for desk in self._desks.values():
            desk.wanted.set()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=CLOSE_S)
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _serve(self, pool_id: str, desk: _Desk) -> None:
        while True:
            await desk.wanted.wait()
            if self._closing:
                return
            desk.wanted.clear()
            try:
                if self._registry.get(pool_id).health is not PoolHealth.READY:
                    continue  # its return wakes us
                await self._send(pool_id, desk)
            except StaleEpoch as error:
                self._on_stale(error)
                return
            except WriterClosed:
                return  # the control plane ends
            except (AdapterUnavailable, AdapterMisbehaved, StoreError) as error:
                log.warning("%s: what is owed is sent again: %s", pool_id, error)
                if not isinstance(error, StoreError):
                    self._note_failure(pool_id, desk, str(error))
                self._rest(desk)
            except Exception:
                # Our own fault, with this pool: the others go on, and this one is tried again.
                log.exception("%s: dispatching failed and is tried again", pool_id)
                self._rest(desk)

    def _note_failure(self, pool_id: str, desk: _Desk, why: str) -> None:
        desk.failures += 1
        if desk.failures >= FAILURES_UNTIL_BROKEN:
            text = f"连续 {desk.failures} 次调用失败，暂停安置 / {desk.failures} calls in a row failed, nothing is placed: {why}"
            self._registry.break_circuit(pool_id, text)

    def _note_success(self, pool_id: str, desk: _Desk) -> None:
        desk.failures = 0
        if self._registry.get(pool_id).circuit_broken:
            self._registry.break_circuit(pool_id, "")
            self.on_mended()

    def _rest(self, desk: _Desk) -> None:
        desk.resting = True
        self._loop.call_later(desk.rest_s, desk.end_rest)
        desk.rest_s = min(desk.rest_s * 2, LONGEST_REST_S)

    async def _send(self, pool_id: str, desk: _Desk) -> None:
        """Sends until nothing is owed, or until something was refused."""
        while not self._closing:
            owed = await self._owed(pool_id, desk)
            if not owed.launches and not owed.stops:
                if not desk.resting:
                    self._note_success(pool_id, desk)  # there is nothing to try it with but what is placed next
                return
            went_well = True
            if owed.stops:
                went_well = await self._stop(pool_id, desk, owed.stops)
            if owed.launches:
                results = await self._hosts.launch(pool_id, self._epoch, owed.launches)
                self._note_success(pool_id, desk)
                await self._record(results)
                taken = sum(map(_is_taken, results))
                if taken:
                    desk.rest_s = FIRST_REST_S
                went_well = went_well and taken == len(results)
            if not went_well:
                self._rest(desk)
                return

    async def _stop(self, pool_id: str, desk: _Desk, run_ids: Sequence[str]) -> bool:
        grace_ms = self._registry.grace_ms(pool_id)
        results = await self._hosts.stop(pool_id, self._epoch, [Stop(run_id, grace_ms) for run_id in run_ids])
        reports = [result for result in results if isinstance(result, RunReport)]
        await self._record(reports)
        desk.acknowledged.update(report.run_id for report in reports)
        # A refused stop says nothing about the run, which goes on: it is asked again.
        return len(reports) == len(results)

    async def _owed(self, pool_id: str, desk: _Desk) -> _Owed:
        entry = self._registry.get(pool_id)
        batch = 1 if entry.circuit_broken else max(1, entry.max_batch)
        draining = entry.is_draining
        may_launch = not draining and not desk.resting

        def look(book: Book) -> tuple[tuple[Launch, ...], list[str]]:
            launches = _launches(book, pool_id) if may_launch else iter(())
            stops = [run.run_id for run in book.stops_owed(pool_id, draining)]
            stops += book.lost_runs.strays_on(pool_id)
            return tuple(_within_bytes(islice(launches, batch))), stops

        launches, stops = await asyncio.to_thread(self._writer.look, look)
        desk.acknowledged.intersection_update(stops)
        return _Owed(launches, tuple([run_id for run_id in stops if run_id not in desk.acknowledged][:batch]))

    async def _record(self, results: Sequence[RunReport | Refusal]) -> None:
        await asyncio.wrap_future(self._writer.submit_each([decide_result(result) for result in results]))


def decide_heard(pool_id: str, report: RunReport) -> Callable[[Book], Decision[None]]:
    """What follows from what a pool's listing or stream says of one run."""
    return lambda book: Decision(None, hear(book, pool_id, run_changed(report)))


def decide_result(result: RunReport | Refusal) -> Callable[[Book], Decision[None]]:
    """What follows from one report or refused launch, decided when those before it have been applied."""

    def decide(book: Book) -> Decision[None]:
        if isinstance(result, RunReport):
            return Decision(None, report_run(book, run_changed(result)))
        if result.code not in ENDED_BY_REFUSAL:
            return Decision(None)
        state = ENDED_BY_REFUSAL[result.code]
        failure = FailureCategory.REFUSED if state is RunState.FAILED else None
        ended = RunChanged(result.run_id, state, message=result.message, failure=failure)
        return Decision(None, report_run(book, ended))

    return decide


def run_changed(report: RunReport) -> RunChanged:
    return RunChanged(
        report.run_id,
        report.state,
        report.exit_code,
        report.message,
        report.started_ms,
        report.ended_ms,
        failure=report.failure,
    )


def _is_taken(result: RunReport | Refusal) -> bool:
    """An adapter that accepts a launch and says "placed" has not started it: the launch is still owed."""
    return isinstance(result, RunReport) and result.state is not RunState.PLACED


def _launches(book: Book, pool_id: str) -> Iterator[Launch]:
    for run in book.launches_owed(pool_id):
        workload = book.workload(run.workload_id)
        assert workload is not None  # a live run keeps its workload in the book
        yield _launch_of(run, workload)


def _within_bytes(launches: Iterator[Launch]) -> Iterator[Launch]:
    """As many as fit into one message, at least one."""
    taken = 0
    for launch in launches:
        program = launch.program
        taken += sum(map(len, program.command)) + sum(len(k) + len(v) for k, v in program.environment.items())
        yield launch
        if taken * _BYTES_A_CHARACTER > BATCH_BYTES:
            return


_BYTES_A_CHARACTER = 3  # of the texts that people write; the rest of a launch is small


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
        queue=workload.queue,
        partition=workload.partition,
    )
