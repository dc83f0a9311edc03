"""Capacity of a run in the calendar of queues: held once, for the run's queue, until it is released."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from console.runbook_host import ServiceReservations
from scheduler.core.queueing.calendar import Ending, KeptReservation
from scheduler.core.queueing.reservations import Reservation
from scheduler.runbooks.ports import Capacity
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
        made = Reservation(
            asked.reservation_id, asked.pool_id, asked.queue, asked.amount, T0, asked.end_ms, asked.reason
        )
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

    async def reservations(self, include_ended: bool) -> tuple[ReservationNow, ...]:
        return tuple(ReservationNow(one, T0) for one in self.kept.values() if include_ended or one.ending is None)


def test_capacity_is_held_for_the_runs_own_queue_until_it_is_released() -> None:
    desk = Desk()
    asyncio.run(CapacityCalendar(desk).hold(HELD))
    (kept,) = desk.kept.values()
    reservation = kept.reservation
    assert (reservation.reservation_id, reservation.pool_id) == ("migration-r1", "gov-a")
    assert (reservation.holder, reservation.end_ms) == ("migration/r1", None)
    assert (reservation.amount.cpu_milli, reservation.amount.memory_bytes) == (1500, 64 * 1024**2)
    asyncio.run(CapacityCalendar(desk).release("R1", False))
    assert desk.kept["migration-r1"].ending is not None


@pytest.mark.parametrize(
    ("cpu_milli", "memory", "pieces", "cpu_each", "memory_each"),
    [(500, 128, 1, 500, 128), (4000, 8, 1, 4000, 8), (4001, 9, 2, 2001, 5), (128_000, 512, 32, 4000, 16)],
    ids=["a small service", "one piece", "a little more", "a group larger than any node"],
)
def test_room_is_asked_for_in_pieces_that_need_not_share_a_node(
    cpu_milli: int, memory: int, pieces: int, cpu_each: int, memory_each: int
) -> None:
    class Service:
        def __init__(self) -> None:
            self.asked: list[Any] = []

        def dry_run(self, specs: list[Any]) -> list[Any]:
            self.asked += specs
            return [SimpleNamespace(placement=SimpleNamespace(pool_id="gov-a"))]

        def hold_capacity(self, request: Any) -> None:
            self.held = request

    service = Service()
    ServiceReservations(service, service).hold(Capacity("R1", "gov-a", cpu_milli, memory))  # type: ignore[arg-type]  # stands in for both
    needed = service.asked[-1].requirements
    assert (needed.tasks, needed.per_task.cpu_milli, needed.per_task.memory_bytes) == (
        pieces,
        cpu_each,
        memory_each,
    )
    assert (service.held.cpu_milli, service.held.memory_bytes) == (cpu_milli, memory), "what is held is the whole"


@pytest.mark.parametrize("as_allocation", [False, True])
def test_releasing_what_was_never_held_changes_nothing(as_allocation: bool) -> None:
    desk = Desk()
    asyncio.run(CapacityCalendar(desk).release("R9", as_allocation))
    assert desk.kept == {}


def test_what_runs_by_itself_after_acceptance_keeps_the_capacity_as_its_allocation() -> None:
    desk = Desk()
    for run_id in ("R1", "R2"):
        asyncio.run(CapacityCalendar(desk).hold(replace(HELD, run_id=run_id)))
    for _ in range(2):  # a step may be asked twice
        asyncio.run(CapacityCalendar(desk).release("R1", True))
    kept = desk.kept["migration-r1"]
    assert kept.ending is None
    assert kept.reservation.amount == desk.kept["migration-r2"].reservation.amount
    assert "steady load" in kept.reservation.reason
    assert "steady load" not in desk.kept["migration-r2"].reservation.reason


def test_a_calendar_that_does_not_answer_is_told_to_whoever_releases() -> None:
    desk = Desk()
    desk.fails = RequestError(ErrorCode.UNAVAILABLE, "closing")
    with pytest.raises(RequestError, match="closing"):
        asyncio.run(CapacityCalendar(desk).release("R1", False))
