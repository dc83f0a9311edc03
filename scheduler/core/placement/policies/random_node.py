"""Random: any node that fits, and any card of it that fits, each with the same chance. The baseline of baselines.

All nodes score alike; the run picks with the draw of the arrival, which is an argument (`plain_run.py` and the
kernel use the same numbers: the node is `draw % nodes that fit`, the card `(draw >> 20) % cards that fit`).
"""

from __future__ import annotations

from scheduler.core.placement.policies.protocol import TightestCard
from scheduler.core.placement.policies.shape import NodeFree, TaskShape

CARD_SHIFT = 20


class RandomNode(TightestCard):
    def score(self, task: TaskShape, node: NodeFree) -> int:
        return 0


def draw_node(draw: int, fitting: int) -> int:
    """Which of the fitting nodes, counted in the run's node order from 0."""
    return draw % fitting


def draw_card(draw: int, task: TaskShape, node: NodeFree) -> int:
    cards = [i for i, free in enumerate(node.free_cards) if free >= task.card_milli]
    return cards[(draw >> CARD_SHIFT) % len(cards)]
