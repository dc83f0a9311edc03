"""A real gateway over ports in memory, on a thread of its own, for tests that call it through gRPC."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from scheduler.services.assessment_ports import Assessment
from scheduler.services.desk_ports import Ledger, Migration
from scheduler.services.queue_ports import Queues
from scheduler.services.run_ports import Runs
from scheduler.services.server import UNGUARDED, Gateway, Ports
from tests.services.memory import MemoryScheduling

_START_S = 10.0


class Serving:
    """One gateway. `stop` and `start` let a test take the service away and bring it back at the same address."""

    def __init__(
        self,
        scheduling: MemoryScheduling,
        ledger: Any = None,
        migration: Any = None,
        runs: Any = None,
        assessment: Any = None,
        queues: Any = None,
        operation: Any = None,
    ) -> None:
        self.scheduling = scheduling
        self._ports = Ports(
            scheduling,
            cast(Ledger, ledger),
            cast(Migration, migration),
            cast(Runs, runs),
            cast(Assessment, assessment),
            cast(Queues, queues),
        )
        self._operation = operation
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gateway", daemon=True)
        self._thread.start()
        self.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        self.port = self._run(self._start())

    async def _start(self) -> int:
        self._gateway = Gateway(self._ports, UNGUARDED)
        if self._operation is not None:
            self._gateway.offer_operation(self._operation)
        return await self._gateway.start("127.0.0.1", self.port)

    def stop(self) -> None:
        self._run(self._gateway.close())

    def hold_up(self, action: Callable[[], None]) -> None:
        """The gateway's event loop does this, and nothing else until it has returned."""
        self._loop.call_soon_threadsafe(action)

    def close(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_START_S)
        self._loop.close()

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_START_S)


@contextmanager
def serving(
    scheduling: MemoryScheduling,
    ledger: Any = None,
    migration: Any = None,
    runs: Any = None,
    assessment: Any = None,
    queues: Any = None,
    operation: Any = None,
) -> Iterator[Serving]:
    service = Serving(scheduling, ledger, migration, runs, assessment, queues, operation)
    try:
        yield service
    finally:
        service.close()
