"""`xisuan.pool.v1.PoolService`: the registry of pools, for operators."""

from __future__ import annotations

import re

from adapters.wire.inspection import Inspection
from adapters.wire.pools import pool_from_wire, pool_to_wire
from adapters.wire.scalars import (
    POOL_HEALTHS,
    duration_from_wire,
    duration_to_wire,
    resources_to_wire,
    timestamp_from_wire,
    timestamp_to_wire,
)
from inventory.model.maintenance import Maintenance
from scheduler.services.answering import Context, answering
from scheduler.services.ports import PoolStatus, Scheduling
from xisuan.pool.v1 import pool_pb2
from xisuan.pool.v1 import pool_service_pb2 as pb
from xisuan.pool.v1.pool_service_pb2_grpc import PoolServiceServicer

MAX_WINDOWS = 100
_ENDPOINT = re.compile(r"(?:grpcs://)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})")


class PoolServicer(PoolServiceServicer):
    def __init__(self, scheduling: Scheduling) -> None:
        self._scheduling = scheduling

    async def ListPools(self, request: pb.ListPoolsRequest, context: Context) -> pb.ListPoolsResponse:
        async with answering(context):
            pools = await self._scheduling.pools()
            return pb.ListPoolsResponse(pools=[_status_to_wire(status) for status in pools])

    async def Register(self, request: pb.RegisterRequest, context: Context) -> pb.RegisterResponse:
        async with answering(context):
            pool = pool_from_wire(request.spec)
            status = await self._scheduling.register_pool(pool, _endpoint(request.endpoint))
            return pb.RegisterResponse(pool=_status_to_wire(status))

    async def Cordon(self, request: pb.CordonRequest, context: Context) -> pb.CordonResponse:
        async with answering(context):
            status = await self._scheduling.cordon_pool(request.pool_id, not request.undo, request.reason)
            return pb.CordonResponse(pool=_status_to_wire(status))

    async def Drain(self, request: pb.DrainRequest, context: Context) -> pb.DrainResponse:
        async with answering(context):
            status, run_ids = await self._scheduling.drain_pool(
                request.pool_id, request.reason, _deadline(request)
            )
            return pb.DrainResponse(pool=_status_to_wire(status), run_ids=run_ids)

    async def Maintain(self, request: pb.MaintainRequest, context: Context) -> pb.MaintainResponse:
        async with answering(context):
            status = await self._scheduling.maintain_pool(request.pool_id, _windows(request))
            return pb.MaintainResponse(pool=_status_to_wire(status))

    async def Leave(self, request: pb.LeaveRequest, context: Context) -> pb.LeaveResponse:
        async with answering(context):
            await self._scheduling.leave_pool(request.pool_id, request.reason)
            return pb.LeaveResponse()


def _deadline(request: pb.DrainRequest) -> int:
    check = Inspection()
    deadline_ms = duration_from_wire(request.deadline, check, "deadline")
    check.close()
    return deadline_ms


def _windows(request: pb.MaintainRequest) -> list[Maintenance]:
    check = Inspection()
    check.whole_number("windows.length", len(request.windows), 0, MAX_WINDOWS)
    windows = [
        Maintenance(
            starts_ms=timestamp_from_wire(window.starts_at),
            ends_ms=timestamp_from_wire(window.ends_at),
            cordon_before_ms=duration_from_wire(window.cordon_before, check, f"windows[{i}].cordon_before"),
            drain_before_ms=duration_from_wire(window.drain_before, check, f"windows[{i}].drain_before"),
            reason=window.reason,
        )
        for i, window in enumerate(request.windows)
    ]
    check.close()
    return windows


def _window_to_wire(window: Maintenance) -> pool_pb2.MaintenanceWindow:
    return pool_pb2.MaintenanceWindow(
        starts_at=timestamp_to_wire(window.starts_ms),
        ends_at=timestamp_to_wire(window.ends_ms),
        cordon_before=duration_to_wire(window.cordon_before_ms),
        drain_before=duration_to_wire(window.drain_before_ms),
        reason=window.reason,
    )


def _endpoint(text: str) -> str:
    match = _ENDPOINT.fullmatch(text)
    if match is None or not 0 < int(match[2]) < 65536:
        check = Inspection()
        check.refuse(
            "endpoint",
            text,
            "须为 主机:端口，TLS 为 grpcs://主机:端口",
            "must be host:port, or grpcs://host:port over TLS",
        )
        check.close()
    return text


def _status_to_wire(status: PoolStatus) -> pool_pb2.Pool:
    return pool_pb2.Pool(
        spec=pool_to_wire(status.pool),
        endpoint=status.endpoint,
        health=POOL_HEALTHS[status.health],
        health_message=status.health_message,
        cordoned=status.cordoned,
        draining=status.draining,
        nodes=status.nodes,
        allocatable=resources_to_wire(status.allocatable),
        free=resources_to_wire(status.free),
        active_runs=status.active_runs,
        promised=resources_to_wire(status.promised),
        maintenance=[_window_to_wire(window) for window in status.maintenance],
        drain_deadline=timestamp_to_wire(status.drain_deadline_ms or None),
    )
