"""The Slurm pool as an adapter backend: the shared memory of runs, and what Slurm can do beyond launching.

`adapters.slurm.__main__` serves it. Suspending, commands beside runs, reservations and start estimates are Slurm's own:
the capabilities declare them, and these calls hand them on.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from adapters.contract import (
    Execution,
    ExecutionOutput,
    Launch,
    Refusal,
    RefusalCode,
    Reservation,
    RunReport,
    StartEstimate,
)
from adapters.sdk.child_command import run_command
from adapters.sdk.engine import EngineUnavailable
from adapters.sdk.engine_backend import EngineBackend
from adapters.slurm import naming, reservations
from adapters.slurm.commands import SlurmRefused
from adapters.slurm.engine import SlurmEngine, no_such_node
from adapters.slurm.reservations import Held, parse_reservations
from adapters.slurm.script import batch_script, settings_of
from inventory.model.workload import RunState

_STARTS = re.compile(r"to start at (?P<when>\S+) using")


class SlurmBackend(EngineBackend):
    """`PoolBackend`, `LogSource`, `Suspender`, `Executor`, `Reserver` and `StartEstimator` of one cluster."""

    engine: SlurmEngine

    def __init__(self, engine: SlurmEngine, state_dir: Path) -> None:
        super().__init__(engine, state_dir)
        self.engine = engine

    async def suspend(self, run_ids: Sequence[str]) -> Sequence[RunReport | Refusal]:
        return [await self._change(run_id, suspended=True) for run_id in run_ids]

    async def resume(self, run_ids: Sequence[str]) -> Sequence[RunReport | Refusal]:
        return [await self._change(run_id, suspended=False) for run_id in run_ids]

    async def execute(self, execution: Execution) -> AsyncIterator[ExecutionOutput]:
        """A job step of its own on the task's node, within the job's allocation (`srun --overlap`)."""
        run = self.handle_and_report(execution.run_id)
        assert run is not None, "the sdk asks only for runs that are known to run"
        job_id, report = run
        try:
            script = await self.engine.slurm.run("scontrol", "write", "batch_script", job_id, "-")
        except SlurmRefused as refused:
            raise EngineUnavailable(f"{execution.run_id}: {refused}") from refused
        # Settings go through srun's environment: its words could be read by every user of this machine.
        around = {**self.engine.slurm.environment, **settings_of(script), "XISUAN_TASK": str(execution.task)}
        words = [
            *("srun", f"--jobid={job_id}", "--overlap", "--quiet", "--export=ALL", "--ntasks=1", "--nodes=1"),
            *("--mem=0", f"--chdir={self.engine.work_dir}"),
            *([f"--nodelist={report.nodes[execution.task]}"] if report.nodes else []),
            *execution.command,
        ]
        # srun ends its step on SIGTERM; killed at once it would leave the command running on the node.
        async for piece in run_command(words, around, execution, polite=signal.SIGTERM):
            yield piece

    async def estimate_starts(self, launches: Sequence[Launch]) -> Sequence[StartEstimate | Refusal]:
        """What Slurm's backfill expects (`sbatch --test-only`): nothing is submitted."""
        return [await self._estimate(launch) for launch in launches]

    async def reserve(self, wanted: Sequence[Reservation]) -> Sequence[Reservation | Refusal]:
        try:
            there = await self._reservations()
        except (SlurmRefused, EngineUnavailable) as error:
            return [Refusal(one.reservation_id, RefusalCode.UNAVAILABLE, str(error)) for one in wanted]
        return [await self._reserve(one, there) for one in wanted]

    async def unreserve(self, reservation_ids: Sequence[str]) -> Sequence[Refusal | None]:
        return [await self._unreserve(reservation_id) for reservation_id in reservation_ids]

    async def _change(self, run_id: str, *, suspended: bool) -> RunReport | Refusal:
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
            await self.engine.set_suspended(handle, suspended=suspended)
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

    async def _reserve(self, one: Reservation, there: dict[str, Held]) -> Reservation | Refusal:
        name = naming.reservation_name(one.reservation_id)
        if name in there:
            return reservations.answer(one, there[name])
        unknown = self.engine.unknown_node(one.nodes)
        if unknown is not None:
            return Refusal(one.reservation_id, RefusalCode.NOT_FOUND, no_such_node(unknown))
        words = reservations.creation(
            one, self.engine.partition, self.engine.threads_per_core, time.time_ns() // 1_000_000
        )
        try:
            await self.engine.slurm.run("scontrol", "create", "reservation", *words)
            held = (await self._reservations()).get(name)
        except SlurmRefused as refused:
            return reservations.refusal(one.reservation_id, str(refused))
        except EngineUnavailable as error:
            return Refusal(one.reservation_id, RefusalCode.UNAVAILABLE, str(error))
        return reservations.answer(one, held) if held is not None else _ended_at_once(one)

    async def _reservations(self) -> dict[str, Held]:
        return parse_reservations(await self.engine.slurm.run("scontrol", "show", "reservation", "--oneliner"))

    async def _unreserve(self, reservation_id: str) -> Refusal | None:
        try:
            await self.engine.slurm.run(
                "scontrol", "delete", f"ReservationName={naming.reservation_name(reservation_id)}"
            )
        except SlurmRefused as refused:
            if reservations.is_gone(str(refused)):
                return None
            return Refusal(reservation_id, RefusalCode.FAILED_PRECONDITION, f"{reservation_id}: {refused}")
        except EngineUnavailable as error:
            return Refusal(reservation_id, RefusalCode.UNAVAILABLE, str(error))
        return None


def _ended_at_once(one: Reservation) -> Refusal:
    text = f"{one.reservation_id}: 预留时段已过 / its time is over: reserve a time to come"
    return Refusal(one.reservation_id, RefusalCode.INVALID_ARGUMENT, text)


def _milliseconds(when: str) -> int:
    """The engine asks for seconds since 1970 (SLURM_TIME_FORMAT); older clients print local time instead."""
    if when.isdigit():
        return int(when) * 1000
    return round(time.mktime(time.strptime(when, "%Y-%m-%dT%H:%M:%S")) * 1000)
