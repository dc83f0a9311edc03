"""When the calendar alone makes room, or a claim: nothing happens then that anybody would report.

The planner looks again at such a moment (`scheduler.runtime.due_dates`), and forecasts do (`scheduler.forecast.world`).
"""

from __future__ import annotations

from collections.abc import Iterable

from scheduler.core.queueing.reservations import Reservation
from scheduler.core.queueing.running import FAR
from scheduler.core.queueing.usage import QueueUsage


def next_turn_ms(reservations: Iterable[Reservation], usage: QueueUsage, now_ms: int) -> int | None:
    """The next moment after `now_ms` at which a reservation begins or ends, or a budget's period begins; None: there is
    none."""
    moments = [moment for one in reservations for moment in (one.start_ms, one.until_ms)]
    moments += usage.renewals_ms(now_ms)
    return min((moment for moment in moments if now_ms < moment < FAR), default=None)
