"""From the live event log to a trace that replays: what was submitted when, how long it ran, how it ended.

`xisuan sim record` streams the store's events of workloads and runs through a `Recorder`. The running time of a job is
that of its last ended run: earlier attempts were lost or preempted, and a replay makes its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from inventory.model.workload import RunState, Workload, WorkloadState
from inventory.store.chain import Event
from scheduler.core.placement.protocol import Shape
from scheduler.store.documents import workload_of
from scheduler.store.projection import RUN_CHANGED, WORKLOAD_CHANGED, WORKLOAD_SUBMITTED
from simulations.traces.trace import Outcome, Trace, TraceColumns, strings

KINDS = (WORKLOAD_SUBMITTED, WORKLOAD_CHANGED, RUN_CHANGED)
OUTCOMES = {
    WorkloadState.SUCCEEDED: Outcome.SUCCEEDED,
    WorkloadState.FAILED: Outcome.FAILED,
    WorkloadState.CANCELLED: Outcome.CANCELLED,
}
_LASTING = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.STOPPED})


class Recorder:
    """Takes events in the order of the log; `trace` may be asked at any time."""

    def __init__(self) -> None:
        self._workloads: dict[str, Workload] = {}
        self._states: dict[str, WorkloadState] = {}
        self._started_ms: dict[str, int] = {}  # by run: the event of its end may not say it again
        self._lasted_ms: dict[str, int] = {}

    def add(self, events: Iterable[Event]) -> None:
        """Events of other kinds are passed over."""
        for event in events:
            if event.kind == WORKLOAD_SUBMITTED:
                payload = event.payload
                row = {"workload_id": event.subject, "message": "", **payload}
                self._workloads[event.subject] = workload_of(row)
                self._states[event.subject] = WorkloadState(payload["state"])
            elif event.kind == WORKLOAD_CHANGED:
                self._states[event.subject] = WorkloadState(event.payload["state"])
            elif event.kind == RUN_CHANGED:
                self._run_changed(event.subject, event.payload)

    def trace(self, name: str) -> Trace:
        """The jobs that have ended after running. Who has not is left out, counted in the notes by the reason.

        Raises ValueError where there is none.
        """
        left_out: Counter[str] = Counter()
        kept: list[Workload] = []
        waited = 0
        for workload_id, workload in self._workloads.items():
            state = self._states[workload_id]
            if not state.is_final:
                left_out["尚未结束 / not ended yet"] += 1
            elif workload_id not in self._lasted_ms:
                left_out["未运行即结束 / ended without having run"] += 1
            else:
                kept.append(workload)
                waited += bool(workload.after)
        if not kept:
            raise ValueError(
                "日志中没有运行过并已结束的作业，无法生成轨迹 / the log has no workload that ran and ended"
            )
        notes = [f"{count} x {reason}" for reason, count in sorted(left_out.items())]
        if waited:
            notes.append(
                f"{waited} 个作业等待过其他作业，重放不含先后次序 / {waited} workloads waited for others; a replay keeps "
                "no such order"
            )
        return self._of(name, kept, notes)

    def _run_changed(self, workload_id: str, payload: Mapping[str, Any]) -> None:
        if payload["started_ms"] is not None:
            self._started_ms[payload["run_id"]] = payload["started_ms"]
        started, ended = self._started_ms.get(payload["run_id"]), payload["ended_ms"]
        if RunState(payload["state"]) in _LASTING and started is not None and ended is not None:
            self._lasted_ms[workload_id] = max(0, ended - started)

    def _of(self, name: str, kept: list[Workload], notes: list[str]) -> Trace:
        origin = min(workload.submitted_ms for workload in kept)
        queues: dict[str, int] = {}
        users: dict[str, int] = {}
        shapes: dict[Shape, int] = {}
        columns = TraceColumns(
            job_ids=strings([workload.workload_id for workload in kept]),
            submitted_ms=np.array([workload.submitted_ms - origin for workload in kept], dtype=np.int64),
            runtime_ms=np.array([self._lasted_ms[workload.workload_id] for workload in kept], dtype=np.int64),
            estimate_ms=np.array([workload.estimated_ms for workload in kept], dtype=np.int64),
            shape=np.array([shapes.setdefault(Shape.of(one), len(shapes)) for one in kept], dtype=np.int32),
            shapes=list(shapes),
            queue=np.array([queues.setdefault(one.queue, len(queues)) for one in kept], dtype=np.int32),
            queues=list(queues),
            user=np.array(
                [users.setdefault(one.labels.get("user", ""), len(users)) for one in kept], dtype=np.int32
            ),
            users=list(users),
            priority=np.array([workload.priority for workload in kept], dtype=np.int32),
            outcome=np.array([OUTCOMES[self._states[one.workload_id]] for one in kept], dtype=np.int8),
        )
        return Trace.of(name, columns, origin_ms=origin, notes=notes)
