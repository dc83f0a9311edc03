"""What watchers see: the stored events of workloads and runs, from any cursor on, without gap or repetition.

A cursor is the sequence number of an event, so a watcher may go on after a restart of anything.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from inventory.model.workload import Run, RunState, WorkloadState
from inventory.store.archived import archived_until
from inventory.store.chain import Event
from scheduler.access.principals import covers
from scheduler.services.ports import ChangeNotice, ChangePage, ErrorCode, RequestError, WatchFilter
from scheduler.store.documents import failure_of, run_of
from scheduler.store.projection import DEADLINE_MISSED, RUN_CHANGED, RUN_PLACED, WORKLOAD_SUBMITTED
from scheduler.store.scheduler_store import SchedulerStore

PAGE = 500
LOOK_AGAIN_S = 60.0


class ChangeFeed:
    def __init__(self, store: SchedulerStore) -> None:
        self._store = store
        self._committed = asyncio.Event()
        self._archived_until = 0
        self._look_again_s = 0.0

    def notify(self) -> None:
        """Something was committed. Called on the event loop."""
        self._committed.set()
        self._committed = asyncio.Event()

    async def changes(self, cursor: int | None, wanted: WatchFilter, wait_ms: int) -> ChangePage:
        """Changes after `cursor`, at most a page; empty, with an advanced cursor, when none came in time.

        RequestError FAILED_PRECONDITION for a cursor that lies beyond the end: the database is another one.
        """
        if cursor is None:
            head = await asyncio.to_thread(self._store.store.head)
            return ChangePage(head.seq)
        deadline = asyncio.get_running_loop().time() + wait_ms / 1000
        while True:
            committed = self._committed
            page = await asyncio.to_thread(self._read, cursor, wanted)
            remaining = deadline - asyncio.get_running_loop().time()
            if page.notices or remaining <= 0:
                return page
            if page.cursor == cursor:
                try:
                    async with asyncio.timeout(remaining):
                        await committed.wait()
                except TimeoutError:
                    return page
            cursor = page.cursor

    def _read(self, cursor: int, wanted: WatchFilter) -> ChangePage:
        self._require_kept(cursor)
        events = self._store.watched_events(cursor, PAGE)
        if not events:
            self._require_reached(cursor)
            return ChangePage(cursor)
        last = events[-1].seq
        if wanted.workload_ids:
            events = tuple(event for event in events if event.subject in wanted.workload_ids)
        queues = self._store.queues_of(sorted({event.subject for event in events}))
        if wanted.labels:
            labels = self._store.labels_of(sorted({event.subject for event in events}))
            events = tuple(event for event in events if wanted.labels <= labels[event.subject].items())
        if wanted.within:
            events = tuple(event for event in events if covers(wanted.within, queues[event.subject]))
        if wanted.queue:
            events = tuple(event for event in events if queues[event.subject] == wanted.queue)
        return ChangePage(last, self._notices(events, queues))

    def _require_kept(self, cursor: int) -> None:
        """What is archived is days old, so it is enough to look now and then how far that goes."""
        if time.monotonic() >= self._look_again_s:
            with self._store.store.connect() as connection:
                self._archived_until = archived_until(connection)
            self._look_again_s = time.monotonic() + LOOK_AGAIN_S
        if cursor < self._archived_until:
            raise RequestError(
                ErrorCode.FAILED_PRECONDITION,
                f"游标 {cursor} 之后的部分事件已归档（至 {self._archived_until}）；请重新列出，再不带游标订阅 / "
                f"events after cursor {cursor} were archived (up to {self._archived_until}): list, then watch without a "
                "cursor",
                "CURSOR_EXPIRED",
            )

    def _require_reached(self, cursor: int) -> None:
        end = self._store.store.head().seq
        if cursor > end:
            raise RequestError(
                ErrorCode.FAILED_PRECONDITION,
                f"游标 {cursor} 超出最后一个事件 {end}：数据库已更换或已恢复到更早的备份；请重新列出后再订阅 / "
                f"cursor {cursor} lies beyond the last event, {end}: the database was replaced or restored; list, "
                "then watch without a cursor",
                "CURSOR_EXPIRED",
            )

    def _notices(self, events: Sequence[Event], queues: Mapping[str, str]) -> tuple[ChangeNotice, ...]:
        changed = [event.payload["run_id"] for event in events if event.kind == RUN_CHANGED]
        placed = self._store.runs(changed)
        return tuple(_notice(event, queues[event.subject], placed) for event in events)


def _notice(event: Event, queue: str, placed: Mapping[str, Run]) -> ChangeNotice:
    payload = event.payload
    if event.kind == RUN_PLACED:
        return ChangeNotice(event.subject, queue, WorkloadState.ACTIVE, event.recorded_ms, run_of(payload))
    if event.kind == RUN_CHANGED:
        base = placed[payload["run_id"]]
        run = Run(
            run_id=base.run_id,
            workload_id=base.workload_id,
            attempt=base.attempt,
            pool_id=base.pool_id,
            nodes=base.nodes,
            state=RunState(payload["state"]),
            exit_code=payload["exit_code"],
            message=payload["message"],
            placed_ms=base.placed_ms,
            started_ms=payload["started_ms"],
            ended_ms=payload["ended_ms"],
            failure=failure_of(payload),
        )
        # The workload's own change, if the run brought one, is the next event.
        return ChangeNotice(event.subject, queue, None, event.recorded_ms, run, run.message)
    if event.kind == DEADLINE_MISSED:
        text = "未在期限前完成 / it was not finished by its deadline"
        return ChangeNotice(event.subject, queue, None, event.recorded_ms, None, text)
    message = "" if event.kind == WORKLOAD_SUBMITTED else payload["message"]
    return ChangeNotice(event.subject, queue, WorkloadState(payload["state"]), event.recorded_ms, None, message)
