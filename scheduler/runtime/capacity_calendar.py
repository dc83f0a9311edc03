"""Capacity that is held for migrations, as reservations in the calendar of queues.

The control-plane actor holds one; runbook hosts reach it through the gateway. A run holds for the queue of its own
workloads (`migration/r1`), so that what the run starts uses the reservation and nothing else does, from approval to
acceptance; where its systems run by themselves from then on, it stays as their allocation, until somebody ends it.
Each is a reservation by itself: a document of queues that somebody applies meanwhile does not end it.
"""

from __future__ import annotations

from typing import Protocol

from inventory.model.units import Resources
from scheduler.runtime.desks import InTurn
from scheduler.runtime.writer import Writer
from scheduler.services.ports import ErrorCode, RequestError
from scheduler.services.queue_ports import ReservationAsked, ReservationNow
from scheduler.services.run_ports import HeldCapacity

PREFIX = "migration-"
ACTOR = "runbooks"


class Calendar(Protocol):
    """The queue desk (`scheduler.runtime.queue_desk`)."""

    async def hold(self, asked: ReservationAsked, actor: str) -> ReservationNow: ...

    async def end_reservation(self, reservation_id: str, actor: str, reason: str) -> ReservationNow: ...

    async def reservations(self, include_ended: bool) -> tuple[ReservationNow, ...]: ...


class RunsInTurn(InTurn):
    """The part `runs` of the control plane: the run desk takes turns with the writer, and the calendar of capacity
    goes the way of every reservation."""

    def __init__(self, desk: object, writer: Writer, reading: frozenset[str], calendar: CapacityCalendar) -> None:
        super().__init__(desk, writer, reading)
        self.hold = calendar.hold
        self.release = calendar.release


class CapacityCalendar:
    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar

    async def hold(self, held: HeldCapacity) -> None:
        """Durable when it returns. Idempotent on the run; another amount replaces the first."""
        reason = f"{held.run_id}: 审批至验收 / from approval to acceptance"
        amount = Resources(held.cpu_milli, held.memory_bytes)
        asked = ReservationAsked(_id(held.run_id), held.pool_id, queue_of(held.run_id), amount, reason=reason)
        await self._calendar.hold(asked, ACTOR)

    async def release(self, run_id: str, as_allocation: bool) -> None:
        """Idempotent, also for a run that never held anything. `as_allocation`: the reservation stands for the steady load
        of the run's systems from now on, and is named so."""
        if as_allocation:
            await self._allocate(run_id)
            return
        try:
            await self._calendar.end_reservation(_id(run_id), ACTOR, f"{run_id}: 已释放 / released")
        except RequestError as error:
            if error.code is not ErrorCode.NOT_FOUND:
                raise

    async def _allocate(self, run_id: str) -> None:
        held = [one.kept.reservation for one in await self._calendar.reservations(False)]
        for one in held:
            if one.reservation_id == _id(run_id):
                reason = f"{run_id}: 验收后的稳态负载 / steady load since acceptance"
                asked = ReservationAsked(one.reservation_id, one.pool_id, one.holder, one.amount, reason=reason)
                await self._calendar.hold(asked, ACTOR)


def queue_of(run_id: str) -> str:
    """The queue of a run's workloads, which is the holder of its capacity."""
    return f"migration/{run_id.lower()}"


def _id(run_id: str) -> str:
    return f"{PREFIX}{run_id.lower()}"
