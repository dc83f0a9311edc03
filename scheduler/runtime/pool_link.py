"""One pool as its host sees it: the connection to its adapter, its nodes, and what runs hold on them.

A pool host keeps one link for each of its pools. The link follows the adapter's stream, keeps the node-level
state, judges the pool's health, and reports to the control plane. It asks for nothing but an `AdapterPort`, so
that tests and simulations can give it any pool.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from adapters.contract import Capabilities, Launch, Refusal, RunReport, Stop
from adapters.port import (
    AdapterMisbehaved,
    AdapterPort,
    AdapterUnavailable,
    CursorExpired,
    NodeList,
    WatchBatch,
)
from inventory.model.pool import Pool, PoolHealth
from inventory.model.units import Resources
from inventory.model.workload import Requirements
from scheduler.core.placement.pool_state import PoolState
from scheduler.ports import NodeAnswer, NodeRequest, PoolView

# Two failures in a row before a pool counts as unreachable: one lost packet is not an outage.
FAILURES_UNTIL_UNREACHABLE = 2
FIRST_RETRY_S = 0.2
LONGEST_RETRY_S = 5.0
# The contract promises a sign of life every 5 s.
SILENCE_LIMIT_S = 12.0


@dataclass(frozen=True, slots=True)
class HeldRun:
    """A run that the store knows to hold nodes, given to a link when it starts."""

    run_id: str
    requirements: Requirements
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PoolReport:
    """What a link tells the control plane. `listed` is the complete set of remembered run ids after a
    resynchronisation, and None otherwise. `cursor` is empty where nothing is to be resumed from."""

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


Report = Callable[[PoolReport], Awaitable[None]]


@dataclass(slots=True)
class _Health:
    state: PoolHealth = PoolHealth.UNKNOWN
    message: str = ""
    failures: int = 0


class PoolLink:
    """Follows one pool from `start` to `close`. All methods belong to one event loop."""

    def __init__(
        self, pool: Pool, adapter: AdapterPort, cursor: str, held: Sequence[HeldRun], report: Report
    ) -> None:
        self.pool = pool
        self._adapter = adapter
        self._cursor = cursor
        self._report_to = report
        self._state = PoolState(pool.disk_bytes)
        for run in held:
            self._state.adopt(run.run_id, run.requirements, run.nodes)
        self._node_count = 0
        self._capabilities: Capabilities | None = None
        self._health = _Health()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._follow(), name=f"pool {self.pool.pool_id}")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._adapter.close()

    def place(self, requests: Sequence[NodeRequest]) -> list[NodeAnswer]:
        return self._state.place(requests)

    def release(self, run_ids: Sequence[str]) -> None:
        for run_id in run_ids:
            self._state.release(run_id)

    async def launch(self, epoch: int, launches: Sequence[Launch]) -> list[RunReport | Refusal]:
        for launch in launches:
            self._state.confirm(launch.run_id)
        results = await self._adapter.launch(epoch, launches)
        self._release_ended(results)
        return results

    async def stop(self, epoch: int, stops: Sequence[Stop]) -> list[RunReport | Refusal]:
        results = await self._adapter.stop(epoch, stops)
        self._release_ended([result for result in results if isinstance(result, RunReport)])
        return results

    def view(self) -> PoolView:
        runtimes = frozenset(self._capabilities.runtimes) if self._capabilities else frozenset[str]()
        return self._state.view(self.pool, self._health.state, cordoned=False, runtimes=runtimes)

    def _release_ended(self, results: Sequence[RunReport | Refusal]) -> None:
        for result in results:
            if isinstance(result, Refusal) or result.state.is_final:
                self._state.release(result.run_id)

    async def _follow(self) -> None:
        """Connects and follows until cancelled. Each failure is reported once it is more than a hiccup."""
        retry_s = FIRST_RETRY_S
        while True:
            try:
                async for report in self._session():
                    await self._report_to(report)
                    retry_s = FIRST_RETRY_S
            except AdapterUnavailable as error:
                self._health.failures += 1
                if self._health.failures >= FAILURES_UNTIL_UNREACHABLE:
                    await self._turn(PoolHealth.UNREACHABLE, str(error))
            except AdapterMisbehaved as error:
                await self._turn(PoolHealth.QUARANTINED, str(error))
            except CursorExpired:
                self._cursor = ""
                continue
            await asyncio.sleep(retry_s)
            retry_s = min(retry_s * 2, LONGEST_RETRY_S)

    async def _session(self) -> AsyncIterator[PoolReport]:
        """One connection: who is there, which nodes, which runs if we lost the thread, then the stream."""
        capabilities = await self._adapter.capabilities()
        if capabilities.pool_id != self.pool.pool_id:
            raise AdapterMisbehaved(
                f"端点应答为算力池 {capabilities.pool_id}，登记为 {self.pool.pool_id}；请更正端点 / the endpoint "
                f"answers as pool {capabilities.pool_id}, registered is {self.pool.pool_id}; correct the endpoint"
            )
        self._capabilities = capabilities
        await self._read_nodes()
        self._health = _Health(PoolHealth.READY)
        if not self._cursor:
            listing = await self._adapter.runs()
            self._cursor = listing.cursor
            self._release_ended(listing.runs)
            yield self._report(listing.runs, frozenset(run.run_id for run in listing.runs))
        else:
            yield self._report()
        async for batch in _with_silence_limit(self._adapter.watch(self._cursor)):
            self._cursor = batch.cursor
            if batch.nodes_changed:
                await self._read_nodes()
            self._release_ended(batch.runs)
            if batch.runs or batch.nodes_changed:
                yield self._report(batch.runs)
        raise AdapterUnavailable("适配器关闭了事件流 / the adapter closed the stream of changes")

    async def _read_nodes(self) -> None:
        listing = await self._adapter.nodes()
        _refuse_nonsense(listing)
        try:
            self._state.set_nodes(listing.nodes)
        except ValueError as error:
            raise AdapterMisbehaved(str(error)) from error
        self._state.set_disk(listing.shared_disk_bytes)
        self._node_count = len(listing.nodes)

    async def _turn(self, state: PoolHealth, message: str) -> None:
        if self._health.state is not state or self._health.message != message:
            self._health = _Health(state, message, self._health.failures)
            await self._report_to(self._report())

    def _report(self, runs: tuple[RunReport, ...] = (), listed: frozenset[str] | None = None) -> PoolReport:
        view = self.view()
        return PoolReport(
            pool_id=self.pool.pool_id,
            health=self._health.state,
            health_message=self._health.message,
            allocatable=view.allocatable,
            free=view.free,
            largest_task=view.largest_task,
            runtimes=view.runtimes,
            max_batch=self._capabilities.max_batch if self._capabilities else 1,
            nodes=self._node_count,
            runs=runs,
            listed=listed,
            cursor=self._cursor,
        )


async def _with_silence_limit(stream: AsyncIterator[WatchBatch]) -> AsyncIterator[WatchBatch]:
    while True:
        try:
            yield await asyncio.wait_for(anext(stream), SILENCE_LIMIT_S)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise AdapterUnavailable(
                f"{SILENCE_LIMIT_S:g} 秒内没有任何消息 / no sign of life for {SILENCE_LIMIT_S:g} s"
            ) from None


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
