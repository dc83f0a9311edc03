"""Optional capabilities: what is declared works as the contract says."""

from __future__ import annotations

import asyncio

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from adapters.conformance.programs import requirements, seconds
from adapters.conformance.session import ENDED, RUNNING, STOPPED, SUCCEEDED, Session, require, require_code
from adapters.conformance.spec import Need, Spec
from adapters.conformance.watching import cursor_now, watching
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

NOT_FOUND = 5


async def suspended_until_resumed(s: Session) -> None:
    item = s.item()
    await s.running(item)
    answer = await s.stub.Suspend(pb.SuspendRequest(epoch=s.epoch, run_ids=[item.run_id]))
    require(answer.results[0].status.suspended, "a suspended run", answer)
    require((await s.status(item.run_id)).suspended, "a suspended run in Inspect", "another")
    again = await s.stub.Suspend(pb.SuspendRequest(epoch=s.epoch, run_ids=[item.run_id]))
    require(again.results[0].status.suspended, "suspended still", again)
    back = await s.stub.Resume(pb.ResumeRequest(epoch=s.epoch, run_ids=[item.run_id]))
    require(
        back.results[0].status.state == RUNNING and not back.results[0].status.suspended, "a running run", back
    )
    await s.stub.Suspend(pb.SuspendRequest(epoch=s.epoch, run_ids=[item.run_id]))
    await s.stopped(item.run_id)


async def suspended_does_not_end(s: Session) -> None:
    item = s.item(1.5)
    await s.running(item)
    await s.stub.Suspend(pb.SuspendRequest(epoch=s.epoch, run_ids=[item.run_id]))
    await asyncio.sleep(2.5)
    status = await s.status(item.run_id)
    require(status.state == RUNNING and status.suspended, "a run that waits", status)
    await s.stub.Resume(pb.ResumeRequest(epoch=s.epoch, run_ids=[item.run_id]))
    await s.until(item.run_id, {SUCCEEDED})


async def suspend_nobody(s: Session) -> None:
    answer = await s.stub.Suspend(pb.SuspendRequest(epoch=s.epoch, run_ids=[s.new_id("nobody")]))
    require(answer.results[0].error.code == NOT_FOUND, "NOT_FOUND for an unknown run", answer)


async def suspended_is_told(s: Session) -> None:
    item = s.item()
    await s.running(item)
    async with watching(s, await cursor_now(s)) as watcher:
        await s.stub.Suspend(pb.SuspendRequest(epoch=s.epoch, run_ids=[item.run_id]))
        await watcher.until(lambda w: any(one.suspended for one in w.told(item.run_id)), "the suspension told")


async def command_beside_it(s: Session) -> None:
    item = s.item()
    await s.running(item)
    request = pb.ExecRequest(
        epoch=s.epoch, run_id=item.run_id, command=["sh", "-c", "cat; echo beside >&2; exit 3"]
    )
    request.standard_input = b"from outside"
    pieces = [piece async for piece in s.stub.Exec(request, timeout=s.options.patience_s)]
    require(b"".join(p.standard_output for p in pieces) == b"from outside", "what was put in", pieces)
    require(b"beside" in b"".join(p.standard_error for p in pieces), "standard error apart", pieces)
    require(bool(pieces) and pieces[-1].exit_code == 3, "exit code 3 in the last message", pieces[-1:])
    require((await s.status(item.run_id)).state == RUNNING, "the run undisturbed", "another state")


async def command_sees_what_the_run_sees(s: Session) -> None:
    item = s.item()
    item.program.environment["WORD"] = "西算 = x"
    await s.running(item)
    output = await _output_beside(s, item.run_id, "sh", "-c", 'echo "word is $WORD"')
    require("word is 西算 = x".encode() in output, "the setting of the run", output)


async def command_has_an_end(s: Session) -> None:
    item = s.item()
    await s.running(item)
    request = pb.ExecRequest(epoch=s.epoch, run_id=item.run_id, command=["sleep", "600"], timeout=seconds(1))
    pieces = [piece async for piece in s.stub.Exec(request, timeout=s.options.patience_s)]
    require(bool(pieces) and pieces[-1].exit_code != 0, "an exit code that is not 0", pieces[-1:])
    require((await s.status(item.run_id)).state == RUNNING, "the run undisturbed", "another state")


async def no_command_beside_no_task(s: Session) -> None:
    item = s.item()
    await s.running(item)
    await require_code(
        _answer(s, pb.ExecRequest(epoch=s.epoch, run_id=item.run_id, task=1, command=["true"])),
        grpc.StatusCode.INVALID_ARGUMENT,
    )


async def no_command_of_an_old_leader(s: Session) -> None:
    item = s.item()
    await s.running(item)
    await require_code(
        _answer(s, pb.ExecRequest(epoch=s.epoch - 1, run_id=item.run_id, command=["true"])),
        grpc.StatusCode.FAILED_PRECONDITION,
    )


async def _answer(s: Session, request: pb.ExecRequest) -> list[pb.ExecResponse]:
    return [piece async for piece in s.stub.Exec(request, timeout=s.options.patience_s)]


async def _output_beside(s: Session, run_id: str, *command: str) -> bytes:
    pieces = await _answer(s, pb.ExecRequest(epoch=s.epoch, run_id=run_id, command=command))
    return b"".join(piece.standard_output for piece in pieces)


async def no_command_beside_the_dead(s: Session) -> None:
    item = s.item(0)
    await s.accepted(item)
    await s.until(item.run_id, ENDED)

    request = pb.ExecRequest(epoch=s.epoch, run_id=item.run_id, command=["true"])
    await require_code(_answer(s, request), grpc.StatusCode.FAILED_PRECONDITION)


