"""GPU packing: shared cards first, then free cards of nodes in use, then untouched nodes, small ones first.

A task that needs no wholly free card: 100 - a tenth of the idle percentage of the card that it would share.
Free cards of a node in use: 50 - the cards it takes (at least 33). Untouched node: 33 - its cards.
A task without cards: 0. Source: the `packing` baseline of Weng et al., USENIX ATC'23.
"""

from __future__ import annotations

from scheduler.core.placement.policies.protocol import TightestCard
from scheduler.core.placement.policies.shape import WHOLE_CARD, NodeFree, TaskShape

SHARED, USED_NODE, UNTOUCHED_NODE = 100, 50, 33


class GpuPacking(TightestCard):
    def score(self, task: TaskShape, node: NodeFree) -> int:
        if task.cards == 0:
            return 0
        if node.is_untouched:
            return max(UNTOUCHED_NODE - len(node.free_cards), len(node.free_cards))
        if task.shares_card:
            idle = node.free_cards[self.card(task, node)]
            if idle < WHOLE_CARD:
                return max(SHARED - idle * 100 // WHOLE_CARD // 10, USED_NODE)
        return max(USED_NODE - task.cards, UNTOUCHED_NODE)
