"""`xisuan.operation.v1.OperationService`: how the service itself does. Stateless, over the port of operation."""

from __future__ import annotations

from adapters.wire.scalars import timestamp_to_wire
from scheduler.services.answering import Context, answering
from scheduler.services.operation_ports import Operation, QueueLength, ServiceStatus
from xisuan.operation.v1 import operation_service_pb2 as pb
from xisuan.operation.v1.operation_service_pb2_grpc import OperationServiceServicer


class OperationServicer(OperationServiceServicer):
    def __init__(self, operation: Operation) -> None:
        self._operation = operation

    async def GetServiceStatus(
        self, request: pb.GetServiceStatusRequest, context: Context
    ) -> pb.GetServiceStatusResponse:
        async with answering(context):
            return _status_to_wire(await self._operation.service_status())


def _status_to_wire(status: ServiceStatus) -> pb.GetServiceStatusResponse:
    store = status.store
    return pb.GetServiceStatusResponse(
        version=status.version,
        epoch=status.epoch,
        leading_since=timestamp_to_wire(status.leading_since_ms),
        store=pb.Store(
            name=store.name,
            size_bytes=store.size_bytes,
            revision=store.revision,
            head_seq=store.head_seq,
            head_hash=store.head_hash,
        ),
        workloads=status.workloads,
        queues=[_queue_to_wire(queue) for queue in status.queues],
        last_minute=status.last_minute,
        settings=pb.Settings(digest=status.settings.digest, loaded=timestamp_to_wire(status.settings.loaded_ms)),
    )


def _queue_to_wire(queue: QueueLength) -> pb.QueueLength:
    oldest = None if queue.oldest_ms is None else timestamp_to_wire(queue.oldest_ms)
    return pb.QueueLength(path=queue.path, waiting=queue.waiting, running=queue.running, oldest=oldest)
