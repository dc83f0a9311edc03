"""The simulated pool as an adapter backend: real time drives the model, and its fates go to disk.

`adapters.simulated.__main__` serves it. One timer for all runs; nothing is reported before it is durable.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from adapters.contract import (
    AcceleratorSupport,
    BackendFailed,
    Capabilities,
    EventSink,
    Launch,
    Page,
    Refusal,
    RunReport,
    Stop,
)
from adapters.simulated.fate_file import FateFile
from adapters.simulated.fates import Profile
from adapters.simulated.model import REMEMBERED, SimulatedPool
from inventory.model.pool import Node, Pool

_GARBAGE_LINES = 500_000


class SimulatedBackend:
    """A `PoolBackend` that runs nothing. Timestamps are the real clock's; `profile.speed` shortens durations."""

    def __init__(self, pool: Pool, profile: Profile, seed: int, state_dir: Path) -> None:
        self._model = SimulatedPool(pool, profile, seed)
        self._file = FateFile(state_dir / "fates.jsonl")
        self._changing = asyncio.Lock()
        self._rearmed = asyncio.Event()
        self._clockwork: asyncio.Task[None] | None = None
        self._events: EventSink | None = None
        self.capabilities = Capabilities(
            pool_id=pool.pool_id,
            technology="simulated",
            runtimes=("process", "container"),
            logs=False,
            enforces=("cpu", "memory", "disk"),
            accelerators=_cards(pool),
            zones=tuple(sorted(pool.zones)),
            remembered_runs=REMEMBERED,
            simulates=True,
        )
        self.shared_disk_bytes = pool.disk_bytes

    async def start(self, events: EventSink) -> None:
        self._events = events
        for fate in await asyncio.to_thread(self._file.read):
            self._model.restore(fate, _now_ms())
        await asyncio.to_thread(self._file.rewrite, list(self._model.fates()))
        self._clockwork = asyncio.create_task(self._keep_time())
        self._clockwork.add_done_callback(self._clockwork_over)

    async def close(self) -> None:
        if self._clockwork is not None:
            self._clockwork.cancel()
            await asyncio.gather(self._clockwork, return_exceptions=True)
        self._file.close()

    async def launch(self, launches: Sequence[Launch]) -> Sequence[RunReport | Refusal]:
        async with self._changing:
            results = self._model.launch(launches, _now_ms())
            await self._commit()
        return results

    async def stop(self, stops: Sequence[Stop]) -> Sequence[RunReport]:
        async with self._changing:
            reports = self._model.stop(stops, _now_ms())
            await self._commit()
        return reports

    async def inspect(self, run_id: str) -> RunReport | None:
        return self._model.inspect(run_id)

    async def runs(self, after: str, limit: int) -> Page[RunReport]:
        return self._model.runs(after, limit)

    async def nodes(self, after: str, limit: int) -> Page[Node]:
        return self._model.nodes(after, limit)

    async def _commit(self) -> None:
        """Writes what was decided, then reports it. Raises BackendFailed when it cannot be written: the model
        then knows more than the disk, and only a restart makes them agree."""
        fates = self._model.take_fates()
        if fates:
            try:
                await asyncio.to_thread(self._file.append, fates)
                if self._file.lines > _GARBAGE_LINES + 2 * self._model.remembered_runs:
                    await asyncio.to_thread(self._file.rewrite, list(self._model.fates()))
            except OSError as error:
                raise BackendFailed(str(error)) from error
        self._report()
        self._rearmed.set()

    def _report(self) -> None:
        changes = self._model.take_changes()
        if self._events is not None:
            self._events.publish(changes)

    async def _keep_time(self) -> None:
        """Lets the model's time pass: one sleep to the next thing that is due, whatever the number of runs."""
        while True:
            self._rearmed.clear()
            due_ms = self._model.next_due_ms
            pause_s = None if due_ms is None else max(0.0, (due_ms - _now_ms()) / 1000)
            try:
                # Not `wait_for`, which in Python 3.11 swallows a cancellation that comes together with the event.
                async with asyncio.timeout(pause_s):
                    await self._rearmed.wait()
            except TimeoutError:
                async with self._changing:
                    self._model.advance(_now_ms())
                    self._report()

    def _clockwork_over(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None and self._events is not None:
            self._events.fail(f"{type(task.exception()).__name__}: {task.exception()}")


def _cards(pool: Pool) -> tuple[AcceleratorSupport, ...]:
    models = {group.accelerator for group in pool.node_groups if group.accelerator}
    return tuple(AcceleratorSupport(model, step_milli=1) for model in sorted(models))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
