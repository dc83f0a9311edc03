"""Enums, times, durations and resources between the model and protobuf: the small change of every converter."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from adapters.wire.inspection import Inspection
from inventory.model.placement import Verdict
from inventory.model.pool import PoolHealth
from inventory.model.retry import FailureCategory
from inventory.model.system import Architecture, Zone
from inventory.model.units import TIB, Resources
from inventory.model.workload import RunState, WorkloadState
from xisuan.common.v1 import common_pb2
from xisuan.pool.v1 import pool_pb2
from xisuan.workload.v1 import workload_pb2

MAX_CPU_MILLI = 1_000_000 * 1000  # a million cores
MAX_MEMORY_BYTES = 1024 * TIB
MAX_DISK_BYTES = 1024 * 1024 * TIB
MAX_ACCELERATOR_MILLI = 1_000_000 * 1000  # a million cards
MAX_INSTANT_MS = 253_402_300_799_999  # the end of the year 9999, as far as RFC 3339 goes
MAX_DURATION_MS = 10 * 366 * 24 * 3600 * 1000  # ten years

ZONES: dict[Zone, common_pb2.Zone.ValueType] = {
    Zone.INTERNET: common_pb2.ZONE_INTERNET,
    Zone.EXTRANET: common_pb2.ZONE_EXTRANET,
    Zone.INTRANET: common_pb2.ZONE_INTRANET,
    Zone.DEDICATED: common_pb2.ZONE_DEDICATED,
}
ARCHITECTURES: dict[Architecture, common_pb2.Architecture.ValueType] = {
    Architecture.X86_64: common_pb2.ARCHITECTURE_X86_64,
    Architecture.ARM64: common_pb2.ARCHITECTURE_ARM64,
    Architecture.C86: common_pb2.ARCHITECTURE_C86,
}
VERDICTS: dict[Verdict, common_pb2.Verdict.ValueType] = {
    Verdict.UNSCHEDULABLE: common_pb2.VERDICT_UNSCHEDULABLE,
    Verdict.UNRESOLVABLE: common_pb2.VERDICT_UNRESOLVABLE,
    Verdict.ERROR: common_pb2.VERDICT_ERROR,
}
POOL_HEALTHS: dict[PoolHealth, pool_pb2.PoolHealth.ValueType] = {
    PoolHealth.UNKNOWN: pool_pb2.POOL_HEALTH_UNKNOWN,
    PoolHealth.READY: pool_pb2.POOL_HEALTH_READY,
    PoolHealth.UNREACHABLE: pool_pb2.POOL_HEALTH_UNREACHABLE,
    PoolHealth.QUARANTINED: pool_pb2.POOL_HEALTH_QUARANTINED,
}
WORKLOAD_STATES: dict[WorkloadState, workload_pb2.WorkloadState.ValueType] = {
    WorkloadState.SUBMITTED: workload_pb2.WORKLOAD_STATE_SUBMITTED,
    WorkloadState.QUEUED: workload_pb2.WORKLOAD_STATE_QUEUED,
    WorkloadState.ACTIVE: workload_pb2.WORKLOAD_STATE_ACTIVE,
    WorkloadState.SUCCEEDED: workload_pb2.WORKLOAD_STATE_SUCCEEDED,
    WorkloadState.FAILED: workload_pb2.WORKLOAD_STATE_FAILED,
    WorkloadState.CANCELLED: workload_pb2.WORKLOAD_STATE_CANCELLED,
}
FAILURES: dict[FailureCategory, workload_pb2.FailureCategory.ValueType] = {
    FailureCategory.PROGRAM: workload_pb2.FAILURE_CATEGORY_PROGRAM,
    FailureCategory.OUT_OF_MEMORY: workload_pb2.FAILURE_CATEGORY_OUT_OF_MEMORY,
    FailureCategory.TIMEOUT: workload_pb2.FAILURE_CATEGORY_TIMEOUT,
    FailureCategory.INPUT_MISSING: workload_pb2.FAILURE_CATEGORY_INPUT_MISSING,
    FailureCategory.NODE: workload_pb2.FAILURE_CATEGORY_NODE,
    FailureCategory.REFUSED: workload_pb2.FAILURE_CATEGORY_REFUSED,
}
# A category that this version does not know tells no more than the exit code does.
FAILURE_OF: dict[int, FailureCategory] = {int(number): word for word, number in FAILURES.items()}
RUN_STATES: dict[RunState, workload_pb2.RunState.ValueType] = {
    RunState.PLACED: workload_pb2.RUN_STATE_PLACED,
    RunState.STARTING: workload_pb2.RUN_STATE_STARTING,
    RunState.RUNNING: workload_pb2.RUN_STATE_RUNNING,
    RunState.SUCCEEDED: workload_pb2.RUN_STATE_SUCCEEDED,
    RunState.FAILED: workload_pb2.RUN_STATE_FAILED,
    RunState.STOPPED: workload_pb2.RUN_STATE_STOPPED,
    RunState.PREEMPTED: workload_pb2.RUN_STATE_PREEMPTED,
    RunState.LOST: workload_pb2.RUN_STATE_LOST,
}
ZONE_OF = {int(number): zone for zone, number in ZONES.items()}
ARCHITECTURE_OF = {int(number): arch for arch, number in ARCHITECTURES.items()}
VERDICT_OF_WIRE = {int(number): verdict for verdict, number in VERDICTS.items()}
POOL_HEALTH_OF = {int(number): health for health, number in POOL_HEALTHS.items()}
WORKLOAD_STATE_OF = {int(number): state for state, number in WORKLOAD_STATES.items()}
RUN_STATE_OF = {int(number): state for state, number in RUN_STATES.items()}


def _choices(known: Iterable[str]) -> str:
    return ", ".join(known)


def zone_from_wire(number: int, check: Inspection, path: str) -> Zone | None:
    """The zone, or None for ZONE_UNSPECIFIED (any)."""
    if number in ZONE_OF or number == 0:
        return ZONE_OF.get(number)
    names = _choices(f"{int(n)} {zone}" for zone, n in ZONES.items())
    check.refuse(path, number, f"没有这个网络区域，可用：{names}", f"unknown zone; known are: {names}")
    return None


def architecture_from_wire(number: int, check: Inspection, path: str) -> Architecture:
    if number in ARCHITECTURE_OF:
        return ARCHITECTURE_OF[number]
    names = _choices(f"{int(n)} {arch}" for arch, n in ARCHITECTURES.items())
    check.refuse(path, number, f"没有这个架构，可用：{names}", f"unknown architecture; known are: {names}")
    return Architecture.X86_64


def run_state_from_wire(number: int, check: Inspection, path: str) -> RunState:
    if number in RUN_STATE_OF:
        return RUN_STATE_OF[number]
    names = _choices(f"{int(n)} {state}" for state, n in RUN_STATES.items())
    check.refuse(path, number, f"没有这个运行状态，可用：{names}", f"unknown run state; known are: {names}")
    return RunState.LOST


def timestamp_to_wire(ms: int | None) -> Timestamp | None:
    """UTC milliseconds since 1970 as a Timestamp; None stays absent."""
    return None if ms is None else Timestamp(seconds=ms // 1000, nanos=ms % 1000 * 1_000_000)


def put_timestamp(ms: int, stamp: Timestamp) -> None:
    """Writes UTC milliseconds since 1970 into a Timestamp in its place; 1970 itself is present too."""
    stamp.SetInParent()
    stamp.seconds = ms // 1000
    stamp.nanos = ms % 1000 * 1_000_000


def timestamp_from_wire(stamp: Timestamp) -> int:
    """UTC milliseconds since 1970, cut (not rounded) to the millisecond."""
    return stamp.seconds * 1000 + stamp.nanos // 1_000_000


def instant_from_wire(stamp: Timestamp, check: Inspection, path: str) -> int | None:
    """UTC milliseconds of an instant between 1970 and the year 9999; others are violations, and None."""
    ms = timestamp_from_wire(stamp)
    if 0 <= ms <= MAX_INSTANT_MS and 0 <= stamp.nanos < 1_000_000_000:
        return ms
    check.refuse(
        path, stamp.seconds, "时刻须在 1970 与 9999 年之间", "an instant must be between 1970 and the year 9999"
    )
    return None


def failure_to_wire(failure: FailureCategory | None) -> workload_pb2.FailureCategory.ValueType:
    return workload_pb2.FAILURE_CATEGORY_UNSPECIFIED if failure is None else FAILURES[failure]


def duration_to_wire(ms: int) -> Duration | None:
    """A Duration of `ms` milliseconds; 0 ("none") stays absent."""
    return Duration(seconds=ms // 1000, nanos=ms % 1000 * 1_000_000) if ms else None


def duration_from_wire(duration: Duration, check: Inspection, path: str) -> int:
    """Milliseconds, rounded up to the next whole one, so that no limit becomes "no limit" (0)."""
    nanos = duration.seconds * 1_000_000_000 + duration.nanos
    ms = -(-nanos // 1_000_000)
    if nanos >= 0 and ms <= MAX_DURATION_MS:
        return ms
    seconds = nanos / 1e9
    check.refuse(path, f"{seconds:g}s", "时长须在 0 与十年之间", "a duration must be 0 s to ten years")
    return 0


def resources_to_wire(amount: Resources) -> common_pb2.Resources:
    return common_pb2.Resources(
        cpu_milli=amount.cpu_milli,
        memory_bytes=amount.memory_bytes,
        disk_bytes=amount.disk_bytes,
        accelerator_milli=amount.accelerator_milli,
    )


def resources_from_wire(amount: common_pb2.Resources, check: Inspection, path: str) -> Resources:
    """An amount for one task or one node; negative and absurd dimensions are violations."""
    result = Resources(amount.cpu_milli, amount.memory_bytes, amount.disk_bytes, amount.accelerator_milli)
    if _is_sane(result):
        return result
    check.whole_number(f"{path}.cpu_milli", amount.cpu_milli, 0, MAX_CPU_MILLI)
    check.whole_number(f"{path}.memory_bytes", amount.memory_bytes, 0, MAX_MEMORY_BYTES)
    check.whole_number(f"{path}.disk_bytes", amount.disk_bytes, 0, MAX_DISK_BYTES)
    check.whole_number(f"{path}.accelerator_milli", amount.accelerator_milli, 0, MAX_ACCELERATOR_MILLI)
    return Resources()


def _is_sane(amount: Resources) -> bool:
    return (
        0 <= amount.cpu_milli <= MAX_CPU_MILLI
        and 0 <= amount.memory_bytes <= MAX_MEMORY_BYTES
        and 0 <= amount.disk_bytes <= MAX_DISK_BYTES
        and 0 <= amount.accelerator_milli <= MAX_ACCELERATOR_MILLI
    )


def total_from_wire(amount: common_pb2.Resources) -> Resources:
    """A sum over a pool as a service reports it (no bounds: a pool is larger than one task)."""
    return Resources(amount.cpu_milli, amount.memory_bytes, amount.disk_bytes, amount.accelerator_milli)
