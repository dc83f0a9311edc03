"""An adapter inside the test's own event loop, from parts that a mutant replaces, and the suite asked of it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from adapters.conformance.report import Report, chosen
from adapters.conformance.runner import Suite, run_suite
from adapters.conformance.session import Options
from adapters.conformance.specs import ALL
from adapters.contract import MESSAGE_LIMIT, PoolBackend
from adapters.local.backend import LocalBackend
from adapters.sdk.changing import Memory, ReportedEvents
from adapters.sdk.fence import Fence
from adapters.sdk.journal import EventJournal
from adapters.sdk.leases import Clocks, LeaseBook
from adapters.sdk.servicer import AdapterServicer
from adapters.simulated.backend import SimulatedBackend
from adapters.simulated.fates import Profile
from tests.adapters.adapter_process import declared_pool
from xisuan.pool.v1 import pool_adapter_service_pb2_grpc as pb_grpc

_lives = itertools.count(1)


def simulated(folder: Path) -> PoolBackend:
    return SimulatedBackend(declared_pool("simulated"), Profile(launch_latency_ms=20), 7, folder)


def local(folder: Path) -> PoolBackend:
    return LocalBackend(declared_pool("local"), folder, stop_runs_at_exit=True)


def real_clocks() -> Clocks:
    return Clocks(lambda: time.monotonic_ns() // 1_000_000, lambda: time.time_ns() // 1_000_000)


def new_journal() -> EventJournal:
    return EventJournal(f"life{next(_lives):012d}")


@dataclass(frozen=True, slots=True)
class Parts:
    """What an adapter is made of; a mutant has one part that is not as it should be."""

    backend: Callable[[Path], PoolBackend] = simulated
    journal: Callable[[], EventJournal] = new_journal
    fence: Callable[[Path], Fence] = Fence
    leases: Callable[[Path, Clocks], LeaseBook] = LeaseBook
    servicer: type[AdapterServicer] = AdapterServicer
    heartbeat_s: float = 1.0
    clocks: Clocks = field(default_factory=real_clocks)


class InProcessAdapter:
    """Serves `parts` on one port; `restart` begins a new life on the same state folder and the same port."""

    def __init__(self, parts: Parts, folder: Path) -> None:
        self._parts = parts
        self._folder = folder
        self._port = 0

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self._port}"

    async def start(self) -> None:
        parts = self._parts
        self._folder.mkdir(parents=True, exist_ok=True)
        self._backend = parts.backend(self._folder)
        journal = parts.journal()
        leases = parts.leases(self._folder, parts.clocks)
        self._servicer = parts.servicer(
            self._backend, journal, Memory(parts.fence(self._folder / "epoch"), leases), parts.heartbeat_s
        )
        await self._backend.start(ReportedEvents(journal, leases))
        await self._servicer.start()
        size: list[tuple[str, Any]] = [
            ("grpc.max_receive_message_length", MESSAGE_LIMIT),
            ("grpc.max_send_message_length", MESSAGE_LIMIT),
        ]
        self._server = grpc.aio.server(options=size)
        pb_grpc.add_PoolAdapterServiceServicer_to_server(self._servicer, self._server)
        self._port = self._server.add_insecure_port(f"127.0.0.1:{self._port}")
        await self._server.start()

    async def stop(self) -> None:
        await self._servicer.close()
        await self._server.stop(None)
        await self._backend.close()

    async def restart(self) -> None:
        await self.stop()
        await self.start()


async def asked(parts: Parts, folder: Path, names: Sequence[str], *, patience_s: float = 15.0) -> Report:
    """What the suite says of an adapter of these parts, asked the specs of these names."""
    adapter = InProcessAdapter(parts, folder)
    await adapter.start()
    try:
        suite = Suite(
            endpoint=adapter.endpoint,
            specs=chosen(ALL, names),
            options=Options(epoch=10, patience_s=patience_s),
            # The local pool tells processes by their run ids: no two pools of this machine may share one.
            prefix=f"in-process-{next(_lives)}",
            restart=adapter.restart,
        )
        return await run_suite(suite, lambda verdict: None)
    finally:
        await adapter.stop()
