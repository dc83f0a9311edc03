"""Runs the scheduling cycle when something has happened that may let a workload be placed.

The control plane wakes the planner after a submission, the end of a run, or the return of a pool. The cycle itself
(`scheduler.cycle`) runs on a thread; this module gives it its ports over the book, the hosts and the writer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from adapters.port import AdapterUnavailable
from inventory.model.placement import Placement, PoolOpinion, Reason, ReasonCode
from inventory.model.pool import PoolHealth
from inventory.model.workload import Requirements, Workload
from inventory.store.errors import StoreError
from scheduler.core.book import Book
from scheduler.core.lifecycle import place, preempt
from scheduler.core.placement.defragmentation import MovePlan
from scheduler.core.queueing.tables import QueueTables
from scheduler.cycle import CycleReport, CycleSettings, PoolMemory, run_cycle
from scheduler.operation.instruments import CYCLE
from scheduler.ports import (
    Clock,
    Commit,
    NodeAnswers,
    NodeBatch,
    Plan,
    PoolView,
    RunningRow,
    Snapshot,
    Verdicts,
)
from scheduler.runtime.due_dates import DueMoments
from scheduler.runtime.looks import Look, Wake
from scheduler.runtime.pool_host import PoolHosts
from scheduler.runtime.registry import PoolRegistry
from scheduler.runtime.run_moves import RunMoves, Surroundings
from scheduler.runtime.writer import Decision, Writer
from scheduler.services.ports import ControlPlaneUnavailable

log = logging.getLogger("xisuan.planner")

# Between two cycles: what arrives meanwhile shares the next one. After a pause nobody waits for others. Where a cycle
# takes longer, the next begins as much later: under load at least half of the time belongs to what is decided and heard.
GATHER_S = 0.005
LONGEST_GATHER_S = 0.05
# Holding a pool for a workload that waits too long depends on time alone, so the whole queue is looked at again now and
# then, however many newcomers there are.
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
    """One cycle at a time."""

    def __init__(self, around: Surroundings, settings: CycleSettings) -> None:
        self._writer = around.writer
        self._hosts = around.hosts
        self._registry = around.registry
        self._clock = around.clock
        self._on_owed = around.on_owed
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._wanted = asyncio.Event()
        self._reason = Wake.ANYTHING
        self._look = Look()
        self._due = DueMoments(around.writer, around.clock.now_ms)
        # By the loop's clock: when the whole queue is looked at at the latest, and when to look though nobody asks.
        self._anew_s = self._look_at_s = self._loop.time() + LOOK_AGAIN_S
        self._verdicts: dict[str, Verdicts] = {}
        self._memory = PoolMemory()
        self._moves = RunMoves(around)
        # How often something was placed, and how often it had been when the pools were last asked how they are.
        self._placings = 0
        self._placings_asked = -1
        self._asking: asyncio.Task[None] | None = None
        # Held by a cycle; whoever holds it instead knows that no placement is being made.
        self.between_cycles = asyncio.Lock()

    def wake(self, reason: Wake = Wake.ANYTHING) -> None:
        """Thread-safe."""
        self._loop.call_soon_threadsafe(self._want, reason)

    def _want(self, reason: Wake) -> None:
        self._reason = max(self._reason, reason)
        self._wanted.set()

    def reconfigure(self, settings: CycleSettings) -> None:
        """From the next cycle on; what waits is looked at again at once."""
        self._settings = settings
        self.wake()

    def now_ms(self) -> int:
        return self._clock.now_ms()

    def verdicts(self, workload_id: str) -> tuple[PoolOpinion, ...]:
        """What the pools said in the last cycle that left this workload waiting; empty when none did."""
        verdicts = self._verdicts.get(workload_id)
        return () if verdicts is None else verdicts.opinions

    async def views(self) -> tuple[PoolView, ...]:
        """Every pool as it is now. A cycle must not work on what was last reported: a reservation that was given
        back is nowhere reported, and with stale views the last workload would wait for an event for ever."""
        live = await self._hosts.views()
        self._registry.take_views(live)
        return self._registry.views(live)

    def known_views(self) -> tuple[PoolView, ...]:
        """Every pool as it was told last. From any thread."""
        return self._registry.known_views()

    async def serve(self) -> None:
        ended_s, pause_s = float("-inf"), GATHER_S
        while True:
            await self._until_wanted()
            if self._loop.time() - ended_s < pause_s:
                await asyncio.sleep(pause_s)
            self._wanted.clear()
            reason, self._reason = self._reason, Wake.NOTHING
            began_s = self._loop.time()
            try:
                rest_s, is_due = await self._due.settle(LOOK_AGAIN_S)
                anew = reason is not Wake.NEWCOMERS or is_due or began_s >= self._anew_s
                if anew:
                    self._anew_s = began_s + LOOK_AGAIN_S
                self._look_at_s = min(began_s + rest_s, self._anew_s)
                await self._look_on(anew=anew)
            except StoreError as error:
                log.warning("a plan could not be stored and is made again: %s", error)
                await asyncio.sleep(PAUSE_S)
                self._want(Wake.ANYTHING)
            ended_s = self._loop.time()
            pause_s = min(max(GATHER_S, ended_s - began_s), LONGEST_GATHER_S)

    async def _look_on(self, *, anew: bool) -> None:
        """Cycles over the whole queue, or what has come since the last look, a window each: who cannot be placed must not
        hide those behind it.

        Where nobody was left waiting, the pools as they were told last will do: what is placed on them saves the question
        how they are, and a plan that leaves somebody is made again on the pools as they are.
        """
        verdicts: dict[str, Verdicts] = {}
        look = self._look = Look() if anew else self._look
        look.trusts = self._placings_asked == self._placings and not self._verdicts
        is_last = False
        while not is_last and (report := await self._cycle(look)) is not None:
            plan = report.plan
            if look.trusts and plan.unplaced:
                look.trusts = False
                continue
            is_last = not report.is_cut_short and (look.is_complete or not plan.unplaced)
            verdicts |= {entry.workload_id: entry for entry in plan.unplaced}
            look.unplaced = [entry.workload_id for entry in plan.unplaced]
            look.passed.heads = [head.workload_id for head in report.heads]
            # Pools are owed launches, and stops of those who are preempted there.
            victims = {preemption.pool_id for preemption in plan.preemptions}
            if report.commit.accepted or victims:
                self._on_owed(plan.placements.pools_used | victims)
                self._placings += 1
            if report.released:
                self._want(Wake.ANYTHING)  # somebody was refused for want of what is free again
        if anew:
            self._verdicts = verdicts
        else:
            self._verdicts.update(verdicts)
        if self._placings_asked < self._placings and not self._verdicts and self._is_free_to_ask():
            self._asking = asyncio.create_task(self._ask_ahead())

    def _is_free_to_ask(self) -> bool:
        return self._asking is None or self._asking.done()

    async def _ask_ahead(self) -> None:
        """Before anybody waits for the answer."""
        placings = self._placings
        try:
            await self.views()
        except (AdapterUnavailable, ControlPlaneUnavailable) as error:
            log.info("the pools are asked again when somebody comes: %s", error)
        else:
            self._placings_asked = placings

    async def _cycle(self, look: Look) -> CycleReport | None:
        """None where nobody is left to be looked at."""
        async with self.between_cycles:
            running = asyncio.ensure_future(asyncio.to_thread(self._run, look))
            try:
                return await asyncio.shield(running)
            except asyncio.CancelledError:
                # A thread cannot be cancelled: what it has begun ends before its hosts and its writer are closed.
                await asyncio.gather(running, return_exceptions=True)
                raise

    async def dry_run(self, workloads: Sequence[Workload], now_ms: int) -> Plan:
        """The plan that a cycle would make at this moment for these alone, on the pools as they are. Changes nothing."""
        views = await self.views()
        fixed = await asyncio.to_thread(self._fixed_snapshot, workloads, views, now_ms)
        state = _FixedState(fixed, self._writer)
        pools = _ProbedPools(self._hosts, self._loop)
        report = await asyncio.to_thread(
            run_cycle, state, pools, _RefusingSink(), FixedClock(now_ms), self._settings
        )
        return report.plan

    def _fixed_snapshot(self, workloads: Sequence[Workload], views: tuple[PoolView, ...], now_ms: int) -> Snapshot:
        """These workloads alone, on the queues as they are. On a thread."""
        with self._writer.reading() as book:
            tables = QueueTables(book.tables.tree)
            tables.shapes = book.tables.shapes.clone()  # those that run are known by its numbers
            for workload in workloads:
                tables.wait(workload, next_attempt=1)
            queues = book.tables.usage.columns(now_ms)
        return Snapshot(tables.waiting.window(len(workloads)), tables.shapes, queues, views)

    async def _until_wanted(self) -> None:
        """Until somebody wakes us, or the time has come to look by ourselves."""
        with suppress(TimeoutError):
            # Not `wait_for`, which in Python 3.11 swallows a cancellation that comes together with the event.
            async with asyncio.timeout_at(self._look_at_s):
                await self._wanted.wait()

    def _run(self, look: Look) -> CycleReport | None:
        """On a thread."""
        self._moves.settle()
        with self._writer.reading() as book:
            if not look.go_on(book):
                return None
        state = _BookState(self._writer, self, self._loop, look)
        sink = _StoreSink(self._writer, self._registry, self._clock, takes_part=not look.trusts)
        with CYCLE.time():
            pools = _HostedPools(self._hosts, self._loop, self._moves)
            report = run_cycle(state, pools, sink, self._clock, self._settings, self._memory)
        if not (look.trusts and report.plan.unplaced):
            self._moves.begin(report.plan.moves)
        return report


@dataclass(frozen=True, slots=True)
class _BookState:
    """The next window of a look at the queue, and the pools as they are now."""

    writer: Writer
    planner: Planner
    loop: asyncio.AbstractEventLoop
    look: Look

    def snapshot(self, limit: int) -> Snapshot:
        # Pools first: what becomes free while we look at the queue is found by the next cycle, which it wakes.
        if self.look.trusts:
            pools = self.planner.known_views()
        else:
            pools = _wait(self.planner.views(), self.loop)
        with self.writer.reading() as book:
            tables = book.tables
            selection = tables.waiting.select(limit, self.look.passed)
            queues = tables.usage.columns(self.planner.now_ms())
            calendar = book.calendar
        self.look.is_complete = selection.is_complete
        return Snapshot(selection.columns(), tables.shapes, queues, pools, calendar)

    def running(self, pool_id: str) -> Sequence[RunningRow]:
        with self.writer.reading() as book:
            return list(book.tables.running.by_end(pool_id))


@dataclass(frozen=True, slots=True)
class _FixedState:
    fixed: Snapshot
    writer: Writer

    def snapshot(self, limit: int) -> Snapshot:
        return self.fixed

    def running(self, pool_id: str) -> Sequence[RunningRow]:
        """Who could be stopped for those of a dry run."""
        with self.writer.reading() as book:
            return list(book.tables.running.by_end(pool_id))


@dataclass(frozen=True, slots=True)
class _HostedPools:
    """The hosts, asked from the cycle's thread."""

    hosts: PoolHosts
    loop: asyncio.AbstractEventLoop
    moves: RunMoves

    def propose_moves(self, pool_id: str, asked: Requirements, share: float, movable: Collection[str]) -> MovePlan:
        return self.moves.propose(pool_id, asked, share, movable)

    def place(self, requests: Mapping[str, NodeBatch]) -> Mapping[str, NodeAnswers]:
        answers = _wait(self.hosts.place(requests), self.loop)
        return {pool_id: answers.get(pool_id) or _unreachable(asked) for pool_id, asked in requests.items()}

    def fits_without(self, pool_id: str, batch: NodeBatch, victims: Sequence[str]) -> bool:
        try:
            fits: bool = _wait(self.hosts.fits_without(pool_id, batch, victims), self.loop)
        except (AdapterUnavailable, ControlPlaneUnavailable):
            return False  # a pool that cannot be asked preempts nobody
        return fits

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

    def fits_without(self, pool_id: str, batch: NodeBatch, victims: Sequence[str]) -> bool:
        """A dry run stops nobody; it tells who would be stopped."""
        try:
            fits: bool = _wait(self.hosts.fits_without(pool_id, batch, victims), self.loop)
        except (AdapterUnavailable, ControlPlaneUnavailable):
            return False
        return fits

    def release(self, placements: Sequence[Placement]) -> None:
        """Nothing was reserved."""


@dataclass(frozen=True, slots=True)
class _StoreSink:
    """`takes_part`: whether a plan stands that leaves somebody."""

    writer: Writer
    registry: PoolRegistry
    clock: Clock
    takes_part: bool = True

    def commit(self, plan: Plan) -> Commit:
        if plan.unplaced and not self.takes_part:
            return Commit(frozenset())
        run_ids = frozenset(placement.run_id for placement in plan.placements)

        def decide(book: Book) -> Decision[frozenset[str]]:
            # Here, on the writer's thread: a pool that was cordoned after the snapshot gets nothing.
            closed = self.registry.closed()
            current = [placement for placement in plan.placements if placement.pool_id not in closed]
            changes, stale = place(book, current, self.clock.now_ms())
            preempt(book, plan.preemptions)
            return Decision(frozenset(placement.run_id for placement in current) - stale, changes)

        accepted = self.writer.submit(decide).result() if run_ids or plan.preemptions else run_ids
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
