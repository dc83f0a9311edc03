"""Launch and stop: what is accepted runs, what is stopped ends, and each batch is answered item by item."""

from __future__ import annotations

import time

from adapters.conformance.programs import seconds
from adapters.conformance.session import (
    FAILED,
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

INVALID_ARGUMENT, FAILED_PRECONDITION = 3, 9


async def known_at_once(s: Session) -> None:
    item = s.item()
    (status,) = await s.accepted(item)
    require(status.run_id == item.run_id and status.state != 0, "the status of the run accepted", status)
    await s.status(item.run_id)
    require(item.run_id in await s.listed(), "the run in List", "a list without it")


async def runs_and_succeeds(s: Session) -> None:
    item = s.item(0.1)
    await s.accepted(item)
    status = await s.until(item.run_id, {SUCCEEDED})
    require(status.exit_code == 0 and status.HasField("exit_code"), "exit code 0", status)
    require(status.HasField("started_at") and status.HasField("ended_at"), "started_at and ended_at", status)
    if item.nodes:
        require(list(status.nodes) == list(item.nodes), f"nodes {list(item.nodes)}", list(status.nodes))


async def fails_with_its_code(s: Session) -> None:
    item = s.item(script="exit 7")
    await s.accepted(item)
    status = await s.until(item.run_id, {FAILED})
    require(status.exit_code == 7 and bool(status.message), "exit code 7 and a message", status)


async def stop_ends_it(s: Session) -> None:
    item = s.item()
    await s.running(item)
    (result,) = await s.stop(item.run_id)
    require(result.WhichOneof("outcome") == "status", "what the run is now", result)
    status = await s.until(item.run_id, {STOPPED})
    require(bool(status.message), "a message that says why it ended", status)


async def stop_by_force(s: Session) -> None:
    item = s.item(script="trap '' TERM; while true; do sleep 1; done")
    await s.running(item)
    began = time.monotonic()
    await s.stop(item.run_id, grace_s=1.0)
    await s.until(item.run_id, {STOPPED})
    require(
        time.monotonic() - began < s.options.patience_s,
        "an end by force after 1 s of grace",
        f"{time.monotonic() - began:.1f} s",
    )


async def stop_comes_first(s: Session) -> None:
    item = s.item()
    (result,) = await s.stop(item.run_id)
    require(result.status.state == STOPPED, "an unknown run remembered as stopped", result)
    (late,) = await s.launch(item)
    require(late.error.code == FAILED_PRECONDITION, "the late launch refused with FAILED_PRECONDITION", late)
    require((await s.status(item.run_id)).state == STOPPED, "the run still stopped", "another state")


async def ended_stays(s: Session) -> None:
    item = s.item(0)
    await s.accepted(item)
    before = await s.until(item.run_id, {SUCCEEDED})
    (result,) = await s.stop(item.run_id)
    require(result.status == before, "the run as it ended", result)
    require(await s.status(item.run_id) == before, "the run as it ended", "another ending")


async def item_by_item(s: Session) -> None:
    good, bad, other = s.item(), s.item(), s.item()
    bad.requirements.per_task.cpu_milli = -1
    results = await s.launch(good, bad, other)
    outcomes = [result.WhichOneof("outcome") for result in results]
    require(outcomes == ["accepted", "error", "accepted"], "only the bad item refused", outcomes)
    require(results[1].error.code == INVALID_ARGUMENT, "INVALID_ARGUMENT for it", results[1])
    answers = await s.stop(good.run_id, other.run_id)
    require(all(answer.HasField("status") for answer in answers), "a status an item", answers)


async def empty_batches(s: Session) -> None:
    require(await s.launch() == [], "no results for no items", "some")
    require(await s.stop() == [], "no results for no items", "some")


async def time_is_up(s: Session) -> None:
    item = s.item()
    item.max_runtime.CopyFrom(seconds(1))
    await s.running(item)
    status = await s.until(item.run_id, {FAILED})
    require(bool(status.message), "a message that names max_runtime", status)
    took_ms = status.ended_at.ToMilliseconds() - status.started_at.ToMilliseconds()
    require(took_ms >= 900, "an end after max_runtime, 1 s", f"{took_ms} ms")


async def gang_of_two(s: Session) -> None:
    item = s.item(tasks=2)
    status = await s.running(item)
    require(len(status.nodes) == 2, "one node a task", list(status.nodes))
    if item.nodes:
        require(list(status.nodes) == list(item.nodes), "the nodes in task order", list(status.nodes))
    await s.stopped(item.run_id)


async def states_in_order(s: Session) -> None:
    cursor = await cursor_now(s)
    item = s.item(0.3)
    async with watching(s, cursor) as watcher:
        await s.accepted(item)
        await watcher.until_told(item.run_id, SUCCEEDED)
        states = watcher.states(item.run_id)
    # What is short may end before its pool looks again: states may be left out, and never come in another order.
    order = [STARTING, RUNNING, SUCCEEDED]
    require(states == [state for state in order if state in states], "starting, running, succeeded", states)


async def many_at_once(s: Session) -> None:
    items = [s.item(0.1) for _ in range(min(20, s.can.max_batch))]
    await s.accepted(*items)
    for item in items:
        await s.until(item.run_id, {SUCCEEDED})
    listed = await s.listed(page_size=7)
    missing = [item.run_id for item in items if item.run_id not in listed]
    require(not missing, "every run in the pages of List", missing)


async def page_of_one(s: Session) -> None:
    for _ in range(2):
        await s.stop(s.new_id("page"))
    listing: pb.ListResponse = await s.stub.List(pb.ListRequest(page_size=1))
    require(len(listing.runs) <= 1, "at most one run in a page of one", len(listing.runs))


ENDS, EXECUTES = Need.ENDS, Need.EXECUTES
SPECS = (
    Spec("launch.known", "What was accepted is known from that moment on", "接受即可查", known_at_once),
    Spec(
        "launch.succeeds",
        "A run that is launched runs and succeeds, on the nodes that were chosen, with exit code 0",
        "启动的运行会执行并成功，节点如所选，退出码为 0",
        runs_and_succeeds,
        (ENDS,),
    ),
    Spec(
        "launch.fails",
        "A program that fails ends its run as failed, with its exit code and a message",
        "程序失败，运行即失败，带退出码与说明",
        fails_with_its_code,
        (ENDS, EXECUTES),
    ),
    Spec(
        "launch.order",
        "The states of a run are told in order: starting, running, ended",
        "状态按序报告：启动、运行、结束",
        states_in_order,
        (ENDS,),
    ),
    Spec(
        "launch.stop",
        "A run that is stopped ends as stopped, and says why",
        "停止的运行以“已停止”结束",
        stop_ends_it,
    ),
    Spec(
        "launch.force",
        "A run that does not end politely is ended by force when its grace is over",
        "宽限期过后强制结束",
        stop_by_force,
        (EXECUTES,),
    ),
    Spec(
        "launch.tombstone",
        "A stop that comes before its launch wins: the launch is refused",
        "停止先到则启动被拒",
        stop_comes_first,
    ),
    Spec("launch.ended", "A run that has ended stays as it ended", "已结束的运行不再改变", ended_stays, (ENDS,)),
    Spec("launch.items", "A bad item is refused alone, in its place", "坏项单独拒绝，次序不变", item_by_item),
    Spec("launch.empty", "A batch without items has an answer without results", "空批次得到空结果", empty_batches),
    Spec(
        "launch.many",
        "Every run of a batch runs, and is listed",
        "一批中的每个运行都执行、可列出",
        many_at_once,
        (ENDS,),
    ),
    Spec("launch.page", "List keeps to the size of the page", "List 遵守页大小", page_of_one),
    Spec(
        "launch.limit",
        "A run that exceeds max_runtime ends as failed, not before",
        "超过 max_runtime 即失败，且不提前",
        time_is_up,
        (Need.MAX_RUNTIME,),
    ),
    Spec(
        "launch.gang",
        "All tasks of a gang run, each on its node",
        "多任务同起，各在其节点",
        gang_of_two,
        (Need.GANGS,),
    ),
)
