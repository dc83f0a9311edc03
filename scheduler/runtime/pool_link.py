"""One pool as its host sees it: the connection to its adapter, its nodes, and what runs hold on them.

A pool host keeps one link for each of its pools. The link follows the adapter's stream, keeps the node-level
state, judges the pool's health, and reports to the control plane. It asks for nothing but an `AdapterPort`, so
that tests and simulations can give it any pool.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, replace

from adapters.contract import Capabilities, Launch, Refusal, RefusalCode, RunReport, Stop
from adapters.port import (
    AdapterMisbehaved,
    AdapterPort,
    AdapterUnavailable,
    CapabilityMissing,
    CursorExpired,
    NodeList,
    StaleEpoch,
    WatchBatch,
)
from inventory.model.pool import Node, Pool, PoolHealth
from inventory.model.units import Resources
from inventory.model.workload import Requirements, RunState
from scheduler.core.placement.defragmentation import Move, MovePlan, propose_moves
from scheduler.core.placement.pool_state import PoolState
from scheduler.core.placement.protocol import SECRETS
from scheduler.core.queueing.preemption import fits_without
from scheduler.ports import NodeAnswers, NodeBatch, PoolView
from scheduler.runtime.clock import SystemClock
from scheduler.runtime.pool_contact import PoolContact

log = logging.getLogger("xisuan.pool_link")

# Two failures in a row before a pool counts as unreachable: one lost packet is not an outage.
FAILURES_UNTIL_UNREACHABLE = 2
# Answers in a row, so far apart, before a pool that was away counts as ready: a line that comes and goes would take new
# work in each short moment in which it is there.
ANSWERS_UNTIL_READY = 3
ANSWER_PAUSE_S = 0.5
# No node has more; what says so is broken, and everything would be placed there.
LARGEST_NODE = Resources(100_000_000, 1 << 50, 1 << 60, 10_000_000)
FIRST_RETRY_S = 0.2
LONGEST_RETRY_S = 5.0
# The contract promises a sign of life every 5 s.
SILENCE_LIMIT_S = 12.0
# How often the link looks whether leases are due, and tells for how long its pool was unheard of.
LOOK_EVERY_S = 0.5

# What becomes of a run whose launch was refused. A lost run is placed anew and not held against the workload. Any
# other refusal (the pool cannot be asked now) changes nothing: the launch is still owed, and its nodes are held.
ENDED_BY_REFUSAL: Mapping[RefusalCode, RunState] = {
    RefusalCode.INVALID_ARGUMENT: RunState.FAILED,
    RefusalCode.FAILED_PRECONDITION: RunState.STOPPED,
    RefusalCode.RESOURCE_EXHAUSTED: RunState.LOST,
    RefusalCode.NOT_FOUND: RunState.LOST,
}


@dataclass(frozen=True, slots=True)
class HeldRun:
    """A run that the store knows to hold nodes, or that was lost and may still hold them."""

    run_id: str
    requirements: Requirements
    nodes: tuple[str, ...]
    lost_after_ms: int = 0


@dataclass(frozen=True, slots=True)
class LinkStart:
    """What a link starts with: the leader's epoch, where to resume the stream ("": list anew), what runs hold."""

    epoch: int
    cursor: str = ""
    held: tuple[HeldRun, ...] = ()


@dataclass(frozen=True, slots=True)
class PoolReport:
    """What a link tells the control plane. `listed` is the complete set of remembered run ids after a
    resynchronisation, and None otherwise. `cursor` is empty where nothing is to be resumed from. `unheard_ms` is for how
    long, at least, nothing was heard of the pool. `outranked`: the pool obeys a newer leader than ours.
    """

    pool_id: str
    health: PoolHealth
    health_message: str
    allocatable: Resources
    free: Resources
    largest_task: Resources
    runtimes: frozenset[str]
    max_batch: int
    nodes: int
    runs: tuple[RunReport, ...] = ()
    listed: frozenset[str] | None = None
    cursor: str = ""
    unheard_ms: int = 0
    outranked: bool = False


Report = Callable[[PoolReport], Awaitable[None]]


