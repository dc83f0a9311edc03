"""The Ray actors of an installation, as Ray and their callers see them: names and methods, and nothing behind.

`scheduler.runtime.cluster` starts them. Ray loads an actor's class in every process that calls it, so these load what
they do (the modules `*_actor`) only where they run: a gateway need not load a database to call the control plane.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from inventory.store.attribution import Attribution
    from scheduler.access.guard import AccessSettings
    from scheduler.runtime.calls import RuntimeSettings
    from scheduler.runtime.pool_link import PoolReport


@dataclass(frozen=True, slots=True)
class Pulse:
    """Which process answered, on which node of Ray, and whether it leads (loading may hold its event loop up before)."""

    pid: int
    node_id: str
    leads: bool


class ControlPlaneShell:
    """`control_plane_actor.ControlPlaneProcess`, where each method is defined."""

    def __init__(self, settings: RuntimeSettings) -> None:
        from scheduler.runtime.control_plane_actor import ControlPlaneProcess

        self._process = ControlPlaneProcess(settings)

    async def call(
        self,
        part: str,
        method: str,
        arguments: tuple[Any, ...],
        on_behalf_of: Attribution | None = None,
        traceparent: str = "",
    ) -> Any:
        return await self._process.call(part, method, arguments, on_behalf_of, traceparent)

    async def report(self, report: PoolReport) -> None:
        await self._process.report(report)

    async def leading(self) -> None:
        await self._process.leading()

    async def leader(self) -> str:
        return await self._process.leader()

    async def pulse(self) -> Pulse:
        return await self._process.pulse()

    async def metrics(self) -> tuple[Metric, ...]:
        return await self._process.metrics()

    async def close(self) -> None:
        await self._process.close()


class PoolHostShell:
    """`pool_host_actor.PoolHostProcess`, where each method is defined."""

    def __init__(self, access: AccessSettings) -> None:
        from scheduler.runtime.pool_host_actor import PoolHostProcess

        self._process = PoolHostProcess(access)

    async def call(
        self, method: str, arguments: tuple[Any, ...], traced: Mapping[str, str] = MappingProxyType({})
    ) -> Any:
        return await self._process.call(method, arguments, traced)

    async def metrics(self) -> tuple[Metric, ...]:
        return await self._process.metrics()


class GatewayShell:
    """`gateway_actor.GatewayProcess`, where each method is defined."""

    def __init__(self, access: AccessSettings) -> None:
        from scheduler.runtime.gateway_actor import GatewayProcess

        self._process = GatewayProcess(access)

    async def start(self, host: str, port: int) -> int:
        return await self._process.start(host, port)

    async def serving(self) -> None:
        await self._process.serving()

    async def metrics(self) -> tuple[Metric, ...]:
        return await self._process.metrics()

    async def close(self) -> None:
        await self._process.close()
