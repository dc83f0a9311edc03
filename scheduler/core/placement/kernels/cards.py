"""When a task fits on a node, which cards it takes, and how what it holds is taken and given back."""

from __future__ import annotations

from scheduler.core.placement.kernels.arrays import CARDS, CPU, MEMORY, MILLI, FreeColumns, Shapes
from scheduler.core.placement.kernels.jit import compiled, inlined
from scheduler.core.placement.policies.encode import Int64s, NodeColumns

WHOLE = 1000


@inlined
def card_class(cards: int, milli: int) -> int:
    if cards == 1:
        return 0 if milli < WHOLE else 1
    if cards == 2:
        return 2
    return 3 if cards == 4 else 4


@inlined
def shares_card(shape: Int64s) -> bool:
    return shape[CARDS] == 1 and shape[MILLI] < WHOLE


@inlined
def fits(shapes: Shapes, s: int, n: int, nodes: NodeColumns, free: FreeColumns) -> bool:
    """`policies.shape.fits`, and the node's traits must suit. A node that owes cards takes nothing."""
    shape = shapes.rows[s]
    if shape[CPU] > free.cpu[n] or shape[MEMORY] > free.memory[n]:
        return False
    if not shapes.suits[s, nodes.trait[n]] or free.owed[n] > 0:
        return False
    if shape[CARDS] == 0:
        return True
    if not shares_card(shape):
        return free.whole[n] >= shape[CARDS] and shape[MILLI] <= WHOLE
    return tightest_card(shape[MILLI], n, nodes, free) >= 0


@inlined
def tightest_card(milli: int, n: int, nodes: NodeColumns, free: FreeColumns) -> int:
    best, least = -1, WHOLE + 1
    for g in range(nodes.cards[n]):
        left = free.cards[n, g]
        if milli <= left < least:
            best, least = g, left
    return best


@inlined
def cards_for(shape: Int64s, n: int, card: int, nodes: NodeColumns, free: FreeColumns) -> int:
    """The mask of cards that the task takes: its shared card, or the lowest wholly free ones."""
    if shape[CARDS] == 0:
        return 0
    if shares_card(shape):
        return 1 << card
    mask, wanted = 0, shape[CARDS]
    for g in range(nodes.cards[n]):
        if wanted > 0 and free.cards[n, g] == WHOLE:
            mask |= 1 << g
            wanted -= 1
    return mask


@inlined
def change(shape: Int64s, n: int, mask: int, sign: int, nodes: NodeColumns, free: FreeColumns) -> None:
    """Takes (sign 1) or gives back (-1) what the task holds on the node. A task with cards and without a mask holds
    cards that the node does not have."""
    cards, milli = shape[CARDS], shape[MILLI]
    free.cpu[n] -= sign * shape[CPU]
    free.memory[n] -= sign * shape[MEMORY]
    if cards > 0:
        free.held[n, card_class(cards, milli)] += sign
        if mask == 0:
            free.owed[n] += sign * cards * milli
            return
        free.idle[n] -= sign * cards * milli
        whole = 0
        for g in range(nodes.cards[n]):
            free.cards[n, g] -= sign * milli * ((mask >> g) & 1)
            whole += free.cards[n, g] == WHOLE
        free.whole[n] = whole


@compiled
def holds(shape: Int64s, n: int, mask: int, nodes: NodeColumns, free: FreeColumns) -> bool:
    """Whether these very cards of the node are free for the task."""
    if shape[CARDS] == 0 or mask == 0 or mask >> nodes.cards[n]:
        return False
    short = 0
    for g in range(nodes.cards[n]):
        short += (mask >> g) & 1 and free.cards[n, g] < shape[MILLI]
    return short == 0
