"""How an adapter changes anything: one change at a time, fenced by the epoch, with every lease looked at before.

The servicer runs Launch, Stop and every other call with an epoch through one `ChangeGate`; `ReportedEvents` is what
a backend publishes into. Both keep the leases, so that no backend has to know of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc

from adapters.contract import BackendFailed, PoolBackend, RunReport, Stop
from adapters.sdk.fence import Fence, StaleEpoch
from adapters.sdk.journal import EventJournal
from adapters.sdk.leases import Expiry, LeaseBook
from adapters.wire.status import STALE_EPOCH, CallFailed, Failure
from inventory.model.partition import OnDisconnect

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Memory:
    """What the sdk itself must know after a restart: the highest epoch, and the leases."""

    fence: Fence
    leases: LeaseBook


class ReportedEvents:
    """An `EventSink` that notes in the leases what ends, and in the reports whose lease has expired."""

    def __init__(self, journal: EventJournal, leases: LeaseBook) -> None:
        self._journal = journal
        self._leases = leases

    def publish(self, reports: Sequence[RunReport], *, nodes_changed: bool = False) -> None:
        self._leases.end(report.run_id for report in reports if report.state.is_final)
        self._journal.publish(self._leases.stamp_all(reports), nodes_changed=nodes_changed)

    def fail(self, message: str) -> None:
        self._journal.fail(message)


class ChangeGate:
    """Lets changes through one by one; `start` begins to watch the leases, `close` waits for what is under way."""

    def __init__(self, backend: PoolBackend, journal: EventJournal, memory: Memory) -> None:
        self._backend = backend
        self._journal = journal
        self._memory = memory
        # One change at a time: an old leader's batch is through, or refused, before a new leader's begins, and a
        # run id that comes twice at once is launched once.
        self._changing = asyncio.Lock()
        self._under_way: set[asyncio.Task[Any]] = set()
        self._rearmed = asyncio.Event()
        self._lookout: asyncio.Task[None] | None = None

    @property
    def leases(self) -> LeaseBook:
        return self._memory.leases

    async def start(self) -> None:
        """Drops leases of runs that have ended, acts on those that expired meanwhile, and watches the rest."""
        leases = self.leases
        reports = [(run_id, await self._backend.inspect(run_id)) for run_id in leases.leased()]
        leases.end(run_id for run_id, report in reports if report is None or report.state.is_final)
        await asyncio.to_thread(leases.compact)
        self._lookout = asyncio.create_task(self._keep_leases())
        self._lookout.add_done_callback(self._lookout_over)

    async def close(self) -> None:
        if self._lookout is not None:
            self._lookout.cancel()
            await asyncio.gather(self._lookout, return_exceptions=True)
        if self._under_way:
            await asyncio.gather(*self._under_way, return_exceptions=True)

    async def change(self, epoch: int, change: Callable[[], Awaitable[_Result]]) -> _Result:
        """Runs a change to its end even if the caller goes away: half a change is one that nobody reports.

        Raises CallFailed for a stale epoch, and when the backend cannot keep its state.
        """
        task = asyncio.create_task(self._admitted(epoch, change))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        try:
            return await asyncio.shield(task)
        except (BackendFailed, OSError) as error:
            self._journal.fail(f"{type(error).__name__}: {error}")
            raise CallFailed(
                Failure(
                    grpc.StatusCode.UNAVAILABLE,
                    f"{error}: 适配器无法保存其状态，正在退出；重启后请重复此调用 / "
                    f"the adapter cannot keep its state and ends: repeat this call when it is back",
                )
            ) from error

    def _admitted(self, epoch: int, change: Callable[[], Awaitable[_Result]]) -> Coroutine[Any, Any, _Result]:
        async def admitted() -> _Result:
            async with self._changing:
                try:
                    self._memory.fence.admit(epoch)
                except StaleEpoch as error:
                    raise CallFailed(
                        Failure(grpc.StatusCode.FAILED_PRECONDITION, str(error), reason=STALE_EPOCH)
                    ) from error
                # A call that comes too late revives no lease, even where this process was halted meanwhile.
                await self._expire()
                self.leases.contact()
                result = await change()
                self._rearmed.set()
                return result

        return admitted()

    # -- leases -------------------------------------------------------------------------------------------------

    async def _keep_leases(self) -> None:
        while True:
            self._rearmed.clear()
            pause_ms = self.leases.pause_ms()
            try:
                async with asyncio.timeout(None if pause_ms is None else pause_ms / 1000):
                    await self._rearmed.wait()
            except TimeoutError:
                async with self._changing:
                    await self._expire()

    async def _expire(self) -> None:
        if self.leases.pause_ms() != 0:
            return
        expiries = await asyncio.to_thread(self.leases.due)
        kept: list[RunReport] = []
        stopped: list[Stop] = []
        for expiry in expiries:
            report = await self._backend.inspect(expiry.run_id)
            if report is None or report.state.is_final:
                continue
            if expiry.action is OnDisconnect.STOP:
                stopped.append(Stop(expiry.run_id, why=_why(expiry)))
            else:
                kept.append(report)
        self._journal.publish(self.leases.stamp_all(kept))
        if stopped:
            await self._backend.stop(stopped)

    def _lookout_over(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._journal.fail(f"{type(task.exception()).__name__}: {task.exception()}")


def _why(expiry: Expiry) -> str:
    return (
        f"失联超过 {expiry.lost_after_ms} ms，租约到期，按 on_disconnect = stop 停止 / "
        f"no contact for {expiry.lost_after_ms} ms: the lease expired, and on_disconnect = stop"
    )
