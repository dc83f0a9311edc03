"""What the Ray actor of a gateway does (`actors.GatewayShell`): a thin shell around `services.server.Gateway`."""

from __future__ import annotations

import asyncio
import os
from typing import cast

from prometheus_client.metrics_core import Metric

from adapters.tracing import start_tracing, stop_tracing
from scheduler.access.guard import AccessSettings, Guard
from scheduler.access.transport import gateway_tls, to_adapters
from scheduler.operation.exposition import collected
from scheduler.operation.logs import configure_actor
from scheduler.runtime.calls import RemotePart
from scheduler.runtime.clock import SystemClock
from scheduler.runtime.gathering import GatheredSubmissions
from scheduler.services.assessment_ports import Assessment
from scheduler.services.desk_ports import Ledger, Migration
from scheduler.services.operation_ports import Operation
from scheduler.services.ports import Scheduling
from scheduler.services.queue_ports import Queues
from scheduler.services.run_ports import Runs
from scheduler.services.server import Gateway, GatewayAccess, Ports


class GatewayProcess:
    def __init__(self, access: AccessSettings) -> None:
        self._access = access
        start_tracing("xisuan-gateway")
        configure_actor(f"gateway-{os.getpid()}")
        self._gateway: Gateway | None = None
        self._closed = asyncio.Event()

    async def start(self, host: str, port: int) -> int:
        """Serves from now on; returns the port. Called again by `Runtime.restore` after a restart by Ray."""
        ports = Ports(
            cast(Scheduling, GatheredSubmissions(RemotePart("scheduling"))),
            cast(Ledger, RemotePart("ledger")),
            cast(Migration, RemotePart("migration")),
            cast(Runs, RemotePart("runs")),
            cast(Assessment, RemotePart("assessment")),
            cast(Queues, RemotePart("queues")),
        )
        access = GatewayAccess(
            Guard(self._access, SystemClock().now_ms),
            self._access.form.path_of,
            gateway_tls(self._access),
            to_adapters(self._access.files),
        )
        self._gateway = Gateway(ports, access)
        self._gateway.offer_operation(cast(Operation, RemotePart("operation")))
        return await self._gateway.start(host, port)

    async def serving(self) -> None:
        """Returns when the gateway is closed; a caller learns from the error of this call that the process died."""
        await self._closed.wait()

    async def metrics(self) -> tuple[Metric, ...]:
        return collected()

    async def close(self) -> None:
        if self._gateway is not None:
            await self._gateway.close()
        await asyncio.to_thread(stop_tracing)
        self._closed.set()
