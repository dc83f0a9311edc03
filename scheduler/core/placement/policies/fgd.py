"""FGD, fragmentation gradient descent: the node, and the card, whose fragmentation grows least.

Score: `floor(100 * sigmoid((F_before - F_after) / 1000))`, F in milli-cards. Source: Weng et al., "Beware of
Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent", USENIX ATC'23.

F is kept as an exact integer (milli-cards times the tasks counted in the demand), so the sigmoid becomes a table
of 99 integer thresholds (`sigmoid_steps`) that plain code and kernel share, and equal nodes tie exactly.
"""

from __future__ import annotations

import math
from bisect import bisect_right

from scheduler.core.placement.policies.demand import Demand
from scheduler.core.placement.policies.fragmentation import fragmentation
from scheduler.core.placement.policies.protocol import MAX_SCORE
from scheduler.core.placement.policies.shape import NodeFree, TaskShape, put

SLOPE = 1000  # milli-cards of less fragmentation that move the sigmoid by one


def sigmoid_steps(total: int) -> list[int]:
    """For k = 1..99 the least fall of F (times `total`) at which the score reaches k."""
    return [math.ceil(total * SLOPE * math.log(k / (MAX_SCORE - k))) for k in range(1, MAX_SCORE)]


class FragmentationGradientDescent:
    def __init__(self, demand: Demand) -> None:
        self._demand = demand
        self._steps = sigmoid_steps(demand.total)

    def score(self, task: TaskShape, node: NodeFree) -> int:
        return self._best(task, node)[0]

    def card(self, task: TaskShape, node: NodeFree) -> int:
        return self._best(task, node)[1]

    def _best(self, task: TaskShape, node: NodeFree) -> tuple[int, int]:
        """The best score over the cards that fit and the lowest card that has it."""
        before = fragmentation(node, self._demand)
        cards = (
            [i for i, free in enumerate(node.free_cards) if free >= task.card_milli] if task.shares_card else [-1]
        )
        best_score, best_card = -1, -1
        for card in cards:
            after, _ = put(task, node, card)
            score = bisect_right(self._steps, before - fragmentation(after, self._demand))
            if score > best_score:
                best_score, best_card = score, card
        return best_score, best_card
