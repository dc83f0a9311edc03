"""A TCP proxy between the suite and the adapter, through which a spec loses messages on purpose.

The session connects through it always, so that every spec can delay, cut, swallow or half-open its connections
without knowing anything of the adapter's machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

_PIECE = 64 * 1024


@dataclass(slots=True)
class Faults:
    """What happens to the bytes now. Swallowed bytes are read and never forwarded: the peer sees no error."""

    delay_s: float = 0.0
    swallow_requests: bool = False
    swallow_answers: bool = False
    refuse: bool = False


class FaultProxy:
    """Forwards loopback connections to `target` ("host:port") as `faults` allow."""

    def __init__(self, target: str) -> None:
        host, _, port = target.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self.faults = Faults()
        self.endpoint = ""
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.endpoint = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Breaks every connection now, in both directions, with a reset."""
        for writer in tuple(self._writers):
            writer.transport.abort()
        self._writers.clear()

    def mend(self) -> None:
        """The line is good again; where it was not, its connections are cut, so that nobody waits for lost bytes."""
        if self.faults != Faults():
            self.faults = Faults()
            self.cut()

    @asynccontextmanager
    async def broken(self, faults: Faults) -> AsyncIterator[None]:
        """These faults for a while; afterwards the line is good again, and old connections are cut."""
        self.faults = faults
        try:
            yield
        finally:
            self.mend()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.faults.refuse:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        for task in (
            asyncio.create_task(self._pump(reader, far_writer, requests=True)),
            asyncio.create_task(self._pump(far_reader, writer, requests=False)),
        ):
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, requests: bool) -> None:
        try:
            while piece := await reader.read(_PIECE):
                if self.faults.delay_s:
                    await asyncio.sleep(self.faults.delay_s)
                if self.faults.swallow_requests if requests else self.faults.swallow_answers:
                    continue
                writer.write(piece)
                await writer.drain()
        except OSError:
            pass  # one side has broken off: so does the other, below
        finally:
            self._writers.discard(writer)
            writer.transport.abort()
