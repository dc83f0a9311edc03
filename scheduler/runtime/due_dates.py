"""What follows by the clock alone: pauses of retries that end, deadlines that are missed, turns of the calendar.

The planner calls `settle` before each look at the queue, and looks again when it says so; nothing polls.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from scheduler.core.book import Book
from scheduler.core.changes import Change, DeadlineMissed
from scheduler.core.queueing.turns import next_turn_ms
from scheduler.runtime.writer import Decision, Writer

log = logging.getLogger("xisuan.due_dates")


class DueMoments:
    def __init__(self, writer: Writer, now_ms: Callable[[], int]) -> None:
        self._writer = writer
        self._now_ms = now_ms
        self._turn_ms: int | None = None  # of the calendar, the next one that was seen

    async def settle(self, longest_s: float) -> tuple[float, bool]:
        """Lets those wait for a place whose pause is over, and records missed deadlines; returns the seconds until the
        next moment that must not be slept through, `longest_s` at most, and whether one has come at which somebody may
        find a place who found none before: the end of a pause, or a turn of the calendar."""
        now_ms = self._now_ms()
        has_turned = self._turn_ms is not None and self._turn_ms <= now_ms

        def look(book: Book) -> tuple[int, bool, list[int | None]]:
            self._turn_ms = next_turn_ms(book.calendar, book.tables.usage, now_ms)
            return book.wake(now_ms), bool(book.due.missed(now_ms)), [book.due.next_ms(), self._turn_ms]

        woken, is_missed, moments = await asyncio.to_thread(self._writer.look, look)
        if is_missed:
            missed = await asyncio.wrap_future(self._writer.submit(_record_missed(now_ms)))
            log.info("%d workloads have missed their deadlines", missed)
            moments[0] = await asyncio.to_thread(self._writer.look, lambda book: book.due.next_ms())
        next_ms = min((one for one in moments if one is not None), default=None)
        rest_s = longest_s if next_ms is None else min(longest_s, max(0.001, (next_ms - now_ms) / 1000))
        return rest_s, bool(woken) or has_turned


def _record_missed(now_ms: int) -> Callable[[Book], Decision[int]]:
    def decide(book: Book) -> Decision[int]:
        missed = book.due.missed(now_ms)
        changes: list[Change] = [DeadlineMissed(workload_id, due_ms) for workload_id, due_ms in missed]
        return Decision(len(changes), changes)

    return decide
