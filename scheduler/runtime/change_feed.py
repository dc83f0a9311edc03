"""What watchers see: the stored events of workloads and runs, from any cursor on, without gap or repetition.

A cursor is the sequence number of an event, so a watcher may go on after a restart of anything.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from inventory.model.evolving import evolve
from inventory.model.workload import Run, RunState, WorkloadState
from inventory.store.archived import archived_until
from scheduler.access.principals import covers
from scheduler.services.ports import ChangeNotice, ChangePage, ErrorCode, RequestError, WatchFilter
from scheduler.store.documents import failure_of, run_of
from scheduler.store.projection import DEADLINE_MISSED, RUN_CHANGED, RUN_PLACED, WORKLOAD_SUBMITTED
from scheduler.store.scheduler_store import SchedulerStore
from scheduler.store.watched import WatchedEvent, labels_by_id, runs_by_id, watched_events

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
        with self._store.store.connect() as connection:
            events = watched_events(connection, cursor, PAGE)
            last = events[-1].seq if events else cursor
            seen = [event for event in events if _is_wanted(event, wanted)]
            if wanted.labels:
                labels = labels_by_id(connection, sorted({event.workload_id for event in seen}))
                seen = [event for event in seen if wanted.labels <= labels[event.workload_id].items()]
            placed = runs_by_id(connection, [one.payload["run_id"] for one in seen if one.kind == RUN_CHANGED])
        if not events:
            self._require_reached(cursor)
        return ChangePage(last, tuple(_notice(event, placed) for event in seen))

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


def _is_wanted(event: WatchedEvent, wanted: WatchFilter) -> bool:
    """Apart from labels."""
    return (
        (not wanted.workload_ids or event.workload_id in wanted.workload_ids)
        and (not wanted.within or covers(wanted.within, event.queue))
        and (not wanted.queue or event.queue == wanted.queue)
    )


def _notice(event: WatchedEvent, placed: Mapping[str, Run]) -> ChangeNotice:
    payload, about = event.payload, (event.workload_id, event.queue)
    if event.kind == RUN_PLACED:
        return ChangeNotice(*about, WorkloadState.ACTIVE, event.recorded_ms, run_of(payload))
    if event.kind == RUN_CHANGED:
        run = evolve(
            placed[payload["run_id"]],
            state=RunState(payload["state"]),
            exit_code=payload["exit_code"],
            message=payload["message"],
            started_ms=payload["started_ms"],
            ended_ms=payload["ended_ms"],
            failure=failure_of(payload),
        )
        # The workload's own change, if the run brought one, is the next event.
        return ChangeNotice(*about, None, event.recorded_ms, run, run.message)
    if event.kind == DEADLINE_MISSED:
        text = "未在期限前完成 / it was not finished by its deadline"
        return ChangeNotice(*about, None, event.recorded_ms, None, text)
    message = "" if event.kind == WORKLOAD_SUBMITTED else payload["message"]
    return ChangeNotice(*about, WorkloadState(payload["state"]), event.recorded_ms, None, message)
