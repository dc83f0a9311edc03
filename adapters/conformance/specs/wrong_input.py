"""Wrong input: what is malformed is refused by name, alone, and breaks nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import grpc

from adapters.conformance.session import STOPPED, Session, refusal_of, require, require_code
from adapters.conformance.spec import Need, Spec
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

INVALID_ARGUMENT, NOT_FOUND = 3, 5
_BAD_IDS = ("", "a/b", "../up", ".hidden", "a b", "a\nb", "中文", "x" * 129)
_Change = Callable[[pb.LaunchItem], None]


def _set_cpu(value: int) -> _Change:
    def change(item: pb.LaunchItem) -> None:
        item.requirements.per_task.cpu_milli = value

    return change


def _nothing_needed(item: pb.LaunchItem) -> None:
    item.requirements.per_task.Clear()


def _nothing_to_run(item: pb.LaunchItem) -> None:
    item.program.Clear()


def _absurd_memory(item: pb.LaunchItem) -> None:
    item.requirements.per_task.memory_bytes = 1 << 62


def _too_many_nodes(item: pb.LaunchItem) -> None:
    item.nodes[:] = ["one", "two", "three"]


def _negative_time(item: pb.LaunchItem) -> None:
    item.max_runtime.seconds = -5


def _endless_gang(item: pb.LaunchItem) -> None:
    item.requirements.tasks = 1_000_000


def _unknown_zone(item: pb.LaunchItem) -> None:
    item.requirements.zone = 99  # type: ignore[assignment]  # a number that the enum does not have


def _nul(item: pb.LaunchItem) -> None:
    item.program.command[:] = ["sh", "-c", "a\0b"]


def _name_with_equals(item: pb.LaunchItem) -> None:
    item.program.environment["a=b"] = "c"


def _negative_lease(item: pb.LaunchItem) -> None:
    item.partition.lost_after.seconds = -1


_MALFORMED: dict[str, _Change] = {
    "negative CPU": _set_cpu(-1),
    "a million million cores": _set_cpu(10**15),
    "absurd memory": _absurd_memory,
    "no need at all": _nothing_needed,
    "nothing to run": _nothing_to_run,
    "three nodes for one task": _too_many_nodes,
    "a negative max_runtime": _negative_time,
    "a million tasks": _endless_gang,
    "an unknown zone": _unknown_zone,
    "a NUL in the command": _nul,
    "a setting with = in its name": _name_with_equals,
    "a negative lost_after": _negative_lease,
}


async def malformed_items(s: Session) -> None:
    for what, change in _MALFORMED.items():
        item = s.item()
        change(item)
        (result,) = await s.launch(item)
        require(result.error.code == INVALID_ARGUMENT, f"INVALID_ARGUMENT for {what}", result)
        require(bool(result.error.message), f"a message for {what}", result)
        require(not result.error.retryable, f"{what} not to be retryable", result)
        failure = await refusal_of(s.stub.Inspect(pb.InspectRequest(run_id=item.run_id)))
        require(failure.code is grpc.StatusCode.NOT_FOUND, f"nothing kept of {what}", failure.code.name)


async def bad_ids(s: Session) -> None:
    for run_id in _BAD_IDS:
        item = s.item()
        item.run_id = run_id
        answer = await s.stub.Launch(pb.LaunchRequest(epoch=s.epoch, items=[item]))
        require(answer.results[0].error.code == INVALID_ARGUMENT, f"INVALID_ARGUMENT to launch {run_id!r}", answer)
        request = pb.StopRequest(epoch=s.epoch, items=[pb.StopItem(run_id=run_id)])
        stopped = await s.stub.Stop(request)
        require(stopped.results[0].error.code == INVALID_ARGUMENT, f"INVALID_ARGUMENT to stop {run_id!r}", stopped)
        failure = await refusal_of(s.stub.Inspect(pb.InspectRequest(run_id=run_id)))
        require(
            failure.code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT),
            f"no run {run_id!r}",
            failure.code.name,
        )


async def unknown_node(s: Session) -> None:
    item = s.item()
    item.nodes[:] = ["no-such-node"]
    (result,) = await s.launch(item)
    require(result.error.code == NOT_FOUND, "NOT_FOUND for a node that is not there", result)


async def unknown_run(s: Session) -> None:
    run_id = s.new_id("nobody")
    await require_code(s.stub.Inspect(pb.InspectRequest(run_id=run_id)), grpc.StatusCode.NOT_FOUND)


async def output_of_nobody(s: Session) -> None:
    async def read(request: pb.LogsRequest) -> object:
        return [piece async for piece in s.stub.Logs(request, timeout=10)]

    await require_code(read(pb.LogsRequest(run_id=s.new_id("nobody"))), grpc.StatusCode.NOT_FOUND)
    item = s.item()
    await s.accepted(item)
    await require_code(read(pb.LogsRequest(run_id=item.run_id, offset=-1)), grpc.StatusCode.INVALID_ARGUMENT)


async def bad_pages(s: Session) -> None:
    for token in ("not a token", "AAAA", "9" * 500):
        await require_code(s.stub.List(pb.ListRequest(page_token=token)), grpc.StatusCode.INVALID_ARGUMENT)
        await require_code(
            s.stub.ListNodes(pb.ListNodesRequest(page_token=token)), grpc.StatusCode.INVALID_ARGUMENT
        )
    await require_code(s.stub.List(pb.ListRequest(page_size=-1)), grpc.StatusCode.INVALID_ARGUMENT)


async def negative_grace(s: Session) -> None:
    item = s.item()
    await s.running(item)
    request = pb.StopRequest(epoch=s.epoch)
    bad = request.items.add(run_id=item.run_id)
    bad.grace.seconds = -1
    answer = await s.stub.Stop(request)
    require(answer.results[0].error.code == INVALID_ARGUMENT, "INVALID_ARGUMENT for a negative grace", answer)
    await s.stop(item.run_id)
    await s.until(item.run_id, {STOPPED})


async def noise_on_the_line(s: Session) -> None:
    host, _, port = s.proxy.endpoint.rpartition(":")
    for noise in (
        b"GET / HTTP/1.1\r\n\r\n",
        bytes(range(256)) * 40,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 999,
    ):
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(noise)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.abort()
    await s.stub.GetVersion(pb.GetVersionRequest())
    await s.accepted(s.item())


SPECS = (
    Spec(
        "input.items",
        "A malformed launch is refused with INVALID_ARGUMENT and a message, and nothing is kept of it",
        "格式错误的启动项被拒并说明原因，不留痕迹",
        malformed_items,
    ),
    Spec("input.ids", "A run id that could be a path, or is no name, is refused", "不合规的运行编号被拒", bad_ids),
    Spec(
        "input.node",
        "A node that is not there is NOT_FOUND",
        "不存在的节点返回 NOT_FOUND",
        unknown_node,
        (Need.LISTS_NODES,),
    ),
    Spec("input.run", "A run that nobody launched is NOT_FOUND", "未启动过的运行返回 NOT_FOUND", unknown_run),
    Spec(
        "input.logs",
        "There is no output of nobody, nor before the first byte",
        "无此运行则无日志；偏移不能为负",
        output_of_nobody,
        (Need.LOGS,),
    ),
    Spec("input.pages", "A page token that is not the adapter's is refused", "不认识的页标记被拒", bad_pages),
    Spec(
        "input.grace",
        "A negative grace is refused, and a good stop still works",
        "负的宽限期被拒，之后仍可停止",
        negative_grace,
    ),
    Spec("input.noise", "Noise on the line breaks nothing", "线路噪声不造成损害", noise_on_the_line),
)
