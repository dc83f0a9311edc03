"""The arrays that the kernels read and write: a pool, what is free in it, what is known about scores, and tasks.

`events` makes them for a trace and `scheduler.core.placement.pool_arrays` for a pool that lives.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from scheduler.core.placement.policies.encode import DemandTables, FillTables, Int32s, Int64s, NodeColumns
from scheduler.core.placement.policies.shape import WHOLE_CARD

Scores = npt.NDArray[np.int16]
Flags = npt.NDArray[np.bool_]
CLASSES = 5  # of `policies.shape.CARD_CLASSES`
NO = np.int16(-1)  # the score of a node on which the shape does not fit
# The columns of a shape's row: what one task asks. `CARDS` cards with `MILLI` of each.
CPU, MEMORY, CARDS, MILLI = range(4)
# The entries of `Ledger.counters`: the node that changed last; how many changes there were, and how many when a task
# last left; milli-cards in use; the fragmentation of the pool.
NEWEST, WRITTEN, FREED, ALLOCATED, FRAGMENTATION = range(5)


class FreeColumns(NamedTuple):
    """What the n nodes have free now, int64; negative where a node holds more than it has.

    `cards` (n, widest) is free milli a card, -1 where there is no card. `held` (n, CLASSES) counts tasks by card
    class; `idle` and `whole` (n) are sums over `cards` kept up to date: free milli, and wholly free cards. `owed` (n)
    is what tasks hold of cards that the node does not have (any more). `fragmentation` (n) is kept likewise where it
    is tracked, `worth` (n) where future fill places.
    """

    cpu: Int64s
    memory: Int64s
    cards: Int64s
    held: Int64s
    idle: Int64s
    whole: Int64s
    owed: Int64s
    fragmentation: Int64s
    worth: Int64s


class PoolArrays(NamedTuple):
    """A pool as the kernels read it. `scale` is its largest node: (CPU, milli-cards, memory). `policy` (k, 2): the
    numbers of `policies.registry.KERNELS` and their weights."""

    nodes: NodeColumns
    demand: DemandTables
    fill: FillTables
    scale: tuple[int, int, int]
    policy: Int64s


class Shapes(NamedTuple):
    """`rows` (shapes, 4): CPU, memory, cards, milli of one card. `suits` (shapes, traits) is 1 where a node of these
    traits may take the shape at all."""

    rows: Int64s
    suits: npt.NDArray[np.uint8]


class Ledger(NamedTuple):
    """What is known about (shape, node) pairs, and what has changed since.

    `scores` (shapes, nodes rounded up to blocks), `maxima` (shapes, blocks). The chain of nodes that changed, from
    `counters[NEWEST]` over `older` (nodes) and back over `newer` (nodes), ends at -1; `latest` (nodes) is the number
    of a node's last change, -1 where it is as it was at the start; `read` (shapes) is how many changes each shape
    knows, -1 before its first arrival. `by_kind` (kinds) is scratch.
    """

    scores: Scores
    maxima: Scores
    older: Int32s
    newer: Int32s
    latest: Int64s
    read: Int64s
    by_kind: Scores
    counters: Int64s


class Tasks(NamedTuple):
    """What arrives and leaves in a trace. By task: its row in `shapes`, and a random number (read by the random policy
    alone). `events` in order: k >= 0, task k arrives; ~k, it leaves. A task comes at most once."""

    shapes: Shapes
    shape_of: Int32s
    draws: Int64s
    events: Int64s


class Placed(NamedTuple):
    """By task: `node` (-1: fitted nowhere or never came) and the bit mask of its `cards`. By event, after it:
    `allocated` milli-cards, and `fragmentation` times the demand's total (0 where none is tracked)."""

    node: Int32s
    cards: Int64s
    allocated: Int64s
    fragmentation: Int64s


def empty_free(nodes: NodeColumns) -> FreeColumns:
    """Everything free on every node; fragmentation not yet known (0)."""
    count = len(nodes.cpu)
    cards = np.where(np.arange(max(1, nodes.cards.max(initial=0))) < nodes.cards[:, None], WHOLE_CARD, -1)
    return FreeColumns(
        cpu=nodes.cpu.copy(),
        memory=nodes.memory.copy(),
        cards=cards,
        held=np.zeros((count, CLASSES), dtype=np.int64),
        idle=nodes.cards * WHOLE_CARD,
        whole=nodes.cards.copy(),
        owed=np.zeros(count, dtype=np.int64),
        fragmentation=np.zeros(count, dtype=np.int64),
        worth=np.zeros(count, dtype=np.int64),
    )


def empty_ledger(nodes: NodeColumns, shapes: int) -> Ledger:
    count = len(nodes.cpu)
    shift = shift_of(count)
    blocks = (count + (1 << shift) - 1) >> shift
    return Ledger(
        scores=np.full((shapes, blocks << shift), NO, dtype=np.int16),
        maxima=np.full((shapes, blocks), NO, dtype=np.int16),
        older=np.full(count, -1, dtype=np.int32),
        newer=np.full(count, -1, dtype=np.int32),
        latest=np.full(count, -1, dtype=np.int64),
        read=np.full(shapes, -1, dtype=np.int64),
        by_kind=np.zeros(int(nodes.kind.max(initial=-1)) + 1, dtype=np.int16),
        counters=np.array([-1, 0, 0, 0, 0], dtype=np.int64),
    )


def shift_of(count: int) -> int:
    """Blocks of 2**shift nodes: about as many blocks as nodes in a block, and never fewer than 64 nodes."""
    shift = 6
    while (1 << (2 * shift)) < count:
        shift += 1
    return shift
