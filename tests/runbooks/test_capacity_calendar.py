"""Capacity of a run in the calendar of queues: held once, for the run's queue, until it is released."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from scheduler.core.queueing.calendar import Ending, KeptReservation
from scheduler.core.queueing.reservations import Reservation
from scheduler.runtime.capacity_calendar import CapacityCalendar
from scheduler.services.ports import ErrorCode, RequestError
from scheduler.services.queue_ports import ReservationAsked, ReservationNow
from scheduler.services.run_ports import HeldCapacity
from tests.runbooks.runbooks import T0

HELD = HeldCapacity("R1", "gov-a", 1500, 64 * 1024**2)


class Desk:
    """Keeps what it is asked to hold, as the queue desk does."""

    def __init__(self) -> None:
        self.kept: dict[str, KeptReservation] = {}
        self.fails: RequestError | None = None

    async def hold(self, asked: ReservationAsked, actor: str) -> ReservationNow:
        made = Reservation(asked.reservation_id, asked.pool_id, asked.queue, asked.amount, T0, asked.end_ms)
        self.kept[asked.reservation_id] = KeptReservation(made, actor, T0)
        return ReservationNow(self.kept[asked.reservation_id], T0)

    async def end_reservation(self, reservation_id: str, actor: str, reason: str) -> ReservationNow:
        if self.fails is not None:
            raise self.fails
        if reservation_id not in self.kept:
            raise RequestError(ErrorCode.NOT_FOUND, f"no reservation {reservation_id}")
        ended = replace(self.kept[reservation_id], ending=Ending(actor, reason, T0))
        self.kept[reservation_id] = ended
        return ReservationNow(ended, T0)


def test_capacity_is_held_for_the_runs_own_queue_until_it_is_released() -> None:
    desk = Desk()
    asyncio.run(CapacityCalendar(desk).hold(HELD))
    (kept,) = desk.kept.values()
    reservation = kept.reservation
    assert (reservation.reservation_id, reservation.pool_id) == ("migration-r1", "gov-a")
    assert (reservation.holder, reservation.end_ms) == ("migration/r1", None)
    assert (reservation.amount.cpu_milli, reservation.amount.memory_bytes) == (1500, 64 * 1024**2)
    asyncio.run(CapacityCalendar(desk).release("R1"))
    assert desk.kept["migration-r1"].ending is not None


def test_releasing_what_was_never_held_changes_nothing() -> None:
    desk = Desk()
    asyncio.run(CapacityCalendar(desk).release("R9"))
    assert desk.kept == {}


def test_a_calendar_that_does_not_answer_is_told_to_whoever_releases() -> None:
    desk = Desk()
    desk.fails = RequestError(ErrorCode.UNAVAILABLE, "closing")
    with pytest.raises(RequestError, match="closing"):
        asyncio.run(CapacityCalendar(desk).release("R1"))
