"""Why a queue keeps a workload waiting, as typed reasons: what `FairOrder.blocks` means to people."""

from __future__ import annotations

from inventory.model.placement import Reason
from scheduler.core.queueing.kernels.order import LENT_OUT, OVER_BUDGET
from scheduler.core.queueing.order import Block
from scheduler.core.queueing.shapes import ShapeTable, resources
from scheduler.core.queueing.usage import QueueColumns
from scheduler.core.queueing.waiting import WaitingColumns
from scheduler.core.queueing.wording import lent_out, over_budget, over_maximum, over_whole_budget


def reason_for(block: Block, waiting: WaitingColumns, shapes: ShapeTable, queues: QueueColumns) -> Reason:
    """The reason of one block, with what the queue held when the cycle began."""
    need = shapes.shapes[waiting.shape[block.row]].total
    name = queues.tree.name(block.queue)
    if block.kind == OVER_BUDGET:
        cost = int(shapes.card_rates[waiting.shape[block.row]] * waiting.estimated_ms[block.row])
        budget = queues.tree.specs[block.queue].budget
        if budget is not None and cost > budget.card_milli_ms:
            return over_whole_budget(name, cost, budget.card_milli_ms)
        left, renewed = int(queues.budget_left[block.queue]), int(queues.budget_renewed_ms[block.queue])
        return over_budget(name, cost, left, renewed)
    if block.kind == LENT_OUT:
        return lent_out(name, need)
    held = resources(queues.held[block.queue])
    return over_maximum(name, need, held, queues.tree.specs[block.queue].maximum)
