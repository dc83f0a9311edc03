"""The Slurm pool as an adapter backend: the shared memory of runs, and what Slurm can do beyond launching.

`adapters.slurm.__main__` serves it. Suspending, reservations and start estimates are Slurm's own: the capabilities
declare them, and these calls hand them on.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path

from adapters.contract import Launch, Refusal, RefusalCode, Reservation, RunReport, StartEstimate
from adapters.sdk.engine import EngineUnavailable
from adapters.sdk.engine_backend import EngineBackend
from adapters.slurm import naming
from adapters.slurm.commands import SlurmRefused
from adapters.slurm.engine import SlurmEngine
from adapters.slurm.script import batch_script
from inventory.model.workload import RunState

_STARTS = re.compile(r"to start at (?P<when>\S+) using")
_EXISTS = "already exists"
_NO_RESERVATION = ("does not exist", "not found", "Requested reservation is invalid")


class SlurmBackend(EngineBackend):
    """`PoolBackend`, `LogSource`, `Suspender`, `Reserver` and `StartEstimator` of one cluster."""

    engine: SlurmEngine

    def __init__(self, engine: SlurmEngine, state_dir: Path) -> None:
        super().__init__(engine, state_dir)
        self.engine = engine

    async def suspend(self, run_ids: Sequence[str]) -> Sequence[RunReport | Refusal]:
        return [await self._change(run_id, "suspend", suspended=True) for run_id in run_ids]

    async def resume(self, run_ids: Sequence[str]) -> Sequence[RunReport | Refusal]:
        return [await self._change(run_id, "resume", suspended=False) for run_id in run_ids]

    async def estimate_starts(self, launches: Sequence[Launch]) -> Sequence[StartEstimate | Refusal]:
        """What Slurm's backfill expects (`sbatch --test-only`): nothing is submitted."""
        return [await self._estimate(launch) for launch in launches]

    async def reserve(self, reservations: Sequence[Reservation]) -> Sequence[Reservation | Refusal]:
        return [await self._reserve(one) for one in reservations]

    async def unreserve(self, reservation_ids: Sequence[str]) -> Sequence[Refusal | None]:
        return [await self._unreserve(reservation_id) for reservation_id in reservation_ids]

    async def _change(self, run_id: str, verb: str, *, suspended: bool) -> RunReport | Refusal:
        run = self.handle_and_report(run_id)
        if run is None:
            return Refusal(run_id, RefusalCode.NOT_FOUND, f"{run_id}: 该池没有此运行 / no such run here")
        handle, report = run
        if report.state is not RunState.RUNNING:
            text = f"{run_id}: 只有运行中的才能挂起或恢复 / only what runs is suspended or resumed: it is {report.state}"
            return Refusal(run_id, RefusalCode.FAILED_PRECONDITION, text)
        if report.suspended == suspended:
            return report
        try:
            await self.engine.slurm.run("scontrol", verb, handle)
        except SlurmRefused as refused:
            return Refusal(run_id, RefusalCode.FAILED_PRECONDITION, f"{run_id}: {refused}")
        except EngineUnavailable as error:
            return Refusal(run_id, RefusalCode.UNAVAILABLE, str(error))
        return await self.mark_suspended(run_id, suspended=suspended)

    async def _estimate(self, launch: Launch) -> StartEstimate | Refusal:
        try:
            said = await self.engine.slurm.run(
                "sbatch", "--test-only", *self.engine.options(launch), standard_input=batch_script(launch)
            )
        except SlurmRefused as refused:
            return Refusal(launch.run_id, RefusalCode.INVALID_ARGUMENT, f"{launch.run_id}: {refused}")
        except EngineUnavailable as error:
            return Refusal(launch.run_id, RefusalCode.UNAVAILABLE, str(error))
        found = _STARTS.search(said)
        if found is None:
            text = f"{launch.run_id}: Slurm 没有给出开始时间 / Slurm gave no start: {said.strip()}"
            return Refusal(launch.run_id, RefusalCode.UNAVAILABLE, text)
        return StartEstimate(launch.run_id, max(0, _milliseconds(found["when"]) - time.time_ns() // 1_000_000))

    async def _reserve(self, one: Reservation) -> Reservation | Refusal:
        name = naming.reservation_name(one.reservation_id)
        count = len(set(one.nodes)) or one.requirements.tasks
        where = f"Nodes={','.join(sorted(set(one.nodes)))}" if one.nodes else f"NodeCnt={count}"
        words = [
            f"ReservationName={name}",
            f"StartTime=@{one.begins_ms // 1000}",
            f"EndTime=@{one.ends_ms // 1000}",
            "Users=root",
            where,
        ]
        try:
            try:
                await self.engine.slurm.run("scontrol", "create", "reservation", *words)
            except SlurmRefused as refused:
                if _EXISTS not in str(refused) and "Duplicate" not in str(refused):
                    raise
        except SlurmRefused as refused:
            return Refusal(one.reservation_id, RefusalCode.RESOURCE_EXHAUSTED, f"{one.reservation_id}: {refused}")
        except EngineUnavailable as error:
            return Refusal(one.reservation_id, RefusalCode.UNAVAILABLE, str(error))
        return one

    async def _unreserve(self, reservation_id: str) -> Refusal | None:
        try:
            await self.engine.slurm.run(
                "scontrol", "delete", f"ReservationName={naming.reservation_name(reservation_id)}"
            )
        except SlurmRefused as refused:
            if any(sign in str(refused) for sign in _NO_RESERVATION):
                return None
            return Refusal(reservation_id, RefusalCode.FAILED_PRECONDITION, f"{reservation_id}: {refused}")
        except EngineUnavailable as error:
            return Refusal(reservation_id, RefusalCode.UNAVAILABLE, str(error))
        return None


def _milliseconds(when: str) -> int:
    """The engine asks for seconds since 1970 (SLURM_TIME_FORMAT); older clients print local time instead."""
    if when.isdigit():
        return int(when) * 1000
    return round(time.mktime(time.strptime(when, "%Y-%m-%dT%H:%M:%S")) * 1000)
