"""Fencing: of two leaders only the later one may act."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc

from adapters.conformance.session import RUNNING, Session, refusal_of, require, require_code
from adapters.conformance.spec import Spec
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

STALE = "STALE_EPOCH"


async def _new_leader(s: Session) -> int:
    """Raises the epoch; returns the one before, which is stale from now on."""
    old = s.epoch
    s.epoch += 1
    await s.stub.RenewLeases(pb.RenewLeasesRequest(epoch=s.epoch))
    return old


async def old_launch(s: Session) -> None:
    old = await _new_leader(s)
    item = s.item()
    await require_code(s.launch(item, epoch=old), grpc.StatusCode.FAILED_PRECONDITION, STALE)
    failure = await refusal_of(s.stub.Inspect(pb.InspectRequest(run_id=item.run_id)))
    require(failure.code is grpc.StatusCode.NOT_FOUND, "nothing of it known", failure.code.name)
    await s.running(item)


async def old_stop(s: Session) -> None:
    item = s.item()
    await s.running(item)
    old = await _new_leader(s)
    await require_code(s.stop(item.run_id, epoch=old), grpc.StatusCode.FAILED_PRECONDITION, STALE)
    await asyncio.sleep(0.5)
    require((await s.status(item.run_id)).state == RUNNING, "the run still running", "another state")


async def every_change_is_fenced(s: Session) -> None:
    old = await _new_leader(s)
    run_id = s.new_id("nobody")
    calls: list[tuple[bool, Callable[[], Any]]] = [
        (True, lambda: s.stub.RenewLeases(pb.RenewLeasesRequest(epoch=old))),
        (s.can.suspend, lambda: s.stub.Suspend(pb.SuspendRequest(epoch=old, run_ids=[run_id]))),
        (s.can.suspend, lambda: s.stub.Resume(pb.ResumeRequest(epoch=old, run_ids=[run_id]))),
        (s.can.reservations, lambda: s.stub.Reserve(pb.ReserveRequest(epoch=old))),
        (s.can.reservations, lambda: s.stub.Unreserve(pb.UnreserveRequest(epoch=old))),
    ]
    for declared, call in calls:
        if declared:
            await require_code(call(), grpc.StatusCode.FAILED_PRECONDITION, STALE)


async def before_items(s: Session) -> None:
    old = await _new_leader(s)
    malformed = pb.LaunchItem(run_id="../nonsense")
    for items in ([], [malformed]):
        request = pb.LaunchRequest(epoch=old, items=items)
        await require_code(s.stub.Launch(request), grpc.StatusCode.FAILED_PRECONDITION, STALE)
    await require_code(s.stub.Stop(pb.StopRequest(epoch=old)), grpc.StatusCode.FAILED_PRECONDITION, STALE)


async def same_epoch_again(s: Session) -> None:
    for _ in range(3):
        await s.accepted(s.item())


async def an_empty_call_raises(s: Session) -> None:
    old = s.epoch
    s.epoch += 5
    await s.stop()
    await require_code(s.launch(s.item(), epoch=old), grpc.StatusCode.FAILED_PRECONDITION, STALE)


async def no_epoch(s: Session) -> None:
    for epoch in (0, -1):
        request = pb.LaunchRequest(epoch=epoch, items=[s.item()])
        await require_code(s.stub.Launch(request), grpc.StatusCode.INVALID_ARGUMENT)
        await require_code(s.stub.Stop(pb.StopRequest(epoch=epoch)), grpc.StatusCode.INVALID_ARGUMENT)


async def a_race_of_leaders(s: Session) -> None:
    """The old leader launches on while the new one takes over: after the new one's first answer, nothing more."""
    old, new = s.epoch, s.epoch + 1
    s.epoch = new
    taken_over = asyncio.Event()
    too_late: list[str] = []

    async def old_leader() -> None:
        for _ in range(200):
            late = taken_over.is_set()
            item = s.item()
            try:
                await s.launch(item, epoch=old)
            except grpc.RpcError:
                return
            if late:
                too_late.append(item.run_id)

    async def new_leader() -> None:
        await asyncio.sleep(0.05)
        await s.stub.RenewLeases(pb.RenewLeasesRequest(epoch=new))
        taken_over.set()

    await asyncio.gather(old_leader(), new_leader())
    require(not too_late, "no launch of the old leader after the new one's first answer", too_late)


SPECS = (
    Spec(
        "fencing.launch",
        "A launch of a leader that has been replaced is refused, and leaves no trace",
        "旧领导的启动被拒，不留痕迹",
        old_launch,
    ),
    Spec("fencing.stop", "A leader that has been replaced stops nothing", "旧领导不能停止任何运行", old_stop),
    Spec(
        "fencing.all",
        "Every call that changes anything is fenced",
        "凡改变状态的调用都防旧领导",
        every_change_is_fenced,
    ),
    Spec("fencing.first", "The epoch is looked at before any item", "先看任期，再看各项", before_items),
    Spec("fencing.same", "The leader in office acts as often as it likes", "现任领导可反复操作", same_epoch_again),
    Spec(
        "fencing.empty", "A batch without items raises the fence as well", "空批次也抬高任期", an_empty_call_raises
    ),
    Spec("fencing.none", "A call without an epoch is malformed", "没有任期的调用格式错误", no_epoch),
    Spec(
        "fencing.race",
        "When the new leader has been answered, the old one acts no more",
        "新领导得到答复后，旧领导不再生效",
        a_race_of_leaders,
    ),
)
