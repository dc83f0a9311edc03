"""Capabilities: what is not declared is refused as such, by the RPC or by the item that asks for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc

from adapters.conformance.programs import partition
from adapters.conformance.session import Session, refusal_of, require
from adapters.conformance.spec import Spec
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

INVALID_ARGUMENT = 3


async def _drain(stream: Any) -> object:
    return [message async for message in stream]


async def undeclared_calls(s: Session) -> None:
    run_id = s.new_id("nobody")
    calls: dict[str, tuple[bool, Callable[[], Any]]] = {
        "Logs": (s.can.logs, lambda: _drain(s.stub.Logs(pb.LogsRequest(run_id=run_id), timeout=10))),
        "Suspend": (
            s.can.suspend,
            lambda: s.stub.Suspend(pb.SuspendRequest(epoch=s.epoch, run_ids=[run_id])),
        ),
        "Resume": (s.can.suspend, lambda: s.stub.Resume(pb.ResumeRequest(epoch=s.epoch, run_ids=[run_id]))),
        "Checkpoint": (
            s.can.checkpoints,
            lambda: s.stub.Checkpoint(
                pb.CheckpointRequest(epoch=s.epoch, run_id=run_id, checkpoint_id=s.new_id("point"))
            ),
        ),
        "Exec": (
            s.can.exec,
            lambda: _drain(
                s.stub.Exec(pb.ExecRequest(epoch=s.epoch, run_id=run_id, command=["true"]), timeout=10)
            ),
        ),
        "EstimateStarts": (
            s.can.start_estimates,
            lambda: s.stub.EstimateStarts(pb.EstimateStartsRequest(items=[s.item()])),
        ),
        "Reserve": (s.can.reservations, lambda: s.stub.Reserve(pb.ReserveRequest(epoch=s.epoch))),
        "Unreserve": (s.can.reservations, lambda: s.stub.Unreserve(pb.UnreserveRequest(epoch=s.epoch))),
    }
    for name, (declared, call) in calls.items():
        if not declared:
            failure = await refusal_of(call())
            require(
                failure.code is grpc.StatusCode.UNIMPLEMENTED,
                f"UNIMPLEMENTED from {name}, which is not declared",
                f"{failure.code.name} {failure.message}",
            )


async def undeclared_items(s: Session) -> None:
    other = s.item()
    other.runtime = next(word for word in ("ray-job", "virtual-machine", "nonsense") if word not in s.can.runtimes)
    asked = [(True, "another runtime", other)]
    service = s.item()
    service.service = True
    asked.append((not s.can.services, "service", service))
    reserved = s.item()
    reserved.reservation_id = "some-reservation"
    asked.append((not s.can.reservations, "reservation_id", reserved))
    restored = s.item()
    restored.restore_from = "some-checkpoint"
    asked.append((not s.can.checkpoints, "restore_from", restored))
    asked.append((not s.can.gangs, "two tasks", s.item(tasks=2)))
    leased = s.item()
    leased.partition.CopyFrom(partition(600))
    asked.append((not s.can.leases, "a lease that stops the run", leased))
    for undeclared, what, item in asked:
        if undeclared:
            (result,) = await s.launch(item)
            require(
                result.error.code == INVALID_ARGUMENT and not result.error.retryable,
                f"INVALID_ARGUMENT for {what}, which is not declared",
                result,
            )


async def zones(s: Session) -> None:
    if not s.can.zones:
        return
    for zone in range(1, 5):
        item = s.item(0)
        item.requirements.zone = zone  # type: ignore[assignment]  # a number of the enum
        (result,) = await s.launch(item)
        refused = result.error.code == INVALID_ARGUMENT
        require(refused == (zone not in s.can.zones), f"zone {zone} taken only where it is declared", result)


SPECS = (
    Spec(
        "capabilities.calls",
        "A call of a capability that is not declared answers UNIMPLEMENTED",
        "未声明的能力，调用一律返回 UNIMPLEMENTED",
        undeclared_calls,
    ),
    Spec(
        "capabilities.items",
        "A launch that asks for what is not declared is refused with INVALID_ARGUMENT, and no other item with it",
        "启动项要求了未声明的能力，只拒绝该项（INVALID_ARGUMENT）",
        undeclared_items,
    ),
    Spec(
        "capabilities.zones",
        "Where zones are declared, runs of other zones are refused",
        "声明了网络区域的池，拒绝其他区域的运行",
        zones,
    ),
)
