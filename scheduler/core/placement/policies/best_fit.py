"""Best fit: the node that has the least left once the task is on it.

`100 * (1 - (c + g) / 2)` with c the free CPU and g the free cards after placement, each as a share of the pool's
largest node. Source: the `bestfit` baseline of Weng et al., USENIX ATC'23.
"""

from __future__ import annotations

from scheduler.core.placement.policies.protocol import MAX_SCORE, TightestCard
from scheduler.core.placement.policies.shape import NodeFree, Scale, TaskShape


def share_left(task: TaskShape, node: NodeFree, scale: Scale) -> tuple[int, int]:
    """The mean free share of CPU and cards after placement, as numerator and denominator."""
    cpu = (node.free_cpu - task.cpu_milli) * scale.card_milli
    cards = (node.idle_milli - task.total_card_milli) * scale.cpu_milli
    return cpu + cards, 2 * scale.cpu_milli * scale.card_milli


class BestFit(TightestCard):
    def __init__(self, scale: Scale) -> None:
        self._scale = scale

    def score(self, task: TaskShape, node: NodeFree) -> int:
        left, whole = share_left(task, node, self._scale)
        return MAX_SCORE * (whole - left) // whole
