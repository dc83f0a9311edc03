"""Restart and recovery: what was acknowledged survives the adapter's death, and running work runs on."""

from __future__ import annotations

import asyncio

import grpc

from adapters.conformance.busy_machines import patiently
from adapters.conformance.programs import partition
from adapters.conformance.session import (
    ENDED,
    RUNNING,
    STOPPED,
    SUCCEEDED,
    Session,
    refusal_of,
    require,
    require_code,
)
from adapters.conformance.spec import Need, Spec
from adapters.conformance.specs.leases import running_with_contact
from adapters.conformance.watching import cursor_now, watching
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

FAILED_PRECONDITION = 9


async def another_life(s: Session) -> None:
    before = (await s.stub.GetVersion(pb.GetVersionRequest())).instance_id
    await s.restart()
    after = (await s.stub.GetVersion(pb.GetVersionRequest())).instance_id
    require(before != after, "another instance_id", after)
    capabilities = await s.stub.GetCapabilities(pb.GetCapabilitiesRequest())
    capabilities.instance_id = s.can.instance_id
    require(capabilities == s.can, "the same capabilities", capabilities)


async def running_goes_on(s: Session) -> None:
    item = s.item()
    before = await s.running(item)
    await s.restart()
    after = await s.until(item.run_id, {RUNNING})
    require(after.started_at == before.started_at, "the same run, not another start", after)
    require(list(after.nodes) == list(before.nodes), "the same nodes", after)
    (again,) = await s.accepted(item)
    require(again.started_at == before.started_at, "a repeated launch to start nothing", again)
    await s.stopped(item.run_id)


async def ends_while_down(s: Session) -> None:
    item = s.item(1.0)
    await s.running(item)
    await s.restart()
    status = await s.until(item.run_id, {SUCCEEDED})
    require(status.exit_code == 0, "the true end of a run that was running", status)


async def accepted_is_kept(s: Session) -> None:
    items = [s.item() for _ in range(min(10, s.can.max_batch))]
    await s.accepted(*items)
    await s.restart()
    listed = await s.listed()
    missing = [item.run_id for item in items if item.run_id not in listed]
    require(not missing, "every launch that was accepted", missing)
    for item in items:
        await s.until(item.run_id, {RUNNING})


async def endings_are_kept(s: Session) -> None:
    done, halted = s.item(0), s.item()
    for item in (done, halted):
        await s.accepted(item)
    first = await s.until(done.run_id, {SUCCEEDED})
    await s.until(halted.run_id, {RUNNING})
    second = await s.stopped(halted.run_id)
    await s.restart()
    for before in (first, second):
        after = await s.status(before.run_id)
        same = (after.state, after.exit_code, after.ended_at) == (before.state, before.exit_code, before.ended_at)
        require(same, "the run as it ended", after)


async def tombstones_are_kept(s: Session) -> None:
    item = s.item()
    await s.stop(item.run_id)
    await s.restart()
    (late,) = await s.launch(item)
    require(late.error.code == FAILED_PRECONDITION, "the late launch refused still", late)


async def the_fence_is_kept(s: Session) -> None:
    """However a new leader was first heard of."""

    async def by_a_launch() -> None:
        await s.accepted(s.item())

    async def by_a_renewal() -> None:
        await s.stub.RenewLeases(pb.RenewLeasesRequest(epoch=s.epoch))

    for is_heard in (by_a_launch, by_a_renewal):
        old = s.epoch
        s.epoch += 1
        await is_heard()
        await s.restart()
        await require_code(s.launch(s.item(), epoch=old), grpc.StatusCode.FAILED_PRECONDITION, "STALE_EPOCH")
    await s.accepted(s.item())


async def cursors_of_before(s: Session) -> None:
    item = s.item()
    cursor = await cursor_now(s)
    await s.running(item)
    await s.restart()

    async def watch() -> object:
        return [message async for message in s.stub.Watch(pb.WatchRequest(cursor=cursor), timeout=6)]

    if s.can.durable_cursors:
        async with watching(s, cursor) as watcher:
            await watcher.until_told(item.run_id, RUNNING)
    else:
        failure = await refusal_of(watch())
        require(failure.reason == "CURSOR_EXPIRED", "CURSOR_EXPIRED after a restart", failure)
    async with watching(s, await cursor_now(s)) as watcher:
        await s.stop(item.run_id)
        await watcher.until_told(item.run_id, STOPPED)


