"""Where a workload stands by itself, pools aside: what `explain` says before it speaks of pools.

A workload that waits for others, for its turn or for the end of a pause is not told what pools lack; one that runs or has
ended has nothing to wait for. Read from the book, in Chinese and English.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from inventory.model.workload import Run, RunState, Workload, WorkloadState
from scheduler.core.book import Book
from scheduler.core.placement.explain import Standing

_CHINA = timezone(timedelta(hours=8))
_SHOWN = 5
_STATES = {
    WorkloadState.SUBMITTED: ("等待中", "submitted"),
    WorkloadState.QUEUED: ("排队中", "queued"),
    WorkloadState.ACTIVE: ("运行中", "active"),
    WorkloadState.SUCCEEDED: ("已成功", "succeeded"),
    WorkloadState.FAILED: ("已失败", "failed"),
    WorkloadState.CANCELLED: ("已取消", "cancelled"),
}


def standing(book: Book, workload: Workload, run: Run | None) -> Standing | None:
    """`run` is its last run. None where it waits for a place, and nothing else is to be said."""
    if workload.state.is_final:
        zh, en = _STATES[workload.state]
        told = f"：{workload.message}" if workload.message else ""
        return Standing(f"{zh}，无需等待{told}", f"it has {en}: nothing to wait for", False)
    if workload.array is not None:
        return _of_array(book, workload)
    if workload.state is WorkloadState.SUBMITTED:
        return _for_others(book, workload)
    if workload.state is WorkloadState.ACTIVE and run is not None:
        return _running(run)
    return _resting(book, workload)


def due(finish_by_ms: int, soonest_ms: int) -> Standing:
    """When it must have finished, and whether it still can: `soonest_ms` is when it would end if it began now."""
    at = _clock(finish_by_ms)
    if soonest_ms <= finish_by_ms:
        return Standing(f"须在 {at} 前完成", f"it is due by {at}", True)
    soonest = _clock(soonest_ms)
    return Standing(
        f"须在 {at} 前完成，已赶不上：现在开始也要到 {soonest} 才结束",
        f"it is due by {at}, which it can no longer make: begun now it would end at {soonest}",
        True,
    )


def _for_others(book: Book, workload: Workload) -> Standing | None:
    progress = book.arrays.of(workload.array_id) if workload.array_id else None
    if progress is not None:
        most = progress.array.max_parallel
        return Standing(
            f"等待轮次：数组 {workload.array_id} 同时至多 {most} 个元素",
            f"it waits for its turn: array {workload.array_id} has at most {most} elements under way at once",
            True,
        )
    awaited = [one for name in workload.after if (one := book.workload(name)) is not None]
    if not awaited:
        return None
    shown = awaited[:_SHOWN]
    zh = "、".join(f"{one.workload_id}（{_STATES[one.state][0]}）" for one in shown)
    en = ", ".join(f"{one.workload_id} ({_STATES[one.state][1]})" for one in shown)
    rest = len(awaited) - len(shown)
    more = (f" 等 {len(awaited)} 个作业", f" and {rest} more") if rest else ("", "")
    return Standing(f"等待这些作业成功：{zh}{more[0]}", f"it waits for these to succeed: {en}{more[1]}", True)


def _running(run: Run) -> Standing:
    nodes = ", ".join(run.nodes[:_SHOWN]) + ("…" if len(run.nodes) > _SHOWN else "")
    if run.state is RunState.RUNNING and run.started_ms is not None:
        since = _clock(run.started_ms)
        return Standing(
            f"自 {since} 起在 {run.pool_id}（{nodes}）运行，无需等待",
            f"it has been running in {run.pool_id} ({nodes}) since {since}: nothing to wait for",
            False,
        )
    return Standing(
        f"已放置到 {run.pool_id}（{nodes}），正在启动",
        f"it was placed in {run.pool_id} ({nodes}) and is being started",
        False,
    )


def _resting(book: Book, workload: Workload) -> Standing | None:
    """After a failed run it may not be placed before its pause is over."""
    until_ms = book.due.resting.get(workload.workload_id)
    if until_ms is None:
        return None
    at = _clock(until_ms)
    return Standing(f"上次运行失败，{at} 后再试", f"its last run failed: it is tried again after {at}", True)


def _of_array(book: Book, workload: Workload) -> Standing | None:
    progress = book.arrays.of(workload.workload_id)
    if progress is None or workload.state is WorkloadState.SUBMITTED:
        return _for_others(book, workload)
    queued = [one for one in progress.under_way if one in book.tables.waiting]
    running, later, ended = (
        len(progress.under_way) - len(queued),
        len(progress.waiting_turn),
        progress.ended.total(),
    )
    return Standing(
        f"数组共 {progress.array.count} 个元素：{running} 个运行中，{len(queued)} 个等待资源，{later} 个等待轮次，"
        f"{ended} 个已结束",
        f"of its {progress.array.count} elements {running} run, {len(queued)} wait for room, {later} for their turn, "
        f"{ended} have ended",
        bool(queued),
    )


def _clock(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).astimezone(_CHINA).strftime("%m-%d %H:%M:%S")
