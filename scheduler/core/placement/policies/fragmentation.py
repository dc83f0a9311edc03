"""Fragmentation of a node: the idle cards that a typical task could not use, on average over the typical demand.

For a node with R idle milli-cards and a task m: R when m asks for no card, R when m cannot run here (card model,
too few cards with enough free, CPU short), otherwise the idle milli on cards with less free than m asks of one
card. Memory is ignored. Source: Weng et al., USENIX ATC'23, section 3, as the openb evaluation computes it.
"""

from __future__ import annotations

from scheduler.core.placement.policies.demand import Demand
from scheduler.core.placement.policies.shape import NodeFree, TaskShape


def unusable(task: TaskShape, node: NodeFree) -> int:
    """Idle milli-cards of the node that `task` could not use."""
    usable = [free for free in node.free_cards if free >= task.card_milli]
    runs = task.cards > 0 and task.suits(node.model) and len(usable) >= task.cards
    if not runs or task.cpu_milli > node.free_cpu:
        return node.idle_milli
    return node.idle_milli - sum(usable)


def fragmentation(node: NodeFree, demand: Demand) -> int:
    """Sum over typical tasks of count x unusable milli: the mean fragmentation times `demand.total`, exact."""
    return sum(
        count * unusable(task, node) for task, count in zip(demand.shapes, demand.counts, strict=True) if count
    )
