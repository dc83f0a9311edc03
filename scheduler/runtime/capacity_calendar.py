"""Capacity that is held for migrations, as reservations in the calendar of queues.

The control-plane actor holds one; runbook hosts reach it through the gateway. A run holds for the queue of its own
workloads (`migration/r1`), so that what the run starts uses the reservation and nothing else does, from approval to
acceptance. The calendar is one document (`scheduler.core.queueing.document`), which is read, changed and defined
anew; people who define it at the same moment are asked to look again, as with any document.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from scheduler.runtime.desks import InTurn
from scheduler.runtime.writer import Writer
from scheduler.services.run_ports import HeldCapacity

PREFIX = "migration-"


class Calendar(Protocol):
    """The control plane: `define_queues` puts a document in force, durably."""

    async def define_queues(self, content: Mapping[str, Any]) -> None: ...


class RunsInTurn(InTurn):
    """The part `runs` of the control plane: the run desk takes turns with the writer, and the calendar of capacity
    goes the way of every definition of queues."""

    def __init__(self, desk: object, writer: Writer, reading: frozenset[str], calendar: CapacityCalendar) -> None:
        super().__init__(desk, writer, reading)
        self.hold = calendar.hold
        self.release = calendar.release


class CapacityCalendar:
    """`current` reads the document in force; None when none was ever defined."""

    def __init__(
        self, plane: Calendar, current: Callable[[], Mapping[str, Any] | None], now_ms: Callable[[], int]
    ) -> None:
        self._plane = plane
        self._current = current
        self._now_ms = now_ms
        self._turn = asyncio.Lock()

    async def hold(self, held: HeldCapacity) -> None:
        """Durable when it returns. Idempotent on the run; another amount replaces the first."""
        starts = datetime.fromtimestamp(self._now_ms() / 1000, UTC).isoformat()
        reservation = {
            "id": _id(held.run_id),
            "pool": held.pool_id,
            "holder": queue_of(held.run_id),
            "amount": {"cpu": f"{held.cpu_milli}m", "memory": held.memory_bytes},
            "starts": starts,
            "reason": f"{held.run_id}: 审批至验收 / from approval to acceptance",
        }
        await self._replace(held.run_id, reservation)

    async def release(self, run_id: str) -> None:
        await self._replace(run_id, None)

    async def _replace(self, run_id: str, reservation: Mapping[str, Any] | None) -> None:
        async with self._turn:
            current: Mapping[str, Any] | None = await asyncio.to_thread(self._current)
            document = dict(current or {"version": 1})
            before = list(document.get("reservations", ()))
            others = [one for one in before if one["id"] != _id(run_id)]
            if reservation is None and len(others) == len(before):
                return  # nothing is held
            queues = [one for one in document.get("queues", ()) if one["path"] != queue_of(run_id)]
            if reservation is not None:
                queues.append({"path": queue_of(run_id)})
                others.append(dict(reservation))
            await self._plane.define_queues({**document, "queues": queues, "reservations": others})


def queue_of(run_id: str) -> str:
    """The queue of a run's workloads, which is the holder of its capacity."""
    return f"migration/{run_id.lower()}"


def _id(run_id: str) -> str:
    return f"{PREFIX}{run_id.lower()}"
