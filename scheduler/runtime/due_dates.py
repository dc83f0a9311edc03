"""What follows by the clock alone: pauses of retries that end, deadlines that are missed.

The planner calls `settle` before each look at the queue, and looks again when it says so; nothing polls.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from scheduler.core.book import Book
from scheduler.core.changes import Change, DeadlineMissed
from scheduler.runtime.writer import Decision, Writer

log = logging.getLogger("xisuan.due_dates")


class DueMoments:
    def __init__(self, writer: Writer, now_ms: Callable[[], int]) -> None:
        self._writer = writer
        self._now_ms = now_ms

    async def settle(self, longest_s: float) -> tuple[float, bool]:
        """Lets those wait for a place whose pause is over, and records missed deadlines; returns the seconds until the
        next such moment, `longest_s` at most, and whether there were any of the former."""
        now_ms = self._now_ms()

        def look(book: Book) -> tuple[int, bool, int | None]:
            return book.wake(now_ms), bool(book.due.missed(now_ms)), book.due.next_ms()

        woken, is_missed, next_ms = await asyncio.to_thread(self._writer.look, look)
        if is_missed:
            missed = await asyncio.wrap_future(self._writer.submit(_record_missed(now_ms)))
            log.info("%d workloads have missed their deadlines", missed)
            next_ms = await asyncio.to_thread(self._writer.look, lambda book: book.due.next_ms())
        rest_s = longest_s if next_ms is None else min(longest_s, max(0.001, (next_ms - now_ms) / 1000))
        return rest_s, bool(woken)


def _record_missed(now_ms: int) -> Callable[[Book], Decision[int]]:
    def decide(book: Book) -> Decision[int]:
        missed = book.due.missed(now_ms)
        changes: list[Change] = [DeadlineMissed(workload_id, due_ms) for workload_id, due_ms in missed]
        return Decision(len(changes), changes)

    return decide
