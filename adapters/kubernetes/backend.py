"""The Kubernetes pool as an adapter backend: the shared memory of runs, and commands beside them.

`adapters.kubernetes.__main__` serves it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from adapters.contract import Execution, ExecutionOutput
from adapters.kubernetes.engine import KubernetesEngine
from adapters.sdk.engine import NotNow
from adapters.sdk.engine_backend import EngineBackend


class KubernetesBackend(EngineBackend):
    """`PoolBackend`, `LogSource` and `Executor` of one cluster."""

    engine: KubernetesEngine

    def __init__(self, engine: KubernetesEngine, state_dir: Path) -> None:
        super().__init__(engine, state_dir)
        self.engine = engine

    async def execute(self, execution: Execution) -> AsyncIterator[ExecutionOutput]:
        """In the pod of the task, in its container, as the container's user."""
        pod = self.engine.pod_of_task(execution.run_id, execution.task)
        if pod is None:
            text = (
                f"{execution.run_id}: 任务 {execution.task} 此刻没有运行中的 Pod，请稍后重试 / "
                f"task {execution.task} has no running pod now: try again"
            )
            raise NotNow(text)
        async for piece in self.engine.run_beside(pod, execution):
            yield piece
