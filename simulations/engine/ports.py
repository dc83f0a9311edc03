"""The scheduling cycle's ports over virtual time: who waits, what runs, what the pools say, what becomes of a plan.

`simulations.engine.simulation` gives them to `scheduler.cycle.run_cycle`, the same function that production runs.
The tables of running jobs and of use are those of the scheduler, too; who waits is kept as columns (`waiting`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat

import numpy as np

from inventory.model.placement import Placement
from inventory.model.workload import Requirements
from scheduler.core.placement.defragmentation import MovePlan, propose_moves
from scheduler.core.placement.protocol import NodeAnswers, NodeBatch
from scheduler.core.queueing.plan import Plan
from scheduler.core.queueing.preemption import fits_without
from scheduler.core.queueing.queues import QueueSpec, QueueTree
from scheduler.core.queueing.reservations import Reservation
from scheduler.core.queueing.running import FAR, RunningRow, RunningTable
from scheduler.core.queueing.shapes import Int64s, ShapeTable
from scheduler.core.queueing.usage import QueueUsage
from scheduler.ports import Commit, Snapshot
from simulations.engine.site import SimulatedPool
from simulations.engine.waiting import JobColumns, JobWindow, WaitingJobs
from simulations.traces.trace import Trace


class VirtualClock:
    """The simulation sets it; the cycle reads it."""

    def __init__(self, start_ms: int) -> None:
        self.moment_ms = start_ms

    def now_ms(self) -> int:
        return self.moment_ms


class Books:
    """Waiting and running jobs and the use of queues. A job's id is its position in the trace.

    `jobs` has what a row of the waiting table says of each job.
    """

    def __init__(self, trace: Trace, queues: Iterable[QueueSpec], half_life_ms: int) -> None:
        self.shapes = ShapeTable()
        shape = [self.shapes.number(shape) for shape in trace.shapes]
        tree = QueueTree(queues, half_life_ms)
        queue = [tree.leaf(path) for path in trace.queues]
        self.usage = QueueUsage(tree, self.shapes)
        self.running = RunningTable(self.shapes)
        self.jobs = JobColumns(
            submitted_ms=trace.submitted_ms,
            attempt=np.ones(len(trace), dtype=np.int32),
            shape=np.array(shape, dtype=np.int32)[trace.shape],
            queue=np.array(queue, dtype=np.int32)[trace.queue],
            priority=trace.priority,
            estimated_ms=trace.estimate_ms.copy(),
        )
        self.waiting = WaitingJobs(self.jobs)

    def start(self, jobs: Int64s, run_ids: Sequence[str], pool_id: str, now_ms: int) -> None:
        """These jobs run in that pool from now on."""
        of, start = self.jobs, self.running.start
        self.waiting.remove(jobs)
        estimates, queue, shape = of.estimated_ms[jobs], of.queue[jobs], of.shape[jobs]
        expected = np.where(estimates > 0, now_ms + estimates, FAR)
        rows = map(
            RunningRow,
            expected.tolist(),
            run_ids,
            map(str, jobs.tolist()),
            shape.tolist(),
            queue.tolist(),
            of.priority[jobs].tolist(),
            repeat(now_ms),
        )
        for row in rows:
            start(pool_id, row)
        self.usage.charge_all(queue, shape, now_ms, expected)

    def end(self, run_ids: Iterable[str], at_ms: Int64s) -> None:
        """These runs, which were under way, hold nothing any more; each ended at its moment."""
        rows = [row for row in map(self.running.end, run_ids) if row is not None]
        queue = np.array([row.queue for row in rows], dtype=np.int32)
        shape = np.array([row.shape for row in rows], dtype=np.int32)
        expected = np.array([row.end_ms for row in rows], dtype=np.int64)
        self.usage.discharge_all(queue, shape, at_ms, expected)

    def wait_again(self, job: int, kept_ms: int) -> None:
        """An interrupted job: its next run is another attempt, with so much less to do."""
        of = self.jobs
        if of.estimated_ms[job]:
            of.estimated_ms[job] = max(1, of.estimated_ms[job] - kept_ms)
        of.attempt[job] += 1
        self.waiting.add(np.array([job], dtype=np.int64))


@dataclass(slots=True)
class SiteState:
    """The State port: a window of the waiting jobs, what runs, and every pool as it is now."""

    books: Books
    site: Sequence[SimulatedPool]
    clock: VirtualClock
    reservations: Sequence[Reservation]
    window: JobWindow = field(init=False)  # what the last snapshot showed

    def snapshot(self, limit: int) -> Snapshot:
        now_ms = self.clock.moment_ms
        self.window = self.books.waiting.window(limit)
        return Snapshot(
            waiting=self.window.columns,
            shapes=self.books.shapes,
            queues=self.books.usage.columns(now_ms),
            pools=tuple(pool.view() for pool in self.site),
            reservations=tuple(one for one in self.reservations if not one.is_over(now_ms)),
        )

    def running(self, pool_id: str) -> Sequence[RunningRow]:
        return self.books.running.by_end(pool_id)


@dataclass(frozen=True, slots=True)
class SitePools:
    """The Pools port: the pools' own states choose the nodes."""

    by_id: Mapping[str, SimulatedPool]

    def place(self, requests: Mapping[str, NodeBatch]) -> Mapping[str, NodeAnswers]:
        return {pool_id: self.by_id[pool_id].state.place(batch) for pool_id, batch in requests.items()}

    def fits_without(self, pool_id: str, batch: NodeBatch, victims: Sequence[str]) -> bool:
        return fits_without(self.by_id[pool_id].state, batch, victims)

    def propose_moves(self, pool_id: str, asked: Requirements, share: float, movable: Collection[str]) -> MovePlan:
        state = self.by_id[pool_id].state
        return propose_moves(state.arrays(), state.held, [(asked, 1)], share, movable)

    def release(self, placements: Sequence[Placement]) -> None:
        for placement in placements:
            self.by_id[placement.pool_id].state.release(placement.run_id)


@dataclass(frozen=True, slots=True)
class StartingSink:
    """The PlanSink port: what is planned happens at once; nothing is ever stale, because nothing happens meanwhile."""

    carry_out: Callable[[Plan], None]

    def commit(self, plan: Plan) -> Commit:
        self.carry_out(plan)
        return Commit(frozenset(plan.placements.run_ids))
