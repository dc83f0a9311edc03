"""The scheduling cycle's ports over virtual time: who waits, what runs, what the pools say, what becomes of a plan.

`simulations.engine.simulation` gives them to `scheduler.cycle.run_cycle`, the same function that production runs.
The tables are those of the scheduler, too: what the book keeps for production, `Books` keeps for a simulation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from inventory.model.placement import Placement
from scheduler.core.placement.protocol import NodeAnswers, NodeBatch
from scheduler.core.queueing.plan import Plan
from scheduler.core.queueing.preemption import fits_without
from scheduler.core.queueing.queues import QueueSpec, QueueTree
from scheduler.core.queueing.reservations import Reservation
from scheduler.core.queueing.running import RunningRow, RunningTable
from scheduler.core.queueing.shapes import ShapeTable
from scheduler.core.queueing.usage import QueueUsage
from scheduler.core.queueing.waiting import WaitingColumns, WaitingRow, WaitingTable
from scheduler.ports import Commit, Snapshot
from simulations.engine.site import SimulatedPool
from simulations.traces.trace import Trace


class VirtualClock:
    """The simulation sets it; the cycle reads it."""

    def __init__(self, start_ms: int) -> None:
        self.moment_ms = start_ms

    def now_ms(self) -> int:
        return self.moment_ms


class Books:
    """Waiting and running jobs and the use of queues. A job's id is its position in the trace.

    `jobs` has what a row of the waiting table says of each job: shape and queue by number, priority, estimate.
    """

    def __init__(self, trace: Trace, queues: Iterable[QueueSpec], half_life_ms: int) -> None:
        self.shapes = ShapeTable()
        shape = [self.shapes.number(shape) for shape in trace.shapes]
        tree = QueueTree(queues, half_life_ms)
        queue = [tree.leaf(path) for path in trace.queues]
        self.usage = QueueUsage(tree, self.shapes)
        self.waiting = WaitingTable()
        self.running = RunningTable(self.shapes)
        self._shape = [shape[number] for number in trace.shape.tolist()]
        self._queue = [queue[number] for number in trace.queue.tolist()]
        self._priority = trace.priority.tolist()
        self._submitted = trace.submitted_ms.tolist()
        self.estimated: list[int] = trace.estimate_ms.tolist()  # of what is left to do; 0: unknown
        self._attempts: dict[int, int] = {}  # runs so far, of jobs that were interrupted

    def wait(self, job: int) -> None:
        name = str(job)
        self.waiting.add(
            WaitingRow(
                self._submitted[job],
                len(name),
                name,
                self._attempts.get(job, 0) + 1,
                self._shape[job],
                self._queue[job],
                self._priority[job],
                self.estimated[job],
            )
        )

    def start(self, row: RunningRow, pool_id: str) -> None:
        self.waiting.remove(row.workload_id)
        self.running.start(pool_id, row)
        self.usage.charge(row.queue, row.shape, row.started_ms, row.end_ms)

    def end(self, run_id: str, now_ms: int) -> RunningRow | None:
        """None for a run that has ended already."""
        row = self.running.end(run_id)
        if row is not None:
            self.usage.discharge(row.queue, row.shape, now_ms, row.end_ms)
        return row

    def interrupted(self, job: int) -> None:
        """The next run of this job is another attempt."""
        self._attempts[job] = self._attempts.get(job, 0) + 1


@dataclass(slots=True)
class SiteState:
    """The State port: a window of the waiting jobs, what runs, and every pool as it is now."""

    books: Books
    site: Sequence[SimulatedPool]
    clock: VirtualClock
    reservations: Sequence[Reservation]
    window: WaitingColumns = field(default_factory=lambda: WaitingColumns.of(()))  # what the last snapshot showed

    def snapshot(self, limit: int) -> Snapshot:
        now_ms = self.clock.moment_ms
        self.window = self.books.waiting.window(limit)
        return Snapshot(
            waiting=self.window,
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
