"""What follows from a report, a plan, or a cancellation: the decisions of a workload's life, without side effects.

The control plane calls these with the book, stores the changes that they return, and applies them. Each may be
called again with the same report: what is known already gives no change.
"""

from __future__ import annotations

from collections.abc import Sequence

from inventory.model.placement import Placement
from inventory.model.workload import RUN_TRANSITIONS, Run, RunState, Workload, WorkloadState
from scheduler.core.book import Book
from scheduler.core.changes import Change, RunChanged, RunPlaced, WorkloadChanged
from scheduler.core.failures import category, is_last, retry_message
from scheduler.core.queueing.plan import Preemption


def place(book: Book, placements: Sequence[Placement], now_ms: int) -> tuple[list[Change], frozenset[str]]:
    """The changes that make placements true, and the run ids that are refused as stale.

    Stale: the workload was cancelled or placed since the cycle took its snapshot (or by this very plan).
    """
    changes: list[Change] = []
    refused: set[str] = set()
    taken: set[str] = set()
    for placement in placements:
        workload = book.workload(placement.workload_id)
        if (
            workload is None
            or placement.workload_id in taken
            or workload.state is not WorkloadState.QUEUED
            or placement.attempt != book.attempts(placement.workload_id).runs + 1
        ):
            refused.add(placement.run_id)
            continue
        taken.add(placement.workload_id)
        run = Run(
            run_id=placement.run_id,
            workload_id=placement.workload_id,
            attempt=placement.attempt,
            pool_id=placement.pool_id,
            nodes=placement.nodes,
            state=RunState.PLACED,
            placed_ms=now_ms,
        )
        changes.append(RunPlaced(run))
        array = book.workload(workload.array_id)
        if array is not None and array.state is WorkloadState.QUEUED and array.workload_id not in taken:
            taken.add(array.workload_id)
            changes.append(WorkloadChanged(array.workload_id, WorkloadState.ACTIVE))
    return changes, frozenset(refused)


def preempt(book: Book, preemptions: Sequence[Preemption]) -> frozenset[str]:
    """Owes the victims their stops; returns the pools that have to be told. Who has ended meanwhile is no victim.

    A victim's workload is queued again when its pool reports the end (`report_run`); no attempt is counted.
    """
    pools: set[str] = set()
    for victim in preemptions:
        reason = f"为 {victim.for_workload_id} 让出资源而被抢占 / preempted for {victim.for_workload_id}"
        pool_id = book.preempt(victim.run_id, reason)
        if pool_id is not None:
            pools.add(pool_id)
    return frozenset(pools)


def report_run(book: Book, reported: RunChanged) -> list[Change]:
    """The changes that follow from a pool's report on one run; none when it tells nothing new.

    A report that goes backwards (running, then starting) is old news that came late and is ignored: pools send
    changes in order on one stream, but the answer to a launch may be overtaken by it.
    """
    run = book.run(reported.run_id)
    if run is None and reported.state.is_final:
        book.lost_runs.ended(reported.run_id)
    if run is None or reported.state not in RUN_TRANSITIONS[run.state]:
        return []
    reason = book.preempted_for(reported.run_id)
    if reason is not None and reported.state is RunState.STOPPED:
        reported = reported._replace(state=RunState.PREEMPTED, message=reason)
    workload = book.workload(run.workload_id)
    assert workload is not None  # a live run keeps its workload in the book
    if reported.state is RunState.FAILED:
        reported = reported._replace(failure=category(workload, reported, run.started_ms))
    changes: list[Change] = [reported]
    if reported.state.is_final and not workload.state.is_final:
        changes += _after_run_ended(book, workload, reported)
    return changes


def resume(book: Book, workload: Workload, original: RunChanged) -> list[Change]:
    """A queued workload whose lost run lives, or has succeeded unheard: that run is its live run again."""
    text = "算力池恢复联系，原运行继续 / its pool is heard again: the original run goes on"
    state = RunState.RUNNING if original.state.is_final else original.state
    back = original._replace(state=state, message=text, exit_code=None, ended_ms=None, returned=True)
    changes: list[Change] = [WorkloadChanged(workload.workload_id, WorkloadState.ACTIVE, text), back]
    if original.state.is_final:
        changes += [original, *_after_run_ended(book, workload, original)]
    return changes


def _after_run_ended(book: Book, workload: Workload, ended: RunChanged) -> list[Change]:
    original = book.lost_runs.waiting(workload.workload_id)
    if original is not None and original.run_id != ended.run_id:
        lost = book.lost_runs.get(original.run_id)
        if ended.state is not RunState.SUCCEEDED and lost is not None:
            queued = WorkloadChanged(workload.workload_id, WorkloadState.QUEUED, ended.message)
            return [queued, *resume(book, workload, original)]
        if lost is not None and not original.state.is_final:
            book.lost_runs.stray(lost.pool_id, lost.run_id)
    if ended.state is RunState.SUCCEEDED:
        return [
            WorkloadChanged(workload.workload_id, WorkloadState.SUCCEEDED),
            *_release_waiters(book, workload.workload_id),
            *_after_element(book, workload, WorkloadState.SUCCEEDED),
        ]
    if ended.state is RunState.FAILED:
        failures = book.attempts(workload.workload_id).failures
        if is_last(workload, failures, ended):
            message = ended.message or f"exit code {ended.exit_code}"
            return fail_workload(book, workload.workload_id, message)
        message = retry_message(workload, failures, ended)
        return [WorkloadChanged(workload.workload_id, WorkloadState.QUEUED, message)]
    # Stopped by a drain, preempted or lost: none of it is the end of the workload, nor is it counted.
    return [WorkloadChanged(workload.workload_id, WorkloadState.QUEUED, ended.message)]


