"""What is in force of queues and reservations, from what was recorded: documents, reservations created, ended.

Who calls this: the store folds its events through `in_force`, the writer builds the book over the result, and the
queue desk (`scheduler.runtime.queue_desk`) decides against it. A document replaces the document before and its
reservations; a reservation that was created by itself stays until its time is over or somebody ends it. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from inventory.model.units import Resources, total
from scheduler.core.queueing.document import QueueDocument, ReservationForm, read_queues
from scheduler.core.queueing.reservations import Reservation


@dataclass(frozen=True, slots=True)
class Ending:
    """Somebody ended a reservation before its time, or one that had none."""

    actor: str
    reason: str
    at_ms: int


class ReservationState(StrEnum):
    PLANNED = "planned"
    ACTIVE = "active"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class KeptReservation:
    """A reservation with its record: who created it (or applied its document) and when, and how it ended."""

    reservation: Reservation
    actor: str
    created_ms: int
    is_of_document: bool = False
    ending: Ending | None = None

    @property
    def reservation_id(self) -> str:
        return self.reservation.reservation_id

    def state(self, now_ms: int) -> ReservationState:
        if self.ending is not None or self.reservation.is_over(now_ms):
            return ReservationState.ENDED
        is_planned = now_ms < self.reservation.start_ms
        return ReservationState.PLANNED if is_planned else ReservationState.ACTIVE


@dataclass(frozen=True, slots=True)
class Defined:
    """A document of queues was applied."""

    document: Mapping[str, Any]
    actor: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Created:
    """A reservation was created by itself; `form` is that of `ReservationForm`."""

    form: Mapping[str, Any]
    actor: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Ended:
    reservation_id: str
    ending: Ending


Recorded = Defined | Created | Ended


@dataclass(frozen=True, slots=True)
class QueuesInForce:
    """`document` None: none was ever applied. `kept` are all reservations by id, those that ended too."""

    document: QueueDocument | None = None
    kept: Mapping[str, KeptReservation] = field(default_factory=dict)

    def calendar(self) -> tuple[Reservation, ...]:
        """Reservations that nobody has ended, as the cycle reads them."""
        return tuple(one.reservation for one in self.kept.values() if one.ending is None)

    def standing(self, reservation_id: str, now_ms: int) -> KeptReservation | None:
        """The reservation of this id that is planned or active now."""
        one = self.kept.get(reservation_id)
        return None if one is None or one.state(now_ms) is ReservationState.ENDED else one


def in_force(recorded: Iterable[Recorded]) -> QueuesInForce:
    """The fold of everything recorded, oldest first. Raises QueuesUnreadable for a document that is none."""
    document: QueueDocument | None = None
    kept: dict[str, KeptReservation] = {}
    for one in recorded:
        match one:
            case Defined():
                document = read_queues(one.document)
                kept = {name: entry for name, entry in kept.items() if not entry.is_of_document}
                for form in document.reservations:
                    kept[form.id] = KeptReservation(form.reservation(), one.actor, one.at_ms, True)
            case Created():
                reservation = ReservationForm.model_validate(one.form).reservation()
                kept[reservation.reservation_id] = KeptReservation(reservation, one.actor, one.at_ms)
            case Ended(reservation_id, ending) if reservation_id in kept:
                kept[reservation_id] = replace(kept[reservation_id], ending=ending)
    return QueuesInForce(document, kept)


def most_kept(reservations: Iterable[Reservation], asked: Reservation) -> Resources:
    """The most that others keep of the pool of `asked` at one moment of its time, dimension by dimension.

    Amounts change only where a reservation starts, so the starts within the time of `asked` are all to look at.
    """
    others = [
        one
        for one in reservations
        if one.pool_id == asked.pool_id
        and one.reservation_id != asked.reservation_id
        and one.start_ms < asked.until_ms
        and asked.start_ms < one.until_ms
    ]
    moments = {max(asked.start_ms, one.start_ms) for one in others}
    sums = [total(one.amount for one in others if one.start_ms <= at < one.until_ms) for at in moments]
    return Resources(
        max((amount.cpu_milli for amount in sums), default=0),
        max((amount.memory_bytes for amount in sums), default=0),
        max((amount.disk_bytes for amount in sums), default=0),
        max((amount.accelerator_milli for amount in sums), default=0),
    )
