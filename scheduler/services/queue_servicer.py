"""`xisuan.queue.v1.QueueService`: who may have how much, and what is reserved. Stateless, over the port of queues."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from adapters.wire.inspection import Inspection, InvalidMessage, Violation
from adapters.wire.scalars import (
    resources_from_wire,
    resources_to_wire,
    timestamp_from_wire,
    timestamp_to_wire,
)
from adapters.wire.words import QUEUE
from inventory.model.units import Resources
from scheduler.core.queueing.calendar import ReservationState
from scheduler.core.queueing.document import QueuesUnreadable, notes_on, read_queues
from scheduler.core.queueing.queues import UNLIMITED
from scheduler.core.queueing.standings import QueueStanding
from scheduler.services.answering import Context, answering
from scheduler.services.queue_ports import Definition, Queues, ReservationAsked, ReservationNow
from xisuan.queue.v1 import queue_service_pb2 as pb
from xisuan.queue.v1.queue_service_pb2_grpc import QueueServiceServicer

MAX_DOCUMENT_CHARACTERS = 8 * 1024 * 1024
_RESERVATION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_LATEST_MS = 4_102_444_800_000  # the year 2100
STATES: Mapping[ReservationState, pb.ReservationState.ValueType] = {
    ReservationState.PLANNED: pb.RESERVATION_STATE_PLANNED,
    ReservationState.ACTIVE: pb.RESERVATION_STATE_ACTIVE,
    ReservationState.ENDED: pb.RESERVATION_STATE_ENDED,
}


class QueueServicer(QueueServiceServicer):
    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    async def ApplyQueues(self, request: pb.ApplyQueuesRequest, context: Context) -> pb.ApplyQueuesResponse:
        async with answering(context):
            content = _document(request.document_json)
            definition = Definition(content, request.actor, request.reason, request.validate_only)
            found = await self._queues.apply(definition)
            return pb.ApplyQueuesResponse(
                added=found.added,
                changed=found.changed,
                removed=found.removed,
                unknown_pools=found.unknown_pools,
                notes=notes_on(read_queues(content)),
            )

    async def ListQueues(self, request: pb.ListQueuesRequest, context: Context) -> pb.ListQueuesResponse:
        async with answering(context):
            now = await self._queues.queues()
            shown = [one for one in now.queues if _is_within(one.path, request.path)]
            document = "" if now.document is None else json.dumps(now.document, ensure_ascii=False)
            return pb.ListQueuesResponse(queues=[_queue_to_wire(one) for one in shown], document_json=document)

    async def CreateReservation(
        self, request: pb.CreateReservationRequest, context: Context
    ) -> pb.CreateReservationResponse:
        async with answering(context):
            made = await self._queues.reserve(_asked(request.reservation), request.actor)
            return pb.CreateReservationResponse(record=_record_to_wire(made))

    async def EndReservation(
        self, request: pb.EndReservationRequest, context: Context
    ) -> pb.EndReservationResponse:
        async with answering(context):
            ended = await self._queues.end_reservation(request.reservation_id, request.actor, request.reason)
            return pb.EndReservationResponse(record=_record_to_wire(ended))

    async def ListReservations(
        self, request: pb.ListReservationsRequest, context: Context
    ) -> pb.ListReservationsResponse:
        async with answering(context):
            found = await self._queues.reservations(request.include_ended)
            shown = [one for one in found if request.pool_id in ("", one.kept.reservation.pool_id)]
            return pb.ListReservationsResponse(records=[_record_to_wire(one) for one in shown])


def _document(text: str) -> Mapping[str, Any]:
    """Raises InvalidMessage with every fault of the document, by its place."""
    check = Inspection()
    content: Any = None
    if len(text) > MAX_DOCUMENT_CHARACTERS:
        check.refuse(
            "document_json", f"{len(text)}", "最多 8 Mi 字符，请精简", "has at most 8 Mi characters: shorten it"
        )
    else:
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            check.refuse("document_json", text, "不是有效的 JSON，请改正", "is no valid JSON: correct it")
    if not check.violations and not isinstance(content, dict):
        check.refuse("document_json", text, "须为一组有名称的项", "must be an object with named fields")
    check.close()
    try:
        document = read_queues(content)
    except QueuesUnreadable as error:
        raise InvalidMessage([_violation(line) for line in str(error).splitlines()]) from error
    # A queue whose name no submission may use would be obeyed by nobody.
    for number, queue in enumerate(document.queues):
        QUEUE.inspect(queue.path, check, f"document_json.queues.{number}.path")
    for number, kept in enumerate(document.reservations):
        QUEUE.inspect(kept.holder, check, f"document_json.reservations.{number}.holder")
    check.close()
    return dict(content)


def _violation(line: str) -> Violation:
    """A fault of a document is "place = value: rule", or a rule that the whole breaks."""
    place, equals, rule = line.partition(" = ")
    return Violation(f"document_json.{place}", rule) if equals else Violation("document_json", line)


def _asked(wire: pb.Reservation) -> ReservationAsked:
    check = Inspection()
    if _RESERVATION_ID.fullmatch(wire.reservation_id) is None:
        check.refuse(
            "reservation.reservation_id",
            wire.reservation_id,
            "须以字母或数字开头，只含字母、数字和 . _ -，最多 128 个字符",
            "must begin with a letter or digit and have only letters, digits and . _ -, at most 128",
        )
    QUEUE.inspect(wire.queue, check, "reservation.queue")
    amount = resources_from_wire(wire.amount, check, "reservation.amount")
    if amount == Resources() and not check.violations:
        check.refuse(
            "reservation.amount", 0, "须至少预留一种资源", "must be more than nothing: give cpu, memory or cards"
        )
    starts = _moment(wire.starts_at, check, "reservation.starts_at") if wire.HasField("starts_at") else None
    ends = _moment(wire.ends_at, check, "reservation.ends_at") if wire.HasField("ends_at") else None
    check.close()
    return ReservationAsked(wire.reservation_id, wire.pool_id, wire.queue, amount, starts, ends, wire.reason)


def _moment(stamp: Timestamp, check: Inspection, path: str) -> int:
    return check.whole_number(path, timestamp_from_wire(stamp), 0, _LATEST_MS)


def _is_within(path: str, above: str) -> bool:
    return not above or path == above or path.startswith(f"{above}/")


def _queue_to_wire(one: QueueStanding) -> pb.Queue:
    lendable = one.spec.guaranteed if one.spec.lendable is None else one.spec.lendable
    queue = pb.Queue(
        path=one.path,
        defined=one.is_defined,
        weight=one.spec.weight,
        guaranteed=resources_to_wire(one.spec.guaranteed),
        lendable=resources_to_wire(lendable),
        maximum=_limit_to_wire(one.spec.maximum),
        preemptible=one.spec.preemptible,
        held=resources_to_wire(one.held),
        share=one.share,
        fair_share=one.fair_share,
        waiting=one.waiting,
        running=one.running,
        oldest_waiting_at=timestamp_to_wire(one.oldest_ms),
    )
    if one.budget is not None:
        queue.budget.CopyFrom(
            pb.BudgetStanding(
                card_hours=one.budget.card_hours,
                left_card_hours=one.budget.left,
                renewed_at=timestamp_to_wire(one.budget.renewed_ms),
            )
        )
    return queue


def _limit_to_wire(maximum: Resources) -> pb.Limit:
    given = {
        "cpu_milli": maximum.cpu_milli,
        "memory_bytes": maximum.memory_bytes,
        "disk_bytes": maximum.disk_bytes,
        "accelerator_milli": maximum.accelerator_milli,
    }
    return pb.Limit(**{name: value for name, value in given.items() if value < UNLIMITED})


def _record_to_wire(now: ReservationNow) -> pb.ReservationRecord:
    kept, ending = now.kept, now.kept.ending
    reservation = kept.reservation
    return pb.ReservationRecord(
        reservation=pb.Reservation(
            reservation_id=reservation.reservation_id,
            pool_id=reservation.pool_id,
            queue=reservation.holder,
            amount=resources_to_wire(reservation.amount),
            starts_at=timestamp_to_wire(reservation.start_ms),
            ends_at=timestamp_to_wire(reservation.end_ms),
            reason=reservation.reason,
        ),
        state=STATES[kept.state(now.now_ms)],
        from_document=kept.is_of_document,
        created_by=kept.actor,
        created_at=timestamp_to_wire(kept.created_ms),
        ended_by="" if ending is None else ending.actor,
        end_reason="" if ending is None else ending.reason,
        ended_at=timestamp_to_wire(None if ending is None else ending.at_ms),
    )
