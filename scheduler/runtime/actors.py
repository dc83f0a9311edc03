"""The Ray actors: thin shells around the control plane, the pool hosts and the gateways.

All logic is in the classes that they wrap; here is only what Ray needs: names, restarts, and calls from one to
another. An actor that dies is started anew by Ray and loads its state; calls that it was answering fail with
"unavailable", and callers repeat them (everything is idempotent).
"""

from __future__ import annotations

import asyncio
import logging
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import ray
from ray.exceptions import RayActorError, RayTaskError

from adapters.client import AdapterClient
from adapters.contract import Launch, Refusal, RunReport, Stop
from adapters.port import AdapterUnavailable
from inventory.model.pool import Pool
from inventory.store.engine import open_engine
from inventory.store.event_store import Store
from inventory.store.ledger.projection import LEDGER_PROJECTION
from scheduler.ports import NodeAnswer, NodeRequest, PoolView
from scheduler.runtime.clock import SystemClock
from scheduler.runtime.control_plane import ControlPlane, ControlPlaneSettings
from scheduler.runtime.desks import InTurn
from scheduler.runtime.pool_host import PoolHost
from scheduler.runtime.pool_link import HeldRun, PoolReport
from scheduler.services.answering import ControlPlaneUnavailable
from scheduler.services.desk_ports import Ledger, Migration
from scheduler.services.ledger_desk import READS as LEDGER_READS
from scheduler.services.ledger_desk import LedgerDesk
from scheduler.services.migration_desk import READS as MIGRATION_READS
from scheduler.services.migration_desk import MigrationDesk
from scheduler.services.ports import Scheduling
from scheduler.services.server import Gateway
from scheduler.store.projection import SCHEDULER
from scheduler.store.scheduler_store import SchedulerStore

NAMESPACE = "xisuan"
CONTROL_PLANE = "control-plane"
log = logging.getLogger("xisuan.actors")
_REDELIVER_S = 0.5


@dataclass(frozen=True, slots=True)
class RuntimeSettings:
    """`pool_hosts` actors share the pools; `gateways` answer gRPC calls."""

    store_url: str
    pool_hosts: int = 1
    gateways: int = 1


def pool_host_name(number: int) -> str:
    return f"pool-host-{number}"


def open_store(url: str) -> Store:
    """The store with every projection of the product. Raises StoreError."""
    return Store(open_engine(url), (LEDGER_PROJECTION, SCHEDULER))


class ControlPlaneShell:
    """Starts the control plane at the first call, because Ray restarts an actor by calling `__init__` alone."""

    def __init__(self, settings: RuntimeSettings) -> None:
        self._settings = settings
        self._starting = asyncio.Lock()
        self._parts: dict[str, Any] = {}
        self._plane: ControlPlane | None = None

    async def call(self, part: str, method: str, arguments: tuple[Any, ...]) -> Any:
        """One operation of a port in `scheduler.services`: `part` is scheduling, ledger or migration."""
        await self._ready()
        return await getattr(self._parts[part], method)(*arguments)

    async def report(self, report: PoolReport) -> None:
        await (await self._ready()).report(report)

    async def close(self) -> None:
        if self._plane is not None:
            await self._plane.close()

    async def _ready(self) -> ControlPlane:
        async with self._starting:
            if self._plane is None:
                store = SchedulerStore(open_store(self._settings.store_url))
                hosts = RayHosts([pool_host_name(number) for number in range(self._settings.pool_hosts)])
                plane = ControlPlane(store, hosts, SystemClock(), ControlPlaneSettings(), _die)
                plane.start()
                now_ms = SystemClock().now_ms
                self._parts = {
                    "scheduling": plane,
                    "ledger": InTurn(LedgerDesk(store.store, now_ms), plane.writer, LEDGER_READS),
                    "migration": InTurn(MigrationDesk(store, now_ms), plane.writer, MIGRATION_READS),
                }
                self._plane = plane
            return self._plane


class PoolHostShell:
    def __init__(self) -> None:
        self._host: PoolHost | None = None

    async def call(self, method: str, arguments: tuple[Any, ...]) -> Any:
        if self._host is None:
            self._host = PoolHost(AdapterClient, _deliver)
        return await getattr(self._host, method)(*arguments)


class GatewayShell:
    def __init__(self) -> None:
        self._gateway: Gateway | None = None

    async def start(self, host: str, port: int) -> int:
        scheduling = cast(Scheduling, RemotePart("scheduling"))
        self._gateway = Gateway(
            scheduling, cast(Ledger, RemotePart("ledger")), cast(Migration, RemotePart("migration"))
        )
        return await self._gateway.start(host, port)

    async def close(self) -> None:
        if self._gateway is not None:
            await self._gateway.close()


