"""Reservations and start estimates between their plain values and protobuf."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration

from adapters.contract import RUN_ID, Refusal, Reservation, StartEstimate
from adapters.wire.inspection import Inspection
from adapters.wire.launches import refusal_from_wire, refusal_to_wire
from adapters.wire.scalars import timestamp_from_wire, timestamp_to_wire
from adapters.wire.words import WordRule
from adapters.wire.workloads import requirements_from_wire, requirements_to_wire
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

_ID = WordRule(128, RUN_ID, "字母、数字、“.”、“_”、“-”", "letters, digits, . _ -")


def reservation_to_wire(reservation: Reservation) -> pb.Reservation:
    return pb.Reservation(
        reservation_id=reservation.reservation_id,
        requirements=requirements_to_wire(reservation.requirements),
        nodes=reservation.nodes,
        begins_at=timestamp_to_wire(reservation.begins_ms),
        ends_at=timestamp_to_wire(reservation.ends_ms),
    )


def reservation_from_wire(message: pb.Reservation, path: str = "item") -> Reservation:
    """The validated reservation. Raises InvalidMessage with every violation; paths begin with `path`."""
    check = Inspection()
    reservation = Reservation(
        reservation_id=_ID.inspect(message.reservation_id, check, f"{path}.reservation_id"),
        requirements=requirements_from_wire(message.requirements, check, f"{path}.requirements"),
        nodes=tuple(message.nodes),
        begins_ms=timestamp_from_wire(message.begins_at),
        ends_ms=timestamp_from_wire(message.ends_at),
    )
    if reservation.ends_ms <= reservation.begins_ms:
        check.refuse(f"{path}.ends_at", reservation.ends_ms, "须晚于 begins_at", "must be after begins_at")
    check.close()
    return reservation


def reserve_result_to_wire(reservation_id: str, outcome: Reservation | Refusal) -> pb.ReserveResult:
    if isinstance(outcome, Refusal):
        return pb.ReserveResult(reservation_id=reservation_id, error=refusal_to_wire(outcome))
    return pb.ReserveResult(reservation_id=reservation_id, held=reservation_to_wire(outcome))


def reserve_result_from_wire(result: pb.ReserveResult) -> Reservation | Refusal:
    """What became of one reservation. Raises InvalidMessage for one that cannot be."""
    if result.HasField("error"):
        return refusal_from_wire(result.reservation_id, result.error)
    return reservation_from_wire(result.held, "held")


def estimate_to_wire(run_id: str, outcome: StartEstimate | Refusal) -> pb.StartEstimate:
    if isinstance(outcome, Refusal):
        return pb.StartEstimate(run_id=run_id, error=refusal_to_wire(outcome))
    # Not `duration_to_wire`: "at once" is 0 and present.
    starts_in = Duration()
    starts_in.FromMilliseconds(outcome.starts_in_ms)
    return pb.StartEstimate(run_id=run_id, starts_in=starts_in)


def estimate_from_wire(estimate: pb.StartEstimate) -> StartEstimate | Refusal:
    if estimate.HasField("error"):
        return refusal_from_wire(estimate.run_id, estimate.error)
    return StartEstimate(estimate.run_id, estimate.starts_in.ToMilliseconds())
