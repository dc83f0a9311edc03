"""Workloads of runbook steps straight on one pool's adapter, without a scheduler in between.

The worked example uses it: one local pool, nothing to decide. Idempotent as the adapter contract is: the run id is
made of the task's key.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from adapters.client import AdapterClient
from adapters.contract import Launch, Refusal, RunReport, Stop
from adapters.port import AdapterUnavailable
from inventory.model.units import Resources
from inventory.model.workload import Program, Requirements, RunState
from scheduler.runbooks.ports import Capacity, CapacityRefused, PoolTask, PoolUnavailable, TaskState

_EPOCH = 1
_CALL_S = 15.0
_STATES: Final = {
    RunState.PLACED: "queued",
    RunState.STARTING: "queued",
    RunState.RUNNING: "running",
    RunState.SUCCEEDED: "succeeded",
    RunState.FAILED: "failed",
    RunState.STOPPED: "cancelled",
    RunState.PREEMPTED: "cancelled",
    RunState.LOST: "failed",
}
Answer = TypeVar("Answer")


class AdapterWorkloads:
    """One pool at `endpoint`. Capacity is what its nodes offer, less what is held here: nobody else places on it."""

    def __init__(self, endpoint: str) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="adapter-workloads", daemon=True).start()
        self._client = self._call(self._open(endpoint))
        self._held: dict[str, Capacity] = {}

    def close(self) -> None:
        self._call(self._client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)

    def submit(self, task: PoolTask) -> str:
        run_id = f"run-{hashlib.sha256(task.key.encode()).hexdigest()[:24]}"
        launch = Launch(
            run_id=run_id,
            workload_id=run_id,
            name=task.name,
            requirements=Requirements(per_task=Resources(task.cpu_milli, task.memory_bytes)),
            program=Program(command=task.command, environment=dict(task.environment)),
            nodes=(self._call(self._client.nodes()).nodes[0].node_id,),
        )
        (answer,) = self._call(self._client.launch(_EPOCH, [launch]))
        if isinstance(answer, Refusal) and answer.code.is_retryable:
            raise PoolUnavailable(answer.message)
        return run_id

    def state(self, workload_id: str) -> TaskState:
        for report in self._call(self._client.runs()).runs:
            if report.run_id == workload_id:
                return _task_state(report)
        return TaskState(workload_id, "failed", "适配器不认识此作业 / the adapter does not know this run")

    def cancel(self, workload_id: str, reason: str) -> None:
        self._call(self._client.stop(_EPOCH, [Stop(workload_id, grace_ms=1000)]))

    def hold(self, capacity: Capacity) -> str:
        nodes = self._call(self._client.nodes()).nodes
        offered = sum(node.allocatable.cpu_milli for node in nodes)
        others = sum(one.cpu_milli for one in self._held.values() if one.hold_id != capacity.hold_id)
        if others + capacity.cpu_milli > offered:
            raise CapacityRefused(
                f"{capacity.pool_id}: 只剩 / free {offered - others} milli-CPU, 需要 / wanted {capacity.cpu_milli}"
            )
        self._held[capacity.hold_id] = capacity
        return f"{capacity.cpu_milli} milli-CPU, {capacity.memory_bytes} bytes"

    def release(self, hold_id: str, *, as_allocation: bool) -> None:
        if not as_allocation:
            self._held.pop(hold_id, None)

    async def _open(self, endpoint: str) -> AdapterClient:
        return AdapterClient(endpoint)

    def _call(self, coroutine: Coroutine[Any, Any, Answer]) -> Answer:
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_CALL_S)
        except (AdapterUnavailable, TimeoutError) as error:
            raise PoolUnavailable(str(error)) from error


def _task_state(report: RunReport) -> TaskState:
    return TaskState(report.run_id, _STATES[report.state], report.message)
