"""A gateway that is asked for more than it can do says so, in a way that clients understand, and drops nobody."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial

import grpc
import pytest

from adapters.wire.status import details_of
from inventory.model.workload import Submission
from scheduler.core.admission import Outcome
from scheduler.services import server
from scheduler.services.overload import RETRY_MS, Overload
from tests.services.memory import MemoryScheduling
from tests.services.serving import serving
from xisuan.client import Client, Program, Requirements, Resources, WorkloadSpec
from xisuan.workload.v1 import workload_service_pb2 as pb
from xisuan.workload.v1.workload_service_pb2_grpc import WorkloadServiceStub

PATIENCE_S = 30


def request(key: str) -> pb.SubmitRequest:
    return pb.SubmitRequest(workload=spec(key))


def spec(key: str) -> WorkloadSpec:
    return WorkloadSpec(
        queue="q",
        client_key=key,
        requirements=Requirements(per_task=Resources(cpu_milli=100, memory_bytes=1 << 20)),
        program=Program(command=["true"]),
    )


class Held(MemoryScheduling):
    """Answers no submission before it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = threading.Semaphore(0)
        self.go = threading.Event()

    async def submit(self, submissions: Sequence[Submission]) -> list[Outcome]:
        self.waiting.release()
        await asyncio.to_thread(self.go.wait, PATIENCE_S)
        return await super().submit(submissions)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Held, str]]:
    monkeypatch.setattr(server, "Overload", partial(Overload, most=2))
    held = Held()
    with serving(held) as gateway:
        yield held, gateway.address
        held.go.set()


def test_a_call_beyond_the_limit_is_refused_with_a_delay_and_the_others_are_answered(
    small: tuple[Held, str],
) -> None:
    held, address = small
    with grpc.insecure_channel(address) as channel:
        stub = WorkloadServiceStub(channel)
        under_way = [stub.Submit.future(request(f"k{n}")) for n in range(2)]
        for _ in under_way:
            assert held.waiting.acquire(timeout=PATIENCE_S)
        with pytest.raises(grpc.RpcError) as refused:
            stub.Submit(request("k2"))
        said = details_of(refused.value)
        assert (said.code, said.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert said.retry_after_ms == RETRY_MS
        # A watcher is no call that somebody waits behind.
        watch = stub.Watch(pb.WatchRequest())
        assert next(watch).cursor
        watch.cancel()
        held.go.set()
        assert all(call.result(PATIENCE_S).created for call in under_way)
        assert stub.Submit(request("k2")).created


def test_the_client_library_repeats_what_was_refused_for_overload(small: tuple[Held, str]) -> None:
    held, address = small
    with grpc.insecure_channel(address) as channel, Client(address) as client:
        stub = WorkloadServiceStub(channel)
        under_way = [stub.Submit.future(request(f"k{n}")) for n in range(2)]
        for _ in under_way:
            assert held.waiting.acquire(timeout=PATIENCE_S)
        timer = threading.Timer(0.2, held.go.set)
        timer.start()
        _, created = client.submit(spec("patient"))
        assert created
        timer.join()


def test_what_piles_up_while_the_gateway_is_busy_is_answered_and_not_cancelled() -> None:
    """More than gRPC keeps by itself arrive while the gateway's event loop does something else."""
    with serving(MemoryScheduling()) as gateway, grpc.insecure_channel(gateway.address) as channel:
        stub = WorkloadServiceStub(channel)
        stub.Submit(request("first"))
        busy, done = threading.Event(), threading.Event()

        def hold_up() -> None:
            busy.set()
            done.wait(PATIENCE_S)

        gateway.hold_up(hold_up)
        assert busy.wait(PATIENCE_S)
        calls = [stub.Get.future(pb.GetRequest(workload_id="w-none")) for _ in range(3_600)]
        done.set()
        codes = Counter(
            details_of(error).code for call in calls if (error := call.exception(PATIENCE_S)) is not None
        )
    assert set(codes) <= {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert sum(codes.values()) == len(calls)
