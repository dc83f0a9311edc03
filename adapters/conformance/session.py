"""What a spec asks the adapter with: a channel through the faulty proxy, runs of its own, and patience.

The runner makes one session for a whole run of the suite and gives it to every spec. A session remembers what it
launched, and `clean_up` leaves nothing of it running.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from adapters.conformance.caller import Caller, Line
from adapters.conformance.calls import CountedStub
from adapters.conformance.programs import Asking, choose_runtime, program, requirements, seconds, set_runtime
from adapters.conformance.proxy import FaultProxy
from adapters.conformance.spec import Broken
from adapters.wire.status import Failure, details_of
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb
from xisuan.pool.v1.pool_adapter_service_pb2_grpc import PoolAdapterServiceStub
from xisuan.workload.v1 import workload_pb2
from xisuan.workload.v1.workload_pb2 import RunState

STARTING, RUNNING = workload_pb2.RUN_STATE_STARTING, workload_pb2.RUN_STATE_RUNNING
SUCCEEDED, FAILED = workload_pb2.RUN_STATE_SUCCEEDED, workload_pb2.RUN_STATE_FAILED
STOPPED, LOST = workload_pb2.RUN_STATE_STOPPED, workload_pb2.RUN_STATE_LOST
ENDED = frozenset({SUCCEEDED, FAILED, STOPPED, workload_pb2.RUN_STATE_PREEMPTED, LOST})
MESSAGE_LIMIT = 64 * 1024 * 1024
CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    ("grpc.max_send_message_length", MESSAGE_LIMIT),
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
)


@dataclass(frozen=True, slots=True)
class Options:
    """How the suite asks. `patience_s` bounds every wait for a run to change; `epoch` is where it begins."""

    epoch: int
    patience_s: float = 30.0
    call_s: float = 10.0
    load_rate: int = 100
    asking: Asking = field(default_factory=Asking)
    caller: Caller = field(default_factory=Caller)


class Session:
    """One run of the suite against one adapter. Every method belongs to one event loop."""

    def __init__(
        self,
        proxy: FaultProxy,
        line: Line,
        options: Options,
        prefix: str,
        restart: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.proxy = proxy
        self.options = options
        self.line = line
        self.epoch = options.epoch
        self.called: dict[str, int] = {}
        self.can = pb.GetCapabilitiesResponse()
        self.nodes: list[pb.Node] = []
        self.runtime = ""
        self.lease_s = 1.5
        self._prefix = prefix
        self._numbers = itertools.count(1)
        self._restart = restart
        self._channel: grpc.aio.Channel | None = None
        self._launched: dict[str, None] = {}
        self._ending: dict[str, None] = {}

    # -- connections --------------------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Opens the channel and learns what the adapter can do. Raises grpc.RpcError where it does not answer."""
        self._channel = self.line.channel(self.proxy.endpoint, CHANNEL_OPTIONS)
        self.stub: Any = self._counted(self._channel)
        self.can = await self.stub.GetCapabilities(pb.GetCapabilitiesRequest(), wait_for_ready=True)
        self.runtime = choose_runtime(list(self.can.runtimes))
        token = ""
        while True:
            page = await self.stub.ListNodes(pb.ListNodesRequest(page_token=token))
            self.nodes += page.nodes
            token = page.next_page_token
            if not token or len(self.nodes) > 200_000:
                return

    @asynccontextmanager
    async def another(self) -> AsyncIterator[Any]:
        """A second connection of its own, through the same proxy."""
        async with self.line.channel(self.proxy.endpoint, CHANNEL_OPTIONS) as channel:
            yield self._counted(channel)

    def _counted(self, channel: grpc.aio.Channel) -> CountedStub:
        stub = PoolAdapterServiceStub(channel)
        return CountedStub(stub, self.called, self.options.call_s, self.line.metadata)

    async def reconnected(self) -> None:
        """Waits until the adapter answers again, after a fault or a restart."""
        end = time.monotonic() + self.options.patience_s
        while True:
            try:
                await self.stub.GetVersion(pb.GetVersionRequest(), timeout=2.0, wait_for_ready=True)
                return
            except grpc.RpcError as error:
                if details_of(error).code is grpc.StatusCode.UNIMPLEMENTED:
                    return
                if time.monotonic() > end:
                    raise Broken(f"the adapter does not answer within {self.options.patience_s:g} s") from error
                await asyncio.sleep(0.1)

    async def restart(self) -> None:
        """Restarts the adapter, without a goodbye where the command does so."""
        assert self._restart is not None  # specs that need it are skipped where it is not given
        await self._restart()
        self.proxy.cut()
        await self.reconnected()

    async def close(self) -> None:
        if self._channel is not None:
            await self._channel.close()

    # -- runs ---------------------------------------------------------------------------------------------------

    def new_id(self, word: str = "run") -> str:
        return f"{self._prefix}-{word}-{next(self._numbers)}"

    def node(self, number: int = 0) -> list[str]:
        """One node that takes runs, in a list; empty where the pool chooses and lists none."""
        free = [node.node_id for node in self.nodes if not node.cordoned]
        return [free[number % len(free)]] if free else []

    def item(self, lasts_s: float = 600, *, script: str = "", run_id: str = "", tasks: int = 1) -> pb.LaunchItem:
        """A launch of a program that lasts so long (or of this script), on nodes of the pool."""
        asking = self.options.asking
        text = script or (f"exec sleep {lasts_s:g}" if lasts_s else "exit 0")
        item = pb.LaunchItem(
            run_id=run_id or self.new_id(),
            workload_id="conformance",
            name="conformance",
            requirements=requirements(asking, tasks),
            program=program(self.runtime, text, asking.image),
            nodes=[node for number in range(tasks) for node in self.node(number)],
            estimated_runtime=seconds(max(lasts_s, 0.001)),
            queue=asking.queue,
        )
        set_runtime(item, self.runtime)
        return item

    async def launch(self, *items: pb.LaunchItem, epoch: int = 0, stub: Any = None) -> list[pb.LaunchResult]:
        """The results; Broken where they are not one an item, in order."""
        self._launched.update(dict.fromkeys(item.run_id for item in items if item.run_id))
        request = pb.LaunchRequest(epoch=epoch or self.epoch, items=items)
        answer = await (stub or self.stub).Launch(request)
        require(
            [result.run_id for result in answer.results] == [item.run_id for item in items],
            "a result per item, in order",
            [result.run_id for result in answer.results],
        )
        return list(answer.results)

    async def accepted(self, *items: pb.LaunchItem) -> list[pb.RunStatus]:
        """Launches, and requires that each was accepted."""
        results = await self.launch(*items)
        for result in results:
            require(result.WhichOneof("outcome") == "accepted", f"{result.run_id} accepted", one_line(result))
        return [result.accepted for result in results]

    async def running(self, item: pb.LaunchItem) -> pb.RunStatus:
        """Launches one run and waits until it runs."""
        await self.accepted(item)
        return await self.until(item.run_id, {RUNNING})

    async def stop(
        self, *run_ids: str, grace_s: float = 1.0, epoch: int = 0, stub: Any = None
    ) -> list[pb.StopResult]:
        request = pb.StopRequest(epoch=epoch or self.epoch)
        for run_id in run_ids:
            request.items.append(pb.StopItem(run_id=run_id, grace=seconds(grace_s)))
        answer = await (stub or self.stub).Stop(request)
        require(
            [result.run_id for result in answer.results] == list(run_ids),
            "a result per item, in order",
            [result.run_id for result in answer.results],
        )
        return list(answer.results)

    async def stopped(self, run_id: str) -> pb.RunStatus:
        await self.stop(run_id)
        return await self.until(run_id, {STOPPED})

    async def status(self, run_id: str) -> pb.RunStatus:
        status: pb.RunStatus = (await self.stub.Inspect(pb.InspectRequest(run_id=run_id))).status
        require(status.run_id == run_id, f"the status of {run_id}", one_line(status))
        return status

    async def until(self, run_id: str, states: Collection[int]) -> pb.RunStatus:
        """Waits for one of these states; Broken when it ends otherwise, or when patience does."""
        end = time.monotonic() + self.options.patience_s
        pause_s = 0.01
        while True:
            status = await self.status(run_id)
            if status.state in states:
                return status
            wanted = " or ".join(state_name(state) for state in states)
            require(status.state not in ENDED, f"{run_id} becomes {wanted}", one_line(status))
            require(
                time.monotonic() < end,
                f"{run_id} becomes {wanted} within {self.options.patience_s:g} s",
                one_line(status),
            )
            await asyncio.sleep(pause_s)
            pause_s = min(0.2, pause_s * 1.5)

    async def listed(self, page_size: int = 0) -> dict[str, pb.RunStatus]:
        """Every run that List tells, read page by page."""
        found: dict[str, pb.RunStatus] = {}
        token = ""
        while True:
            page = await self.stub.List(pb.ListRequest(page_size=page_size, page_token=token))
            found.update({run.run_id: run for run in page.runs})
            token = page.next_page_token
            if not token:
                return found

    async def output(self, run_id: str, offset: int = 0) -> bytes:
        pieces = [
            chunk.chunk
            async for chunk in self.stub.Logs(pb.LogsRequest(run_id=run_id, offset=offset, follow=True))
        ]
        return b"".join(pieces)

    # -- order --------------------------------------------------------------------------------------------------

    async def clean_up(self) -> None:
        """Stops all that was launched since the last time, whatever state a spec left the line in."""
        self.proxy.mend()
        run_ids = [run_id for run_id in self._launched if is_id(run_id)]
        batch = max(1, self.can.max_batch)
        for start in range(0, len(run_ids), batch):
            request = pb.StopRequest(epoch=self.epoch)
            for run_id in run_ids[start : start + batch]:
                request.items.append(pb.StopItem(run_id=run_id, grace=seconds(0.2)))
            await self.stub.Stop(request, wait_for_ready=True)
        self._ending.update(self._launched)
        self._launched.clear()

    async def end_all(self) -> list[str]:
        """Ends all that was ever launched; returns the runs that are alive when patience ends."""
        await self.clean_up()
        end = time.monotonic() + self.options.patience_s
        while True:
            listed = await self.listed()
            alive = [run_id for run_id in self._ending if run_id in listed and listed[run_id].state not in ENDED]
            if not alive or time.monotonic() > end:
                return alive
            await asyncio.sleep(0.1)


