"""Queues and reservations inside the control plane: checked against what is in force, stored, and put in force.

The control plane holds one (its part `queues`, port `scheduler.services.queue_ports.Queues`). Every decision is made in
the writer's turn, so that two people who change the calendar at the same moment are decided one after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from inventory.model.units import Resources, format_resources, total
from inventory.store.chain import Draft
from scheduler.core.queueing.calendar import QueuesInForce, ReservationState, most_kept
from scheduler.core.queueing.document import QueueDocument, QueuesUnreadable, read_queues
from scheduler.core.queueing.reservations import Reservation
from scheduler.core.queueing.standings import TablesNow, standings
from scheduler.core.queueing.wording import moment
from scheduler.ports import Clock
from scheduler.runtime.registry import PoolRegistry
from scheduler.runtime.writer import Writer
from scheduler.services.ports import ErrorCode, RequestError
from scheduler.services.queue_ports import (
    Definition,
    Difference,
    QueuesNow,
    ReservationAsked,
    ReservationNow,
)
from scheduler.store.projection import queues_defined, reservation_created, reservation_ended
from scheduler.store.scheduler_store import SchedulerStore

Decide = Callable[[QueuesInForce], Sequence[Draft]]


class QueueDesk:
    """`wake` tells the planner that a placement may have become possible."""

    def __init__(
        self, store: SchedulerStore, writer: Writer, registry: PoolRegistry, clock: Clock, wake: Callable[[], None]
    ) -> None:
        self._store = store
        self._writer = writer
        self._registry = registry
        self._clock = clock
        self._wake = wake

    async def apply(self, definition: Definition) -> Difference:
        with _told_as_requests():
            document = read_queues(definition.content)
        found = Difference()

        def decide(in_force: QueuesInForce) -> Sequence[Draft]:
            nonlocal found
            _require_free_ids(document, in_force, self._clock.now_ms())
            found = difference(in_force, document)
            if definition.is_trial or (found.is_empty and in_force.document is not None):
                return ()
            return [queues_defined(document.model_dump(mode="json"), definition.reason)]

        await self._redefine(decide, definition.actor)
        unknown = {form.pool for form in document.reservations} - self._registry.ids()
        return replace(found, unknown_pools=tuple(sorted(unknown)))

    async def queues(self) -> QueuesNow:
        now_ms = self._clock.now_ms()
        now, in_force = await asyncio.to_thread(self._look, now_ms)
        capacity = total(entry.allocatable for entry in self._registry)
        document = None if in_force.document is None else in_force.document.model_dump(mode="json")
        return QueuesNow(standings(now, capacity), document)

    async def reserve(self, asked: ReservationAsked, actor: str) -> ReservationNow:
        return await self._reserve(asked, actor, replaces=False)

    async def hold(self, asked: ReservationAsked, actor: str) -> ReservationNow:
        """As `reserve`, but another amount under the same id replaces what was kept: a migration that holds anew."""
        return await self._reserve(asked, actor, replaces=True)

    async def end_reservation(self, reservation_id: str, actor: str, reason: str) -> ReservationNow:
        def decide(in_force: QueuesInForce) -> Sequence[Draft]:
            if reservation_id not in in_force.kept:
                raise _unknown(reservation_id, in_force, self._clock.now_ms())
            standing = in_force.standing(reservation_id, self._clock.now_ms())
            return [] if standing is None else [reservation_ended(reservation_id, reason)]

        in_force = await self._redefine(decide, actor)
        return ReservationNow(in_force.kept[reservation_id], self._clock.now_ms())

    async def reservations(self, include_ended: bool) -> tuple[ReservationNow, ...]:
        now_ms = self._clock.now_ms()
        in_force = await asyncio.to_thread(self._store.queues_in_force)
        kept = sorted(in_force.kept.values(), key=lambda one: (one.reservation.start_ms, one.reservation_id))
        return tuple(
            ReservationNow(one, now_ms)
            for one in kept
            if include_ended or one.state(now_ms) is not ReservationState.ENDED
        )

    async def _reserve(self, asked: ReservationAsked, actor: str, *, replaces: bool) -> ReservationNow:
        capacity = self._registry.get(asked.pool_id).pool.capacity

        def decide(in_force: QueuesInForce) -> Sequence[Draft]:
            now_ms = self._clock.now_ms()
            standing = in_force.standing(asked.reservation_id, now_ms)
            wanted = _reservation(asked, now_ms)
            if standing is not None:
                begins = standing.reservation.start_ms if asked.start_ms is None else asked.start_ms
                if replace(wanted, start_ms=begins) == standing.reservation:
                    return ()
                if not replaces:
                    raise _taken(standing.reservation)
            _require_time(wanted, now_ms)
            _require_room(wanted, in_force.calendar(), capacity)
            ended = [] if standing is None else [reservation_ended(asked.reservation_id, asked.reason)]
            return [*ended, reservation_created(_form(wanted))]

        in_force = await self._redefine(decide, actor)
        return ReservationNow(in_force.kept[asked.reservation_id], self._clock.now_ms())

    async def _redefine(self, decide: Decide, actor: str) -> QueuesInForce:
        in_force = await asyncio.wrap_future(self._writer.redefine(decide, actor))
        self._wake()
        return in_force

    def _look(self, now_ms: int) -> tuple[TablesNow, QueuesInForce]:
        """On a thread: it waits for a commit under way."""
        with self._writer.reading() as book:
            now = TablesNow.of(book.tables, now_ms)
        return now, self._store.queues_in_force()


def difference(before: QueuesInForce, after: QueueDocument) -> Difference:
    """What the document changes of what is in force. What was ended of the document before comes back with it."""
    ended = {f"reservation:{name}" for name, kept in before.kept.items() if kept.ending is not None}
    old = {
        name: value for name, value in _entries(before.document or QueueDocument()).items() if name not in ended
    }
    new = _entries(after)
    return Difference(
        added=tuple(name for name in new if name not in old),
        changed=tuple(name for name in new if name in old and new[name] != old[name]),
        removed=tuple(name for name in old if name not in new),
    )


def _entries(document: QueueDocument) -> Mapping[str, Any]:
    """Queues and reservations by name, and the settings of the whole, which are always there."""
    return {
        "half_life_hours": document.half_life_hours,
        "card_factors": document.card_factors,
        **{queue.path: queue for queue in document.queues},
        **{f"reservation:{form.id}": form for form in document.reservations},
    }


def _reservation(asked: ReservationAsked, now_ms: int) -> Reservation:
    start_ms = now_ms if asked.start_ms is None else asked.start_ms
    return Reservation(
        asked.reservation_id, asked.pool_id, asked.queue, asked.amount, start_ms, asked.end_ms, asked.reason
    )


def _form(reservation: Reservation) -> Mapping[str, Any]:
    """As the document of queues writes it, exactly: amounts in whole units of the smallest."""
    amount = reservation.amount
    return {
        "id": reservation.reservation_id,
        "pool": reservation.pool_id,
        "holder": reservation.holder,
        "amount": {
            "cpu": f"{amount.cpu_milli}m",
            "memory": amount.memory_bytes,
            "disk": amount.disk_bytes,
            "cards": amount.accelerator_milli / 1000,
        },
        "starts": _iso(reservation.start_ms),
        "ends": None if reservation.end_ms is None else _iso(reservation.end_ms),
        "reason": reservation.reason,
    }


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms // 1000, UTC).replace(microsecond=at_ms % 1000 * 1000).isoformat()


def _require_free_ids(document: QueueDocument, in_force: QueuesInForce, now_ms: int) -> None:
    for form in document.reservations:
        standing = in_force.standing(form.id, now_ms)
        if standing is not None and not standing.is_of_document:
            raise RequestError(
                ErrorCode.ALREADY_EXISTS,
                f"文件中的预留 {form.id} 与 {standing.actor} 单独建立的预留同名；请改名，或先 xisuan reservation end "
                f"{form.id} / reservation {form.id} of the document was created by {standing.actor} already; rename "
                f"it, or end that one first: xisuan reservation end {form.id}",
                "RESERVATION_EXISTS",
            )


def _require_time(wanted: Reservation, now_ms: int) -> None:
    if wanted.end_ms is not None and wanted.end_ms <= max(wanted.start_ms, now_ms):
        raise RequestError(
            ErrorCode.INVALID_ARGUMENT,
            f"预留 {wanted.reservation_id} 的结束时刻 {moment(wanted.end_ms)} 不晚于开始或现在；请给出更晚的结束 / "
            f"reservation {wanted.reservation_id} ends at {moment(wanted.end_ms)}, before it starts or in the past; "
            "give a later end",
        )


def _require_room(wanted: Reservation, calendar: Sequence[Reservation], capacity: Resources) -> None:
    """A calendar that promises more than the pool has promises nothing."""
    kept = most_kept(calendar, wanted)
    if not (wanted.amount + kept).fits_in(capacity):
        raise RequestError(
            ErrorCode.FAILED_PRECONDITION,
            f"预留 {wanted.reservation_id}：算力池 {wanted.pool_id} 共 {format_resources(capacity)}，该时段已预留 "
            f"{format_resources(kept)}，放不下 {format_resources(wanted.amount)}；请减少数量、换时段或换池 / "
            f"pool {wanted.pool_id} has {format_resources(capacity)}, of which {format_resources(kept)} are reserved in "
            f"that time; {format_resources(wanted.amount)} do not fit: ask for less, another time or another pool",
            "CALENDAR_FULL",
        )


def _taken(standing: Reservation) -> RequestError:
    until = "∞" if standing.end_ms is None else moment(standing.end_ms)
    told = f"{standing.holder} @ {standing.pool_id}, {format_resources(standing.amount)}, → {until}"
    return RequestError(
        ErrorCode.ALREADY_EXISTS,
        f"预留 {standing.reservation_id} 已存在且内容不同（{told}）；请换编号，或先结束它 / reservation "
        f"{standing.reservation_id} exists and says otherwise ({told}); choose another id, or end it first",
        "RESERVATION_EXISTS",
    )


def _unknown(reservation_id: str, in_force: QueuesInForce, now_ms: int) -> RequestError:
    known = ", ".join(sorted(name for name in in_force.kept if in_force.standing(name, now_ms))[:10]) or "-"
    return RequestError(
        ErrorCode.NOT_FOUND,
        f"没有预留 {reservation_id}，有：{known} / no reservation {reservation_id}; there are: {known}",
    )


@contextmanager
def _told_as_requests() -> Iterator[None]:
    """A document with faults is the caller's to mend."""
    try:
        yield
    except QueuesUnreadable as error:
        raise RequestError(ErrorCode.INVALID_ARGUMENT, str(error), "QUEUES_UNREADABLE") from error
