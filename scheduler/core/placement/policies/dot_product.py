"""Dot product: the node whose free CPU and cards, as a vector, lie least along what the task asks.

`100 * (1 - (c_free * c_asked + g_free * g_asked) / 2)`, all as shares of the pool's largest node; each product is
rounded up to a hundred-thousandth, so that 64 bits hold it for nodes of up to 9,000 cores (`kernels.py`).
Source: the `dotprod` baseline of Weng et al., USENIX ATC'23.
"""

from __future__ import annotations

from scheduler.core.placement.policies.protocol import MAX_SCORE, TightestCard
from scheduler.core.placement.policies.shape import NodeFree, Scale, TaskShape

PARTS = 100_000


class DotProduct(TightestCard):
    def __init__(self, scale: Scale) -> None:
        self._scale = scale

    def score(self, task: TaskShape, node: NodeFree) -> int:
        cpu = -(-node.free_cpu * task.cpu_milli * PARTS // self._scale.cpu_milli**2)
        cards = -(-node.idle_milli * task.total_card_milli * PARTS // self._scale.card_milli**2)
        return MAX_SCORE * (2 * PARTS - cpu - cards) // (2 * PARTS)
