"""The ports of the services in memory: what a control plane promises, without Ray, pools or time.

`MemoryScheduling` admits with the real core and remembers everything; tests decide when a workload ends and what
fails next. `Awaitable` is a desk with its methods made awaitable, as the control plane makes them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from inventory.model.maintenance import Maintenance
from inventory.model.placement import PoolOpinion, Reason, ReasonCode
from inventory.model.pool import Pool
from inventory.model.workload import Run, RunState, Submission, Workload, WorkloadState
from scheduler.access.principals import covers
from scheduler.core.admission import Known, Outcome, admit
from scheduler.core.book import Book
from scheduler.core.changes import WorkloadSubmitted
from scheduler.core.placement.explain import Explanation, explain_opinions
from scheduler.services.outlooks import Outlook, Warned
from scheduler.services.ports import (
    ArrayPlacement,
    ChangeNotice,
    ChangePage,
    DryRunPlacement,
    ErrorCode,
    LogSource,
    PoolStatus,
    RequestError,
    WatchFilter,
    WorkloadPage,
    WorkloadRecord,
)
from scheduler.store.projection import draft_of
from scheduler.store.scheduler_store import Batch, SchedulerStore

LATE = Warned("deadline", "太晚", "too late")
NOW_MS = 1_767_225_600_000  # 2026-01-01 in UTC


class MemoryScheduling:
    """`store`, when given, also gets the submissions and their ends, so that a migration desk can see them."""

    def __init__(self, store: SchedulerStore | None = None) -> None:
        self.fails: list[Exception] = []
        self.log_endpoint = "127.0.0.1:1"
        self.watches = 0
        self.outlooks: dict[str, Outlook] = {}
        refusal = Reason(ReasonCode.ZONE, "政务内网", "政务外网", "改到政务外网", "ask for 政务外网")
        self.opinions = [PoolOpinion("pool-a", (refusal,)), PoolOpinion("pool-b", (), (("price", 80),), 80)]
        self._store = store
        self._book = Book()
        self._records: dict[str, WorkloadRecord] = {}
        self._notices: list[ChangeNotice] = []
        self._pools: dict[str, PoolStatus] = {}

    # What tests do to it

    def end(self, workload_id: str, state: WorkloadState, exit_code: int = 0, message: str = "") -> None:
        """One run takes place, and the workload ends."""
        record = self._records[workload_id]
        run_state = RunState.SUCCEEDED if state is WorkloadState.SUCCEEDED else RunState.FAILED
        run = Run(f"{workload_id}.1", workload_id, 1, "pool-a", ("node-1",), run_state, exit_code, message)
        timed = replace(run, placed_ms=NOW_MS, started_ms=NOW_MS + 1000, ended_ms=NOW_MS + 2000)
        workload = replace(record.workload, state=state, message=message)
        self._records[workload_id] = WorkloadRecord(workload, (timed,))
        self._notices.append(ChangeNotice(workload_id, workload.queue, state, NOW_MS + 2000, timed, message))

    def open_ids(self) -> list[str]:
        return [key for key, record in self._records.items() if not record.workload.state.is_final]

    # The port

    async def submit(self, submissions: Sequence[Submission]) -> list[Outcome]:
        self._fail()
        known = Known(
            {(one.workload.queue, one.workload.client_key): one.workload for one in self._records.values()},
            {one.workload.workload_id: one.workload for one in self._records.values()},
        )
        outcomes, changes = admit(self._book, known, submissions, self._new_id, NOW_MS)
        self._book.apply(changes)
        for change in changes:
            if isinstance(change, WorkloadSubmitted):
                self._enter(change.workload)
        if self._store is not None and changes:
            self._store.record(Batch([draft_of(change) for change in changes]), actor="memory", now_ms=NOW_MS)
        return outcomes

    def _new_id(self) -> str:
        self._last = getattr(self, "_last", 0) + 1
        return f"w-{self._last}"

    def _enter(self, workload: Workload) -> None:
        self._records[workload.workload_id] = WorkloadRecord(workload)
        self._notices.append(ChangeNotice(workload.workload_id, workload.queue, workload.state, NOW_MS))

    async def get(self, workload_id: str) -> WorkloadRecord:
        self._fail()
        if workload_id not in self._records:
            raise RequestError(ErrorCode.NOT_FOUND, f"没有作业 {workload_id} / no workload {workload_id}")
        return self._records[workload_id]

    async def list_workloads(
        self,
        queue: str,
        states: frozenset[WorkloadState],
        page_size: int,
        page_token: str,
        array_id: str = "",
        within: tuple[str, ...] = (),
    ) -> WorkloadPage:
        self._fail()
        chosen = [
            record
            for record in self._records.values()
            if (not queue or record.workload.queue == queue)
            and (not within or covers(within, record.workload.queue))
            and (not states or record.workload.state in states)
        ]
        start = int(page_token or 0)
        following = str(start + page_size) if start + page_size < len(chosen) else ""
        return WorkloadPage(tuple(chosen[start : start + page_size]), following)

    async def changes(self, cursor: int | None, wanted: WatchFilter, wait_ms: int) -> ChangePage:
        self._fail()
        if cursor is None:
            self.watches += 1
            return ChangePage(len(self._notices))
        for _ in range(max(1, min(wait_ms, 500) // 10)):
            if len(self._notices) > cursor:
                break
            await asyncio.sleep(0.01)
        fresh = tuple(
            notice
            for notice in self._notices[cursor:]
            if (not wanted.workload_ids or notice.workload_id in wanted.workload_ids)
            and (not wanted.queue or notice.queue == wanted.queue)
            and (not wanted.within or covers(wanted.within, notice.queue))
        )
        return ChangePage(len(self._notices), fresh)

    async def cancel(self, workload_id: str, reason: str) -> WorkloadRecord:
        record = await self.get(workload_id)
        if record.workload.state in (WorkloadState.SUCCEEDED, WorkloadState.FAILED):
            raise RequestError(
                ErrorCode.FAILED_PRECONDITION,
                f"{workload_id} 已结束，不能取消 / has ended and cannot be cancelled",
                "ENDED",
            )
        if not record.workload.state.is_final:
            self.end(workload_id, WorkloadState.CANCELLED, message=reason)
        return self._records[workload_id]

    async def explain(self, workload_id: str) -> Explanation:
        await self.get(workload_id)
        return explain_opinions(workload_id, self.opinions)

    async def outlook(self, workload_id: str, with_changes: bool) -> Outlook:
        await self.get(workload_id)
        return self.outlooks.get(workload_id, Outlook())

    async def warnings(self, workload_ids: Sequence[str]) -> Mapping[str, Warned]:
        return {one: LATE for one in workload_ids if self._records[one].workload.finish_by_ms < NOW_MS}

    async def dry_run(self, submissions: Sequence[Submission]) -> list[DryRunPlacement]:
        self._fail()
        return [
            DryRunPlacement("", (), explain_opinions("w-0", self.opinions), 0.0)
            if submission.priority == 0
            else DryRunPlacement(
                "pool-b",
                ("node-1",),
                explain_opinions("w-0", self.opinions),
                1.5,
                array=ArrayPlacement((("pool-b", 2),), 1, 3) if submission.array else None,
            )
            for submission in submissions
        ]

    async def log_source(self, workload_id: str, attempt: int) -> LogSource:
        record = await self.get(workload_id)
        if not record.runs:
            raise RequestError(ErrorCode.NOT_FOUND, f"作业 {workload_id} 还没有运行 / has no run yet")
        return LogSource(record.runs[-1].run_id, self.log_endpoint)

    async def pools(self) -> tuple[PoolStatus, ...]:
        self._fail()
        return tuple(self._pools.values())

    async def register_pool(self, pool: Pool, endpoint: str) -> PoolStatus:
        self._pools[pool.pool_id] = PoolStatus(pool, endpoint)
        return self._pools[pool.pool_id]

    async def cordon_pool(self, pool_id: str, cordoned: bool, reason: str) -> PoolStatus:
        self._pools[pool_id] = replace(self._pool(pool_id), cordoned=cordoned, draining=False)
        return self._pools[pool_id]

    async def maintain_pool(self, pool_id: str, windows: Sequence[Maintenance]) -> PoolStatus:
        self._pools[pool_id] = replace(self._pool(pool_id), maintenance=tuple(windows))
        return self._pools[pool_id]

    async def leave_pool(self, pool_id: str, reason: str) -> None:
        self._pools.pop(pool_id, None)

    async def drain_pool(
        self, pool_id: str, reason: str, deadline_ms: int = 0
    ) -> tuple[PoolStatus, tuple[str, ...]]:
        self._pools[pool_id] = replace(self._pool(pool_id), cordoned=True, draining=True)
        return self._pools[pool_id], ("w-1.1",)

    def _pool(self, pool_id: str) -> PoolStatus:
        if pool_id not in self._pools:
            raise RequestError(ErrorCode.NOT_FOUND, f"没有算力池 {pool_id} / no pool {pool_id}")
        return self._pools[pool_id]

    def _fail(self) -> None:
        if self.fails:
            raise self.fails.pop(0)


class Awaitable:
    """A desk whose methods are awaited and run on a thread."""

    def __init__(self, desk: object) -> None:
        self._desk = desk

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._desk, name)

        async def call(*arguments: Any) -> Any:
            return await asyncio.to_thread(method, *arguments)

        return call
