"""The adapter contract between its plain values (`adapters.contract`) and protobuf.

The sdk validates what the scheduler sends with the `_from_wire` functions for launches and stops; the scheduler's
pool hosts build those with `launch_to_wire` and read the answers with `report_from_wire` and `result_from_wire`.
"""

from __future__ import annotations

from adapters.contract import DEFAULT_GRACE_MS, RUN_ID, Capabilities, Launch, Refusal, RefusalCode, RunReport, Stop
from adapters.wire.inspection import Inspection, InvalidMessage, violations_to_wire
from adapters.wire.programs import program_from_wire, program_to_wire
from adapters.wire.scalars import (
    RUN_STATES,
    duration_from_wire,
    duration_to_wire,
    run_state_from_wire,
    timestamp_from_wire,
    timestamp_to_wire,
)
from adapters.wire.words import WordRule
from adapters.wire.workloads import requirements_from_wire, requirements_to_wire
from xisuan.common.v1 import common_pb2
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb

_MAX_MESSAGE = 1000
_RUN_ID = WordRule(128, RUN_ID, "字母、数字、“.”、“_”、“-”", "letters, digits, . _ -")


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
    )


def launch_from_wire(item: pb.LaunchItem, path: str = "item") -> Launch:
    """The validated launch. Raises InvalidMessage with every violation; paths begin with `path`."""
    check = Inspection()
    requirements = requirements_from_wire(item.requirements, check, f"{path}.requirements")
    if len(item.nodes) != requirements.tasks:
        check.refuse(
            f"{path}.nodes",
            len(item.nodes),
            f"须给每个任务一个节点，共 {requirements.tasks} 个",
            f"name one node for each of the {requirements.tasks} tasks",
        )
    launch = Launch(
        run_id=_RUN_ID.inspect(item.run_id, check, f"{path}.run_id"),
        workload_id=item.workload_id,
        name=item.name,
        requirements=requirements,
        program=program_from_wire(item.program, check, f"{path}.program"),
        nodes=tuple(item.nodes),
        max_runtime_ms=duration_from_wire(item.max_runtime, check, f"{path}.max_runtime"),
        estimated_ms=duration_from_wire(item.estimated_runtime, check, f"{path}.estimated_runtime"),
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
    return pb.RunStatus(
        run_id=report.run_id,
        state=RUN_STATES[report.state],
        exit_code=report.exit_code,
        message=report.message[:_MAX_MESSAGE],
        started_at=timestamp_to_wire(report.started_ms),
        ended_at=timestamp_to_wire(report.ended_ms),
        nodes=report.nodes,
    )


def report_from_wire(status: pb.RunStatus, path: str = "status") -> RunReport:
    """A run as an adapter reports it. Raises InvalidMessage: the caller quarantines the pool for nonsense."""
    check = Inspection()
    report = RunReport(
        run_id=_RUN_ID.inspect(status.run_id, check, f"{path}.run_id"),
        state=run_state_from_wire(status.state, check, f"{path}.state"),
        nodes=tuple(status.nodes),
        exit_code=status.exit_code if status.HasField("exit_code") else None,
        message=status.message,
        started_ms=timestamp_from_wire(status.started_at) if status.HasField("started_at") else None,
        ended_ms=timestamp_from_wire(status.ended_at) if status.HasField("ended_at") else None,
    )
    check.close()
    return report


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


def capabilities_from_wire(message: pb.GetCapabilitiesResponse) -> Capabilities:
    """What the adapter declares. Raises InvalidMessage for a batch size below 1 or an empty pool id."""
    check = Inspection()
    capabilities = Capabilities(
        pool_id=WordRule(63).inspect(message.pool_id, check, "pool_id"),
        technology=message.technology,
        runtimes=tuple(message.runtimes),
        gangs=message.gangs,
        logs=message.logs,
        max_runtime=message.max_runtime,
        max_batch=check.whole_number("max_batch", message.max_batch, 1, 1_000_000),
        enforces=tuple(message.enforces),
    )
    check.close()
    return capabilities
