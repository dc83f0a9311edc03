"""Capacity of a run in the calendar of queues: held once, for the run's queue, beside what people defined."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from scheduler.core.queueing.document import read_queues
from scheduler.runtime.capacity_calendar import CapacityCalendar
from scheduler.services.run_ports import HeldCapacity
from tests.runbooks.runbooks import T0

HELD = HeldCapacity("R1", "gov-a", 1500, 64 * 1024**2)


class Plane:
    """Takes what the control plane takes, and says how often."""

    def __init__(self, document: Mapping[str, Any] | None = None) -> None:
        self.document = document
        self.defined = 0

    async def define_queues(self, content: Mapping[str, Any]) -> None:
        self.document = read_queues(content).model_dump(mode="json")
        self.defined += 1


def calendar(plane: Plane) -> CapacityCalendar:
    return CapacityCalendar(plane, lambda: plane.document, lambda: T0)


def test_capacity_is_held_for_the_runs_own_queue_until_it_is_released() -> None:
    plane = Plane()
    asyncio.run(calendar(plane).hold(HELD))
    asyncio.run(calendar(plane).hold(HELD))
    document = read_queues(plane.document or {})
    (reservation,) = document.calendar()
    assert (reservation.pool_id, reservation.holder) == ("gov-a", "migration/r1")
    assert (reservation.amount.cpu_milli, reservation.amount.memory_bytes) == (1500, 64 * 1024**2)
    assert (reservation.start_ms, reservation.end_ms) == (T0, None)
    assert document.tables().tree.number("migration/r1") is not None
    asyncio.run(calendar(plane).release("R1"))
    assert read_queues(plane.document or {}).calendar() == ()


def test_what_people_defined_stays_as_it_was() -> None:
    given = {"version": 1, "queues": [{"path": "transport", "weight": 3}], "half_life_hours": 24}
    plane = Plane(given)
    asyncio.run(calendar(plane).hold(HELD))
    asyncio.run(calendar(plane).hold(HeldCapacity("R2", "gov-b", 1, 1)))
    asyncio.run(calendar(plane).release("R1"))
    document = read_queues(plane.document or {})
    assert [queue.path for queue in document.queues] == ["transport", "migration/r2"]
    assert document.queues[0].weight == 3 and document.half_life_hours == 24
    assert [one.id for one in document.reservations] == ["migration-r2"]


def test_releasing_what_is_not_held_changes_nothing() -> None:
    plane = Plane({"version": 1})
    asyncio.run(calendar(plane).release("R9"))
    assert plane.defined == 0
