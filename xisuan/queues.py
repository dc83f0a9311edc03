"""Queues and reservations over gRPC: what `xisuan queue` and `xisuan reservation` call, and other programs may call.

Requests and answers are the messages of the contract, failures `CallError`s. Every call is idempotent, so it is
repeated by itself where the service goes away for a moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from xisuan.calls import CallError, Channel
from xisuan.common.v1.common_pb2 import Resources
from xisuan.credentials import Credentials
from xisuan.queue.v1 import queue_service_pb2 as pb
from xisuan.queue.v1.queue_service_pb2 import (
    ApplyQueuesRequest,
    ApplyQueuesResponse,
    Limit,
    ListQueuesResponse,
    Queue,
    Reservation,
    ReservationRecord,
    ReservationState,
)
from xisuan.queue.v1.queue_service_pb2_grpc import QueueServiceStub

__all__ = [
    "ApplyQueuesRequest",
    "ApplyQueuesResponse",
    "CallError",
    "Limit",
    "ListQueuesResponse",
    "Queue",
    "Queues",
    "Reservation",
    "ReservationRecord",
    "ReservationState",
    "Resources",
]

PATIENCE_S = 10.0
# A document of queues builds the book anew, which takes as long as a start does.
LONG_CALL_S = 300.0


class Queues:
    """Calls one service at `address` (host:port). Use it in a `with` block, or `close` it."""

    def __init__(
        self, address: str, *, patience_s: float = PATIENCE_S, credentials: Credentials | None = None
    ) -> None:
        self._channel = Channel(address, patience_s, credentials)
        self._stub = QueueServiceStub(self._channel.grpc)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._channel.close()

    def apply(self, request: ApplyQueuesRequest) -> ApplyQueuesResponse:
        return self._channel.call(self._stub.ApplyQueues, request, timeout_s=LONG_CALL_S)

    def queues(self, path: str = "") -> ListQueuesResponse:
        """The queue at `path` and those below it; all when it is empty."""
        return self._channel.call(self._stub.ListQueues, pb.ListQueuesRequest(path=path))

    def create_reservation(self, reservation: Reservation, actor: str) -> ReservationRecord:
        request = pb.CreateReservationRequest(reservation=reservation, actor=actor)
        return self._channel.call(self._stub.CreateReservation, request).record

    def end_reservation(self, reservation_id: str, actor: str, reason: str) -> ReservationRecord:
        request = pb.EndReservationRequest(reservation_id=reservation_id, actor=actor, reason=reason)
        return self._channel.call(self._stub.EndReservation, request).record

    def reservations(self, pool_id: str = "", *, include_ended: bool = False) -> Sequence[ReservationRecord]:
        request = pb.ListReservationsRequest(pool_id=pool_id, include_ended=include_ended)
        return self._channel.call(self._stub.ListReservations, request).records