async def stops_are_kept(s: Session) -> None:
    items = [s.item() for _ in range(3)]
    for item in items:
        await s.running(item)
        await s.stop(item.run_id)
    await s.restart()
    for item in items:
        await s.until(item.run_id, {STOPPED})


async def leases_are_kept(s: Session) -> None:
    """A lease runs on while the adapter is down, and is acted on when it is back."""
    item = s.item()
    item.partition.CopyFrom(partition(max(3.0, s.lease_s)))
    await running_with_contact(s, item)  # engines may take longer to start a run than it is leased for
    await s.restart()
    status = await s.until(item.run_id, {STOPPED})
    require(status.lease_expired, "lease_expired after a restart", status)
    await s.restart()
    require((await s.status(item.run_id)).lease_expired, "lease_expired for good", "it was forgotten")


async def room_is_kept(s: Session) -> None:
    """What runs on holds its room after a restart, and gives it back once."""
    await s.end_all()  # what specs before this one left ending may hold a part of the node
    node = min((node for node in s.nodes if not node.cordoned), key=lambda n: n.allocatable.cpu_milli)
    whole, small = s.item(), s.item()
    whole.requirements.per_task.cpu_milli = node.allocatable.cpu_milli
    for item in (whole, small):
        item.nodes[:] = [node.node_id]
    await s.running(whole)
    await s.restart()
    (result,) = await s.launch(small)
    require(result.error.code == 8, "RESOURCE_EXHAUSTED: the node is full still", result)
    await s.stopped(whole.run_id)
    await s.accepted(small)


async def twice(s: Session) -> None:
    item = s.item()
    before = await s.running(item)
    await s.restart()
    await asyncio.sleep(0.2)
    await s.restart()
    after = await s.until(item.run_id, {RUNNING})
    require(after.started_at == before.started_at and after.state not in ENDED, "the run running on", after)


RESTART, ENDS = Need.RESTART, Need.ENDS
SPECS = (
    Spec(
        "recovery.life",
        "After a restart the adapter says that it is another life, of the same pool",
        "重启后是新进程、同一个池",
        another_life,
        (RESTART,),
    ),
    Spec(
        "recovery.running",
        "Running work runs on over a restart, and is not started again",
        "重启不打断运行，也不重复启动",
        running_goes_on,
        (RESTART,),
    ),
    Spec(
        "recovery.end",
        "A run that was running ends as it truly ends",
        "重启前的运行照实结束",
        ends_while_down,
        (RESTART, ENDS),
    ),
    Spec(
        "recovery.accepted",
        "What was accepted survives a restart",
        "接受过的启动重启后仍在",
        accepted_is_kept,
        (RESTART,),
    ),
    Spec("recovery.ended", "Endings survive a restart", "结束的结果重启后不变", endings_are_kept, (RESTART, ENDS)),
    Spec(
        "recovery.tombstone",
        "A stop that came before its launch survives a restart",
        "先到的停止重启后仍有效",
        tombstones_are_kept,
        (RESTART,),
    ),
    Spec(
        "recovery.fence",
        "The highest epoch survives a restart",
        "最高任期重启后不忘",
        the_fence_is_kept,
        (RESTART,),
    ),
    Spec(
        "recovery.cursor",
        "A cursor from before a restart resumes or is refused as expired",
        "重启前的游标或续订或拒绝，绝不漏报",
        cursors_of_before,
        (RESTART,),
    ),
    Spec(
        "recovery.stop", "Stops that met a restart are carried out", "重启不妨碍停止", stops_are_kept, (RESTART,)
    ),
    Spec(
        "recovery.lease",
        "A lease runs on while the adapter is down",
        "停机期间租约照算",
        patiently(leases_are_kept),
        (RESTART, Need.LEASES),
    ),
    Spec(
        "recovery.room",
        "What runs on holds its room over a restart",
        "重启后占用照旧",
        room_is_kept,
        (RESTART, Need.LISTS_NODES, Need.REFUSES_WHEN_FULL),
    ),
    Spec("recovery.twice", "Two restarts are as good as one", "连续重启亦无妨", twice, (RESTART,)),
)
