"""Worst fit (spread): the node that has the most left once the task is on it; best fit turned round."""

from __future__ import annotations

from scheduler.core.placement.policies.best_fit import share_left
from scheduler.core.placement.policies.protocol import MAX_SCORE, TightestCard
from scheduler.core.placement.policies.shape import NodeFree, Scale, TaskShape


class WorstFit(TightestCard):
    def __init__(self, scale: Scale) -> None:
        self._scale = scale

    def score(self, task: TaskShape, node: NodeFree) -> int:
        left, whole = share_left(task, node, self._scale)
        return MAX_SCORE * left // whole
