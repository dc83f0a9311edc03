"""Small situations for forecasts: one pool of equal nodes, who runs there and who waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inventory.model.pool import Node, PoolHealth
from inventory.model.system import Architecture
from inventory.model.units import GIB, Resources
from inventory.model.workload import Requirements
from scheduler.core.placement.pool_state import PoolState
from scheduler.core.placement.protocol import PROCESS, NodeBatch, Shape
from scheduler.core.queueing.queues import QueueSpec, QueueTree
from scheduler.core.queueing.running import RunningRow
from scheduler.core.queueing.shapes import ShapeTable
from scheduler.core.queueing.usage import QueueUsage
from scheduler.core.queueing.waiting import WaitingRow
from scheduler.forecast.world import PoolCopy, Situation
from tests.cycle.fakes import a_pool

NOW_MS = 1_000_000
QUEUE = "q"


@dataclass(frozen=True, slots=True)
class Job:
    """`cores` for `estimate_s`; one that runs began `ran_s` ago."""

    name: str
    cores: float
    estimate_s: int = 0
    ran_s: int = 0


def shape_of(cores: float) -> Shape:
    return Shape(Requirements(Resources(round(cores * 1000), GIB)))


def situation(
    nodes: int, cores: int, running: Sequence[Job], waiting: Sequence[Job], queues: Sequence[QueueSpec] = ()
) -> Situation:
    """A pool "p" of so many nodes of so many cores. Everything is of QUEUE, which `queues` may limit."""
    shapes, tree = ShapeTable(), QueueTree(queues)
    usage, queue = QueueUsage(tree, shapes), tree.leaf(QUEUE)
    state = PoolState(
        0, [Node(f"n{i}", Architecture.X86_64, Resources(cores * 1000, 1024 * GIB)) for i in range(nodes)]
    )
    rows = []
    for job in running:
        shape, started_ms = shapes.number(shape_of(job.cores)), NOW_MS - job.ran_s * 1000
        run_id, end_ms = f"{job.name}.1", started_ms + job.estimate_s * 1000
        assert state.place(NodeBatch.of([(run_id, shape_of(job.cores).requirements)])).granted[0]
        usage.charge(queue, shape, NOW_MS, end_ms)
        rows.append(RunningRow(end_ms, run_id, job.name, shape, queue, 0, started_ms))
    waits = [
        WaitingRow(
            order_ms=NOW_MS - 1000 + number,
            id_length=len(job.name),
            workload_id=job.name,
            attempt=1,
            shape=shapes.number(shape_of(job.cores)),
            queue=queue,
            priority=0,
            estimated_ms=job.estimate_s * 1000,
            submitted_ms=NOW_MS - 1000 + number,
        )
        for number, job in enumerate(waiting)
    ]
    pool = PoolCopy(a_pool("p"), PoolHealth.READY, False, frozenset({PROCESS}), state)
    return Situation(NOW_MS, waits, {"p": sorted(rows)}, shapes, usage, [pool])
