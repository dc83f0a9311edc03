"""A small event loop around `run_cycle`: jobs arrive, run and end on pools in memory. What the tests of backfill,
reservations and starvation replay their logs with."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

from inventory.model.constraints import InputPlace
from inventory.model.units import Resources
from inventory.model.workload import Workload
from scheduler.core.queueing.queues import QueueSpec, QueueTree
from scheduler.core.queueing.tables import QueueTables
from scheduler.cycle import CycleReport, CycleSettings, PoolMemory, run_cycle
from scheduler.ports import Reservation, RunningRow, Snapshot
from tests.cycle.fakes import AcceptingSink, FixedClock, SitePools, a_site, a_workload, equal_nodes

BYTES_A_MS = 125_000  # over the uplink of 1 Gbit/s that the pool has


@dataclass(frozen=True)
class Job:
    """One line of a log: `procs` processors from `submit` on; `estimate` 0 is unknown. `staging` is how long its inputs
    take to get to the pool, before the `runtime` begins."""

    submit: int
    procs: int
    runtime: int
    estimate: int
    queue: str = "q"
    priority: int = 0
    staging: int = 0


@dataclass
class Replay:
    """One pool of `procs` processors on one node. Times are milliseconds."""

    procs: int
    settings: CycleSettings
    specs: Sequence[QueueSpec] = ()
    reservations: Sequence[Reservation] = ()
    starts: dict[int, int] = field(default_factory=dict)
    reports: list[CycleReport] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.pools = SitePools.of(
            a_site("p", equal_nodes(1, Resources(cpu_milli=self.procs)), node_groups=(), egress_gbps=1.0)
        )
        self.tables = QueueTables(QueueTree(self.specs))
        self.tables.know(self.pools.sites["p"].pool)
        self.memory = PoolMemory()
        self.now = 0
        self.ends: list[tuple[int, str]] = []
        self.workloads: dict[str, Workload] = {}

    def snapshot(self, limit: int) -> Snapshot:
        views = tuple(site.view() for site in self.pools.sites.values())
        queues = self.tables.usage.columns(self.now)
        window = self.tables.waiting.window(limit)
        return Snapshot(window, self.tables.shapes, queues, views, tuple(self.reservations))

    def running(self, pool_id: str) -> Sequence[RunningRow]:
        return self.tables.running.by_end(pool_id)

    def run(self, jobs: Sequence[Job], until: int | None = None) -> dict[int, int]:
        """The start of each job by its position, ending when all have run or at `until`."""
        arrivals = sorted((job.submit, i) for i, job in enumerate(jobs))
        moments = {r.start_ms for r in self.reservations} | {r.end_ms for r in self.reservations if r.end_ms}
        while arrivals or self.ends or moments:
            moments |= {time for time, _ in arrivals[:1]} | {time for time, _ in self.ends[:1]}
            self.now = min(moments)
            moments.remove(self.now)
            if until is not None and self.now > until:
                break
            while self.ends and self.ends[0][0] <= self.now:
                _, run_id = heapq.heappop(self.ends)
                self.tables.end(run_id, self.now)
                self.pools.sites["p"].state.release(run_id)
            while arrivals and arrivals[0][0] <= self.now:
                self.arrive(jobs, arrivals.pop(0)[1])
            self.cycle(jobs)
        return self.starts

    def arrive(self, jobs: Sequence[Job], i: int) -> None:
        job = jobs[i]
        workload = a_workload(
            f"j-{i}",
            Resources(cpu_milli=job.procs),
            queue=job.queue,
            priority=job.priority,
            submitted_ms=job.submit,
            estimated_ms=job.estimate,
            inputs=(InputPlace("elsewhere", job.staging * BYTES_A_MS),) if job.staging else (),
        )
        self.workloads[workload.workload_id] = workload
        self.tables.wait(workload, 1)

    def cycle(self, jobs: Sequence[Job]) -> None:
        sink, clock = AcceptingSink(), FixedClock(self.now)
        report = run_cycle(self, self.pools, sink, clock, self.settings, self.memory)
        self.reports.append(report)
        for placement in report.plan.placements:
            i = int(placement.workload_id.removeprefix("j-"))
            self.starts[i] = self.now
            self.tables.waiting.remove(placement.workload_id)
            row = self.tables.run_of(self.workloads[placement.workload_id], placement.run_id, self.now, "p")
            self.tables.start("p", row, self.now)
            heapq.heappush(self.ends, (self.now + jobs[i].staging + jobs[i].runtime, placement.run_id))
        held = self.tables.usage.columns(self.now).held[:, 0]
        assert (
            self.tables.running.held("p") is not None and (held >= 0).all() and held.max(initial=0) <= self.procs
        )
