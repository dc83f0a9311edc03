"""Runs the scheduling cycle when something has happened that may let a workload be placed.

The control plane wakes the planner after a submission, the end of a run, or the return of a pool. The cycle itself
(`scheduler.cycle`) runs on a thread; this module gives it its ports over the book, the hosts and the writer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

from inventory.model.placement import Placement, PoolOpinion, Reason, ReasonCode
from inventory.model.pool import PoolHealth
from inventory.model.workload import Submission, Workload, WorkloadState
from inventory.store.errors import StoreError
from scheduler.core.book import Book
from scheduler.core.lifecycle import place
from scheduler.cycle import CycleReport, CycleSettings, run_cycle
from scheduler.ports import Clock, Commit, NodeAnswers, NodeBatch, Plan, PoolView, Snapshot, Waiting
from scheduler.runtime.pool_host import PoolHosts
from scheduler.runtime.registry import PoolRegistry
from scheduler.runtime.writer import Decision, Writer

log = logging.getLogger("xisuan.planner")

# Arrivals within this time share a cycle.
GATHER_S = 0.005
# Holding a pool for a workload that waits too long depends on time alone, so look again now and then.
LOOK_AGAIN_S = 30.0
# After an error of the store (a locked database, say).
PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class FixedClock:
    """A clock that stands still: the moment of a dry run."""

    moment_ms: int

    def now_ms(self) -> int:
        return self.moment_ms


class Planner:
    """One cycle at a time. `on_placed` is told, on the event loop, which pools are owed launches."""

    def __init__(
        self,
        writer: Writer,
        hosts: PoolHosts,
        registry: PoolRegistry,
        clock: Clock,
        settings: CycleSettings,
        on_placed: Callable[[Iterable[str]], None],
    ) -> None:
        self._writer = writer
        self._hosts = hosts
        self._registry = registry
        self._clock = clock
        self._settings = settings
        self._on_placed = on_placed
        self._loop = asyncio.get_running_loop()
        self._wanted = asyncio.Event()
        self._verdicts: dict[str, tuple[PoolOpinion, ...]] = {}
        # Held by a cycle; whoever holds it instead knows that no placement is being made.
        self.between_cycles = asyncio.Lock()

    def wake(self) -> None:
        """Thread-safe."""
        self._loop.call_soon_threadsafe(self._wanted.set)

    def verdicts(self, workload_id: str) -> tuple[PoolOpinion, ...]:
        """What the pools said in the last cycle that left this workload waiting; empty when none did."""
        return self._verdicts.get(workload_id, ())

    async def views(self) -> tuple[PoolView, ...]:
        """Every pool as it is now. A cycle must not work on what was last reported: a reservation that was given
        back is nowhere reported, and with stale views the last workload would wait for an event for ever."""
        live = await self._hosts.views()
        self._registry.take_views(live)
        return self._registry.views(live)

    async def serve(self) -> None:
        while True:
            await self._until_wanted()
            await asyncio.sleep(GATHER_S)
            self._wanted.clear()
            try:
                await self._look_at_all()
            except StoreError as error:
                log.warning("a plan could not be stored and is made again: %s", error)
                await asyncio.sleep(PAUSE_S)
                self._wanted.set()

    async def _look_at_all(self) -> None:
        """Cycles over the whole queue, a window each: who cannot be placed must not hide those behind it."""
        verdicts: dict[str, tuple[PoolOpinion, ...]] = {}
        passed_over = 0
        is_last = False
        while not is_last:
            report = await self._cycle(passed_over)
            considered = len(report.plan.placements) + len(report.plan.unplaced)
            is_last = considered < self._settings.waiting_limit
            verdicts |= {entry.workload_id: entry.opinions for entry in report.plan.unplaced}
            passed_over += len(report.plan.unplaced)
            self._on_placed({p.pool_id for p in report.plan.placements if p.run_id in report.commit.accepted})
            if report.released:
                self._wanted.set()  # somebody was refused for want of what is free again
        self._verdicts = verdicts

    async def _cycle(self, passed_over: int) -> CycleReport:
        async with self.between_cycles:
            running = asyncio.ensure_future(asyncio.to_thread(self._run, passed_over))
            try:
                return await asyncio.shield(running)
            except asyncio.CancelledError:
                # A thread cannot be cancelled: what it has begun ends before its hosts and its writer are closed.
                await asyncio.gather(running, return_exceptions=True)
                raise

    async def dry_run(self, submissions: Sequence[Submission]) -> Plan:
        """The plan that a cycle would make for these alone, on the pools as they are. Changes nothing."""
        now_ms = self._clock.now_ms()
        workloads = tuple(
            Waiting(as_workload(submission, number, now_ms), next_attempt=1)
            for number, submission in enumerate(submissions)
        )
        state = _FixedState(Snapshot(waiting=workloads, pools=await self.views()))
        pools = _ProbedPools(self._hosts, self._loop)
        report = await asyncio.to_thread(
            run_cycle, state, pools, _RefusingSink(), FixedClock(now_ms), self._settings
        )
        return report.plan

    async def _until_wanted(self) -> None:
        """Until somebody wakes us, or, where workloads wait, for a while."""
        with suppress(TimeoutError):
            # Not `wait_for`, which in Python 3.11 swallows a cancellation that comes together with the event.
            async with asyncio.timeout(LOOK_AGAIN_S):
                await self._wanted.wait()

    def _run(self, passed_over: int) -> CycleReport:
        """On a thread."""
        state = _BookState(self._writer, self, self._loop, passed_over)
        sink = _StoreSink(self._writer, self._registry, self._clock)
        return run_cycle(state, _HostedPools(self._hosts, self._loop), sink, self._clock, self._settings)


@dataclass(frozen=True, slots=True)
class _BookState:
    """The queue from the workload after the first `passed_over` on, and the pools as they are now."""

    writer: Writer
    planner: Planner
    loop: asyncio.AbstractEventLoop
    passed_over: int

    def snapshot(self, limit: int) -> Snapshot:
        # Pools first: what becomes free while we look at the queue is found by the next cycle, which it wakes.
        pools = _wait(self.planner.views(), self.loop)
        with self.writer.reading() as book:
            waiting = tuple(
                Waiting(workload, book.attempts(workload.workload_id).runs + 1)
                for workload in islice(book.queued(), self.passed_over, self.passed_over + limit)
            )
            usage = book.usage()
        return Snapshot(waiting=waiting, pools=pools, usage=usage)


@dataclass(frozen=True, slots=True)
class _FixedState:
    fixed: Snapshot

    def snapshot(self, limit: int) -> Snapshot:
        return self.fixed


@dataclass(frozen=True, slots=True)
class _HostedPools:
    """The hosts, asked from the cycle's thread."""

    hosts: PoolHosts
    loop: asyncio.AbstractEventLoop

    def place(self, requests: Mapping[str, NodeBatch]) -> Mapping[str, NodeAnswers]:
        answers = _wait(self.hosts.place(requests), self.loop)
        return {pool_id: answers.get(pool_id) or _unreachable(asked) for pool_id, asked in requests.items()}

    def release(self, placements: Sequence[Placement]) -> None:
        run_ids: dict[str, list[str]] = {}
        for placement in placements:
            run_ids.setdefault(placement.pool_id, []).append(placement.run_id)
        _wait(self.hosts.release(run_ids), self.loop)


