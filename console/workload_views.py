"""Workloads and runs as people and programs see them: rows of tables, lines of a watch, JSON objects."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from adapters.wire.inspection import Inspection
from adapters.wire.partitions import partition_from_wire
from adapters.wire.scalars import (
    ARCHITECTURE_OF,
    FAILURE_OF,
    RUN_STATE_OF,
    VERDICT_OF_WIRE,
    WORKLOAD_STATE_OF,
    ZONE_OF,
    timestamp_from_wire,
    total_from_wire,
)
from inventory.model.units import format_resources
from inventory.model.workload import RunState, WorkloadState
from scheduler.store.documents import resources_document
from xisuan.client import PoolOpinion, Run, Workload, WorkloadChange, WorkloadSpec

CHINA = timezone(timedelta(hours=8))
STATE_ZH = {
    WorkloadState.SUBMITTED: "已提交",
    WorkloadState.QUEUED: "排队",
    WorkloadState.ACTIVE: "运行中",
    WorkloadState.SUCCEEDED: "成功",
    WorkloadState.FAILED: "失败",
    WorkloadState.CANCELLED: "已取消",
}
RUN_STATE_ZH = {
    RunState.PLACED: "已安置",
    RunState.STARTING: "启动中",
    RunState.RUNNING: "运行中",
    RunState.SUCCEEDED: "成功",
    RunState.FAILED: "失败",
    RunState.STOPPED: "已停止",
    RunState.PREEMPTED: "被抢占",
    RunState.LOST: "丢失",
}
_VERDICT_ZH = {1: "可等/unschedulable", 2: "不可解/unresolvable", 3: "故障/error"}
COLUMNS = ("编号/id", "名称/name", "队列/queue", "状态/state", "算力池/pool", "次/attempt", "说明/message")


def local_time(ms: int) -> str:
    """A moment as people here write it; empty for 0."""
    return datetime.fromtimestamp(ms / 1000, UTC).astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S") if ms else ""


def state_of(workload: Workload | WorkloadChange) -> str:
    state = WORKLOAD_STATE_OF.get(workload.state)
    return f"{STATE_ZH[state]} {state}" if state is not None else ""


def run_state_of(run: Run) -> str:
    state = RUN_STATE_OF.get(run.state)
    return f"{RUN_STATE_ZH[state]} {state}" if state is not None else "?"


def row(workload: Workload) -> tuple[object, ...]:
    last = workload.runs[-1] if workload.runs else None
    return (
        workload.workload_id,
        workload.spec.name,
        workload.spec.queue,
        f"{state_of(workload)} {elements_of(workload)}".rstrip(),
        last.pool_id if last else "",
        last.attempt if last else "",
        workload.message,
    )


def elements_of(workload: Workload) -> str:
    """Of an array, how many of its elements are in each state: "1000: 12 active, 988 queued"; empty for others."""
    if not workload.spec.HasField("array"):
        return ""
    counts = ", ".join(f"{one.count} {WORKLOAD_STATE_OF.get(one.state, '?')}" for one in workload.elements)
    return f"[{workload.spec.array.count}{': ' if counts else ''}{counts}]"


def deadline_of(workload: Workload) -> str:
    """Its deadline, and whether its last run ended behind it; empty where there is none."""
    if not workload.spec.HasField("finish_by"):
        return ""
    due_ms = timestamp_from_wire(workload.spec.finish_by)
    ended_ms = max((timestamp_from_wire(run.ended_at) for run in workload.runs), default=0)
    return f"{local_time(due_ms)}{' 已错过/missed' if ended_ms > due_ms else ''}"


def failure_of(run: Run) -> str:
    """The category of a run that failed."""
    return str(FAILURE_OF.get(run.failure, ""))


def run_row(run: Run) -> tuple[object, ...]:
    ended = run.HasField("ended_at")
    return (
        run.attempt,
        run.pool_id,
        f"{run_state_of(run)} {failure_of(run)}".rstrip(),
        run.exit_code if run.HasField("exit_code") else None,
        ", ".join(run.nodes[:4]) + (f" … ({len(run.nodes)})" if len(run.nodes) > 4 else ""),
        local_time(timestamp_from_wire(run.placed_at)),
        local_time(timestamp_from_wire(run.ended_at)) if ended else "",
        run.message,
    )


def change_line(change: WorkloadChange) -> str:
    """One line of a watch."""
    parts = [local_time(timestamp_from_wire(change.at)), change.workload_id]
    if state_of(change):
        parts.append(state_of(change))
    if change.HasField("run"):
        parts.append(f"[{change.run.pool_id} #{change.run.attempt} {run_state_of(change.run)}]")
    if change.message:
        parts.append(change.message)
    return "  ".join(parts)


def needs(workload: Workload) -> str:
    wanted = workload.spec.requirements
    tasks = f" × {wanted.tasks}" if wanted.tasks > 1 else ""
    return f"{format_resources(total_from_wire(wanted.per_task))}{tasks}"


def workload_json(workload: Workload) -> dict[str, Any]:
    state = WORKLOAD_STATE_OF.get(workload.state)
    return {
        "workload_id": workload.workload_id,
        **_spec_json(workload.spec),
        "state": str(state) if state else None,
        "message": workload.message,
        "submitted_ms": timestamp_from_wire(workload.submitted_at),
        "array_id": workload.array_id or None,
        "array_index": workload.array_index if workload.array_id else None,
        "elements": {str(WORKLOAD_STATE_OF.get(one.state, "")): one.count for one in workload.elements},
        "runs": [run_json(run) for run in workload.runs],
    }


def _spec_json(spec: WorkloadSpec) -> dict[str, Any]:
    """What was submitted. Not checked again: what the service has taken is shown as it is."""
    wanted, program = spec.requirements, spec.program
    zone = ZONE_OF.get(wanted.zone)
    return {
        "queue": spec.queue,
        "client_key": spec.client_key,
        "name": spec.name,
        "requirements": {
            "per_task": resources_document(total_from_wire(wanted.per_task)),
            "tasks": wanted.tasks,
            "zone": str(zone) if zone else None,
            "protection_level": wanted.protection_level,
            "architectures": [str(ARCHITECTURE_OF.get(number, number)) for number in wanted.architectures],
            "accelerator": wanted.accelerator or None,
            "pools": list(wanted.pools),
        },
        "program": {
            "command": list(program.command),
            "image": program.image or None,
            "environment": dict(program.environment),
            "secrets": dict(program.secrets),
        },
        "priority": spec.priority,
        "max_attempts": spec.max_attempts,
        "after": list(spec.after),
        "estimated_ms": spec.estimated_runtime.ToMilliseconds(),
        "max_runtime_ms": spec.max_runtime.ToMilliseconds(),
        "labels": dict(spec.labels),
        "partition": _partition_json(spec),
        "retry": _retry_json(spec),
        "array": {"count": spec.array.count, "max_parallel": spec.array.max_parallel}
        if spec.HasField("array")
        else None,
        "finish_by_ms": timestamp_from_wire(spec.finish_by) if spec.HasField("finish_by") else None,
    }


def _retry_json(spec: WorkloadSpec) -> dict[str, Any] | None:
    if not spec.HasField("retry"):
        return None
    return {
        "backoff_ms": spec.retry.backoff.ToMilliseconds(),
        "max_backoff_ms": spec.retry.max_backoff.ToMilliseconds(),
        "rules": [
            {
                "failure": str(FAILURE_OF.get(rule.failure, "")),
                "max_attempts": rule.max_attempts,
                "exit_codes": list(rule.exit_codes),
            }
            for rule in spec.retry.rules
        ],
    }


def _partition_json(spec: WorkloadSpec) -> dict[str, Any] | None:
    if not spec.HasField("partition"):
        return None
    policy = partition_from_wire(spec.partition, Inspection(), "partition")
    return {
        "lost_after_ms": policy.lost_after_ms,
        "on_disconnect": policy.on_disconnect.value,
        "on_reconnect": policy.on_reconnect.value,
    }


def run_json(run: Run) -> dict[str, Any]:
    state = RUN_STATE_OF.get(run.state)
    return {
        "run_id": run.run_id,
        "attempt": run.attempt,
        "pool_id": run.pool_id,
        "nodes": list(run.nodes),
        "state": str(state) if state else None,
        "exit_code": run.exit_code if run.HasField("exit_code") else None,
        "failure": failure_of(run) or None,
        "message": run.message,
        "placed_ms": timestamp_from_wire(run.placed_at) if run.HasField("placed_at") else None,
        "started_ms": timestamp_from_wire(run.started_at) if run.HasField("started_at") else None,
        "ended_ms": timestamp_from_wire(run.ended_at) if run.HasField("ended_at") else None,
    }


def change_json(change: WorkloadChange) -> dict[str, Any]:
    state = WORKLOAD_STATE_OF.get(change.state)
    return {
        "workload_id": change.workload_id,
        "queue": change.queue,
        "state": str(state) if state else None,
        "run": run_json(change.run) if change.HasField("run") else None,
        "message": change.message,
        "at_ms": timestamp_from_wire(change.at),
    }


def verdict_of(number: int) -> str | None:
    """ "unschedulable": may change by itself; "unresolvable": will not; "error": a pool could not be asked."""
    verdict = VERDICT_OF_WIRE.get(number)
    return str(verdict) if verdict is not None else None


def opinion_rows(opinion: PoolOpinion) -> list[tuple[object, ...]]:
    """What one pool says: one row with its scores, or one row for each reason against."""
    if not opinion.reasons:
        scores = " ".join(f"{name}={score}" for name, score in sorted(opinion.scores.items()))
        return [(opinion.pool_id, "可用/feasible", "", "", f"{opinion.score} ({scores})")]
    return [
        (
            opinion.pool_id,
            f"{reason.code} {_VERDICT_ZH.get(reason.verdict, '')}".rstrip(),
            reason.needed,
            reason.offered,
            f"{reason.remedy_zh} / {reason.remedy_en}",
        )
        for reason in opinion.reasons
    ]


def opinion_json(opinion: PoolOpinion) -> dict[str, Any]:
    return {
        "pool_id": opinion.pool_id,
        "score": opinion.score,
        "scores": dict(sorted(opinion.scores.items())),
        "reasons": [
            {
                "code": reason.code,
                "verdict": str(VERDICT_OF_WIRE.get(reason.verdict, "")),
                "needed": reason.needed,
                "offered": reason.offered,
                "remedy_zh": reason.remedy_zh,
                "remedy_en": reason.remedy_en,
            }
            for reason in opinion.reasons
        ],
    }