def _release_waiters(book: Book, succeeded_id: str) -> list[Change]:
    """Waiters whose other predecessors are done too become queued.

    A predecessor that is no longer in the book has succeeded: had it failed, its waiters had failed with it.
    """
    released: list[Change] = []
    for waiter_id in book.waiters_on(succeeded_id):
        waiter = book.workload(waiter_id)
        assert waiter is not None
        others = (book.workload(awaited) for awaited in waiter.after if awaited != succeeded_id)
        if all(other is None or other.state is WorkloadState.SUCCEEDED for other in others):
            released.append(WorkloadChanged(waiter_id, WorkloadState.QUEUED))
            progress = book.arrays.of(waiter_id)
            turn = progress.first_turn if progress is not None else ()
            released += [WorkloadChanged(element_id, WorkloadState.QUEUED) for element_id in turn]
    return released


def _after_element(book: Book, ended: Workload, state: WorkloadState) -> list[Change]:
    """What the end of a workload means for its array, if it has one: the next element's turn, or the array's end."""
    array, progress = book.workload(ended.array_id), book.arrays.of(ended.array_id)
    if array is None or progress is None or array.state.is_final:
        return []
    own = progress.end_with(state)
    if own is None:
        turn = next((one for one in progress.waiting_turn if one != ended.workload_id), None)
        was_under_way = ended.state is not WorkloadState.SUBMITTED
        return [WorkloadChanged(turn, WorkloadState.QUEUED)] if turn is not None and was_under_way else []
    last, message = own
    if last is WorkloadState.SUCCEEDED:
        return [WorkloadChanged(array.workload_id, last), *_release_waiters(book, array.workload_id)]
    return _end_with_waiters(book, array.workload_id, last, message, frozenset({ended.workload_id}))


def fail_workload(book: Book, workload_id: str, message: str) -> list[Change]:
    """A workload that fails takes with it whatever waits for it, directly or through others."""
    return _end_with_waiters(book, workload_id, WorkloadState.FAILED, message)


def cancel(book: Book, workload_id: str, reason: str) -> list[Change]:
    """The workload is cancelled at once; its run, if any, is owed a stop (`Book.stops_owed`). An array is cancelled with
    all its elements.

    No change when it is finished already.
    """
    workload = book.workload(workload_id)
    if workload is None or workload.state.is_final:
        return []
    return _end_with_waiters(book, workload_id, WorkloadState.CANCELLED, reason)


def _end_with_waiters(
    book: Book, workload_id: str, state: WorkloadState, message: str, over: frozenset[str] = frozenset()
) -> list[Change]:
    """Ends a workload, the elements of an array with it, and fails whatever waits for any of them; not those `over`."""
    changes: list[Change] = []
    ended = set(over)
    frontier = [(workload_id, state, message)]
    while frontier:
        ending_id, its_state, why = frontier.pop()
        if ending_id in ended:
            continue
        ended.add(ending_id)
        changes.append(WorkloadChanged(ending_id, its_state, why))
        progress = book.arrays.of(ending_id)
        if progress is not None:
            text = f"数组 {ending_id} 已结束 / its array {ending_id} is {its_state}"
            frontier += [(one, its_state, text) for one in progress.open_ids if one not in ended]
        for waiter_id in book.waiters_on(ending_id):
            text = f"{ending_id} 未成功，它在等待其完成 / {ending_id}, for which it waited, is {its_state}"
            frontier.append((waiter_id, WorkloadState.FAILED, text))
    first = book.workload(workload_id)
    if first is not None and first.array_id not in ended:
        changes += _after_element(book, first, state)
    return changes


def reconcile(book: Book, pool_id: str, remembered: frozenset[str], now_ms: int) -> list[Change]:
    """Runs that were acknowledged by a pool which no longer remembers them are lost.

    `remembered` are the run ids that the pool's full listing names. Runs that are only placed are not lost:
    their launch is still owed and is sent again.
    """
    changes: list[Change] = []
    for run in book.runs_on(pool_id):
        acknowledged = run.state in (RunState.STARTING, RunState.RUNNING)
        if acknowledged and run.run_id not in remembered:
            text = f"算力池 {pool_id} 不再记得该运行 / pool {pool_id} no longer remembers this run"
            changes += report_run(book, RunChanged(run.run_id, RunState.LOST, message=text, ended_ms=now_ms))
    return changes