@dataclass(frozen=True, slots=True)
class _ProbedPools:
    """The hosts, asked without reserving."""

    hosts: PoolHosts
    loop: asyncio.AbstractEventLoop

    def place(self, requests: Mapping[str, NodeBatch]) -> Mapping[str, NodeAnswers]:
        answers = _wait(self.hosts.probe(requests), self.loop)
        return {pool_id: answers.get(pool_id) or _unreachable(asked) for pool_id, asked in requests.items()}

    def release(self, placements: Sequence[Placement]) -> None:
        """Nothing was reserved."""


@dataclass(frozen=True, slots=True)
class _StoreSink:
    writer: Writer
    registry: PoolRegistry
    clock: Clock

    def commit(self, plan: Plan) -> Commit:
        run_ids = frozenset(placement.run_id for placement in plan.placements)

        def decide(book: Book) -> Decision[frozenset[str]]:
            # Here, on the writer's thread: a pool that was cordoned after the snapshot gets nothing.
            closed = self.registry.closed()
            current = [placement for placement in plan.placements if placement.pool_id not in closed]
            changes, stale = place(book, current, self.clock.now_ms())
            return Decision(frozenset(placement.run_id for placement in current) - stale, changes)

        accepted = self.writer.submit(decide).result() if run_ids else run_ids
        return Commit(accepted, run_ids - accepted)


class _RefusingSink:
    def commit(self, plan: Plan) -> Commit:
        return Commit(frozenset())


def _wait(call: Any, loop: asyncio.AbstractEventLoop) -> Any:
    future: Future[Any] = asyncio.run_coroutine_threadsafe(call, loop)
    return future.result()


def _unreachable(asked: NodeBatch) -> NodeAnswers:
    reason = Reason(
        ReasonCode.UNREACHABLE,
        needed=PoolHealth.READY.value,
        offered=PoolHealth.UNREACHABLE.value,
        remedy_zh="等待池主机恢复",
        remedy_en="wait until its pool host is back",
    )
    return NodeAnswers.refused(asked, reason)


def as_workload(submission: Submission, number: int, now_ms: int) -> Workload:
    """The workload that a submission would become, under an id that no real one has."""
    fields = {name: getattr(submission, name) for name in Submission.__dataclass_fields__}
    return Workload(**fields, workload_id=f"dry-run-{number}", submitted_ms=now_ms, state=WorkloadState.QUEUED)
