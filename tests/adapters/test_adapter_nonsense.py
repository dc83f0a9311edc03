"""What an adapter answers that cannot be true is known for it at the door: the scheduler then quarantines the pool.

Amounts on the wire are whole numbers, so NaN and infinity cannot be said; those of a pool's declaration can, and are
refused when it is registered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from adapters.client import AdapterClient
from adapters.contract import Stop
from adapters.port import AdapterMisbehaved
from adapters.wire.inspection import InvalidMessage
from adapters.wire.pools import pool_from_wire, pool_to_wire
from tests.adapters.adapter_process import declared_pool
from xisuan.common.v1 import common_pb2
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb
from xisuan.pool.v1.pool_adapter_service_pb2_grpc import (
    PoolAdapterServiceServicer,
    add_PoolAdapterServiceServicer_to_server,
)
from xisuan.workload.v1.workload_pb2 import RUN_STATE_RUNNING

X86 = common_pb2.ARCHITECTURE_X86_64


class Fool(PoolAdapterServiceServicer):
    """Answers every call with what was put into `says`, whatever is asked."""

    def __init__(self) -> None:
        self.says: object = None

    def _answer(self, request: object, context: object) -> object:
        return self.says

    GetVersion = GetCapabilities = ListNodes = List = Stop = _answer

    def Watch(self, request: object, context: object) -> Iterator[object]:
        yield self.says


@pytest.fixture(scope="module")
def fool() -> Iterator[tuple[Fool, str]]:
    server = grpc.server(ThreadPoolExecutor(2))
    servicer = Fool()
    add_PoolAdapterServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield servicer, f"127.0.0.1:{port}"
    server.stop(None)


def run(**changes: object) -> pb.RunStatus:
    return pb.RunStatus(**{"run_id": "r", "state": RUN_STATE_RUNNING, **changes})  # type: ignore[arg-type]


def node(**amount: int) -> pb.ListNodesResponse:
    allocatable = common_pb2.Resources(**amount)
    return pb.ListNodesResponse(nodes=[pb.Node(node_id="n", architecture=X86, allocatable=allocatable)])


async def nodes(client: AdapterClient) -> object:
    return await client.nodes()


async def runs(client: AdapterClient) -> object:
    return await client.runs()


async def watch(client: AdapterClient) -> object:
    return [batch async for batch in client.watch("")]


async def version(client: AdapterClient) -> object:
    return await client.version()


async def stop(client: AdapterClient) -> object:
    return await client.stop(1, [Stop("r")])


async def capabilities(client: AdapterClient) -> object:
    return await client.capabilities()


Call = Callable[[AdapterClient], object]


@pytest.mark.parametrize(
    ("says", "call"),
    [
        (node(cpu_milli=-1), nodes),
        (node(memory_bytes=2**62), nodes),
        (node(accelerator_milli=2**31), nodes),
        (pb.ListNodesResponse(nodes=[pb.Node(node_id="", architecture=X86)]), nodes),
        (pb.ListResponse(runs=[run(state=99)]), runs),
        (pb.ListResponse(runs=[run(state=0)]), runs),
        (pb.ListResponse(runs=[run(run_id="../x")]), runs),
        (pb.WatchResponse(runs=[run(started_at=Timestamp(seconds=2**60))]), watch),
        (pb.WatchResponse(runs=[run(ended_at=Timestamp(seconds=-5))]), watch),
        (pb.WatchResponse(runs=[run(estimated_start_at=Timestamp(nanos=-1))]), watch),
        (pb.GetVersionResponse(oldest=7, newest=9), version),
        (pb.GetVersionResponse(oldest=2, newest=1), version),
        (pb.StopResponse(), stop),
        (pb.StopResponse(results=[pb.StopResult(run_id="another", status=run())]), stop),
        (pb.GetCapabilitiesResponse(pool_id="p", max_batch=0), capabilities),
        (pb.GetCapabilitiesResponse(pool_id="", max_batch=1), capabilities),
        (pb.GetCapabilitiesResponse(pool_id="p", max_batch=1, launches_per_second=-1), capabilities),
    ],
    ids=lambda one: " ".join(str(one).split())[:60] if not callable(one) else one.__name__,
)
def test_nonsense_is_misbehaviour(fool: tuple[Fool, str], says: object, call: Call) -> None:
    servicer, endpoint = fool
    servicer.says = says

    async def ask() -> object:
        client = AdapterClient(endpoint)
        try:
            return await call(client)  # type: ignore[misc]  # each of the calls above is a coroutine
        finally:
            await client.close()

    with pytest.raises(AdapterMisbehaved):
        asyncio.run(ask())


def test_a_very_long_message_of_a_run_is_cut(fool: tuple[Fool, str]) -> None:
    servicer, endpoint = fool
    servicer.says = pb.ListResponse(runs=[run(message="x" * 1_000_000)])

    async def ask() -> int:
        client = AdapterClient(endpoint)
        try:
            return len((await client.runs()).runs[0].message)
        finally:
            await client.close()

    assert asyncio.run(ask()) == 1000


@pytest.mark.parametrize("field", ["pue", "one_way_ms", "egress_gbps", "green_share", "vcpu_hour_cny"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_a_pool_is_not_registered_with_a_number_that_is_none(field: str, value: float) -> None:
    said = pool_to_wire(declared_pool("simulated"))
    setattr(said, field, value)
    with pytest.raises(InvalidMessage, match=field):
        pool_from_wire(said)
