"""The adapter contract over any `Engine`: idempotency, tombstones, recovery and changes, so that an engine has none.

`adapters.template.__main__` serves it. What it promises, and to whom, is in docs/adapters.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from adapters.contract import (
    BackendFailed,
    Capabilities,
    EventSink,
    Launch,
    Page,
    Refusal,
    RefusalCode,
    RunReport,
    Stop,
    take_page,
)
from adapters.template.engine import Engine, EngineFull, EngineUnavailable, Job, NoSuchNode
from adapters.template.notebook import Notebook, Noted
from inventory.model.pool import Node, Pool
from inventory.model.workload import RunState

# How often the system is asked for its jobs. Where yours can tell of changes by itself (a watch, a subscription),
# listen to that instead, and ask for all jobs only when you begin and when you have lost the thread.
_ASK_EVERY_S = 0.1
_ASK_FOR_NODES_EVERY = 50  # times
# What an ending that is no success says where the system does not say why.
_MESSAGES = {
    RunState.FAILED: "异常结束，退出码 {0} / ended with exit code {0}",
    RunState.STOPPED: "按要求停止 / stopped as asked",
    RunState.PREEMPTED: "被算力池中断 / preempted by the pool",
}


class TemplateBackend:
    """A `PoolBackend` over an engine. Everything that it accepts is in the notebook before the engine hears of it."""

    def __init__(self, pool: Pool, engine: Engine, state_dir: Path) -> None:
        self._engine = engine
        self._path = state_dir / "runs.jsonl"
        self._nodes: list[Node] = []
        self._asking: asyncio.Task[None] | None = None
        # The engine is asked for one thing at a time: a look in the middle of a launch would find the run noted and
        # its job not there yet, and submit it a second time.
        self._engine_turn = asyncio.Lock()
        # CHANGE THIS: declare what your system can do, and nothing more. docs/adapters.md has the whole list.
        self.capabilities = Capabilities(
            pool_id=pool.pool_id,
            technology="template",
            runtimes=("process",),
            logs=False,
            simulates=True,
        )
        self.shared_disk_bytes = pool.disk_bytes

    async def start(self, events: EventSink) -> None:
        self._events = events
        self._notebook = await asyncio.to_thread(Notebook, self._path)
        self._nodes = await self._engine.nodes()
        self._asking = asyncio.create_task(self._follow())
        self._asking.add_done_callback(self._ended)

    async def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    # -- what the scheduler asks for ----------------------------------------------------------------------------

    async def launch(self, launches: Sequence[Launch]) -> Sequence[RunReport | Refusal]:
        fresh = {one.run_id: one for one in launches if one.run_id not in self._notebook.runs}
        refused: dict[str, Refusal] = {}
        async with self._engine_turn:
            # First the notebook, then the engine: where we die in between, the next start submits what is noted.
            starting = [(one, RunReport(one.run_id, RunState.STARTING, one.nodes)) for one in fresh.values()]
            await self._write([Noted(one.run_id, one, report) for one, report in starting])
            for one in fresh.values():
                refusal = await self._submit(one)
                if refusal is not None:
                    refused[one.run_id] = refusal
            if refused:
                await asyncio.to_thread(self._notebook.forget, list(refused))
            accepted = [self._notebook.runs[run_id].report for run_id in fresh if run_id not in refused]
            self._events.publish(accepted)
        return [refused.get(one.run_id) or self._outcome(one.run_id) for one in launches]

    async def stop(self, stops: Sequence[Stop]) -> Sequence[RunReport]:
        async with self._engine_turn:
            for stop in stops:
                await self._stop(stop)
        return [self._notebook.runs[stop.run_id].report for stop in stops]

    async def inspect(self, run_id: str) -> RunReport | None:
        noted = self._notebook.runs.get(run_id)
        return noted.report if noted else None

    async def runs(self, after: str, limit: int) -> Page[RunReport]:
        first = int(after) if after else 0
        keyed = ((str(number), noted.report) for number, noted in enumerate(self._notebook.runs.values(), start=1))
        return take_page(((key, report) for key, report in keyed if int(key) > first), limit)

    async def nodes(self, after: str, limit: int) -> Page[Node]:
        first = int(after) if after else 0
        items = self._nodes[first : first + limit]
        following = first + len(items)
        return Page(items, str(following) if following < len(self._nodes) else "")

    # -- what the engine tells ----------------------------------------------------------------------------------

    async def _follow(self) -> None:
        submitted: set[str] = set()
        for looks in itertools.count():
            # Where it cannot be asked it is asked again; until then nothing is known to have changed.
            with contextlib.suppress(EngineUnavailable):
                async with self._engine_turn:
                    await self._look(submitted)
                    if looks % _ASK_FOR_NODES_EVERY == 0:
                        await self._look_at_nodes()
            await asyncio.sleep(_ASK_EVERY_S)

    async def _look_at_nodes(self) -> None:
        """Tells that nodes came, went, or changed; the scheduler lists them anew then."""
        nodes = await self._engine.nodes()
        if nodes != self._nodes:
            self._nodes = nodes
            self._events.publish((), nodes_changed=True)

    async def _look(self, submitted: set[str]) -> None:
        """Compares every active run with its job, and reports what has changed."""
        jobs = await self._engine.jobs()
        changed: list[Noted] = []
        for noted in [one for one in self._notebook.runs.values() if not one.report.state.is_final]:
            job = jobs.get(noted.run_id)
            if job is not None:
                submitted.add(noted.run_id)
                report = _report(noted, job)
            elif noted.run_id in submitted:
                report = replace(
                    noted.report, state=RunState.LOST, ended_ms=_now_ms(), message="作业不见了 / it is gone"
                )
            else:
                await self._recover(noted)
                continue
            if report != noted.report:
                changed.append(replace(noted, report=report))
        if changed:
            await self._write(changed)
            self._events.publish([noted.report for noted in changed])

    async def _recover(self, noted: Noted) -> None:
        """A run that is noted and that the engine has not heard of: we died in between."""
        if noted.launch is not None:
            await self._submit(noted.launch)
            if noted.stopping is not None:
                await self._cancel(Stop(noted.run_id, 0))

    # -- inside -------------------------------------------------------------------------------------------------

    async def _submit(self, launch: Launch) -> Refusal | None:
        try:
            await self._engine.submit(launch)
        except EngineFull as error:
            text = f"{error}: 节点余量不足，请重新选择 / the node has no room: place it anew"
            return Refusal(launch.run_id, RefusalCode.RESOURCE_EXHAUSTED, text)
        except NoSuchNode as error:
            text = f"{error}: 没有此节点，请重新列出 / no such node: list the nodes anew"
            return Refusal(launch.run_id, RefusalCode.NOT_FOUND, text)
        except EngineUnavailable as error:
            return Refusal(
                launch.run_id, RefusalCode.UNAVAILABLE, f"{error}: 请重试 / cannot be asked now: repeat"
            )
        return None

    async def _stop(self, stop: Stop) -> None:
        noted = self._notebook.runs.get(stop.run_id)
        if noted is None:
            message = "启动前已停止 / stopped before it was launched"
            report = RunReport(stop.run_id, RunState.STOPPED, message=message, ended_ms=_now_ms())
            await self._write([Noted(stop.run_id, None, report)])
            self._events.publish([report])
            await self._cancel(stop)  # a launch that was answered with UNAVAILABLE may have come through
        elif not noted.report.state.is_final:
            noted.stopping = stop.why
            await self._write([noted])
            await self._cancel(stop)

    async def _cancel(self, stop: Stop) -> None:
        try:
            await self._engine.cancel(stop.run_id, stop.grace_ms)
        except EngineUnavailable:
            return  # the scheduler repeats stops until the run has ended

    def _outcome(self, run_id: str) -> RunReport | Refusal:
        noted = self._notebook.runs[run_id]
        if noted.launch is None:
            text = f"{run_id}: 启动前已被停止 / was stopped before this launch came"
            return Refusal(run_id, RefusalCode.FAILED_PRECONDITION, text)
        return noted.report

    async def _write(self, notes: list[Noted]) -> None:
        try:
            await asyncio.to_thread(self._notebook.write, notes)
        except OSError as error:
            raise BackendFailed(str(error)) from error

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._events.fail(f"{type(task.exception()).__name__}: {task.exception()}")


def _report(noted: Noted, job: Job) -> RunReport:
    message = job.message or _MESSAGES.get(job.state, "").format(job.exit_code)
    if job.state is RunState.STOPPED and noted.stopping:
        message = noted.stopping
    return replace(
        noted.report,
        state=job.state,
        exit_code=job.exit_code,
        message=message,
        started_ms=job.started_ms,
        ended_ms=job.ended_ms,
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
