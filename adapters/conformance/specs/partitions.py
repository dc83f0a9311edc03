"""Partition: lost requests, lost answers, broken and half-open lines never run anything twice or lose it."""

from __future__ import annotations

import asyncio
import time

import grpc

from adapters.conformance.proxy import Faults
from adapters.conformance.session import RUNNING, SUCCEEDED, Session, require
from adapters.conformance.spec import Broken, Need, Spec
from adapters.conformance.watching import cursor_now, watching
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

_LOST_S = 1.0
_CARRIED_OUT_S = 10.0


async def _lost(s: Session, faults: Faults, item: pb.LaunchItem) -> None:
    """Launches while the line is so broken that no answer can come."""
    async with s.proxy.broken(faults):
        try:
            await s.stub.Launch(pb.LaunchRequest(epoch=s.epoch, items=[item]), timeout=_LOST_S)
        except grpc.RpcError:
            return
    raise Broken("expected no answer through a broken line; saw one")


async def _carried_out(s: Session, run_id: str) -> None:
    """A slow engine may still be at it when the caller's time for an answer is over."""
    end = time.monotonic() + _CARRIED_OUT_S
    while run_id not in await s.listed():
        require(time.monotonic() < end, "the launch carried out, though its answer was lost", "no such run")
        await asyncio.sleep(0.1)


async def answer_lost(s: Session) -> None:
    cursor = await cursor_now(s)
    item = s.item()
    await _lost(s, Faults(swallow_answers=True), item)
    await s.reconnected()
    await _carried_out(s, item.run_id)
    await s.running(item)
    await s.stopped(item.run_id)
    async with watching(s, cursor) as watcher:
        await watcher.until(lambda w: w.states(item.run_id).count(RUNNING) >= 1, "the run told")
        require(watcher.states(item.run_id).count(RUNNING) == 1, "one start", watcher.states(item.run_id))


async def request_lost(s: Session) -> None:
    item = s.item()
    await _lost(s, Faults(swallow_requests=True), item)
    await s.reconnected()
    await s.running(item)


async def cut_in_the_middle(s: Session) -> None:
    items = [s.item() for _ in range(min(10, s.can.max_batch))]
    launching = asyncio.create_task(s.launch(*items))
    await asyncio.sleep(0.005)
    s.proxy.cut()
    await asyncio.gather(launching, return_exceptions=True)
    await s.reconnected()
    await s.accepted(*items)
    for item in items:
        await s.until(item.run_id, {RUNNING})


async def watcher_cut(s: Session) -> None:
    """Changes that happen while the line is down are told when it is up, each once."""
    item, other = s.item(0.3), s.item()
    async with watching(s, await cursor_now(s)) as before:
        await s.accepted(item)
        await before.until(lambda w: bool(w.told(item.run_id)), "the launch told")
        cursor = before.cursor
        heard = len(before.told(item.run_id))
        s.proxy.cut()
    await s.reconnected()
    await s.accepted(other)
    async with watching(s, cursor) as after:
        await after.until_told(item.run_id, SUCCEEDED)
        await after.until_told(other.run_id, RUNNING)
        states = [status.state for status in before.told(item.run_id)[:heard]] + after.states(item.run_id)
    require(len(states) == len(set(states)), "each change once over both lines", states)


async def half_open(s: Session) -> None:
    """A peer that has gone silent on an open line holds nobody else up."""
    async with s.another() as stuck:
        stream = stuck.Watch(pb.WatchRequest(cursor=await cursor_now(s)))
        await stream.read()
        async with s.proxy.broken(Faults(swallow_answers=True)):
            await asyncio.sleep(0.3)
        await s.reconnected()
        item = s.item()
        await s.running(item)
        await s.stopped(item.run_id)
        stream.cancel()


async def slow_line(s: Session) -> None:
    s.proxy.faults = Faults(delay_s=0.2)
    try:
        item = s.item(0.1)
        await s.accepted(item)
        await s.until(item.run_id, {SUCCEEDED})
    finally:
        s.proxy.faults = Faults()


async def refused_line(s: Session) -> None:
    item = s.item()
    await s.running(item)
    async with s.proxy.broken(Faults(refuse=True)):
        s.proxy.cut()
        await asyncio.sleep(1.0)
    await s.reconnected()
    require((await s.status(item.run_id)).state == RUNNING, "the run running on", "another state")


SPECS = (
    Spec(
        "partition.answer",
        "A launch whose answer was lost is repeated, and runs once",
        "答复丢失后重发，只跑一次",
        answer_lost,
    ),
    Spec(
        "partition.request",
        "A launch that was lost is repeated, and runs",
        "请求丢失后重发，照常运行",
        request_lost,
    ),
    Spec(
        "partition.cut",
        "A batch that is cut off is repeated, and all of it runs",
        "批次中断后重发，全部运行",
        cut_in_the_middle,
    ),
    Spec(
        "partition.watch",
        "What happens while the line is down is told when it is up, each once",
        "断线期间的变化在恢复后补报，各报一次",
        watcher_cut,
        (Need.ENDS,),
    ),
    Spec("partition.half", "A peer that has gone silent holds nobody up", "失声的对端不拖累他人", half_open),
    Spec(
        "partition.slow",
        "A slow line changes nothing but the time it takes",
        "线路慢只是慢",
        slow_line,
        (Need.ENDS,),
    ),
    Spec("partition.refused", "Runs go on while nobody is heard", "失联期间运行照常", refused_line),
)
