"""What the queue servicer needs, and the values that pass between: queues, their standing, reservations.

`scheduler.runtime.queue_desk` implements it inside the control plane; the gateway's proxy calls it there; tests call
it in memory. Errors that the caller has to act on are `RequestError`s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from inventory.model.units import Resources
from scheduler.core.queueing.calendar import KeptReservation
from scheduler.core.queueing.standings import QueueStanding


@dataclass(frozen=True, slots=True)
class Definition:
    """A document of queues (docs/queues.md), who applies it and why. `is_trial`: compare only, change nothing."""

    content: Mapping[str, Any]
    actor: str = ""
    reason: str = ""
    is_trial: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """Paths of queues, `reservation:ID` for reservations, names of other settings among `changed`. `unknown_pools`
    are reserved in and not registered."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unknown_pools: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.changed or self.removed)


@dataclass(frozen=True, slots=True)
class QueuesNow:
    """Parents before their children, and the document in force (None: none was ever applied)."""

    queues: tuple[QueueStanding, ...]
    document: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class ReservationAsked:
    """`start_ms` None: from now on. `end_ms` None: until it is ended."""

    reservation_id: str
    pool_id: str
    queue: str
    amount: Resources
    start_ms: int | None = None
    end_ms: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ReservationNow:
    """A reservation with its record, and the moment at which its state is told."""

    kept: KeptReservation
    now_ms: int


class Queues(Protocol):
    async def apply(self, definition: Definition) -> Difference:
        """Durable and in force when it returns. INVALID_ARGUMENT names every fault of the document, a line each."""

    async def queues(self) -> QueuesNow: ...

    async def reserve(self, asked: ReservationAsked, actor: str) -> ReservationNow:
        """Durable and in force when it returns; idempotent on the id. NOT_FOUND for a pool that is not registered,
        ALREADY_EXISTS for an id of another reservation, FAILED_PRECONDITION where the pool has no room for it."""

    async def end_reservation(self, reservation_id: str, actor: str, reason: str) -> ReservationNow:
        """Idempotent: what has ended stays as it ended. NOT_FOUND for an unknown id."""

    async def reservations(self, include_ended: bool) -> tuple[ReservationNow, ...]:
        """By start, then by id."""
