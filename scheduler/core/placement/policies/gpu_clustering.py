"""GPU clustering: tasks of one card class (a share, one card, two, four, more) keep to nodes of their own.

The node holds only the task's class: 75; that class among others: 50; no card task at all: 25; only other
classes: 0. Plus 25 * (1 - idle cards / cards of the largest node). A task without cards: 0.
Source: the `clustering` baseline of Weng et al., USENIX ATC'23.
"""

from __future__ import annotations

from scheduler.core.placement.policies.protocol import TightestCard
from scheduler.core.placement.policies.shape import NodeFree, Scale, TaskShape, card_class

ONLY_MINE, MINE_AMONG_OTHERS, NONE, ONLY_OTHERS = 75, 50, 25, 0
FULLNESS = 25


class GpuClustering(TightestCard):
    def __init__(self, scale: Scale) -> None:
        self._scale = scale

    def score(self, task: TaskShape, node: NodeFree) -> int:
        if task.cards == 0:
            return 0
        mine, everyone = node.held[card_class(task)], sum(node.held)
        if everyone == 0:
            base = NONE
        elif mine == everyone:
            base = ONLY_MINE
        else:
            base = MINE_AMONG_OTHERS if mine else ONLY_OTHERS
        return base + FULLNESS * (self._scale.card_milli - node.idle_milli) // self._scale.card_milli
