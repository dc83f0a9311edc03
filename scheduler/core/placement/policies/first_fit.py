"""First fit: the first node, in the run's node order, on which the task fits."""

from __future__ import annotations

from scheduler.core.placement.policies.protocol import TightestCard
from scheduler.core.placement.policies.shape import NodeFree, TaskShape


class FirstFit(TightestCard):
    def score(self, task: TaskShape, node: NodeFree) -> int:
        return 0
