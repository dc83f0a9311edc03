"""The scheduling cycle's ports over virtual time: who waits, what the pools say, and what becomes of a plan.

`simulations.engine.simulation` gives them to `scheduler.cycle.run_cycle`, the same function that production runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from inventory.model.placement import Placement
from inventory.model.units import Resources
from inventory.model.workload import Program, Workload, WorkloadState
from scheduler.core.placement.protocol import NodeAnswers, NodeBatch
from scheduler.ports import Commit, Plan, Snapshot, Waiting
from simulations.engine.site import SimulatedPool
from simulations.engine.waiting import WaitingJobs
from simulations.traces.trace import Trace

_PROGRAM = Program()


class VirtualClock:
    """The simulation sets it; the cycle reads it."""

    def __init__(self, start_ms: int) -> None:
        self.moment_ms = start_ms

    def now_ms(self) -> int:
        return self.moment_ms


class WaitingState:
    """The State port: a window of the waiting jobs, and every pool as it is now."""

    def __init__(
        self,
        trace: Trace,
        waiting: WaitingJobs,
        site: Sequence[SimulatedPool],
        usage: Sequence[Resources],
        weights: Mapping[str, int],
    ) -> None:
        """`usage` is what each queue (by number) holds; the simulation keeps it current."""
        self._trace = trace
        self._waiting = waiting
        self._site = site
        self._usage = usage
        self._weights = weights
        self.attempts: dict[int, int] = {}  # runs of a job so far, where it has had one

    def snapshot(self, limit: int) -> Snapshot:
        window = self._waiting.window(limit)
        queues = self._trace.queues
        return Snapshot(
            waiting=tuple(Waiting(self._workload(job), self.attempts.get(job, 0) + 1) for job in window),
            pools=tuple(pool.view() for pool in self._site),
            usage={queues[number]: held for number, held in enumerate(self._usage)},
            weights=self._weights,
        )

    def _workload(self, job: int) -> Workload:
        trace = self._trace
        name = str(job)
        return Workload(
            workload_id=name,
            queue=trace.queues[trace.queue[job]],
            client_key=name,
            name=name,
            requirements=trace.shapes[trace.shape[job]].requirements,
            program=_PROGRAM,
            priority=int(trace.priority[job]),
            estimated_ms=int(trace.estimate_ms[job]),
            submitted_ms=int(trace.submitted_ms[job]),
            state=WorkloadState.QUEUED,
        )


@dataclass(frozen=True, slots=True)
class SitePools:
    """The Pools port: the pools' own states choose the nodes."""

    by_id: Mapping[str, SimulatedPool]

    def place(self, requests: Mapping[str, NodeBatch]) -> Mapping[str, NodeAnswers]:
        return {pool_id: self.by_id[pool_id].state.place(batch) for pool_id, batch in requests.items()}

    def release(self, placements: Sequence[Placement]) -> None:
        for placement in placements:
            self.by_id[placement.pool_id].state.release(placement.run_id)


@dataclass(frozen=True, slots=True)
class StartingSink:
    """The PlanSink port: what is planned starts at once; nothing is ever stale, because nothing happens meanwhile."""

    start: Callable[[Sequence[Placement]], None]

    def commit(self, plan: Plan) -> Commit:
        self.start(plan.placements)
        return Commit(frozenset(placement.run_id for placement in plan.placements))
