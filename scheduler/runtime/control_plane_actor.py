"""What the Ray actor of the control plane does: a thin shell, restarted by Ray for ever (`actors.ControlPlaneShell`)."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from prometheus_client.metrics_core import Metric

from adapters.tracing import start_tracing, stop_tracing
from inventory.store.attribution import Attribution, begin
from scheduler.core.admission import Accepted, Outcome
from scheduler.operation.instruments import ACKNOWLEDGEMENT, COMMIT, COMMITTED_EVENTS, WATCH_LAG
from scheduler.operation.logs import configure_actor
from scheduler.operation.run_traces import RUN_TRACES
from scheduler.runtime.actors import Pulse
from scheduler.runtime.calls import CONTROL_PLANE, RayHosts, RuntimeSettings, pool_host_name
from scheduler.runtime.clock import SystemClock
from scheduler.runtime.control_plane import ControlPlane, ControlPlaneSettings
from scheduler.runtime.election import Election, ElectionClock
from scheduler.runtime.operation_desk import OperationDesk
from scheduler.runtime.pool_link import PoolReport
from scheduler.runtime.rehearsal import rehearse
from scheduler.services.ports import ControlPlaneUnavailable
from scheduler.store.leader_lease import LeaseRow
from scheduler.store.measures import ObservedStore
from scheduler.store.opening import open_store
from scheduler.store.recording_process import RecordingProcess, large_groups

_COLLECT_AFTER = (50_000, 20, 20)


class ControlPlaneProcess:
    """Starts the control plane at the first call, because Ray restarts an actor by calling `__init__` alone."""

    def __init__(self, settings: RuntimeSettings) -> None:
        configure_actor(CONTROL_PLANE)
        # A million workloads are ten million objects, nearly all of which stay: the collector looks less often.
        gc.set_threshold(*_COLLECT_AFTER)
        start_tracing("xisuan-control-plane")
        self._settings = settings
        self._starting = asyncio.Lock()
        self._parts: dict[str, Any] = {}
        self._plane: ControlPlane | None = None
        self._store: ObservedStore | None = None
        self._election: Election | None = None
        self._rehearsal: asyncio.Task[None] | None = None

    async def call(
        self,
        part: str,
        method: str,
        arguments: tuple[Any, ...],
        on_behalf_of: Attribution | None = None,
        traceparent: str = "",
    ) -> Any:
        """One operation of a port in `scheduler.services`: `part` is scheduling, ledger, migration, runs or assessment."""
        await self._ready()  # what it begins is the service's own, not this caller's
        begin(on_behalf_of)
        began, began_ms = time.perf_counter(), SystemClock().now_ms()
        answer = await getattr(await self._part(part), method)(*arguments)
        if part == "scheduling":
            self._measure(method, answer, time.perf_counter() - began)
            if traceparent and method == "submit":
                RUN_TRACES.accepted(_created(answer), traceparent, began_ms)
        return answer

    async def leading(self) -> None:
        """Begins to lead as soon as the lease is free, whether or not anybody calls, and lasts as long as this process:
        `Runtime.restore` sees its end, and that of a start which failed."""
        while not await self._has_lease():
            await asyncio.sleep(0 if self._election is None else self._election.look_every_s)
        await self._ready()
        await asyncio.Event().wait()

    async def leader(self) -> str:
        """Who leads while this one stands by; empty when it leads itself."""
        if await self._has_lease():
            return ""
        return self._election.leader if self._election is not None else ""

    async def pulse(self) -> Pulse:
        """Answers from the event loop, whatever else goes on: `Runtime.restore` ends a process that does not."""
        return Pulse(os.getpid(), ray.get_runtime_context().get_node_id(), leads=self._plane is not None)

    async def metrics(self) -> tuple[Metric, ...]:
        if self._plane is None:
            return ()  # it starts, or stands by
        gathered: tuple[Metric, ...] = await self._parts["operation"].metrics()
        return gathered

    async def report(self, report: PoolReport) -> None:
        await (await self._ready()).report(report)

    async def close(self) -> None:
        if self._rehearsal is not None:
            self._rehearsal.cancel()
        if self._plane is not None:
            await self._plane.close()
        if self._election is not None:
            await self._election.give_back()
        if self._store is not None:
            await asyncio.to_thread(self._store.close)
            await asyncio.to_thread(stop_tracing)

    def _measure(self, method: str, answer: Any, seconds: float) -> None:
        if method in ("submit", "submit_all"):
            ACKNOWLEDGEMENT.observe(seconds)
        elif method == "changes" and answer.notices:
            WATCH_LAG.observe(max(0, SystemClock().now_ms() - answer.notices[-1].at_ms) / 1000)

    async def _has_lease(self) -> bool:
        """One look at the lease; the store stays open for the next one, and for the leader."""
        async with self._starting:
            if self._store is None or self._election is None:
                lease_ms = self._settings.lease_ms
                store = open_store(self._settings.store_url, idle_writer_ms=lease_ms)
                recording = RecordingProcess(self._settings.store_url, lease_ms, large=large_groups(os.environ))
                self._store = ObservedStore(store, _committed, recording)
                clock = ElectionClock(SystemClock().now_ms, time.monotonic)
                self._election = Election(LeaseRow(store.engine), self._settings.holder, lease_ms, clock, _die)
            return await self._election.try_to_lead()

    async def _ready(self) -> ControlPlane:
        """The control plane, which leads. Raises ControlPlaneUnavailable while another one does."""
        if self._plane is not None:
            return self._plane
        if not await self._has_lease():
            raise _stands_by(self._election)
        async with self._starting:
            if self._plane is None:
                assert self._store is not None and self._election is not None
                store = self._store
                hosts = RayHosts([pool_host_name(number) for number in range(self._settings.pool_hosts)])
                settings = _plane_settings(self._settings)
                plane = ControlPlane(store, hosts, SystemClock(), settings, _die)
                plane.start()
                self._election.epoch = plane.epoch
                self._rehearsal = asyncio.create_task(self._rehearse(plane), name="rehearsal")
                self._parts = {
                    "scheduling": plane,
                    "queues": plane.queues,
                    "operation": OperationDesk(plane, store, settings.cycle, SystemClock()),
                }
                self._plane = plane
            return self._plane

    async def _part(self, name: str) -> Any:
        """The desk that answers for this part; those that place nothing are loaded when they are first asked for."""
        if name not in self._parts:
            async with self._starting:
                if name not in self._parts:
                    assert self._plane is not None and self._store is not None
                    self._parts |= await asyncio.to_thread(_other_desks, self._plane, self._store)
        return self._parts[name]

    async def _rehearse(self, plane: ControlPlane) -> None:
        """What is compiled or loaded on first use is so before anybody waits for it, and after the start."""
        await rehearse(plane)
        await self._part("ledger")


def _other_desks(plane: ControlPlane, store: ObservedStore) -> Mapping[str, Any]:
    from scheduler.runtime.desk_parts import desk_parts

    return desk_parts(plane, store, SystemClock().now_ms)


def _stands_by(election: Election | None) -> ControlPlaneUnavailable:
    leader = election.leader if election is not None else ""
    return ControlPlaneUnavailable(
        f"本机待命，现由 {leader} 领导；请调用它，或稍后重试 / this one stands by, {leader} leads; call that one, or retry"
    )


def _plane_settings(settings: RuntimeSettings) -> ControlPlaneSettings:
    return ControlPlaneSettings() if settings.cycle is None else ControlPlaneSettings(cycle=settings.cycle)


def _created(outcomes: Sequence[Outcome]) -> list[str]:
    return [one.workload_id for one in outcomes if isinstance(one, Accepted) and one.created]


def _committed(seconds: float, events: int) -> None:
    COMMIT.observe(seconds)
    COMMITTED_EVENTS.inc(events)


def _die() -> None:
    """Ends this actor's process at once; Ray starts a new one, which loads what is stored."""
    os._exit(1)