def is_id(text: str) -> bool:
    return 0 < len(text) <= 128 and text[0].isalnum() and all(sign.isalnum() or sign in "._-" for sign in text)


def require(holds: bool, expected: str, seen: object) -> None:
    """Broken, with what was expected and what was seen, unless it holds."""
    if not holds:
        raise Broken(f"expected {expected}; saw {one_line(seen)}")


def one_line(seen: object) -> str:
    text = " ".join(str(seen).split())
    return text if len(text) <= 300 else text[:299] + "…"


def state_name(state: int) -> str:
    return RunState.Name(state).removeprefix("RUN_STATE_").lower()  # type: ignore[arg-type]  # any int of the wire


async def refusal_of(call: Awaitable[object]) -> Failure:
    """The failure of a call that must fail; Broken where it succeeds."""
    try:
        answer = await call
    except grpc.RpcError as error:
        return details_of(error)
    raise Broken(f"expected a refusal; saw {one_line(answer)}")


async def require_code(call: Awaitable[object], code: grpc.StatusCode, reason: str = "") -> None:
    """Requires that the call fails with this code, and this ErrorInfo reason where one is named."""
    failure = await refusal_of(call)
    wanted = code.name + (f" with ErrorInfo reason {reason}" if reason else "")
    require(
        failure.code is code and (not reason or failure.reason == reason),
        wanted,
        f"{failure.code.name} {failure.reason} {failure.message}",
    )
