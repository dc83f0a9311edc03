"""The adapter contract between its plain values (`adapters.contract`) and protobuf.

The sdk validates what the scheduler sends with the `_from_wire` functions for launches and stops; the scheduler's
pool hosts build those with `launch_to_wire` and read the answers with `report_from_wire` and `result_from_wire`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from google.protobuf.message import DecodeError

from adapters.contract import DEFAULT_GRACE_MS, RUN_ID, Launch, Refusal, RefusalCode, RunReport, Stop
from adapters.wire.inspection import Inspection, InvalidMessage, violations_to_wire
from adapters.wire.partitions import partition_from_wire, partition_to_wire
from adapters.wire.programs import program_from_wire, program_to_wire
from adapters.wire.scalars import (
    FAILURE_OF,
    RUN_STATES,
    duration_from_wire,
    duration_to_wire,
    failure_to_wire,
    instant_from_wire,
    put_timestamp,
    run_state_from_wire,
)
from adapters.wire.words import QUEUE, WordRule
from adapters.wire.workloads import requirements_from_wire, requirements_to_wire
from inventory.model.partition import NEVER_LOST
from inventory.model.workload import Program
from xisuan.common.v1 import common_pb2
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

_MAX_MESSAGE = 1000
_RUN_ID = WordRule(128, RUN_ID, "字母、数字、“.”、“_”、“-”", "letters, digits, . _ -")
_OWN_ID = replace(_RUN_ID, may_be_empty=True)


def launch_to_wire(launch: Launch) -> pb.LaunchItem:
    return pb.LaunchItem(
        run_id=launch.run_id,
        workload_id=launch.workload_id,
        name=launch.name,
        requirements=requirements_to_wire(launch.requirements),
        program=program_to_wire(launch.program),
        nodes=launch.nodes,
        max_runtime=duration_to_wire(launch.max_runtime_ms),
        estimated_runtime=duration_to_wire(launch.estimated_ms),
        queue=launch.queue,
        partition=partition_to_wire(launch.partition),
        runtime=launch.runtime if launch.runtime != default_runtime(launch.program) else "",
        service=launch.service,
        reservation_id=launch.reservation_id,
        restore_from=launch.restore_from,
    )


def default_runtime(program: Program) -> str:
    """What runs a program that names no runtime."""
    return "container" if program.image else "process"


def launch_from_wire(item: pb.LaunchItem, path: str = "item") -> Launch:
    """The validated launch. Raises InvalidMessage with every violation; paths begin with `path`."""
    check = Inspection()
    requirements = requirements_from_wire(item.requirements, check, f"{path}.requirements")
    # None at all: the pool chooses. Whether it can, its capabilities say; `adapters.sdk` asks them.
    if item.nodes and len(item.nodes) != requirements.tasks:
        check.refuse(
            f"{path}.nodes",
            len(item.nodes),
            f"须给每个任务一个节点，共 {requirements.tasks} 个",
            f"name one node for each of the {requirements.tasks} tasks",
        )
    program = program_from_wire(item.program, check, f"{path}.program")
    launch = Launch(
        run_id=_RUN_ID.inspect(item.run_id, check, f"{path}.run_id"),
        workload_id=item.workload_id,
        name=item.name,
        requirements=requirements,
        program=program,
        nodes=tuple(item.nodes),
        max_runtime_ms=duration_from_wire(item.max_runtime, check, f"{path}.max_runtime"),
        estimated_ms=duration_from_wire(item.estimated_runtime, check, f"{path}.estimated_runtime"),
        queue=QUEUE.inspect(item.queue, check, f"{path}.queue") if item.queue else "",
        partition=partition_from_wire(item.partition, check, f"{path}.partition")
        if item.HasField("partition")
        else NEVER_LOST,
        runtime=item.runtime or default_runtime(program),
        service=item.service,
        reservation_id=_OWN_ID.inspect(item.reservation_id, check, f"{path}.reservation_id"),
        restore_from=_OWN_ID.inspect(item.restore_from, check, f"{path}.restore_from"),
    )
    check.close()
    return launch


def stop_to_wire(stop: Stop) -> pb.StopItem:
    item = pb.StopItem(run_id=stop.run_id)
    item.grace.FromMilliseconds(stop.grace_ms)
    return item


def stop_from_wire(item: pb.StopItem, path: str = "item") -> Stop:
    """The validated stop; without a grace period the default. Raises InvalidMessage with every violation."""
    check = Inspection()
    run_id = _RUN_ID.inspect(item.run_id, check, f"{path}.run_id")
    grace_ms = DEFAULT_GRACE_MS
    if item.HasField("grace"):
        grace_ms = duration_from_wire(item.grace, check, f"{path}.grace")
    check.close()
    return Stop(run_id, grace_ms)


def report_to_wire(report: RunReport) -> pb.RunStatus:
    status = pb.RunStatus()
    put_report(report, status)
    return status


def put_report(report: RunReport, status: pb.RunStatus) -> None:
    """Writes a report into an empty status, in its place: a message that is put into another is copied, and batches
    are large. Most of what a status can say is not set for most runs, and costs nothing then."""
    status.run_id = report.run_id
    status.state = RUN_STATES[report.state]
    status.nodes.extend(report.nodes)
    if report.exit_code is not None:
        status.exit_code = report.exit_code
    if report.message:
        status.message = report.message[:_MAX_MESSAGE]
    if report.started_ms is not None:
        put_timestamp(report.started_ms, status.started_at)
    if report.ended_ms is not None:
        put_timestamp(report.ended_ms, status.ended_at)
    if report.estimated_start_ms is not None:
        put_timestamp(report.estimated_start_ms, status.estimated_start_at)
    if report.suspended:
        status.suspended = True
    if report.lease_expired:
        status.lease_expired = True
    if report.failure is not None:
        status.failure = failure_to_wire(report.failure)


def report_from_wire(status: pb.RunStatus, path: str = "status") -> RunReport:
    """A run as an adapter reports it. Raises InvalidMessage: the caller quarantines the pool for nonsense."""
    check = Inspection()
    report = RunReport(
        run_id=_RUN_ID.inspect(status.run_id, check, f"{path}.run_id"),
        state=run_state_from_wire(status.state, check, f"{path}.state"),
        nodes=tuple(status.nodes),
        exit_code=status.exit_code if status.HasField("exit_code") else None,
        message=status.message[:_MAX_MESSAGE],
        started_ms=_instant(status, "started_at", check, path),
        ended_ms=_instant(status, "ended_at", check, path),
        suspended=status.suspended,
        lease_expired=status.lease_expired,
        estimated_start_ms=_instant(status, "estimated_start_at", check, path),
        failure=FAILURE_OF.get(status.failure),
    )
    check.close()
    return report


def _instant(
    status: pb.RunStatus,
    field: Literal["started_at", "ended_at", "estimated_start_at"],
    check: Inspection,
    path: str,
) -> int | None:
    if not status.HasField(field):
        return None
    return instant_from_wire(getattr(status, field), check, f"{path}.{field}")


def change_result_to_wire(run_id: str, outcome: RunReport | Refusal) -> pb.ChangeResult:
    if isinstance(outcome, Refusal):
        return pb.ChangeResult(run_id=run_id, error=refusal_to_wire(outcome))
    return pb.ChangeResult(run_id=run_id, status=report_to_wire(outcome))


def inspect_run_id(run_id: str, check: Inspection, path: str) -> str:
    return _RUN_ID.inspect(run_id, check, path)


def refusal_to_wire(refusal: Refusal) -> common_pb2.ItemError:
    return common_pb2.ItemError(
        code=refusal.code.value, message=refusal.message, retryable=refusal.code.is_retryable
    )


def refusal_from_wire(run_id: str, error: common_pb2.ItemError) -> Refusal:
    """The refusal of one item. A code that the contract does not name counts as INVALID_ARGUMENT: no retry."""
    known = {code.value: code for code in RefusalCode}
    return Refusal(run_id, known.get(error.code, RefusalCode.INVALID_ARGUMENT), error.message)


def invalid_item(error: InvalidMessage) -> common_pb2.ItemError:
    """INVALID_ARGUMENT for one item of a batch, with its field violations."""
    return common_pb2.ItemError(
        code=RefusalCode.INVALID_ARGUMENT.value,
        message=str(error),
        field_violations=violations_to_wire(error.violations),
    )


def result_from_wire(result: pb.LaunchResult) -> RunReport | Refusal:
    """What became of one launch. Raises InvalidMessage when the adapter gave neither outcome."""
    if result.HasField("accepted"):
        return report_from_wire(result.accepted, "accepted")
    if result.HasField("error"):
        return refusal_from_wire(result.run_id, result.error)
    check = Inspection()
    check.refuse("outcome", "", "缺少结果", "neither accepted nor error is set")
    check.close()
    raise AssertionError("unreachable: the inspection above holds a violation")


def launch_to_bytes(launch: Launch) -> bytes:
    """A launch as an adapter keeps it on disk: the bytes of its LaunchItem."""
    return launch_to_wire(launch).SerializeToString()


def launch_from_bytes(kept: bytes) -> Launch:
    """What `launch_to_bytes` made. Raises ValueError where it is damaged."""
    item = pb.LaunchItem()
    try:
        item.ParseFromString(kept)
    except DecodeError as error:
        raise ValueError(f"not a launch: {error}") from error
    return launch_from_wire(item)