async def estimates(s: Session) -> None:
    item = s.item()
    answer = await s.stub.EstimateStarts(pb.EstimateStartsRequest(items=[item]))
    require([one.run_id for one in answer.estimates] == [item.run_id], "an estimate an item", answer)
    (estimate,) = answer.estimates
    require(estimate.HasField("starts_in") and estimate.starts_in.seconds >= 0, "a duration from now", estimate)
    require(item.run_id not in await s.listed(), "nothing launched by an estimate", "a run")


async def reserves(s: Session) -> None:
    now = (await s.stub.GetVersion(pb.GetVersionRequest())).now.seconds
    reservation = pb.Reservation(
        reservation_id=s.new_id("held"),
        requirements=requirements(s.options.asking),
        nodes=s.node(),
        begins_at=Timestamp(seconds=now + 3600),
        ends_at=Timestamp(seconds=now + 7200),
    )
    request = pb.ReserveRequest(epoch=s.epoch, items=[reservation])
    answers = [await s.stub.Reserve(request) for _ in range(3)]
    for answer in answers:
        require(answer.results[0].WhichOneof("outcome") == "held", "the reservation held, each time", answer)
    for _ in range(2):
        request_back = pb.UnreserveRequest(epoch=s.epoch, reservation_ids=[reservation.reservation_id])
        back = await s.stub.Unreserve(request_back)
        require(not back.results[0].HasField("error"), "it is gone, each time", back)


async def checkpoints(s: Session) -> None:
    item = s.item()
    await s.running(item)
    request = pb.CheckpointRequest(epoch=s.epoch, run_id=item.run_id, checkpoint_id=s.new_id("point"))
    first, second = [await s.stub.Checkpoint(request) for _ in range(2)]
    require(first == second, "one checkpoint for one id", (first, second))
    await s.stopped(item.run_id)
    going_on = s.item()
    going_on.restore_from = request.checkpoint_id
    await s.running(going_on)


async def serves_on(s: Session) -> None:
    item = s.item(0.2)
    item.service = True
    await s.accepted(item)
    await asyncio.sleep(2.0)
    status = await s.until(item.run_id, {RUNNING})
    require(status.state == RUNNING, "a service started again", status)
    await s.stop(item.run_id)
    await s.until(item.run_id, {STOPPED})


async def chooses(s: Session) -> None:
    item = s.item()
    del item.nodes[:]
    status = await s.running(item)
    require(len(status.nodes) == 1, "the node that was chosen", status)


SPECS = (
    Spec(
        "extras.suspend",
        "A suspended run waits until it is resumed, and can be stopped",
        "挂起的运行等待恢复，也可停止",
        suspended_until_resumed,
        (Need.SUSPEND,),
    ),
    Spec(
        "extras.waits",
        "A suspended run does not end by itself",
        "挂起期间不会自行结束",
        suspended_does_not_end,
        (Need.SUSPEND, Need.ENDS),
    ),
    Spec("extras.nobody", "Only known runs are suspended", "只能挂起已知的运行", suspend_nobody, (Need.SUSPEND,)),
    Spec("extras.told", "Watchers hear of a suspension", "挂起会通知订阅者", suspended_is_told, (Need.SUSPEND,)),
    Spec(
        "extras.exec",
        "A command runs beside a run, with its input, output and exit code",
        "可在运行旁执行命令，输入输出与退出码完整",
        command_beside_it,
        (Need.EXEC, Need.EXECUTES),
    ),
    Spec(
        "extras.surroundings",
        "A command beside a run sees the run's settings",
        "运行旁的命令看得到该运行的环境变量",
        command_sees_what_the_run_sees,
        (Need.EXEC, Need.EXECUTES),
    ),
    Spec(
        "extras.overtime",
        "A command that takes longer than its limit is killed, and the run goes on",
        "命令超时即被终止，运行不受影响",
        command_has_an_end,
        (Need.EXEC, Need.EXECUTES),
    ),
    Spec(
        "extras.task",
        "No command runs beside a task that the run does not have",
        "不存在的任务旁不能执行命令",
        no_command_beside_no_task,
        (Need.EXEC,),
    ),
    Spec(
        "extras.fence",
        "A replaced leader executes no command",
        "旧主不能执行命令",
        no_command_of_an_old_leader,
        (Need.EXEC,),
    ),
    Spec(
        "extras.dead",
        "No command runs beside a run that has ended",
        "已结束的运行旁不能执行命令",
        no_command_beside_the_dead,
        (Need.EXEC, Need.ENDS),
    ),
    Spec(
        "extras.estimate", "An estimate launches nothing", "估计不会启动运行", estimates, (Need.START_ESTIMATES,)
    ),
    Spec(
        "extras.reserve",
        "A reservation is held once for its id, and given back once",
        "预留按编号幂等，可归还",
        reserves,
        (Need.RESERVATIONS,),
    ),
    Spec(
        "extras.checkpoint",
        "A checkpoint is taken once for its id, and a run goes on from it",
        "检查点按编号幂等，可据以恢复",
        checkpoints,
        (Need.CHECKPOINTS,),
    ),
    Spec(
        "extras.service",
        "A service that ends is started again",
        "服务结束后会重新启动",
        serves_on,
        (Need.SERVICES,),
    ),
    Spec(
        "extras.chooses",
        "A pool that chooses nodes tells which it chose",
        "自选节点的池报告所选节点",
        chooses,
        (Need.CHOOSES_NODES,),
    ),
)
