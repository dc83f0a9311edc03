"""What follows when a pool is not heard for long, and when it is heard again: at most one run of a workload counts.

The control plane asks with what its pool hosts report. `inventory.model.partition` says what a workload may state;
a run that was given up and proves alive is stopped, except where the policy lets it go on.
"""

from __future__ import annotations

from inventory.model.partition import OnDisconnect, OnReconnect
from inventory.model.workload import Run, RunState, Workload, WorkloadState
from scheduler.core.book import Book
from scheduler.core.changes import Change, RunChanged
from scheduler.core.lifecycle import report_run, resume


def lose_unheard(book: Book, pool_id: str, unheard_ms: int, ending_ms: int, now_ms: int) -> list[Change]:
    """Runs that were unheard of for as long as their workloads state are lost.

    Those that the pool stops by itself are lost `ending_ms` later: so long it may take them to end.
    """
    changes: list[Change] = []
    # Every report asks, and mostly the pool is heard: its runs, which are many, are not looked at then.
    for run in book.runs_on(pool_id) if unheard_ms else ():
        workload = book.workload(run.workload_id)
        assert workload is not None  # a live run keeps its workload in the book
        policy = workload.partition
        patience_ms = policy.lost_after_ms + (ending_ms if policy.on_disconnect is OnDisconnect.STOP else 0)
        if policy.lost_after_ms and patience_ms <= unheard_ms:
            text = (
                f"算力池 {pool_id} 失联 {unheard_ms // 1000} 秒，该运行视为丢失 / pool {pool_id} has not been heard for "
                f"{unheard_ms // 1000} s: the run is taken as lost"
            )
            changes += report_run(book, RunChanged(run.run_id, RunState.LOST, message=text, ended_ms=now_ms))
    return changes


def hear(book: Book, pool_id: str, reported: RunChanged) -> list[Change]:
    """The changes that follow from what a pool's listing or stream says of one run, one that was given up too.

    Not for answers to launches: an answer may be overtaken by the run's end, and would seem to bring it to life.
    """
    if book.run(reported.run_id) is not None:
        return report_run(book, reported)
    run = book.lost_runs.get(reported.run_id)
    workload = book.workload(reported.run_id.rpartition(".")[0])
    if run is None or workload is None or workload.state.is_final:
        if reported.state.is_final:
            book.lost_runs.ended(reported.run_id)
        else:
            book.lost_runs.stray(pool_id, reported.run_id)
        return []
    if reported.state.is_final and reported.state is not RunState.SUCCEEDED:
        book.lost_runs.ended(reported.run_id)
        return []
    return _returned(book, workload, run, reported)


def _returned(book: Book, workload: Workload, run: Run, reported: RunChanged) -> list[Change]:
    """A lost run lives, or has succeeded unheard."""
    live = book.live_run_of(workload.workload_id)
    if workload.partition.on_disconnect is OnDisconnect.STOP and not reported.state.is_final:
        book.lost_runs.stray(run.pool_id, run.run_id)  # the pool was asked to stop it; now we see to it
        return []
    if live is None and workload.state is WorkloadState.QUEUED:
        return resume(book, workload, reported)
    if (
        live is None
        or live.attempt < run.attempt
        or workload.partition.on_reconnect is OnReconnect.KEEP_REPLACEMENT
    ):
        _give_up(book, run, reported)
        return []
    before = book.lost_runs.waiting(workload.workload_id)
    other = None if before is None else book.lost_runs.get(before.run_id)
    if before is not None and other is not None and other.attempt < run.attempt:
        _give_up(book, run, reported)
        return []
    book.lost_runs.wait(workload.workload_id, reported)
    if before is not None and other is not None and other.run_id != run.run_id:
        _give_up(book, other, before)
    text = f"原运行 {run.run_id} 已恢复联系，替代运行停止 / the original {run.run_id} is heard again: its replacement is stopped"
    book.preempt(live.run_id, text)
    book.lost_runs.wake(live.pool_id)
    return []


def _give_up(book: Book, run: Run, reported: RunChanged) -> None:
    if reported.state.is_final:
        book.lost_runs.ended(run.run_id)
    else:
        book.lost_runs.stray(run.pool_id, run.run_id)
