"""Limits: what is declared as a limit can be used to the full, and what exceeds it is refused whole."""

from __future__ import annotations

import asyncio

import grpc

from adapters.conformance.session import STOPPED, SUCCEEDED, Session, require, require_code
from adapters.conformance.spec import Need, Spec
from adapters.conformance.watching import cursor_now
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

_TRIED = 10_000
_ENVIRONMENT_BYTES = 60 * 1024


async def full_batch(s: Session) -> None:
    size = min(s.can.max_batch, _TRIED)
    ids = [s.new_id("full") for _ in range(size)]
    results = await s.stop(*ids)
    require(all(result.status.state == STOPPED for result in results), f"{size} stops in one batch", size)


async def too_large_batch(s: Session) -> None:
    if s.can.max_batch > _TRIED:
        return
    ids = [s.new_id("over") for _ in range(s.can.max_batch + 1)]
    await require_code(s.stop(*ids), grpc.StatusCode.INVALID_ARGUMENT)
    items = [s.item() for _ in range(s.can.max_batch + 1)]
    request = pb.LaunchRequest(epoch=s.epoch, items=items)
    await require_code(s.stub.Launch(request), grpc.StatusCode.INVALID_ARGUMENT)
    listed = await s.listed()
    require(not {*ids, *(item.run_id for item in items)} & set(listed), "nothing of the batch taken", "some of it")


async def longest_id(s: Session) -> None:
    item = s.item(run_id=s.new_id("long").ljust(128, "x"))
    await s.running(item)
    await s.stopped(item.run_id)


async def similar_ids(s: Session) -> None:
    """Names that a pool might make equal when it shortens or lowers them stay two runs."""
    stem = s.new_id("twin")
    lower, upper = s.item(run_id=f"{stem}.a"), s.item(run_id=f"{stem}.A")
    dash, long = s.item(run_id=f"{stem}-a"), s.item(run_id=f"{stem}.a".ljust(127, "z") + "1")
    longer = s.item(run_id=f"{stem}.a".ljust(127, "z") + "2")
    items = [lower, upper, dash, long, longer]
    for item in items:
        await s.accepted(item)
    await s.stop(lower.run_id)
    await s.until(lower.run_id, {STOPPED})
    for item in items[1:]:
        status = await s.status(item.run_id)
        require(status.state != STOPPED, f"{item.run_id} untouched by the stop of its like", status)


async def large_settings(s: Session) -> None:
    item = s.item(script='echo "${#LONG}"')
    item.program.environment["LONG"] = "x" * _ENVIRONMENT_BYTES
    await s.accepted(item)
    await s.until(item.run_id, {SUCCEEDED})
    output = await s.output(item.run_id)
    require(str(_ENVIRONMENT_BYTES).encode() in output, f"{_ENVIRONMENT_BYTES} bytes of settings", output)


async def many_watchers(s: Session) -> None:
    cursor = await cursor_now(s)
    streams = [s.stub.Watch(pb.WatchRequest(cursor=cursor)) for _ in range(40)]
    try:
        await asyncio.gather(*(asyncio.wait_for(stream.read(), s.options.patience_s) for stream in streams))
        await s.accepted(s.item())
    finally:
        for stream in streams:
            stream.cancel()


async def pages_of_one(s: Session) -> None:
    ids = [s.new_id("page") for _ in range(3)]
    for run_id in ids:
        await s.stop(run_id)
    page = await s.stub.List(pb.ListRequest(page_size=1))
    seen: list[str] = []
    for _ in range(50):
        require(len(page.runs) <= 1, "at most one run in a page of one", len(page.runs))
        seen += [run.run_id for run in page.runs]
        if not page.next_page_token:
            break
        page = await s.stub.List(pb.ListRequest(page_size=1, page_token=page.next_page_token))
    while page.next_page_token:
        page = await s.stub.List(pb.ListRequest(page_size=100, page_token=page.next_page_token))
        seen += [run.run_id for run in page.runs]
    require(len(seen) == len(set(seen)), "no run in two pages", seen)
    missing = set(ids) - set(seen)
    require(not missing, "every run in one of the pages", f"{sorted(missing)} missing")


SPECS = (
    Spec("limits.batch", "A batch may have max_batch items", "一批可满 max_batch 项", full_batch),
    Spec(
        "limits.over",
        "A batch with more is refused whole, and nothing of it is taken",
        "超出则整批拒绝，一项不取",
        too_large_batch,
    ),
    Spec("limits.id", "A run id may have 128 characters", "运行编号可长达 128 字符", longest_id),
    Spec("limits.twins", "Run ids that look alike are two runs", "相似的运行编号互不相干", similar_ids),
    Spec(
        "limits.settings",
        "Settings may have 60 KiB",
        "环境变量可达 60 KiB",
        large_settings,
        (Need.EXECUTES, Need.LOGS),
    ),
    Spec("limits.watchers", "Forty watchers may listen at once", "可同时有四十个订阅者", many_watchers),
    Spec(
        "limits.pages",
        "Pages may hold one run each, every run in one of them",
        "每页一项亦可，不重不漏",
        pages_of_one,
    ),
)
