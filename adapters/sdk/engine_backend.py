"""Any `Engine` as a `PoolBackend`: idempotent launches, stops that outlive a crash, each change reported once.

`adapters.<technology>.__main__` serves it. The order of every launch is: the intention on disk, then the engine,
then what it answered on disk, then the caller. After a crash in between, the survey of the next start tells.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
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
from adapters.sdk.engine import Cancel, Engine, EngineUnavailable, Seen, Taken
from adapters.sdk.run_table import RunRow, RunTable, Stage, ended
from inventory.model.pool import Node
from inventory.model.workload import RunState

_SURVEY_EVERY_S = 60.0
_RETRY_S = 2.0
_GATHER_S = 0.05  # what a busy engine tells within it is one transaction, and one wait for the disk
_ORDER = {RunState.PLACED: 0, RunState.STARTING: 1, RunState.RUNNING: 2}


class EngineBackend:
    """A `PoolBackend` and `LogSource` over an engine. Technologies with optional calls extend it."""

    def __init__(self, engine: Engine, state_dir: Path, survey_every_s: float = _SURVEY_EVERY_S) -> None:
        self.engine = engine
        self.capabilities: Capabilities = engine.capabilities
        self.shared_disk_bytes = engine.shared_disk_bytes
        self._path = state_dir / "runs.db"
        self._survey_every_s = survey_every_s
        self._changing = asyncio.Lock()
        self._seen: list[Seen] = []
        self._due = asyncio.Event()  # something was observed, or a survey is asked for
        self._survey_due = False
        self._graced: dict[str, float] = {}  # when the grace of a stop is over, by run id
        self._nodes: list[Node] | None = None
        self._node_version = 0
        self._worker: asyncio.Task[None] | None = None

    # -- PoolBackend --------------------------------------------------------------------------------------------

    async def start(self, events: EventSink) -> None:
        self._events = events
        self._table = await asyncio.to_thread(RunTable, self._path, self.capabilities.remembered_runs)
        try:
            await self.engine.open(self)
            await self._survey(is_first=True)
        except EngineUnavailable as error:
            raise OSError(str(error)) from error
        self._worker = asyncio.create_task(self._work())
        self._worker.add_done_callback(self._worker_over)

    async def close(self) -> None:
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        await self.engine.close()
        self._table.close()

    async def launch(self, launches: Sequence[Launch]) -> Sequence[RunReport | Refusal]:
        async with self._changing:
            fresh = self._fresh(launches)
            await self._intend(fresh)
        # While the engine is asked, which may take seconds for many, what is observed of others goes on.
        try:
            answers = await self.engine.submit(fresh) if fresh else ()
        except EngineUnavailable as error:
            # The intentions stay: what the engine took nevertheless is found by the next survey.
            self.gap()
            answers = [Refusal(one.run_id, RefusalCode.UNAVAILABLE, str(error)) for one in fresh]
        async with self._changing:
            given = await self._settle(answers)
            return [given.get(one.run_id) or self._known(one.run_id) for one in launches]

    async def stop(self, stops: Sequence[Stop]) -> Sequence[RunReport]:
        async with self._changing:
            rows = [self._stopped(stop) for stop in stops]
            await self._write([row for row in rows if row is not self._table.get(row.run_id)])
            self._events.publish([row.report for row in rows if row.never_launched])
        now = time.monotonic()
        self._graced.update((stop.run_id, now + stop.grace_ms / 1000) for stop in stops)
        await self._cancel(
            [
                Cancel(row.run_id, row.handle, stop.grace_ms)
                for row, stop in zip(rows, stops, strict=True)
                if row.stage is not Stage.ENDED
            ]
        )
        return [row.report for row in rows]

    async def inspect(self, run_id: str) -> RunReport | None:
        row = self._table.get(run_id)
        return row.report if row is not None and row.stage is not Stage.INTENDED else None

    async def runs(self, after: str, limit: int) -> Page[RunReport]:
        last = int(after) if after else 0
        rows = (row for row in list(self._table.after(last)) if row.stage is not Stage.INTENDED)
        return take_page(((str(row.number), row.report) for row in rows), limit)

    async def nodes(self, after: str, limit: int) -> Page[Node]:
        first = int(after) if after else 0
        if self._nodes is None or not after:
            version = self._node_version
            self._nodes = list(await self.engine.nodes())
            if version != self._node_version:
                self.nodes_changed()  # changed while it was listed: the watcher is told to ask again
        page = self._nodes[first : first + limit]
        end = first + len(page)
        return Page(page, str(end) if end < len(self._nodes) else "")

    async def logs(self, run_id: str, offset: int, follow: bool) -> AsyncIterator[bytes]:
        row = self._table.get(run_id)
        if row is None or not row.handle:
            return
        async for piece in self.engine.logs(row.handle, offset, follow):
            yield piece

    # -- for optional calls ------------------------------------------------------------------------------------

    def handle_and_report(self, run_id: str) -> tuple[str, RunReport] | None:
        """A run that the engine has, with the engine's name for it; None for others."""
        row = self._table.get(run_id)
        return (row.handle, row.report) if row is not None and row.handle else None

    async def mark_suspended(self, run_id: str, *, suspended: bool) -> RunReport:
        """Notes what the engine has just done to a known run, before it is observed."""
        async with self._changing:
            row = self._table.get(run_id)
            assert row is not None, "asked for a run that was found a moment ago"
            if row.stage is Stage.HELD and row.report.suspended != suspended:
                row = replace(row, report=replace(row.report, suspended=suspended))
                await self._write([row])
                self._events.publish([row.report])
            return row.report

    # -- Observer -----------------------------------------------------------------------------------------------

    def observed(self, seen: Sequence[Seen]) -> None:
        self._seen.extend(seen)
        self._due.set()

    def nodes_changed(self) -> None:
        self._node_version += 1
        self._events.publish((), nodes_changed=True)

    def gap(self) -> None:
        self._survey_due = True
        self._due.set()

    def failed(self, message: str) -> None:
        self._events.fail(message)

    # -- launching ----------------------------------------------------------------------------------------------

    def _fresh(self, launches: Sequence[Launch]) -> list[Launch]:
        """What the engine must be asked for, each once and in order: where room is short, the first have it."""
        fresh: dict[str, Launch] = {}
        for one in launches:
            if self._is_fresh(one.run_id):
                fresh.setdefault(one.run_id, one)
        return list(fresh.values())

    def _is_fresh(self, run_id: str) -> bool:
        """True where the engine must be asked: unknown, or intended before a crash or an unanswered call."""
        row = self._table.get(run_id)
        return row is None or (row.stage is Stage.INTENDED and not row.stopping)

    async def _intend(self, launches: Sequence[Launch]) -> None:
        new = [one for one in launches if self._table.get(one.run_id) is None]
        await self._write(
            [
                self._table.new_row(RunReport(one.run_id, RunState.STARTING, one.nodes), Stage.INTENDED)
                for one in new
            ]
        )

    async def _settle(self, answers: Sequence[Taken | Refusal]) -> dict[str, RunReport | Refusal]:
        rows: list[RunRow] = []
        refused: dict[str, RunReport | Refusal] = {}
        for answer in answers:
            row = self._table.get(answer.run_id)
            if isinstance(answer, Refusal):
                refused[answer.run_id] = answer
            elif row is not None and row.stage is Stage.INTENDED:
                report = replace(row.report, nodes=answer.nodes or row.report.nodes)
                rows.append(replace(row, report=report, stage=Stage.HELD, handle=answer.handle))
        certain = [
            run_id
            for run_id, answer in refused.items()
            if isinstance(answer, Refusal) and answer.code is not RefusalCode.UNAVAILABLE
        ]
        await self._write(rows, certain)
        self._events.publish([row.report for row in rows])
        return refused

    def _known(self, run_id: str) -> RunReport | Refusal:
        row = self._table.get(run_id)
        if row is None or row.never_launched or row.stage is Stage.INTENDED:
            text = f"{run_id}: 启动前已被停止，不再启动 / was stopped before this launch came, and is not launched"
            return Refusal(run_id, RefusalCode.FAILED_PRECONDITION, text)
        return row.report

    # -- stopping -----------------------------------------------------------------------------------------------

    def _stopped(self, stop: Stop) -> RunRow:
        """The row as the stop leaves it: the same object where it changes nothing."""
        row = self._table.get(stop.run_id)
        if row is None:
            report = RunReport(
                stop.run_id,
                RunState.STOPPED,
                message=stop.why or "启动前已停止 / stopped before it was launched",
                ended_ms=_now_ms(),
            )
            return self._table.new_row(report, Stage.ENDED)
        if row.stage is Stage.ENDED or row.stopping:
            return row
        return replace(row, stopping=True, why=stop.why)

    async def _cancel(self, cancels: Sequence[Cancel]) -> None:
        if not cancels:
            return
        try:
            await self.engine.cancel(cancels)
        except EngineUnavailable:
            self.gap()  # that they are to end is on disk: every survey asks again

    # -- observing ----------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        """Writes and reports what was observed; surveys when a gap was said, and from time to time."""
        next_survey = time.monotonic() + self._survey_every_s
        while True:
            try:
                async with asyncio.timeout(max(0.0, next_survey - time.monotonic())):
                    await self._due.wait()
            except TimeoutError:
                self._survey_due = True
            self._due.clear()
            seen, self._seen = self._seen, []
            async with self._changing:
                await self._record(seen)
            if self._survey_due:
                self._survey_due = False
                next_survey = time.monotonic() + self._survey_every_s
                try:
                    await self._survey()
                except EngineUnavailable:
                    self._survey_due = True
                    next_survey = time.monotonic() + _RETRY_S
            await asyncio.sleep(_GATHER_S)

    async def _survey(self, *, is_first: bool = False) -> None:
        # A run that the engine is only being asked to take may be missing from what it lists.
        asked = {row.run_id for row in self._table.active() if row.stage is Stage.HELD or row.stopping or is_first}
        seen = await self.engine.survey()
        async with self._changing:
            await self._adopt(seen)
            await self._record(seen)
            found = {one.report.run_id for one in seen}
            missing = [row for row in self._table.active() if row.run_id in asked and row.run_id not in found]
            gone = [row for row in missing if row.stage is Stage.HELD or row.stopping]
            # Nobody was told that these runs exist, and they do not. While the adapter runs, an unanswered call
            # may still arrive at the engine: then they are kept until the next start.
            never = [row.run_id for row in missing if row.stage is Stage.INTENDED and not row.stopping]
            recalled = await self.engine.recall({row.run_id: row.handle for row in gone if row.handle})
            await self._record(recalled)
            known = {one.report.run_id for one in recalled}
            gone = [row for row in gone if row.run_id not in known]
            await self._end_missing(gone, never if is_first else ())
            owed = [*self._owed_stops(), *self._outlived(seen)]
        await self._cancel(owed)

    async def _adopt(self, seen: Sequence[Seen]) -> None:
        """Active runs of this pool that the table has lost: they are listed again, and their owner decides."""
        unknown = {
            one.report.run_id: one
            for one in seen
            if not one.report.state.is_final and self._table.get(one.report.run_id) is None
        }
        rows = [
            replace(self._table.new_row(one.report, Stage.HELD), handle=one.handle) for one in unknown.values()
        ]
        await self._write(rows)
        self._events.publish([row.report for row in rows])

    def _owed_stops(self) -> list[Cancel]:
        """Of runs that are to end and whose grace is over, or was given by an adapter before this one."""
        now = time.monotonic()
        stopping = [row for row in self._table.active() if row.stopping]
        self._graced = {row.run_id: self._graced.get(row.run_id, now) for row in stopping}
        return [Cancel(row.run_id, row.handle, 0) for row in stopping if self._graced[row.run_id] <= now]

    def _outlived(self, seen: Sequence[Seen]) -> list[Cancel]:
        """Runs that this adapter has reported as ended, and that run: nobody owns them any more."""
        return [
            Cancel(one.report.run_id, one.handle, 0)
            for one in seen
            if not one.report.state.is_final and self._has_ended(one.report.run_id)
        ]

    def _has_ended(self, run_id: str) -> bool:
        row = self._table.get(run_id)
        return row is not None and row.stage is Stage.ENDED

    async def _end_missing(self, gone: Sequence[RunRow], never: Sequence[str]) -> None:
        text = "算力池中已没有此运行，结果未知 / the pool's engine no longer knows it: the outcome is not known"
        rows = [
            self._closed(row, RunReport(row.run_id, RunState.LOST, message=text, ended_ms=_now_ms()))
            for row in gone
        ]
        await self._write(rows, never)
        self._events.publish([row.report for row in rows])

    async def _record(self, seen: Sequence[Seen]) -> None:
        rows: dict[str, RunRow] = {}
        changes: list[RunReport] = []
        for one in seen:
            run_id = one.report.run_id
            row = rows.get(run_id) or self._table.get(run_id)
            changed = self._advanced(row, one) if row is not None else None
            if row is None or changed is None or changed is row:
                continue
            rows[run_id] = changed
            # Watchers hear of states, each once; what a run waits for meanwhile is there for who inspects it.
            if row.stage is Stage.INTENDED or _shown(changed.report) != _shown(row.report):
                changes.append(changed.report)
        await self._write(list(rows.values()))
        self._events.publish(changes)

    def _advanced(self, row: RunRow, seen: Seen) -> RunRow:
        """The row after an observation. What was observed never goes back: late news of a run change nothing."""
        report = seen.report
        if row.stage is Stage.ENDED:
            return row
        row = row if row.handle else replace(row, handle=seen.handle)
        if report.state.is_final:
            return self._closed(row, report)
        state = max(row.report.state, report.state, key=_ORDER.__getitem__)
        merged = replace(
            report,
            state=state,
            suspended=report.suspended and state is RunState.RUNNING,
            message=report.message if state is report.state else "",
            nodes=report.nodes or row.report.nodes,
            started_ms=report.started_ms or row.report.started_ms,
        )
        if merged == row.report and row.stage is Stage.HELD:
            return row
        return replace(row, report=merged, stage=Stage.HELD)

    def _closed(self, row: RunRow, report: RunReport) -> RunRow:
        """The row of a run that ended. An end that was asked for is a stop, unless the run was done before."""
        report = replace(report, started_ms=report.started_ms or row.report.started_ms)
        if row.stopping and report.state is not RunState.SUCCEEDED:
            message = row.why or "已按要求停止 / stopped as asked"
            report = replace(report, state=RunState.STOPPED, message=message)
        return ended(replace(row, handle=row.handle or row.run_id), report)

    # -- memory -------------------------------------------------------------------------------------------------

    async def _write(self, rows: Sequence[RunRow], forget: Sequence[str] = ()) -> None:
        if not rows and not forget:
            return
        try:
            await asyncio.to_thread(self._table.write, rows, forget)
        except OSError as error:
            raise BackendFailed(str(error)) from error

    def _worker_over(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._events.fail(f"{type(task.exception()).__name__}: {task.exception()}")


def _shown(report: RunReport) -> tuple[RunState, bool]:
    """What watchers are told the changes of."""
    return report.state, report.suspended


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
