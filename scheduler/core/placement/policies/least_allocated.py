"""Least allocated: the node whose CPU and memory are, as shares of its own capacity, least in use afterwards.

What kube-scheduler does by default (NodeResourcesFit, LeastAllocated, weights 1): the mean of two integers 0..100,
rounded down. Cards play no part in the score.
"""

from __future__ import annotations

from scheduler.core.placement.policies.protocol import MAX_SCORE, TightestCard
from scheduler.core.placement.policies.shape import NodeFree, TaskShape


class LeastAllocated(TightestCard):
    def score(self, task: TaskShape, node: NodeFree) -> int:
        cpu = MAX_SCORE * (node.free_cpu - task.cpu_milli) // max(1, node.cpu_capacity)
        memory = MAX_SCORE * (node.free_memory - task.memory) // max(1, node.memory_capacity)
        return (cpu + memory) // 2
