"""Watch and resume: changes in order, each once, from any cursor that is not too old; and a sign of life."""

from __future__ import annotations

import asyncio
import time

import grpc

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
from adapters.conformance.watching import Watcher, cursor_now, watching
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

SIGN_OF_LIFE_S = 5.0
_SLACK_S = 2.5
_WINDOW_TRIED = 2000
_UNREAD = 2000  # changes: some hundred kilobytes, beyond what gRPC takes from a sender unread


async def first_message(s: Session) -> None:
    began = time.monotonic()
    async with watching(s, await cursor_now(s)) as watcher:
        took_s = time.monotonic() - began
        require(took_s < SIGN_OF_LIFE_S, "a first message at once", f"after {took_s:.1f} s")
        require(bool(watcher.cursor), "a cursor in it", "none")


async def sign_of_life(s: Session) -> None:
    async with watching(s, await cursor_now(s)) as watcher:
        await asyncio.sleep(SIGN_OF_LIFE_S + _SLACK_S)
        require(
            len(watcher.messages) >= 2,
            f"a sign of life every {SIGN_OF_LIFE_S:g} s",
            f"{len(watcher.messages)} message in {SIGN_OF_LIFE_S + _SLACK_S:g} s",
        )


async def each_change_once(s: Session) -> None:
    items = [s.item(0.1) for _ in range(min(10, s.can.max_batch))]
    long = s.item()
    async with watching(s, await cursor_now(s)) as watcher:
        await s.accepted(*items)
        await s.accepted(long)
        await watcher.until_told(long.run_id, RUNNING)
        for item in items:
            await watcher.until_told(item.run_id, SUCCEEDED)
        for item in (*items, long):
            states = watcher.states(item.run_id)
            require(len(states) == len(set(states)), "each state of a run once", states)
            # A run may be so short that its pool never saw it running; what is told after its end is wrong.
            ended = [state in ENDED for state in states]
            require(not any(ended[:-1]), "nothing after the end of a run", states)


async def resumes(s: Session) -> None:
    """Reads the same changes in one stream, and in many that are broken off after each message."""
    cursor = await cursor_now(s)
    items = [s.item(0.2 * number) for number in range(5)]
    async with watching(s, cursor) as whole:
        for item in items:
            await s.accepted(item)
        for item in items:
            await whole.until_told(item.run_id, SUCCEEDED)
    pieces: list[pb.RunStatus] = []
    at = cursor
    ids = {item.run_id for item in items}
    end = time.monotonic() + s.options.patience_s
    while not ids <= {one.run_id for one in pieces if one.state in ENDED}:
        require(time.monotonic() < end, "the rest of the changes after a cursor", f"{len(pieces)} of them")
        async with watching(s, at) as watcher:
            pieces += [run for _, message in watcher.messages[:1] for run in message.runs]
            at = watcher.messages[0][1].cursor
    told = [run for _, message in whole.messages for run in message.runs]
    for run_id in ids:
        once = [run for run in told if run.run_id == run_id]
        again = [run for run in pieces if run.run_id == run_id]
        require(once == again, f"the same changes of {run_id}, broken off or not", again)


async def middle_of_a_stream(s: Session) -> None:
    first, second = s.item(), s.item()
    async with watching(s, await cursor_now(s)) as watcher:
        await s.accepted(first)
        await watcher.until_told(first.run_id, RUNNING)
        at = watcher.cursor
    await s.accepted(second)
    await s.until(second.run_id, {RUNNING})
    async with watching(s, at) as watcher:
        await watcher.until_told(second.run_id, RUNNING)
        require(not watcher.told(first.run_id), "nothing from before the cursor", watcher.states(first.run_id))


async def two_watchers(s: Session) -> None:
    cursor = await cursor_now(s)
    item = s.item(0.2)
    async with s.another() as other, watching(s, cursor) as one, watching(s, cursor, other) as two:
        await s.accepted(item)
        for watcher in (one, two):
            await watcher.until_told(item.run_id, SUCCEEDED)
        require(one.told(item.run_id) == two.told(item.run_id), "the same for both", two.states(item.run_id))


async def foreign_cursor(s: Session) -> None:
    for cursor in ("not-a-cursor-of-yours", "0000000000000000.1", "西算"):

        async def watch(cursor: str = cursor) -> object:
            stream = s.stub.Watch(pb.WatchRequest(cursor=cursor), timeout=SIGN_OF_LIFE_S)
            return [message async for message in stream]

        await require_code(watch(), grpc.StatusCode.FAILED_PRECONDITION, "CURSOR_EXPIRED")


