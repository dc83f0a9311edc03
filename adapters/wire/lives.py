"""Retry policies, arrays and deadlines between the model and protobuf: how a workload lives, beside what it needs."""

from __future__ import annotations

from adapters.wire.inspection import Inspection
from adapters.wire.scalars import (
    FAILURE_OF,
    FAILURES,
    duration_from_wire,
    duration_to_wire,
    timestamp_from_wire,
    timestamp_to_wire,
)
from inventory.model.retry import AT_ONCE, LONGEST_PAUSE_MS, FailureCategory, RetryPolicy, RetryRule
from inventory.model.workload import JobArray
from xisuan.workload.v1 import workload_pb2

MAX_ELEMENTS = 10_000
MAX_RULES = 16
MAX_CODES = 64
MAX_ATTEMPTS = 100
MAX_PAUSE_MS = 7 * 86_400_000
_LATEST_MS = 4_102_444_800_000  # the year 2100: what lies behind it is a unit mistaken


def retry_to_wire(policy: RetryPolicy) -> workload_pb2.RetryPolicy | None:
    """The policy; the one that tries again at once stays absent."""
    if policy == AT_ONCE:
        return None
    longest_ms = policy.max_backoff_ms
    return workload_pb2.RetryPolicy(
        rules=[
            workload_pb2.RetryRule(
                failure=FAILURES[rule.failure],
                max_attempts=rule.max_attempts,
                exit_codes=sorted(rule.exit_codes),
            )
            for rule in policy.rules
        ],
        backoff=duration_to_wire(policy.backoff_ms),
        max_backoff=duration_to_wire(longest_ms) if longest_ms != LONGEST_PAUSE_MS else None,
    )


def retry_from_wire(message: workload_pb2.RetryPolicy, check: Inspection, path: str) -> RetryPolicy:
    """The policy; violations go to `check`."""
    check.whole_number(f"{path}.rules.length", len(message.rules), 0, MAX_RULES)
    rules = tuple(_rule(rule, check, f"{path}.rules[{i}]") for i, rule in enumerate(message.rules))
    backoff_ms = duration_from_wire(message.backoff, check, f"{path}.backoff")
    longest_ms = duration_from_wire(message.max_backoff, check, f"{path}.max_backoff") or LONGEST_PAUSE_MS
    for field, length in (("backoff", backoff_ms), ("max_backoff", longest_ms)):
        if length > MAX_PAUSE_MS:
            check.refuse(f"{path}.{field}", f"{length} ms", "最长 7 天", "at most 7 days")
    return RetryPolicy(rules, backoff_ms, longest_ms)


def _rule(message: workload_pb2.RetryRule, check: Inspection, path: str) -> RetryRule:
    failure = FAILURE_OF.get(message.failure)
    if failure is None:
        known = ", ".join(f"{number} {word}" for number, word in sorted(FAILURE_OF.items()))
        check.refuse(f"{path}.failure", message.failure, f"须为 {known} 之一", f"must be one of {known}")
        failure = FailureCategory.PROGRAM
    codes = tuple(message.exit_codes)
    if codes and failure is not FailureCategory.PROGRAM:
        check.refuse(
            f"{path}.exit_codes",
            list(codes),
            "只有 program 失败有退出码",
            "only failures of the program have exit codes: leave them out",
        )
    check.whole_number(f"{path}.exit_codes.length", len(codes), 0, MAX_CODES)
    for i, code in enumerate(codes):
        check.whole_number(f"{path}.exit_codes[{i}]", code, 1, 255)
    attempts = check.whole_number(f"{path}.max_attempts", message.max_attempts, 1, MAX_ATTEMPTS)
    return RetryRule(failure, attempts, frozenset(codes))


def array_to_wire(array: JobArray | None) -> workload_pb2.JobArray | None:
    return None if array is None else workload_pb2.JobArray(count=array.count, max_parallel=array.max_parallel)


def array_from_wire(spec: workload_pb2.WorkloadSpec, check: Inspection, path: str) -> JobArray | None:
    """The array of a spec; None where it asks for none."""
    if not spec.HasField("array"):
        return None
    return JobArray(
        check.whole_number(f"{path}.count", spec.array.count, 1, MAX_ELEMENTS),
        check.whole_number(f"{path}.max_parallel", spec.array.max_parallel, 0, MAX_ELEMENTS),
    )


def deadline_from_wire(spec: workload_pb2.WorkloadSpec, check: Inspection, path: str) -> int:
    """UTC milliseconds since 1970; 0 for no deadline. One that has passed is no violation: it cannot be met, which the
    answer says."""
    if not spec.HasField("finish_by"):
        return 0
    at_ms = timestamp_from_wire(spec.finish_by)
    if not 0 < at_ms < _LATEST_MS:
        check.refuse(path, at_ms, "须在 1970 年与 2100 年之间", "must lie between 1970 and 2100")
        return 0
    return at_ms


def deadline_to_wire(spec: workload_pb2.WorkloadSpec, finish_by_ms: int) -> None:
    if finish_by_ms:
        stamp = timestamp_to_wire(finish_by_ms)
        assert stamp is not None  # only an absent time has none
        spec.finish_by.CopyFrom(stamp)