class PoolLink:
    """Follows one pool from `start` to `close`. All methods belong to one event loop."""

    def __init__(self, pool: Pool, adapter: AdapterPort, start: LinkStart, report: Report) -> None:
        self.pool = pool
        self._adapter = adapter
        self._epoch = start.epoch
        self._cursor = start.cursor
        self._report_to = report
        self._clock = asyncio.get_running_loop().time
        self._contact = PoolContact(self._clock())
        self._state = PoolState(pool.disk_bytes, policy=pool.node_policy or None)
        for run in start.held:
            self._state.adopt(run.run_id, run.requirements, run.nodes)
            self._contact.lease(run.run_id, run.lost_after_ms)
        self._viewed: tuple[tuple[object, ...], PoolView] | None = None  # what it was made of, and the view
        self._node_count = 0
        self._is_aggregate = False
        self._capabilities: Capabilities | None = None
        self._health = PoolHealth.UNKNOWN
        self._health_message = ""
        self._told: tuple[PoolHealth, str] | None = None
        self._failures = 0
        self._alive = False
        # The control plane was told that the pool is unheard of: what it gave up is found by a listing only.
        self._doubted = False
        self._outranked = False
        # What the answer to a launch said, until the stream says it again, which is no news.
        self._answered: dict[str, RunState] = {}
        # Reports are given one at a time, so that none overtakes another.
        self._telling = asyncio.Lock()
        # Held by a launch or a stop, and by a resynchronisation from its listing until the control plane has it:
        # a run that is acknowledged after the listing was made must not look like one that the pool forgot.
        self._in_step = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._follow(), name=f"pool {self.pool.pool_id}"),
            asyncio.create_task(self._keep_contact(), name=f"contact {self.pool.pool_id}"),
        ]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._adapter.close()

    def place(self, batch: NodeBatch) -> NodeAnswers:
        return self._state.place(batch)

    def fits_without(self, batch: NodeBatch, victims: Sequence[str]) -> bool:
        return fits_without(self._state, batch, victims)

    def propose_moves(self, asked: Requirements, share: float, movable: Collection[str]) -> MovePlan:
        """None where the pool chooses its nodes, and what stands here for them has only their shapes."""
        state = self._state
        return propose_moves(
            state.arrays(), state.held, [(asked, 1)], 0.0 if self._is_aggregate else share, movable
        )

    def keep(self, move: Move, asked: Requirements) -> bool:
        return self._state.keep(move.run_id, asked, move.to_node, move.cards)

    def shut(self, node_id: str, is_shut: bool) -> None:
        self._state.shut(node_id, is_shut)

    def release(self, run_ids: Sequence[str]) -> None:
        self._state.release(*run_ids)
        self._contact.end(run_ids)

    async def launch(self, epoch: int, launches: Sequence[Launch]) -> list[RunReport | Refusal]:
        async with self._in_step:
            for launch in launches:
                self._state.confirm(launch.run_id)
                self._contact.lease(launch.run_id, launch.partition.lost_after_ms)
            with self._contact.calling(self._clock):
                sent = [replace(one, nodes=()) for one in launches] if self._is_aggregate else launches
                results = await self._adapter.launch(epoch, sent)
        for result in results:
            if isinstance(result, Refusal) and result.code in ENDED_BY_REFUSAL:
                self.release([result.run_id])
        reports = [result for result in results if isinstance(result, RunReport)]
        self._answered.update((report.run_id, report.state) for report in reports)
        self._release_ended(reports)
        return results

    async def stop(self, epoch: int, stops: Sequence[Stop]) -> list[RunReport | Refusal]:
        async with self._in_step:
            with self._contact.calling(self._clock):
                results = await self._adapter.stop(epoch, stops)
        self._release_ended([result for result in results if isinstance(result, RunReport)])
        return results

    def view(self) -> PoolView:
        """The same object while nothing has changed."""
        made_of = (self._health, self._capabilities, *self._state.edition)
        if self._viewed is None or self._viewed[0] != made_of:
            runtimes = frozenset(self._capabilities.runtimes) if self._capabilities else frozenset[str]()
            if self._capabilities is not None and self._capabilities.secrets:
                runtimes |= {SECRETS}
            view = self._state.view(self.pool, self._health, cordoned=False, runtimes=runtimes)
            self._viewed = (made_of, view)
        return self._viewed[1]

    def state_copy(self) -> PoolState:
        """The nodes and what is held on them, for whoever wants to try something."""
        return copy.deepcopy(self._state)

    def _release_ended(self, reports: Sequence[RunReport]) -> None:
        self.release([report.run_id for report in reports if report.state.is_final])

    async def _follow(self) -> None:
        """Connects and follows until cancelled. Each failure is reported once it is more than a hiccup."""
        retry_s = FIRST_RETRY_S
        while True:
            self._alive = False
            try:
                await self._session()
            except CursorExpired:
                self._cursor = ""
            except AdapterUnavailable as error:
                self._failures += 1
                if self._failures >= FAILURES_UNTIL_UNREACHABLE:
                    self._turn(PoolHealth.UNREACHABLE, str(error))
            except AdapterMisbehaved as error:
                self._turn(PoolHealth.QUARANTINED, str(error))
            except Exception:
                # The report could not be delivered, or it is our own fault. The cursor stands where the last
                # delivered report left it, so the next session tells the rest.
                log.exception("%s: following the pool failed and is tried again", self.pool.pool_id)
            if self._alive:
                retry_s = FIRST_RETRY_S
            await self._tell_health()
            await asyncio.sleep(retry_s)
            retry_s = min(retry_s * 2, LONGEST_RETRY_S)

    async def _keep_contact(self) -> None:
        """Renews the leases of a pool that is heard, and tells for how long one was not. Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                if not self._alive:
                    await self._tell_unheard()
                elif not self._outranked and self._contact.is_due(self._clock()):
                    with self._contact.calling(self._clock):
                        await self._adapter.renew_leases(self._epoch, SystemClock().now_ms())
            except StaleEpoch as error:
                log.warning("%s: leases are not renewed any more: %s", self.pool.pool_id, error)
                self._outranked = True
                await self._tell_health(anew=True)
            except CapabilityMissing:
                self._contact.forget()  # the pool keeps no leases, and says so
            except (AdapterUnavailable, AdapterMisbehaved) as error:
                log.warning("%s: its leases could not be renewed, and are again: %s", self.pool.pool_id, error)
            except Exception:
                log.exception("%s: keeping contact failed and is tried again", self.pool.pool_id)

    async def _tell_unheard(self) -> None:
        async with self._telling:
            unheard_ms = self._contact.unheard_ms(self._clock())
            if self._alive or not unheard_ms:
                return
            self._doubted = True
            await self._report_to(replace(self._report(""), unheard_ms=unheard_ms))

    async def _session(self) -> None:
        """One connection: who is there, which nodes, which runs if we lost the thread, then the stream.

        Ends by raising. The pool is ready from the first message of the stream on, which the contract promises at
        once: before it we could launch, but would not hear what becomes of it.
        """
        capabilities = await self._adapter.capabilities()
        if capabilities.pool_id != self.pool.pool_id:
            raise AdapterMisbehaved(
                f"端点应答为算力池 {capabilities.pool_id}，登记为 {self.pool.pool_id}；请更正端点 / the endpoint "
                f"answers as pool {capabilities.pool_id}, registered is {self.pool.pool_id}; correct the endpoint"
            )
        self._capabilities = capabilities
        self._answered.clear()
        if self._health in (PoolHealth.UNREACHABLE, PoolHealth.QUARANTINED):
            for _ in range(ANSWERS_UNTIL_READY - 1):
                await asyncio.sleep(ANSWER_PAUSE_S)
                await self._adapter.capabilities()
        await self._read_nodes()
        async with AsyncExitStack() as resynchronising:
            runs: tuple[RunReport, ...] = ()
            listed: frozenset[str] | None = None
            cursor = "" if self._doubted else self._cursor
            if not cursor:
                await resynchronising.enter_async_context(self._in_step)
                listing = await self._adapter.runs()
                runs, cursor = listing.runs, listing.cursor
                listed = frozenset(run.run_id for run in runs)
            stream = self._adapter.watch(cursor)
            async with aclosing(_with_silence_limit(stream)) as batches:
                first = await anext(batches, None)
                if first is not None:
                    if self._doubted and listed is None:
                        raise CursorExpired("doubted meanwhile")
                    self._alive, self._failures = True, 0
                    self._contact.heard(self._clock())
                    self._turn(PoolHealth.READY, "")
                    await self._deliver(cursor, runs, listed)
                    self._doubted = False
                    await resynchronising.aclose()
                    await self._take(first)
                    async for batch in batches:
                        await self._take(batch)
        raise AdapterUnavailable("适配器关闭了事件流 / the adapter closed the stream of changes")

    async def _take(self, batch: WatchBatch) -> None:
        self._contact.heard(self._clock())
        if batch.nodes_changed:
            await self._read_nodes()
        news = tuple(run for run in batch.runs if self._is_news(run))
        if news or batch.nodes_changed:
            await self._deliver(batch.cursor, news)
        self._cursor = batch.cursor

    def _is_news(self, run: RunReport) -> bool:
        if run.state.is_final:
            self._answered.pop(run.run_id, None)
            return True
        if self._answered.get(run.run_id) is not run.state:
            return True
        del self._answered[run.run_id]
        return False

    async def _read_nodes(self) -> None:
        listing = await self._adapter.nodes()
        _refuse_nonsense(listing)
        can = self._capabilities
        # Its owner discloses shapes, not nodes: places of these shapes stand for them, and the pool chooses.
        self._is_aggregate = not listing.nodes and can is not None and can.chooses_nodes
        nodes = shape_places(self.pool) if self._is_aggregate else listing.nodes
        try:
            self._state.set_nodes(nodes)
        except ValueError as error:
            raise AdapterMisbehaved(str(error)) from error
        self._state.set_disk(listing.shared_disk_bytes)
        self._node_count = len(nodes)

    def _turn(self, state: PoolHealth, message: str) -> None:
        self._health, self._health_message = state, message

    async def _tell_health(self, *, anew: bool = False) -> None:
        """Says what the health has become, unless that was said. Where it cannot be said it is said next time."""
        if not anew and self._told == (self._health, self._health_message):
            return
        try:
            await self._deliver(self._cursor)
        except Exception:
            log.exception("%s: its health could not be reported", self.pool.pool_id)

    async def _deliver(
        self, cursor: str, runs: tuple[RunReport, ...] = (), listed: frozenset[str] | None = None
    ) -> None:
        """Gives a report to the control plane; when this returns, it is durable, and resuming starts after it."""
        async with self._telling:
            self._release_ended(runs)
            told = (self._health, self._health_message)
            await self._report_to(self._report(cursor, runs, listed))
            self._told, self._cursor = told, cursor

    def _report(
        self, cursor: str, runs: tuple[RunReport, ...] = (), listed: frozenset[str] | None = None
    ) -> PoolReport:
        view = self.view()
        return PoolReport(
            pool_id=self.pool.pool_id,
            health=self._health,
            health_message=self._health_message,
            allocatable=view.allocatable,
            free=view.free,
            largest_task=view.largest_task,
            runtimes=view.runtimes,
            max_batch=self._capabilities.max_batch if self._capabilities else 1,
            nodes=self._node_count,
            runs=runs,
            listed=listed,
            cursor=cursor,
            outranked=self._outranked,
        )


async def _with_silence_limit(stream: AsyncIterator[WatchBatch]) -> AsyncGenerator[WatchBatch]:
    """The same stream; raises AdapterUnavailable when nothing comes for too long.

    The `anext` that is given up on is cancelled, which ends the stream: it is never read again. (Not by `wait_for`,
    which in Python 3.11 swallows a cancellation that comes together with a batch.)
    """
    try:
        while True:
            try:
                async with asyncio.timeout(SILENCE_LIMIT_S):
                    batch = await anext(stream)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise AdapterUnavailable(
                    f"{SILENCE_LIMIT_S:g} 秒内没有任何消息 / no sign of life for {SILENCE_LIMIT_S:g} s"
                ) from None
            yield batch
    finally:
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()


def shape_places(pool: Pool) -> tuple[Node, ...]:
    """A place for each node that the owner declares, named after its shape and not after any machine."""
    return tuple(
        Node(f"{group.group}#{number}", group.arch, group.capacity, group.accelerator)
        for group in pool.node_groups
        for number in range(1, group.nodes + 1)
    )


def _refuse_nonsense(listing: NodeList) -> None:
    """A pool that reports what cannot be true gets no work until it reports sense."""
    if listing.shared_disk_bytes < 0:
        raise AdapterMisbehaved(
            f"共享存储为负数 {listing.shared_disk_bytes} / shared disk is negative: {listing.shared_disk_bytes}"
        )
    for node in listing.nodes:
        if node.allocatable.is_negative:
            raise AdapterMisbehaved(
                f"节点 {node.node_id} 的可用量为负数 / node {node.node_id} reports a negative amount: "
                f"{node.allocatable}"
            )
        if not node.allocatable.fits_in(LARGEST_NODE):
            raise AdapterMisbehaved(
                f"节点 {node.node_id} 的可用量不可信 / node {node.node_id} reports an absurd amount: {node.allocatable}"
            )
