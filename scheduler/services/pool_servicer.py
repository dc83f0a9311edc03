"""`xisuan.pool.v1.PoolService`: the registry of pools, for operators."""

from __future__ import annotations

import re

from adapters.wire.inspection import Inspection
from adapters.wire.pools import pool_from_wire, pool_to_wire
from adapters.wire.scalars import POOL_HEALTHS, resources_to_wire
from scheduler.services.answering import Context, answering
from scheduler.services.ports import PoolStatus, Scheduling
from xisuan.pool.v1 import pool_pb2
from xisuan.pool.v1 import pool_service_pb2 as pb
from xisuan.pool.v1.pool_service_pb2_grpc import PoolServiceServicer

_ENDPOINT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})")


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
            status, run_ids = await self._scheduling.drain_pool(request.pool_id, request.reason)
            return pb.DrainResponse(pool=_status_to_wire(status), run_ids=run_ids)


def _endpoint(text: str) -> str:
    match = _ENDPOINT.fullmatch(text)
    if match is None or not 0 < int(match[2]) < 65536:
        check = Inspection()
        check.refuse("endpoint", text, "须为 主机:端口", "must be host:port, for example 127.0.0.1:7701")
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
    )
