"""What a program that is run finds and leaves: settings, output, time to end politely. A part of the group `launch`."""

from __future__ import annotations

import asyncio
import time

from adapters.conformance.session import ENDED, SUCCEEDED, Session, require
from adapters.conformance.spec import Need, Spec
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

_GRACE_S, _FAREWELL_S = 60.0, 2.0


async def every_task_runs(s: Session) -> None:
    item = s.item(script='echo "task $XISUAN_TASK"', tasks=2)
    await s.accepted(item)
    await s.until(item.run_id, {SUCCEEDED})
    lines = sorted((await s.output(item.run_id)).split(b"\n"))
    require(lines == [b"", b"task 0", b"task 1"], "a line of each task, with its number", lines)


async def settings_reach_it(s: Session) -> None:
    item = s.item(script='echo "word is $WORD"')
    item.program.environment["WORD"] = "西算 = x"
    await s.accepted(item)
    await s.until(item.run_id, {SUCCEEDED})
    output = await s.output(item.run_id)
    require("word is 西算 = x".encode() in output, "the setting in the output", output)


async def output_from_an_offset(s: Session) -> None:
    item = s.item(script="echo first; echo second")
    await s.accepted(item)
    await s.until(item.run_id, {SUCCEEDED})
    whole = await s.output(item.run_id)
    require(b"first" in whole and b"second" in whole, "both lines", whole)
    offset = whole.index(b"second")
    rest = await s.output(item.run_id, offset)
    require(rest == whole[offset:], f"the output from byte {offset} on", rest)


async def output_is_followed(s: Session) -> None:
    item = s.item(script="echo first; sleep 2; echo second")
    await s.running(item)
    pieces = s.stub.Logs(pb.LogsRequest(run_id=item.run_id, follow=True), timeout=s.options.patience_s)
    output = b"".join([piece.chunk async for piece in pieces])
    require(b"first" in output and b"second" in output, "all that it wrote until its end", output)


async def politeness_first(s: Session) -> None:
    """The program says when it is ready for the signal, and needs two seconds to end once it has come."""
    item = s.item(script=f"trap 'sleep {_FAREWELL_S:g}; exit 0' TERM; echo ready; sleep 600 & wait")
    await s.running(item)
    end = time.monotonic() + s.options.patience_s
    while b"ready" not in (output := await _output_so_far(s, item.run_id)):
        require(time.monotonic() < end, "the first line of a program that runs", output)
        await asyncio.sleep(0.1)
    began = time.monotonic()
    await s.stop(item.run_id, grace_s=_GRACE_S)
    await s.until(item.run_id, ENDED)
    took_s = time.monotonic() - began
    require(
        took_s > _FAREWELL_S * 0.75, f"the {_FAREWELL_S:g} s that it needs to end", f"its end after {took_s:.1f} s"
    )


async def _output_so_far(s: Session, run_id: str) -> bytes:
    pieces = s.stub.Logs(pb.LogsRequest(run_id=run_id), timeout=s.options.patience_s)
    return b"".join([piece.chunk async for piece in pieces])


EXECUTES = Need.EXECUTES
SPECS = (
    Spec(
        "launch.tasks",
        "The program is executed once a task, and each knows its number",
        "每个任务各执行一次程序，并知道自己的序号",
        every_task_runs,
        (EXECUTES, Need.LOGS, Need.GANGS),
    ),
    Spec(
        "launch.settings",
        "Settings reach the program as they were given, and its output is kept",
        "环境变量原样传到，输出可取",
        settings_reach_it,
        (EXECUTES, Need.LOGS),
    ),
    Spec(
        "launch.offset",
        "Output is read from the byte that is asked for",
        "日志可从任意字节续读",
        output_from_an_offset,
        (EXECUTES, Need.LOGS),
    ),
    Spec(
        "launch.follow",
        "Output is followed until the run has ended",
        "日志可跟随到运行结束",
        output_is_followed,
        (EXECUTES, Need.LOGS),
    ),
    Spec(
        "launch.grace",
        "A program that is stopped has its grace to end politely",
        "停止的程序在宽限期内可从容结束",
        politeness_first,
        (EXECUTES, Need.LOGS),
    ),
)