async def too_old_cursor(s: Session) -> None:
    """Drives the journal beyond its window with tombstones, then watches from before them."""
    cursor = await cursor_now(s)
    window = s.can.watch_window
    if not 0 < window <= _WINDOW_TRIED:
        # Nobody waits for a hundred thousand changes: a cursor of another life is as old as one can be.
        await foreign_cursor(s)
        return
    for _ in range(0, 3 * window + s.can.max_batch, s.can.max_batch):
        await s.stop(*(s.new_id("filler") for _ in range(s.can.max_batch)))

    async def watch() -> object:
        return [message async for message in s.stub.Watch(pb.WatchRequest(cursor=cursor), timeout=SIGN_OF_LIFE_S)]

    failure = await refusal_of(watch())
    if failure.code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return  # it keeps more than it promised
    require(failure.reason == "CURSOR_EXPIRED", "CURSOR_EXPIRED for a cursor that is too old", failure)


async def no_gap_after_list(s: Session) -> None:
    """Runs that are launched while the pages of List are read are in a page, or told after its cursor."""
    launched: list[str] = []

    async def launch_on() -> None:
        for _ in range(15):
            item = s.item()
            launched.append(item.run_id)
            await s.accepted(item)

    launching = asyncio.create_task(launch_on())
    found: set[str] = set()
    token = cursor = ""
    while True:
        page = await s.stub.List(pb.ListRequest(page_size=5, page_token=token))
        cursor = cursor or page.cursor
        found |= {run.run_id for run in page.runs}
        token = page.next_page_token
        if not token:
            break
    await launching

    def complete(watcher: Watcher) -> bool:
        return all(run_id in found or watcher.told(run_id) for run_id in launched)

    async with watching(s, cursor) as watcher:
        await watcher.until(complete, "every run listed or told")


async def from_the_oldest(s: Session) -> None:
    item = s.item()
    await s.running(item)
    async with watching(s, "") as watcher:
        await watcher.until_told(item.run_id, RUNNING)


async def idle_reader(s: Session) -> None:
    """A watcher that reads nothing holds nobody up, when more is to be told than its connection takes unread."""
    async with s.another() as other:
        stream = other.Watch(pb.WatchRequest(cursor=await cursor_now(s)))
        batch = min(_UNREAD, s.can.max_batch)
        for _ in range(0, _UNREAD, batch):
            await s.stop(*(s.new_id("nobody") for _ in range(batch)))
        item = s.item()
        await s.running(item)
        await s.stopped(item.run_id)
        stream.cancel()


async def many_come_and_go(s: Session) -> None:
    cursor = await cursor_now(s)
    for _ in range(50):
        stream = s.stub.Watch(pb.WatchRequest(cursor=cursor))
        await stream.read()
        stream.cancel()
    item = s.item()
    async with watching(s, cursor) as watcher:
        await s.accepted(item)
        await watcher.until_told(item.run_id, RUNNING)


async def tombstones_are_told(s: Session) -> None:
    run_id = s.new_id("nobody")
    async with watching(s, await cursor_now(s)) as watcher:
        await s.stop(run_id)
        await watcher.until_told(run_id, STOPPED)


SPECS = (
    Spec("watch.first", "A watcher hears at once that it is connected", "订阅立即得到首条消息", first_message),
    Spec(
        "watch.alive",
        "A silent stream gives a sign of life every 5 seconds",
        "无变化时每 5 秒报一次平安",
        sign_of_life,
    ),
    Spec(
        "watch.once",
        "Every change is told in order, each once",
        "变化按序报告，各报一次",
        each_change_once,
        (Need.ENDS,),
    ),
    Spec(
        "watch.resume",
        "A stream that is broken off after every message tells what an unbroken one tells",
        "逐条断开续订，与不断开所见相同",
        resumes,
        (Need.ENDS,),
    ),
    Spec(
        "watch.after", "After a cursor comes what changed after it", "游标之后只报其后的变化", middle_of_a_stream
    ),
    Spec("watch.two", "Two watchers hear the same", "两个订阅者所见相同", two_watchers, (Need.ENDS,)),
    Spec(
        "watch.foreign",
        "A cursor that is not the adapter's is refused as expired",
        "不认识的游标以 CURSOR_EXPIRED 拒绝",
        foreign_cursor,
    ),
    Spec(
        "watch.old",
        "A cursor that is too old is refused as expired, never answered with a gap",
        "过旧的游标以 CURSOR_EXPIRED 拒绝，绝不漏报",
        too_old_cursor,
    ),
    Spec(
        "watch.gap",
        "List and then Watch from its cursor miss nothing",
        "先 List 再从其游标 Watch，不漏任何变化",
        no_gap_after_list,
    ),
    Spec(
        "watch.oldest",
        "Without a cursor, Watch begins with the oldest that is kept",
        "无游标则从最早处开始",
        from_the_oldest,
    ),
    Spec("watch.idle", "A watcher that does not read holds nobody up", "不读取的订阅者不拖累他人", idle_reader),
    Spec("watch.many", "Watchers may come and go", "订阅者可频繁来去", many_come_and_go),
    Spec(
        "watch.tombstone",
        "Watchers hear of runs that were stopped before they came",
        "启动前的停止也会通知",
        tombstones_are_told,
    ),
)