class RemotePart:
    """A port of `scheduler.services`, answered by the control-plane actor."""

    def __init__(self, part: str) -> None:
        self._part = part

    def __getattr__(self, method: str) -> Any:
        async def call(*arguments: Any) -> Any:
            try:
                return await _control_plane().call.remote(self._part, method, arguments)
            except RayTaskError as error:
                raise error.cause from None
            except (RayActorError, ValueError) as error:
                raise ControlPlaneUnavailable(
                    "控制平面正在启动或重启，请重试 / the control plane is starting or restarting; retry"
                ) from error

        return call


class RayHosts:
    """`PoolHosts` over the pool-host actors; a pool belongs to the host that its id hashes to."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)

    async def attach(self, pool: Pool, endpoint: str, cursor: str, held: Sequence[HeldRun]) -> None:
        await self._call(self._name(pool.pool_id), "attach", pool, endpoint, cursor, held)

    async def attached(self) -> frozenset[str]:
        answers = await asyncio.gather(*(self._call(name, "attached") for name in self._names))
        return frozenset().union(*answers)

    async def views(self) -> Mapping[str, PoolView]:
        calls = (self._call(name, "views") for name in self._names)
        return _merged(await asyncio.gather(*calls, return_exceptions=True))

    async def place(self, requests: Mapping[str, Sequence[NodeRequest]]) -> Mapping[str, Sequence[NodeAnswer]]:
        return await self._spread("place", requests)

    async def probe(self, requests: Mapping[str, Sequence[NodeRequest]]) -> Mapping[str, Sequence[NodeAnswer]]:
        return await self._spread("probe", requests)

    async def release(self, run_ids: Mapping[str, Sequence[str]]) -> None:
        await self._spread("release", run_ids)

    async def launch(self, pool_id: str, epoch: int, launches: Sequence[Launch]) -> list[RunReport | Refusal]:
        answer: list[RunReport | Refusal] = await self._call(
            self._name(pool_id), "launch", pool_id, epoch, launches
        )
        return answer

    async def stop(self, pool_id: str, epoch: int, stops: Sequence[Stop]) -> list[RunReport | Refusal]:
        answer: list[RunReport | Refusal] = await self._call(self._name(pool_id), "stop", pool_id, epoch, stops)
        return answer

    async def close(self) -> None:
        answers = (self._call(name, "close") for name in self._names)
        await asyncio.gather(*answers, return_exceptions=True)

    def _name(self, pool_id: str) -> str:
        return self._names[zlib.crc32(pool_id.encode()) % len(self._names)]

    async def _spread(self, method: str, by_pool: Mapping[str, Any]) -> dict[str, Any]:
        """Splits a call by host. A host that does not answer is left out: its pools are not in the result."""
        shares: dict[str, dict[str, Any]] = {}
        for pool_id, asked in by_pool.items():
            shares.setdefault(self._name(pool_id), {})[pool_id] = asked
        calls = (self._call(name, method, share) for name, share in shares.items())
        return _merged(await asyncio.gather(*calls, return_exceptions=True))

    async def _call(self, name: str, method: str, *arguments: Any) -> Any:
        try:
            return await ray.get_actor(name, NAMESPACE).call.remote(method, arguments)
        except RayTaskError as error:
            raise error.cause from None
        except (RayActorError, ValueError) as error:
            raise AdapterUnavailable(f"池主机 {name} 正在重启 / pool host {name} is being restarted") from error


def _merged(answers: Sequence[Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for answer in answers:
        if isinstance(answer, AdapterUnavailable):
            log.warning("%s", answer)
        elif isinstance(answer, BaseException):
            raise answer
        else:
            merged |= answer or {}
    return merged


def _control_plane() -> Any:
    return ray.get_actor(CONTROL_PLANE, NAMESPACE)


async def _deliver(report: PoolReport) -> None:
    """Until the control plane has stored it: a report is never dropped, and may be given twice."""
    while True:
        try:
            await _control_plane().report.remote(report)
            return
        except (RayActorError, RayTaskError, ValueError) as error:
            log.warning("report of %s is delivered again: %s", report.pool_id, error)
            await asyncio.sleep(_REDELIVER_S)


def _die() -> None:
    """Ends this actor's process at once; Ray starts a new one, which loads what is stored."""
    os._exit(1)
