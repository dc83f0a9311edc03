"""How fast adapters take launches: the simulated one through gRPC with 100,000 nodes, and the reading of a batch.

Run: pytest tests/benchmarks/test_adapter_bench.py --benchmark-only. The issue asks the simulated adapter for 20,000
launches a second in batches; the adapter and its caller share the machine's cores.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from adapters.contract import MESSAGE_LIMIT, Launch
from adapters.sdk.optional_calls import LaunchReader
from adapters.simulated.backend import SimulatedBackend
from adapters.simulated.fates import Profile
from adapters.wire.launches import launch_from_wire, launch_to_wire
from inventory.model.pool import NodeGroup
from inventory.model.system import Architecture
from inventory.model.units import GIB, Resources
from inventory.model.workload import Program, Requirements
from tests.adapters.adapter_process import AdapterProcess, declared_pool, running
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb
from xisuan.pool.v1.pool_adapter_service_pb2_grpc import PoolAdapterServiceStub

NODES, BATCH = 100_000, 1000
_batches = itertools.count()


def _launches(number: int) -> list[Launch]:
    need = Requirements(Resources(100, GIB // 4))
    program = Program(("sleep", "60"), environment={"STEP": "1"})
    return [
        Launch(
            f"run-{number}-{i}",
            f"workload-{i}",
            "bench",
            need,
            program,
            (_node(number * BATCH + i),),
            0,
            60_000 + i,
        )
        for i in range(BATCH)
    ]


def _node(number: int) -> str:
    return f"general-{number % NODES + 1:05d}"


def _request() -> pb.LaunchRequest:
    return pb.LaunchRequest(epoch=1, items=[launch_to_wire(one) for one in _launches(next(_batches))])


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdapterProcess]:
    group = NodeGroup("general", NODES, Architecture.X86_64, Resources(64_000, 256 * GIB))
    pool = replace(declared_pool("simulated"), node_groups=(group,))
    process = AdapterProcess("simulated", tmp_path_factory.mktemp("bench"), pool=pool)
    with running(process):
        yield process


def test_a_thousand_launches_through_grpc_on_a_hundred_thousand_nodes(
    adapter: AdapterProcess, benchmark: BenchmarkFixture
) -> None:
    options = (("grpc.max_receive_message_length", MESSAGE_LIMIT), ("grpc.enable_http_proxy", 0))
    with grpc.insecure_channel(adapter.endpoint, options=options) as channel:
        stub = PoolAdapterServiceStub(channel)

        def launch(request: pb.LaunchRequest) -> pb.LaunchResponse:
            return stub.Launch(request, timeout=30)

        answer = benchmark.pedantic(launch, setup=lambda: ((_request(),), {}), rounds=40, warmup_rounds=3)
    assert all(result.HasField("accepted") for result in answer.results)
    benchmark.extra_info["launches a second"] = round(BATCH / benchmark.stats.stats.median)


def test_reading_a_batch_of_a_thousand_alike(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    can = SimulatedBackend(declared_pool("simulated"), Profile(), 1, tmp_path).capabilities
    request = _request()

    def read() -> list[object]:
        reader = LaunchReader(can)
        return [reader.read(item, "item") for item in request.items]

    launches = benchmark(read)
    assert launches == [launch_from_wire(item) for item in request.items]
