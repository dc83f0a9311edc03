"""What access control costs a call: processor time of the guard alone, and of a gateway with and without it.

    python -m tests.benchmarks.access_cost [--calls 3000]

Prints microseconds of this process's processor time a call (client and server are both in it, so the difference counts).
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any, cast

import grpc

from scheduler.access.guard import AccessSettings, Guard
from scheduler.access.local import LocalAccess
from scheduler.access.principals import Grant, Role
from scheduler.access.settings import AccessForm
from scheduler.runtime.clock import SystemClock
from scheduler.services.server import UNGUARDED, Gateway, GatewayAccess, Ports, Unguarded
from tests.services.memory import MemoryScheduling
from xisuan.workload.v1 import workload_service_pb2 as pb
from xisuan.workload.v1.workload_service_pb2_grpc import WorkloadServiceStub

METHOD = "/xisuan.workload.v1.WorkloadService/List"
NO_LIMIT = {"calls": {"per_second": 0, "burst": 1}}


async def alone(guard: Guard, token: str, calls: int) -> float:
    begin = time.process_time()
    for _ in range(calls):
        guard.admit(METHOD, await guard.by_token(token), "r")
    return (time.process_time() - begin) / calls * 1e6


async def first(settings: AccessSettings, token: str, calls: int) -> float:
    """A token that nobody knows yet: its signature is verified."""
    now_ms = SystemClock().now_ms
    guards = [Guard(settings, now_ms) for _ in range(calls)]
    for guard in guards:
        await guard.by_token(token)  # its keys are read
    spent = 0.0
    for guard in guards:
        guard._tokens._known.clear()
        begin = time.process_time()
        await guard.by_token(token)
        spent += time.process_time() - begin
    return spent / calls * 1e6


async def through(access: GatewayAccess | Unguarded, metadata: Any, calls: int) -> float:
    nothing = cast(Any, None)
    gateway = Gateway(Ports(MemoryScheduling(), nothing, nothing, nothing, nothing, nothing), access)
    port = await gateway.start("127.0.0.1", 0)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = WorkloadServiceStub(channel)
        for number in range(calls + 200):
            if number == 200:
                begin = time.process_time()
            await stub.List(pb.ListRequest(), metadata=metadata)
        spent = time.process_time() - begin
    await gateway.close()
    return spent / calls * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=3000)
    calls = parser.parse_args().calls
    now_ms = SystemClock().now_ms
    with tempfile.TemporaryDirectory() as folder:
        local = LocalAccess(Path(folder), now_ms())
        local.prepare("127.0.0.1", ())
        token = local.issue_token("bench", [Grant(Role.VIEWER)], 1).secret
        settings = AccessSettings(Path(folder) / "access", AccessForm.model_validate({"rates": NO_LIMIT}))
        guard = Guard(settings, now_ms)
        metadata = (("authorization", f"Bearer {token}"),)
        measured = {
            "the guard alone, known token": asyncio.run(alone(guard, token, calls * 10)),
            "a token's first verification": asyncio.run(first(settings, token, 100)),
            "a call, unguarded": asyncio.run(through(UNGUARDED, (), calls)),
            "a call, guarded": asyncio.run(
                through(GatewayAccess(Guard(settings, now_ms), settings.form.path_of), metadata, calls)
            ),
        }
    for name, microseconds in measured.items():
        print(f"{microseconds:8.1f} µs  {name}")  # noqa: T201 - what it is for


if __name__ == "__main__":
    main()
