"""Everything the cycle reads of waiting and running workloads, kept together and in step while they come and go.

The book owns one and changes it with every change it applies; the simulator owns one and changes it with every
event. What a cycle reads costs its window, not what waits or runs in all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from inventory.model.pool import Pool
from inventory.model.workload import Workload
from scheduler.core.placement.scores.input_locality import staging_ms
from scheduler.core.queueing.queues import QueueTree
from scheduler.core.queueing.running import FAR, RunningRow, RunningTable
from scheduler.core.queueing.shapes import ShapeTable
from scheduler.core.queueing.usage import QueueUsage
from scheduler.core.queueing.waiting import WaitingRow, WaitingTable, order_of

# A workload with this label is never a victim of preemption: `xisuan.preemptible: "no"`.
PREEMPTIBLE_LABEL: Final = "xisuan.preemptible"


class QueueTables:
    """Shapes, queues, waiting and running workloads of one owner. Not thread-safe."""

    def __init__(self, tree: QueueTree | None = None, card_factors: Mapping[str, int] | None = None) -> None:
        self.tree = tree if tree is not None else QueueTree()
        self.shapes = ShapeTable(card_factors)
        self.usage = QueueUsage(self.tree, self.shapes)
        self.waiting = WaitingTable()
        self.running = RunningTable(self.shapes)
        self._pools: dict[str, Pool] = {}

    def know(self, pool: Pool) -> None:
        """Where a pool lies and how fast it is reached: runs that are placed there from now on end after their staging."""
        self._pools[pool.pool_id] = pool

    def wait(self, workload: Workload, next_attempt: int) -> None:
        """The workload may be placed from now on."""
        self.waiting.add(
            WaitingRow(
                order_of(workload.submitted_ms, workload.finish_by_ms, expected_ms(workload)),
                len(workload.workload_id),
                workload.workload_id,
                next_attempt,
                self.shapes.number_of(workload),
                self.tree.leaf(workload.queue),
                workload.priority,
                expected_ms(workload),
                workload.submitted_ms,
            )
        )

    def start(self, pool_id: str, row: RunningRow, now_ms: int) -> None:
        """The run holds resources from now on."""
        self.running.start(pool_id, row)
        self.usage.charge(row.queue, row.shape, now_ms, row.end_ms)

    def begin(self, run_id: str, started_ms: int, now_ms: int) -> None:
        """A run that holds resources has started: its expected end counts from then on."""
        old = self.running.row(run_id)
        assert old is not None, "a live run is in the tables"
        end_ms = old.end_ms if old.end_ms == FAR else started_ms + (old.end_ms - old.started_ms)
        if (started_ms, end_ms) == (old.started_ms, old.end_ms):
            return
        _, _, workload_id, shape, queue, priority, _, is_preemptible, is_stopping = old
        # Made anew: `_replace` costs three times as much, and every run begins.
        row = RunningRow(
            end_ms, run_id, workload_id, shape, queue, priority, started_ms, is_preemptible, is_stopping
        )
        self.running.change(run_id, row)
        self.usage.move_end(queue, shape, now_ms, (old.end_ms, end_ms))

    def end(self, run_id: str, now_ms: int) -> RunningRow | None:
        """The run holds nothing any more; None for a run that is not known."""
        row = self.running.end(run_id)
        if row is not None:
            self.usage.discharge(row.queue, row.shape, now_ms, row.end_ms)
        return row

    def run_of(self, workload: Workload, run_id: str, started_ms: int, pool_id: str = "") -> RunningRow:
        """The row of a run of this workload that starts then in that pool, to which its inputs are brought first."""
        length = expected_ms(workload)
        if length and workload.inputs and pool_id in self._pools:
            length += staging_ms(workload.inputs, self._pools[pool_id])
        return RunningRow(
            end_ms=started_ms + length if length else FAR,
            run_id=run_id,
            workload_id=workload.workload_id,
            shape=self.shapes.number_of(workload),
            queue=self.tree.leaf(workload.queue),
            priority=workload.priority,
            started_ms=started_ms,
            is_preemptible=workload.labels.get(PREEMPTIBLE_LABEL) != "no",
        )


def expected_ms(workload: Workload) -> int:
    """How long a run is expected to take, for plans: the estimate, or else the limit; 0 where neither is given.

    The limit is a bound and the estimate is not; where both are given, the smaller is the better guess.
    """
    estimate, limit = max(0, workload.estimated_ms), max(0, workload.max_runtime_ms)
    return min(estimate, limit) if estimate and limit else estimate or limit
