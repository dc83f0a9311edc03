"""The event journal behind Watch: what changed, in order, each change once, as far back as it is kept.

A backend publishes into it, every Watch call reads from it at its own pace. A cursor is "instance.sequence": it
names the adapter process as well, because the journal lives in memory and a new process starts a new one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from adapters.contract import RunReport

CAPACITY = 100_000
_WEIGHT_PER_READ = 20_000


class CursorExpired(ValueError):
    """A cursor of another process, or older than what is kept: the watcher lists, then watches anew."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Consecutive changes, and the cursor after them."""

    cursor: str
    reports: tuple[RunReport, ...] = ()
    nodes_changed: bool = False


class EventJournal:
    """Keeps at least the last `capacity` changes, at most twice as many. Use it from one event loop only."""

    def __init__(self, instance_id: str, capacity: int = CAPACITY) -> None:
        self._instance_id = instance_id
        self._capacity = capacity
        # A change is a report, or None for "the node set changed". Sequence numbers begin at 1.
        self._kept: list[RunReport | None] = []
        self._dropped = 0
        self._grown = asyncio.Event()
        self.failed = asyncio.Event()
        self.failure = ""

    def fail(self, message: str) -> None:
        """The backend can report no more changes: the adapter ends. The first message counts."""
        self.failure = self.failure or message
        self.failed.set()

    @property
    def instance_id(self) -> str:
        return self._instance_id

    @property
    def cursor(self) -> str:
        """The cursor after everything published so far."""
        return self._cursor_at(self._dropped + len(self._kept))

    @property
    def oldest_cursor(self) -> str:
        """The cursor before the oldest change that is kept."""
        return self._cursor_at(self._dropped)

    def publish(self, reports: Sequence[RunReport], *, nodes_changed: bool = False) -> None:
        if not reports and not nodes_changed:
            return
        self._kept.extend(reports)
        if nodes_changed:
            self._kept.append(None)
        # Dropping half at a time keeps publishing at constant cost a change.
        if len(self._kept) > 2 * self._capacity:
            surplus = len(self._kept) - self._capacity
            del self._kept[:surplus]
            self._dropped += surplus
        self._grown.set()
        self._grown = asyncio.Event()

    def read(self, cursor: str, limit: int = 1000) -> Changes:
        """Up to `limit` changes after `cursor` (fewer where gangs make them heavy); none when there are none yet.

        Raises CursorExpired.
        """
        first = self._position(cursor)
        reports: list[RunReport] = []
        nodes_changed, weight, position = False, 0, first
        while position < len(self._kept) and position - first < limit and weight < _WEIGHT_PER_READ:
            change = self._kept[position]
            position += 1
            if change is None:
                nodes_changed = True
            else:
                reports.append(change)
                weight += 1 + len(change.nodes)
        return Changes(self._cursor_at(self._dropped + position), tuple(reports), nodes_changed)

    async def wait_beyond(self, cursor: str, timeout_s: float) -> None:
        """Returns when there are changes after `cursor`, or after `timeout_s`. Raises CursorExpired."""
        if self._position(cursor) < len(self._kept):
            return
        try:
            await asyncio.wait_for(self._grown.wait(), timeout_s)
        except TimeoutError:
            return

    def _cursor_at(self, sequence: int) -> str:
        return f"{self._instance_id}.{sequence}"

    def _position(self, cursor: str) -> int:
        """Index in what is kept of the first change after `cursor`."""
        instance_id, _, digits = cursor.rpartition(".")
        if instance_id != self._instance_id or not (digits.isascii() and digits.isdigit() and len(digits) < 20):
            raise CursorExpired(f"{cursor!r} is not a cursor of this adapter process")
        position = int(digits) - self._dropped
        if not 0 <= position <= len(self._kept):
            raise CursorExpired(f"{cursor!r} is older than the oldest change that is kept")
        return position
