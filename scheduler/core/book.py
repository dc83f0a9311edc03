"""The book: every workload and run that is not finished, in memory, as the control plane knows it.

The control plane loads it from the store when it starts, asks the decision functions what follows from a call or
a report, and applies the changes here while it stores them. The scheduling cycle reads its snapshot from here.
Finished workloads leave the book, but only when their end is durable (`settle`): until then the store still says
that they go on, and whoever asks must find the truth here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from inventory.model.evolving import evolve
from inventory.model.units import Resources
from inventory.model.workload import (
    Run,
    RunState,
    Workload,
    WorkloadState,
    advance_run,
    advance_workload,
)
from scheduler.core.arrays import ArrayBoard
from scheduler.core.changes import (
    Change,
    DeadlineMissed,
    RunChanged,
    RunPlaced,
    WorkloadChanged,
    WorkloadSubmitted,
)
from scheduler.core.due_dates import DueDates
from scheduler.core.failures import Failures
from scheduler.core.history import Arrival, History
from scheduler.core.lost_runs import LostRuns
from scheduler.core.placement.protocol import Shape
from scheduler.core.queueing.reservations import Reservation
from scheduler.core.queueing.tables import QueueTables, expected_ms


@dataclass(slots=True)
class Attempts:
    """How often a workload was tried, and which of these runs failed by themselves."""

    runs: int = 0
    failures: Failures = field(default_factory=Failures)


class Book:
    """Live workloads and runs. Only `apply` changes it; it raises `IllegalTransition` on an impossible change."""

    def __init__(self, tables: QueueTables | None = None, calendar: Sequence[Reservation] = ()) -> None:
        """`tables` are empty ones over the queues as they are defined; `calendar` are their reservations."""
        self.calendar = tuple(calendar)
        self.tables = tables if tables is not None else QueueTables()
        self._latest_ms = 0  # of all that was applied: the moment of a change that does not say its own
        self._workloads: dict[str, Workload] = {}
        self._runs: dict[str, Run] = {}
        self._attempts: dict[str, Attempts] = {}
        self._ids_by_key: dict[tuple[str, str], str] = {}
        self._live_run_of: dict[str, str] = {}
        self._waiters_on: dict[str, dict[str, None]] = {}
        self._runs_on: dict[str, dict[str, None]] = {}
        # What pools are owed, by pool: read at every turn of the dispatcher, so it is kept and not searched for.
        self._placed_on: dict[str, dict[str, None]] = {}
        self._outlived_on: dict[str, dict[str, None]] = {}
        self._preempted_on: dict[str, dict[str, None]] = {}
        self._preempted: dict[str, str] = {}  # why, by run id
        self._leaving: dict[str, None] = {}
        self.lost_runs = LostRuns()
        self.arrays = ArrayBoard()
        self.due = DueDates()
        self.history = History()

    def workload(self, workload_id: str) -> Workload | None:
        return self._workloads.get(workload_id)

    def workload_by_key(self, queue: str, client_key: str) -> Workload | None:
        workload_id = self._ids_by_key.get((queue, client_key))
        return None if workload_id is None else self._workloads[workload_id]

    def run(self, run_id: str) -> Run | None:
        return self._runs.get(run_id)

    def live_run_of(self, workload_id: str) -> Run | None:
        """The run of this workload that has not ended, if there is one: there are never two."""
        run_id = self._live_run_of.get(workload_id)
        return None if run_id is None else self._runs[run_id]

    def attempts(self, workload_id: str) -> Attempts:
        return self._attempts[workload_id]

    def waiters_on(self, workload_id: str) -> tuple[str, ...]:
        """Ids of workloads that name this one in `after` and have not started."""
        return tuple(self._waiters_on.get(workload_id, ()))

    def queued(self) -> Iterator[Workload]:
        """Workloads that may be placed, in the order in which they became so. For looks at a few, not for cycles:
        those read `tables`."""
        return (self._workloads[workload_id] for workload_id in self.tables.waiting.ids())

    @property
    def queued_count(self) -> int:
        return len(self.tables.waiting)

    @property
    def live_count(self) -> int:
        return len(self._workloads)

    def runs_on(self, pool_id: str) -> tuple[Run, ...]:
        """Runs that hold resources of this pool."""
        return tuple(self._runs[run_id] for run_id in self._runs_on.get(pool_id, ()))

    def run_count_on(self, pool_id: str) -> int:
        """How many `runs_on` gives."""
        return len(self._runs_on.get(pool_id, ()))

    def usage(self) -> Mapping[str, Resources]:
        """What each queue holds now: the total requirements of its runs that have not ended. Counted afresh."""
        held: dict[str, Resources] = {}
        for run in self._runs.values():
            workload = self._workloads[run.workload_id]
            held[workload.queue] = held.get(workload.queue, Resources()) + workload.requirements.total
        return held

    def launches_owed(self, pool_id: str) -> Iterator[Run]:
        """Runs of this pool that are placed, whose launch the adapter has not acknowledged, and that shall run."""
        placed = (self._runs[run_id] for run_id in self._placed_on.get(pool_id, ()))
        return (run for run in placed if not self._workloads[run.workload_id].state.is_final)

    def stops_owed(self, pool_id: str, draining: bool) -> Iterator[Run]:
        """Runs of this pool that go on although their workload is finished, although they are preempted, or although
        the pool is drained."""
        if draining:
            owed: Iterable[str] = self._runs_on.get(pool_id, ())
        else:
            owed = {**self._outlived_on.get(pool_id, {}), **self._preempted_on.get(pool_id, {})}
        return (self._runs[run_id] for run_id in owed)

    def preempt(self, run_id: str, reason: str) -> str | None:
        """From now on this run is owed a stop; returns its pool, or None where it has ended or is stopped already.

        Not a change: a crash forgets it, the run goes on, and the next cycle decides afresh. What lasts is the end
        that its pool reports.
        """
        run = self._runs.get(run_id)
        if run is None or run_id in self._preempted or self._workloads[run.workload_id].state.is_final:
            return None
        self._preempted[run_id] = reason
        self._preempted_on.setdefault(run.pool_id, {})[run_id] = None
        row = self.tables.running.row(run_id)
        assert row is not None  # a live run is in the tables
        self.tables.running.change(run_id, row._replace(is_stopping=True))
        return run.pool_id

    def preempted_for(self, run_id: str) -> str | None:
        """Why this run is being stopped; None for a run that is not preempted."""
        return self._preempted.get(run_id)

    def take_leaving(self) -> tuple[str, ...]:
        """Ids of workloads that have finished since this was last asked; `settle` lets them go."""
        leaving = tuple(self._leaving)
        self._leaving.clear()
        return leaving

    def settle(self, leaving: Iterable[str] | None = None) -> None:
        """Lets finished workloads go, all or those that were taken. The writer calls it when what was applied up to then is
        durable."""
        for workload_id in self.take_leaving() if leaving is None else leaving:
            workload = self._workloads.pop(workload_id)
            del self._attempts[workload_id]
            del self._ids_by_key[workload.queue, workload.client_key]
            self.lost_runs.settle(workload_id)
            self.arrays.leave(workload_id)

    def load(self, workload: Workload, runs: Sequence[Run]) -> None:
        """Takes in a stored workload with all its runs, as it is. Only for a book that is made from the store."""
        self._enter(workload)
        if not runs:
            return
        attempts = self._attempts[workload.workload_id]
        self.tables.waiting.remove(workload.workload_id)
        for run in runs:
            attempts.runs = max(attempts.runs, run.attempt)
            attempts.failures.pause_ms = 0
            if run.state is RunState.FAILED:
                failed = RunChanged(run.run_id, run.state, run.exit_code, failure=run.failure)
                attempts.failures.count(workload, failed)
            if not run.state.is_final:
                self._hold(run)
            elif run.state is RunState.LOST and workload.partition.lost_after_ms:
                self.lost_runs.add(run)
        if workload.state is WorkloadState.QUEUED:
            self._queue(workload)

    def wake(self, now_ms: int) -> int:
        """Retries whose pause is over wait for a place from now on; returns how many."""
        rested = self.due.rested(now_ms)
        for workload_id in rested:
            self.due.wake(workload_id)
            self.tables.wait(self._workloads[workload_id], self._attempts[workload_id].runs + 1)
        return len(rested)

    def apply(self, changes: Iterable[Change]) -> None:
        for change in changes:
            match change:
                case WorkloadSubmitted(workload):
                    self._enter(workload)
                    self.remember_arrival(workload)
                case WorkloadChanged():
                    self._change_workload(change)
                case RunPlaced(run):
                    self._change_workload(WorkloadChanged(run.workload_id, WorkloadState.ACTIVE))
                    self._attempts[run.workload_id].runs = run.attempt
                    self._attempts[run.workload_id].failures.pause_ms = 0
                    self.history.start(run.workload_id, run.placed_ms)
                    self._hold(run)
                case RunChanged():
                    self._change_run(change)
                case DeadlineMissed(workload_id):
                    self.due.tell(workload_id)

    def remember_arrival(self, workload: Workload) -> None:
        if workload.array is None:
            length = expected_ms(workload)
            shape = self._shape(workload)
            self.history.arrive(Arrival(workload.submitted_ms, workload.queue, shape, workload.priority, length))

    def remember_end(self, workload: Workload, run: Run) -> None:
        """How long a run took that ended by itself."""
        by_itself = run.state in (RunState.SUCCEEDED, RunState.FAILED)
        if by_itself and run.started_ms is not None and run.ended_ms is not None:
            ran_ms = run.ended_ms - run.started_ms
            self.history.finish(workload.queue, self._shape(workload), expected_ms(workload), ran_ms)

    def _shape(self, workload: Workload) -> Shape:
        return self.tables.shapes.shapes[self.tables.shapes.number_of(workload)]

    def _enter(self, workload: Workload) -> None:
        self._workloads[workload.workload_id] = workload
        self._attempts[workload.workload_id] = Attempts()
        self._ids_by_key[workload.queue, workload.client_key] = workload.workload_id
        self.arrays.enter(workload)
        if workload.finish_by_ms and not workload.array_id and not workload.state.is_final:
            self.due.expect(workload.workload_id, workload.finish_by_ms)
        if workload.state is WorkloadState.QUEUED:
            self._queue(workload)
        elif workload.state is WorkloadState.SUBMITTED:
            for awaited in workload.after:
                self._waiters_on.setdefault(awaited, {})[workload.workload_id] = None

    def _queue(self, workload: Workload) -> None:
        """It may be placed; arrays never are, and who rests after a failure not yet."""
        if workload.array is not None:
            return
        attempts = self._attempts[workload.workload_id]
        if attempts.failures.pause_ms:
            self.due.rest(workload.workload_id, attempts.failures.pause_ms)
        else:
            self.tables.wait(workload, attempts.runs + 1)

    def _change_workload(self, change: WorkloadChanged) -> None:
        before = self._workloads[change.workload_id]
        after = evolve(before, state=advance_workload(before.state, change.state), message=change.message)
        self._workloads[change.workload_id] = after
        self.tables.waiting.remove(change.workload_id)
        self.due.wake(change.workload_id)
        self.arrays.change(after)
        if after.state.is_final:
            self.due.forget(change.workload_id)
        elif after.state is WorkloadState.QUEUED:
            self._queue(after)
        if before.state is WorkloadState.SUBMITTED:
            self._stop_waiting(before)
        run_id = self._live_run_of.get(change.workload_id)
        if after.state.is_final and run_id is not None:
            self._outlived_on.setdefault(self._runs[run_id].pool_id, {})[run_id] = None
        self._leave_if_finished(change.workload_id)

    def _stop_waiting(self, workload: Workload) -> None:
        for awaited in workload.after:
            waiters = self._waiters_on.get(awaited)
            if waiters is not None:
                waiters.pop(workload.workload_id, None)
                if not waiters:
                    del self._waiters_on[awaited]

    def _hold(self, run: Run) -> None:
        workload = self._workloads[run.workload_id]
        self._runs[run.run_id] = run
        self._live_run_of[run.workload_id] = run.run_id
        self._runs_on.setdefault(run.pool_id, {})[run.run_id] = None
        if run.state is RunState.PLACED:
            self._placed_on.setdefault(run.pool_id, {})[run.run_id] = None
        if workload.state.is_final:
            self._outlived_on.setdefault(run.pool_id, {})[run.run_id] = None
        self._latest_ms = max(self._latest_ms, run.placed_ms)
        # A pool whose clock is slow has started nothing before it was placed.
        began_ms = run.placed_ms if run.started_ms is None else max(run.placed_ms, run.started_ms)
        row = self.tables.run_of(workload, run.run_id, began_ms, run.pool_id)
        self.tables.start(run.pool_id, row, max(run.placed_ms, self._latest_ms))

    def _return(self, change: RunChanged) -> None:
        """The lost run is its workload's live run again."""
        lost = self.lost_runs.take(change.run_id)
        self._hold(
            evolve(
                lost,
                state=change.state,
                message=change.message,
                started_ms=change.started_ms if change.started_ms is not None else lost.started_ms,
                ended_ms=None,
            )
        )

    def _change_run(self, change: RunChanged) -> None:
        if change.returned:
            self._return(change)
            return
        before = self._runs[change.run_id]
        # Made by hand: `evolve` costs twice as much, and every run comes here three times.
        after = Run(
            before.run_id,
            before.workload_id,
            before.attempt,
            before.pool_id,
            before.nodes,
            advance_run(before.state, change.state),
            change.exit_code,
            change.message,
            before.placed_ms,
            before.started_ms if change.started_ms is None else change.started_ms,
            change.ended_ms,
            change.failure,
        )
        _drop(self._placed_on, after.pool_id, change.run_id)
        if not after.state.is_final:
            self._runs[change.run_id] = after
            if after.started_ms is not None and after.started_ms != before.started_ms:
                self._began(after)
            return
        self.remember_end(self._workloads[after.workload_id], after)
        if after.state is RunState.FAILED:
            self._attempts[after.workload_id].failures.count(self._workloads[after.workload_id], change)
        del self._runs[change.run_id], self._live_run_of[after.workload_id]
        _drop(self._runs_on, after.pool_id, change.run_id)
        _drop(self._outlived_on, after.pool_id, change.run_id)
        _drop(self._preempted_on, after.pool_id, change.run_id)
        self._preempted.pop(change.run_id, None)
        if after.state is RunState.LOST and self._workloads[after.workload_id].partition.lost_after_ms:
            self.lost_runs.add(after)
        self._latest_ms = max(self._latest_ms, after.ended_ms or 0)
        self.tables.end(change.run_id, self._latest_ms)
        self._leave_if_finished(after.workload_id)

    def _began(self, run: Run) -> None:
        """Its expected end counts from its start, not from its placing."""
        assert run.started_ms is not None
        self._latest_ms = max(self._latest_ms, run.started_ms)
        if expected_ms(self._workloads[run.workload_id]):
            self.tables.begin(run.run_id, max(run.placed_ms, run.started_ms), self._latest_ms)

    def _leave_if_finished(self, workload_id: str) -> None:
        if self._workloads[workload_id].state.is_final and workload_id not in self._live_run_of:
            self._leaving[workload_id] = None


def _drop(by_pool: dict[str, dict[str, None]], pool_id: str, run_id: str) -> None:
    runs = by_pool.get(pool_id)
    if runs is not None:
        runs.pop(run_id, None)
        if not runs:
            del by_pool[pool_id]
