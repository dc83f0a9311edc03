"""The local pool as an adapter backend: real processes on this machine, one supervisor a run.

`adapters.local.__main__` serves it. What is true of a run is in its directory; this process only looks there,
several times a second, and reports what has changed. So it may be killed and started again at any time.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from adapters.contract import (
    Capabilities,
    EventSink,
    Execution,
    ExecutionOutput,
    Launch,
    Page,
    Refusal,
    RefusalCode,
    RunReport,
    Stop,
    take_page,
    task_load,
)
from adapters.local.cgroups import pool_group
from adapters.local.machine import this_machine
from adapters.local.run_directory import RunDirectory
from adapters.local.strays import kill_strays
from adapters.local.supervisor import kill_processes_of
from adapters.sdk.child_command import run_command
from inventory.model.pool import Node, Pool
from inventory.model.units import Resources, format_resources
from inventory.model.workload import RunState

REMEMBERED = 10_000
_LOOK_EVERY_S = 0.05
_ASK_FOR_SUPERVISOR_EVERY = 20  # looks
_LOG_PIECE = 64 * 1024
_STOP_AT_EXIT_MS = 2000
_TRY_AGAIN_S = 0.2
_SWEEP_EVERY_S = 5.0


@dataclass(slots=True)
class _Run:
    number: int
    directory: RunDirectory
    report: RunReport
    taken: Resources
    supervisor: subprocess.Popen[bytes] | None = None  # None: started by an adapter before this one
    looks: int = 0
    waits: bool = False  # for a supervisor to be started


class LocalBackend:
    """A `PoolBackend`, `LogSource` and `Executor` of real processes. `stop_runs_at_exit` ends them with the adapter."""

    def __init__(
        self, pool: Pool, state_dir: Path, *, stop_runs_at_exit: bool = False, cgroup: Path | None = None
    ) -> None:
        self._node = this_machine(pool)
        self._group = pool_group(pool.pool_id, cgroup)
        self._root = state_dir / "runs"
        self._stop_runs_at_exit = stop_runs_at_exit
        self.shared_disk_bytes = pool.disk_bytes
        self._free = self._node.allocatable + Resources(disk_bytes=pool.disk_bytes)
        self._runs: dict[str, _Run] = {}
        self._active: dict[str, _Run] = {}
        self._ended: deque[str] = deque()
        self._leaving: list[subprocess.Popen[bytes]] = []  # supervisors whose exit must still be collected
        self._numbered = 0
        self._events: EventSink | None = None
        self._waiting: asyncio.Queue[_Run] = asyncio.Queue()
        self._at_work: list[asyncio.Task[None]] = []
        self.capabilities = Capabilities(
            pool_id=pool.pool_id,
            technology="local",
            runtimes=("process",),
            max_batch=64,
            # A group binds a run as a whole; a limit of the process, which is the next best, binds memory alone.
            enforces=("cpu", "memory") if self._group else ("memory",),
            zones=tuple(sorted(pool.zones)),
            exec=True,
            remembered_runs=REMEMBERED,
        )

    async def start(self, events: EventSink) -> None:
        self._events = events
        self._root.mkdir(parents=True, exist_ok=True)
        await asyncio.to_thread(self._recover)
        self._at_work = [
            asyncio.create_task(work)
            for work in (self._look_out(), self._sweep(), *(self._start_supervisors() for _ in range(2)))
        ]
        for task in self._at_work:
            task.add_done_callback(self._work_over)

    async def close(self) -> None:
        if self._stop_runs_at_exit:
            for run in self._active.values():
                run.directory.request_stop(_STOP_AT_EXIT_MS)
            end = time.monotonic() + _STOP_AT_EXIT_MS / 1000 + 3
            while self._active and time.monotonic() < end:
                await asyncio.sleep(_LOOK_EVERY_S)
        for task in self._at_work:
            task.cancel()
        await asyncio.gather(*self._at_work, return_exceptions=True)

    async def launch(self, launches: Sequence[Launch]) -> Sequence[RunReport | Refusal]:
        """Accepts a batch: its directories are made at once, side by side; supervisors start one after another."""
        fresh: dict[str, Launch] = {}
        refused: dict[str, Refusal] = {}
        for launch in launches:
            if launch.run_id not in self._runs and launch.run_id not in fresh:
                refusal = self._refuse(launch)
                if refusal is None:
                    fresh[launch.run_id] = launch
                    self._free = self._free - _taken(launch)
                else:
                    refused[launch.run_id] = refusal
        made = await asyncio.gather(*(self._make(launch) for launch in fresh.values()))
        refused.update({one.run_id: one for one in made if isinstance(one, Refusal)})
        return [refused.get(launch.run_id) or self._known(launch.run_id) for launch in launches]

    async def stop(self, stops: Sequence[Stop]) -> Sequence[RunReport]:
        return [await self._stop(stop) for stop in stops]

    async def inspect(self, run_id: str) -> RunReport | None:
        run = self._runs.get(run_id)
        return run.report if run else None

    async def runs(self, after: str, limit: int) -> Page[RunReport]:
        last = int(after) if after else 0
        return take_page(((str(r.number), r.report) for r in self._runs.values() if r.number > last), limit)

    async def nodes(self, after: str, limit: int) -> Page[Node]:
        if after:
            raise ValueError(f"{after!r}: there is one node, and one page")
        return Page([self._node][:limit])

    async def logs(self, run_id: str, offset: int, follow: bool) -> AsyncIterator[bytes]:
        run = self._runs[run_id]
        while True:
            # Asked before reading: what is written between the two is read in the next round.
            ended = run.report.state.is_final
            piece = await asyncio.to_thread(run.directory.read_log, offset, _LOG_PIECE)
            if piece:
                offset += len(piece)
                yield piece
            elif ended or not follow:
                return
            else:
                await asyncio.sleep(_LOOK_EVERY_S)

    async def execute(self, execution: Execution) -> AsyncIterator[ExecutionOutput]:
        """A process that carries the run's marks, and so ends with it at the latest."""
        directory = self._runs[execution.run_id].directory
        words = directory.command_beside(execution.task, execution.command)
        async for piece in run_command(words, {}, execution):
            yield piece

    # -- one run ------------------------------------------------------------------------------------------------

    def _known(self, run_id: str) -> RunReport | Refusal:
        report = self._runs[run_id].report
        return report if report.nodes else _stopped_before(run_id)

    async def _make(self, launch: Launch) -> Refusal | None:
        """Makes the directory of a run whose room has been taken; when it returns, the run is accepted."""
        directory = RunDirectory(self._root, launch.run_id)
        try:
            accepted = await asyncio.to_thread(directory.create, launch, _now_ms(), self._group)
        except OSError as error:
            self._free = self._free + _taken(launch)
            await asyncio.to_thread(shutil.rmtree, self._root / launch.run_id, ignore_errors=True)
            return Refusal(
                launch.run_id,
                RefusalCode.UNAVAILABLE,
                f"{launch.run_id}: 本机无法启动（{error}），请稍后重试 / cannot be started now: try again",
            )
        run = self._remember(directory, RunReport(launch.run_id, RunState.STARTING, launch.nodes), accepted.load)
        self._active[launch.run_id] = run
        self._await_supervisor(run)
        self._publish(run.report)
        return None

    def _await_supervisor(self, run: _Run) -> None:
        run.waits = True
        self._waiting.put_nowait(run)

    async def _start_supervisors(self) -> None:
        """Starts supervisors in the order of acceptance. Where the machine has no room for one, it is tried again."""
        while True:
            run = await self._waiting.get()
            try:
                run.supervisor = await asyncio.to_thread(run.directory.start_supervisor)
                run.waits = False
            except OSError:
                await asyncio.sleep(_TRY_AGAIN_S)
                self._waiting.put_nowait(run)

    def _refuse(self, launch: Launch) -> Refusal | None:
        """Why this machine cannot take the run, if so."""
        wrong = [node_id for node_id in launch.nodes if node_id != self._node.node_id]
        if wrong:
            text = f"{wrong[0]}: 没有此节点，本机池只有 localhost / no such node: a local pool has localhost alone"
            return Refusal(launch.run_id, RefusalCode.NOT_FOUND, text)
        if launch.program.image or not launch.program.command:
            text = (
                f"{launch.program.image!r}: 本机池只运行进程，请给出 command / runs processes only: give a command"
            )
            return Refusal(launch.run_id, RefusalCode.INVALID_ARGUMENT, text)
        need = _taken(launch)
        if not need.fits_in(self._free):
            free = format_resources(self._free)
            text = f"{format_resources(need)}: 本机余量 {free}，请重新选择 / free is {free}: place it anew"
            return Refusal(launch.run_id, RefusalCode.RESOURCE_EXHAUSTED, text)
        return None

    async def _stop(self, stop: Stop) -> RunReport:
        run = self._runs.get(stop.run_id)
        if run is None:
            report = RunReport(
                stop.run_id,
                RunState.STOPPED,
                message="启动前已停止 / stopped before it was launched",
                ended_ms=_now_ms(),
            )
            directory = RunDirectory(self._root, stop.run_id)
            await asyncio.to_thread(directory.end, report)
            run = self._remember(directory, report, Resources())
            self._retire(stop.run_id)
            self._publish(report)
        elif not run.report.state.is_final:
            await asyncio.to_thread(run.directory.request_stop, stop.grace_ms, stop.why)
        return run.report

    # -- what happens to the runs -------------------------------------------------------------------------------

    async def _look_out(self) -> None:
        while True:
            for run in list(self._active.values()):
                await self._look_at(run)
            self._leaving = [process for process in self._leaving if process.poll() is None]
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _look_at(self, run: _Run) -> None:
        """Reports what has become of an active run since the last look."""
        # Asked before its files are read: a supervisor that ends now has written them by then.
        gone = self._supervisor_is_gone(run)
        ended = run.directory.ended(run.report.nodes)
        if run.report.state is RunState.STARTING:
            started_ms = run.directory.started_ms()
            if started_ms is not None:
                run.report = replace(run.report, state=RunState.RUNNING, started_ms=started_ms)
                self._publish(run.report)
        if ended is None and gone:
            ended = await asyncio.to_thread(self._give_up, run)
        if ended is not None:
            run.report = ended
            self._publish(ended)
            del self._active[run.report.run_id]
            if run.supervisor is not None:
                self._leaving.append(run.supervisor)
            self._free = self._free + run.taken
            self._retire(run.report.run_id)

    async def _sweep(self) -> None:
        """Stops what still lives of runs that have ended: at the start, and every few seconds."""
        while True:
            ended = frozenset(run_id for run_id, run in self._runs.items() if run.report.state.is_final)
            await asyncio.to_thread(kill_strays, self._root, ended)
            await asyncio.sleep(_SWEEP_EVERY_S)

    def _supervisor_is_gone(self, run: _Run) -> bool:
        if run.waits:
            return False
        if run.supervisor is not None:
            # Ours may have found another's lock, when the adapter before was killed in the middle of a launch.
            return run.supervisor.poll() is not None and not run.directory.has_supervisor()
        run.looks += 1
        return run.looks % _ASK_FOR_SUPERVISOR_EVERY == 0 and not run.directory.has_supervisor()

    def _give_up(self, run: _Run) -> RunReport:
        """Ends a run whose supervisor was killed: nobody can say any more how its tasks end."""
        kill_processes_of(run.report.run_id, str(run.directory.path))
        report = replace(
            run.report,
            state=RunState.LOST,
            ended_ms=_now_ms(),
            message="监护进程被终止，结果未知 / its supervisor was killed: the outcome is not known",
        )
        run.directory.end(report)
        return report

    def _work_over(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None and self._events is not None:
            self._events.fail(f"{type(task.exception()).__name__}: {task.exception()}")

    # -- memory -------------------------------------------------------------------------------------------------

    def _recover(self) -> None:
        """Takes up every run that an adapter before this one accepted, and forgets what it did not finish."""
        found: list[tuple[int, _Run]] = []
        for path in self._root.iterdir():
            directory = RunDirectory(self._root, path.name)
            accepted = directory.accepted()
            nodes = accepted.nodes if accepted else ()
            ended = directory.ended(nodes)
            if ended is None and accepted is None:
                shutil.rmtree(path)  # the adapter died while it made the directory: nothing was acknowledged
                continue
            report = ended or RunReport(path.name, RunState.STARTING, nodes)
            run = _Run(0, directory, report, accepted.load if accepted else Resources())
            found.append((accepted.accepted_ms if accepted else report.ended_ms or 0, run))
        for _, run in sorted(found, key=lambda pair: (pair[0], pair[1].report.run_id)):
            self._take_up(run)

    def _take_up(self, run: _Run) -> None:
        run = self._remember(run.directory, run.report, run.taken)
        if run.report.state.is_final:
            self._retire(run.report.run_id)
            return
        self._hold(run)
        started_ms = run.directory.started_ms()
        if started_ms is not None:
            run.report = replace(run.report, state=RunState.RUNNING, started_ms=started_ms)
        elif not run.directory.has_supervisor():
            # Accepted, and the adapter died before its supervisor lived. At most one of two gets the lock.
            self._await_supervisor(run)

    def _remember(self, directory: RunDirectory, report: RunReport, taken: Resources) -> _Run:
        self._numbered += 1
        run = self._runs[report.run_id] = _Run(self._numbered, directory, report, taken)
        return run

    def _hold(self, run: _Run) -> None:
        self._active[run.report.run_id] = run
        self._free = self._free - run.taken

    def _retire(self, run_id: str) -> None:
        """Notes that a run has ended; the oldest beyond REMEMBERED is forgotten, with its directory."""
        self._ended.append(run_id)
        if len(self._ended) > REMEMBERED:
            oldest = self._ended.popleft()
            del self._runs[oldest]
            shutil.rmtree(self._root / oldest, ignore_errors=True)

    def _publish(self, report: RunReport) -> None:
        if self._events is not None:
            self._events.publish((report,))


def _taken(launch: Launch) -> Resources:
    """What all tasks of a run take, with the disk from the shared storage."""
    return task_load(launch) * launch.requirements.tasks + Resources(
        disk_bytes=launch.requirements.total.disk_bytes
    )


def _stopped_before(run_id: str) -> Refusal:
    return Refusal(
        run_id,
        RefusalCode.FAILED_PRECONDITION,
        f"{run_id}: 启动前已被停止，不再启动 / was stopped before this launch came, and is not launched",
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
