"""The ledger and migration desks inside the control plane: they take turns with its writer.

SQLite knows one writer at a time; an import that waited for the scheduler's transactions, or made them wait, would
run into lock timeouts. Here an import is simply the next thing that the writer does. Reading takes a thread.
"""

from __future__ import annotations

import asyncio
from typing import Any

from scheduler.runtime.writer import Writer


class InTurn:
    """A desk (`scheduler.services.ledger_desk`, `migration_desk`) with its methods made awaitable.

    `reading` names the methods that write nothing.
    """

    def __init__(self, desk: object, writer: Writer, reading: frozenset[str]) -> None:
        self._desk = desk
        self._writer = writer
        self._reading = reading

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._desk, name)

        async def call(*arguments: Any) -> Any:
            if name in self._reading:
                return await asyncio.to_thread(method, *arguments)
            return await asyncio.wrap_future(self._writer.exclusively(lambda: method(*arguments)))

        return call
