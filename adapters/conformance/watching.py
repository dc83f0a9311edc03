"""A watcher of the suite: reads Watch in the background, keeps everything in order, and lets specs wait for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc

from adapters.conformance.session import Session, require
from adapters.conformance.spec import Broken
from adapters.wire.status import Failure, details_of
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb


class Watcher:
    """Messages as they came, each with its moment (monotonic seconds)."""

    def __init__(self, patience_s: float) -> None:
        self.messages: list[tuple[float, pb.WatchResponse]] = []
        self.failure: Failure | None = None
        self._patience_s = patience_s
        self._grown = asyncio.Event()

    async def read(self, stream: Any) -> None:
        try:
            async for message in stream:
                self.messages.append((time.monotonic(), message))
                self._grown.set()
        except grpc.RpcError as error:
            self.failure = details_of(error)
        finally:
            self._grown.set()

    @property
    def cursor(self) -> str:
        return self.messages[-1][1].cursor if self.messages else ""

    def told(self, run_id: str) -> list[pb.RunStatus]:
        """Every status of this run, in order."""
        return [run for _, message in self.messages for run in message.runs if run.run_id == run_id]

    def states(self, run_id: str) -> list[int]:
        return [status.state for status in self.told(run_id)]

    async def until(self, holds: Callable[[Watcher], bool], what: str) -> None:
        """Waits until it holds; Broken when patience or the stream ends before."""
        end = time.monotonic() + self._patience_s
        while not holds(self):
            if self.failure is not None:
                raise Broken(
                    f"expected {what}; the stream ended with {self.failure.code.name} {self.failure.message}"
                )
            left = end - time.monotonic()
            require(left > 0, f"{what} within {self._patience_s:g} s", f"{len(self.messages)} messages without it")
            self._grown.clear()
            try:
                async with asyncio.timeout(min(left, 1.0)):
                    await self._grown.wait()
            except TimeoutError:
                continue

    async def until_told(self, run_id: str, state: int) -> None:
        await self.until(lambda watcher: state in watcher.states(run_id), f"{run_id} told in state {state}")


@asynccontextmanager
async def watching(session: Session, cursor: str, stub: Any = None) -> AsyncIterator[Watcher]:
    """A watcher from `cursor` on, connected: its first message has come, or its refusal."""
    watcher = Watcher(session.options.patience_s)
    stream = (stub or session.stub).Watch(pb.WatchRequest(cursor=cursor))
    reading = asyncio.create_task(watcher.read(stream))
    try:
        await watcher.until(lambda w: bool(w.messages) or w.failure is not None, "a first message at once")
        yield watcher
    finally:
        stream.cancel()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def cursor_now(session: Session) -> str:
    """The cursor after everything so far."""
    cursor: str = (await session.stub.List(pb.ListRequest(page_size=1))).cursor
    require(bool(cursor), "List to name a cursor", "none")
    return cursor
