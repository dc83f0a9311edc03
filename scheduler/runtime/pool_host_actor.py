"""What the Ray actor of a pool host does (`actors.PoolHostShell`): a thin shell around `pool_host.PoolHost`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import ray
from prometheus_client.metrics_core import Metric
from ray.exceptions import RayActorError, RayTaskError

from adapters.client import AdapterClient
from adapters.tracing import launching, start_tracing
from scheduler.access.guard import AccessSettings
from scheduler.access.transport import to_adapters
from scheduler.operation.exposition import collected
from scheduler.operation.instruments import POOL_CALL
from scheduler.operation.logs import configure_actor
from scheduler.runtime.calls import CONTROL_PLANE, control_plane, lost
from scheduler.runtime.pool_host import PoolHost
from scheduler.runtime.pool_link import PoolReport

log = logging.getLogger("xisuan.pool_host")
_REDELIVER_S = 0.5


class PoolHostProcess:
    def __init__(self, access: AccessSettings) -> None:
        self._connect = partial(AdapterClient, tls=to_adapters(access.files))
        start_tracing("xisuan-pool-host")
        configure_actor(ray.get_runtime_context().get_actor_name() or "pool-host")
        self._host: PoolHost | None = None

    async def call(
        self, method: str, arguments: tuple[Any, ...], traced: Mapping[str, str] = MappingProxyType({})
    ) -> Any:
        """`traced` are the traces of the runs that are launched by this call."""
        launching.set(traced)  # each call is a task, with a context of its own
        if self._host is None:
            self._host = PoolHost(self._connect, _deliver)
        with POOL_CALL.labels(method).time():
            return await getattr(self._host, method)(*arguments)

    async def metrics(self) -> tuple[Metric, ...]:
        return collected()


async def _deliver(report: PoolReport) -> None:
    """Until the control plane has stored it: a report is never dropped, and may be given twice."""
    while True:
        try:
            await control_plane().report.remote(report)
            return
        except (RayActorError, RayTaskError, ValueError) as error:
            lost(CONTROL_PLANE)
            log.warning("report of %s is delivered again: %s", report.pool_id, error)
            await asyncio.sleep(_REDELIVER_S)
