"""Whether one workload would start now, on a copy of the state: the cycle asked about it alone, and nothing kept.

Counterfactuals are verified with it, and dry runs answered. The queues, the nodes and what runs are those of the
situation; whoever waits is left out, so the answer says what stands in the way besides the order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from inventory.model.placement import Placement
from scheduler.core.placement.protocol import NodeAnswers, NodeBatch, Shape
from scheduler.core.queueing.running import RunningRow
from scheduler.core.queueing.waiting import WaitingColumns, WaitingRow
from scheduler.cycle import CycleSettings, run_cycle
from scheduler.forecast.world import Situation
from scheduler.ports import Commit, Plan, Snapshot


class Probe:
    """It is itself the ports of the cycle. What it is granted is given back at once: the situation's pools are left as
    they were."""

    def __init__(self, situation: Situation, settings: CycleSettings) -> None:
        self._situation = situation
        self._settings = settings
        self._pools = {one.pool.pool_id: one for one in situation.pools}
        self._rows: tuple[WaitingRow, ...] = ()
        self._asked: dict[str, list[str]] = {}

    @property
    def settings(self) -> CycleSettings:
        return self._settings

    def placement(self, row: WaitingRow, shape: Shape) -> Placement | None:
        """Where this workload would go if it had that shape; None where it would wait."""
        self._rows = (row._replace(shape=self._situation.shapes.number(shape)),)
        try:
            plan = run_cycle(self, self, self, self, self._settings).plan
        finally:
            self._give_back()
        return plan.placements[0] if len(plan.placements) else None

    # The ports of the cycle

    def now_ms(self) -> int:
        return self._situation.now_ms

    def snapshot(self, limit: int) -> Snapshot:
        given = self._situation
        return Snapshot(
            WaitingColumns.of(self._rows),
            given.shapes,
            given.usage.columns(given.now_ms),
            tuple(one.view() for one in given.pools),
            tuple(given.reservations),
        )

    def running(self, pool_id: str) -> Sequence[RunningRow]:
        return self._situation.running.get(pool_id, ())

    def place(self, requests: Mapping[str, NodeBatch]) -> Mapping[str, NodeAnswers]:
        answers = {}
        for pool_id, batch in requests.items():
            self._asked.setdefault(pool_id, []).extend(batch.run_ids)
            answers[pool_id] = self._pools[pool_id].state.place(batch)
        return answers

    def fits_without(self, pool_id: str, batch: NodeBatch, victims: Sequence[str]) -> bool:
        """A probe stops nobody."""
        return False

    def release(self, placements: Sequence[Placement]) -> None:
        """Given back with all the rest."""

    def commit(self, plan: Plan) -> Commit:
        return Commit(frozenset(plan.placements.run_ids))

    def _give_back(self) -> None:
        for pool_id, run_ids in self._asked.items():
            self._pools[pool_id].state.release(*run_ids)
        self._asked.clear()
