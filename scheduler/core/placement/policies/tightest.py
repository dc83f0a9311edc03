"""Tightest: the node that has the least left over CPU, memory and cards once the task is on it.

Best fit in all three dimensions, in shares of the pool's largest node and steps of 1/4096, so that what differs is
told apart and what is nearly equal ties. Keeps whole nodes free for large tasks, and work without cards off the nodes
that have them.
"""

from __future__ import annotations

from scheduler.core.placement.policies.protocol import TightestCard
from scheduler.core.placement.policies.shape import NodeFree, Scale, TaskShape

FINE = 4096


class Tightest(TightestCard):
    def __init__(self, scale: Scale) -> None:
        self._scale = scale

    def score(self, task: TaskShape, node: NodeFree) -> int:
        cpu = FINE * (node.free_cpu - task.cpu_milli) // self._scale.cpu_milli
        memory = FINE * (node.free_memory - task.memory) // self._scale.memory
        cards = FINE * (node.idle_milli - task.total_card_milli) // self._scale.card_milli
        return 3 * FINE - cpu - memory - cards
