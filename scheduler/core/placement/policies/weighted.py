"""A weighted stack of policies: the sum of their scores, each times its weight.

Where a task shares a card, the first policy chooses the card. Scores are not brought to one scale: a weight says how
many points of one policy outweigh a point of another (docs/placement.md has the range of each).
"""

from __future__ import annotations

from collections.abc import Sequence

from scheduler.core.placement.policies.protocol import Policy
from scheduler.core.placement.policies.shape import NodeFree, TaskShape


class Weighted:
    def __init__(self, policies: Sequence[tuple[Policy, int]]) -> None:
        """The policies with their weights, the one that chooses cards first."""
        self._policies = tuple(policies)

    def score(self, task: TaskShape, node: NodeFree) -> int:
        return sum(weight * policy.score(task, node) for policy, weight in self._policies)

    def card(self, task: TaskShape, node: NodeFree) -> int:
        return self._policies[0][0].card(task, node)
