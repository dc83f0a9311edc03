"""Idempotency: each call ten times, one after another and all at once, does what it does once."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from adapters.conformance.session import (
    ENDED,
    RUNNING,
    STARTING,
    STOPPED,
    SUCCEEDED,
    Session,
    require,
)
from adapters.conformance.spec import Need, Spec
from adapters.conformance.watching import cursor_now, watching
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

TIMES = 10
FAILED_PRECONDITION = 9


async def _told_once(s: Session, cursor: str, run_id: str) -> None:
    """Requires that the changes after `cursor` hold each state of this run once."""
    async with watching(s, cursor) as watcher:
        await watcher.until(
            lambda w: any(state in ENDED for state in w.states(run_id)), f"the end of {run_id} told"
        )
        states = watcher.states(run_id)
    doubled = sorted({state for state in states if states.count(state) > 1})
    require(not doubled, "each state once", states)


async def launch_in_a_row(s: Session) -> None:
    cursor = await cursor_now(s)
    item = s.item()
    for _ in range(TIMES):
        await s.accepted(item)
    first = await s.until(item.run_id, {RUNNING})
    for _ in range(TIMES):
        (status,) = await s.accepted(item)
        require(status.started_at == first.started_at, "the run that is there already", status)
    await s.stopped(item.run_id)
    await _told_once(s, cursor, item.run_id)


async def launch_at_once(s: Session) -> None:
    cursor = await cursor_now(s)
    item = s.item()
    async with AsyncExitStack() as stack:
        stubs = [await stack.enter_async_context(s.another()) for _ in range(TIMES)]
        answers = await asyncio.gather(*(s.launch(item, stub=stub) for stub in stubs))
    for (result,) in answers:
        require(result.WhichOneof("outcome") == "accepted", "accepted, each time", result)
    await s.until(item.run_id, {RUNNING})
    await s.stopped(item.run_id)
    await _told_once(s, cursor, item.run_id)


async def executed_once(s: Session) -> None:
    item = s.item(script="echo once")
    await asyncio.gather(*(s.launch(item) for _ in range(TIMES)))
    await s.until(item.run_id, {SUCCEEDED})
    for _ in range(TIMES):
        await s.launch(item)
    output = await s.output(item.run_id)
    require(output.count(b"once") == 1, "one line of output", output)


async def twice_in_a_batch(s: Session) -> None:
    cursor = await cursor_now(s)
    item = s.item()
    if s.can.max_batch < 2:
        await s.accepted(item)
    else:
        await s.accepted(item, item)
    await s.until(item.run_id, {RUNNING})
    await s.stopped(item.run_id)
    await _told_once(s, cursor, item.run_id)


async def another_body(s: Session) -> None:
    item = s.item()
    before = await s.running(item)
    other = s.item(0, run_id=item.run_id)
    (result,) = await s.launch(other)
    require(result.accepted.state == RUNNING, "the run that is there already, whatever the body", result)
    await asyncio.sleep(0.5)
    after = await s.status(item.run_id)
    require(after == before, "the first launch unchanged", after)


async def ended_is_not_run_again(s: Session) -> None:
    item = s.item(0)
    await s.accepted(item)
    before = await s.until(item.run_id, {SUCCEEDED})
    for _ in range(TIMES):
        (status,) = await s.accepted(item)
        require(status == before, "the run as it ended", status)


async def stop_in_a_row_and_at_once(s: Session) -> None:
    item = s.item()
    await s.running(item)
    answers = await asyncio.gather(*(s.stop(item.run_id) for _ in range(TIMES)))
    for (result,) in answers:
        require(result.HasField("status"), "what the run is now, each time", result)
    before = await s.until(item.run_id, {STOPPED})
    for _ in range(TIMES):
        (result,) = await s.stop(item.run_id)
        require(result.status == before, "the run as it ended", result)


async def stop_nobody(s: Session) -> None:
    run_id = s.new_id("nobody")
    answers = await asyncio.gather(*(s.stop(run_id) for _ in range(TIMES)))
    for (result,) in answers:
        require(result.status.state == STOPPED, "remembered as stopped, each time", result)


async def race(s: Session) -> None:
    """Launch and stop at once, in either order: the run ends as stopped, or was refused, and never runs on."""
    for _ in range(TIMES):
        item = s.item()
        answers = await asyncio.gather(s.launch(item), s.stop(item.run_id, grace_s=0.2))
        (launched,) = answers[0]
        if launched.WhichOneof("outcome") == "error":
            require(launched.error.code == FAILED_PRECONDITION, "FAILED_PRECONDITION for the loser", launched)
        status = await s.until(item.run_id, {STOPPED})
        require(status.state not in {STARTING, RUNNING}, "a run that has ended", status)


async def reading_changes_nothing(s: Session) -> None:
    item = s.item()
    await s.running(item)
    answers = await asyncio.gather(
        *(s.stub.Inspect(pb.InspectRequest(run_id=item.run_id)) for _ in range(TIMES)),
    )
    require(all(answer == answers[0] for answer in answers), "ten equal answers", "answers that differ")


async def renew_ten_times(s: Session) -> None:
    request = pb.RenewLeasesRequest(epoch=s.epoch)
    answers = await asyncio.gather(*(s.stub.RenewLeases(request) for _ in range(TIMES)))
    require(all(answer.now.seconds > 0 for answer in answers), "the adapter's clock, each time", answers[0])


SPECS = (
    Spec(
        "idempotency.row",
        "The same launch ten times in a row starts one run",
        "同一启动连发十次，只起一次",
        launch_in_a_row,
    ),
    Spec(
        "idempotency.once",
        "The same launch ten times at once starts one run",
        "同一启动并发十次，只起一次",
        launch_at_once,
    ),
    Spec(
        "idempotency.executed",
        "The program of one run id is executed once, however often it is launched",
        "同一运行编号，程序只执行一次",
        executed_once,
        (Need.EXECUTES, Need.LOGS),
    ),
    Spec(
        "idempotency.batch",
        "The same launch twice in one batch starts one run",
        "一批中重复的启动只起一次",
        twice_in_a_batch,
    ),
    Spec(
        "idempotency.body",
        "A launch of a known run id changes nothing, whatever its body",
        "已知编号的启动不改变任何事",
        another_body,
    ),
    Spec(
        "idempotency.ended",
        "A run that has ended is not run again",
        "已结束的运行不会再跑",
        ended_is_not_run_again,
        (Need.ENDS,),
    ),
    Spec(
        "idempotency.stop",
        "The same stop ten times, at once and in a row, stops once",
        "同一停止十次，只停一次",
        stop_in_a_row_and_at_once,
    ),
    Spec(
        "idempotency.nobody",
        "Stopping an unknown run ten times is remembered once",
        "停止未知运行可重复",
        stop_nobody,
    ),
    Spec(
        "idempotency.race",
        "Of a launch and a stop that meet, the stop wins",
        "启动与停止相遇，以停止为准",
        race,
    ),
    Spec("idempotency.read", "Reading changes nothing", "读取不改变状态", reading_changes_nothing),
    Spec("idempotency.renew", "Leases may be renewed ten times at once", "租约可重复续订", renew_ten_times),
)
