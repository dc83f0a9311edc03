"""The OpenStack pool as an adapter backend: the shared memory of runs, and suspending, which Nova offers.

`adapters.openstack.__main__` serves it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from adapters.contract import Refusal, RefusalCode, RunReport
from adapters.openstack.cloud import CloudRefused
from adapters.openstack.engine import OpenStackEngine
from adapters.sdk.engine import EngineUnavailable
from adapters.sdk.engine_backend import EngineBackend
from inventory.model.workload import RunState


class OpenStackBackend(EngineBackend):
    """`PoolBackend`, `LogSource` and `Suspender` of one project."""

    engine: OpenStackEngine

    def __init__(self, engine: OpenStackEngine, state_dir: Path) -> None:
        super().__init__(engine, state_dir)
        self.engine = engine

    async def suspend(self, run_ids: Sequence[str]) -> Sequence[RunReport | Refusal]:
        return await asyncio.gather(*(self._change(run_id, suspended=True) for run_id in run_ids))

    async def resume(self, run_ids: Sequence[str]) -> Sequence[RunReport | Refusal]:
        return await asyncio.gather(*(self._change(run_id, suspended=False) for run_id in run_ids))

    async def _change(self, run_id: str, *, suspended: bool) -> RunReport | Refusal:
        run = self.handle_and_report(run_id)
        if run is None:
            return Refusal(run_id, RefusalCode.NOT_FOUND, f"{run_id}: 该池没有此运行 / no such run here")
        handle, report = run
        if report.state.is_final:
            return report
        if report.state is not RunState.RUNNING:
            text = f"{run_id}: 只有运行中的才能挂起或恢复 / only what runs is suspended or resumed: it is {report.state}"
            return Refusal(run_id, RefusalCode.FAILED_PRECONDITION, text)
        try:
            await self.engine.set_suspended(handle, suspended=suspended)
        except CloudRefused as refused:
            return Refusal(run_id, RefusalCode.FAILED_PRECONDITION, f"{run_id}: {refused}")
        except EngineUnavailable as error:
            return Refusal(run_id, RefusalCode.UNAVAILABLE, str(error))
        return await self.mark_suspended(run_id, suspended=suspended)
