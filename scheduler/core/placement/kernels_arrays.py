"""The arrays that the kernels read and write: a pool, its tasks, what is free, and what is known about scores.

`kernels_run.place` makes them; `kernels.py` works on them in place.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from scheduler.core.placement.policies.encode import DemandTables, FillTables, Int32s, Int64s, NodeColumns

Scores = npt.NDArray[np.int16]
CLASSES = 5  # of `policies.shape.CARD_CLASSES`


class FreeColumns(NamedTuple):
    """What the n nodes have free now, int64. `cards` (n, widest) is free milli a card, -1 where there is no card;
    `held` (n, CLASSES) counts tasks by card class; `idle` and `whole` (n) are sums over `cards` kept up to date:
    free milli, and wholly free cards. `fragmentation` (n) is kept
    likewise where the demand is not empty, `worth` (n) where future fill places."""

    cpu: Int64s
    memory: Int64s
    cards: Int64s
    held: Int64s
    idle: Int64s
    whole: Int64s
    fragmentation: Int64s
    worth: Int64s


class PoolArrays(NamedTuple):
    """A pool as the kernels read it. `scale` is its largest node: (CPU, milli-cards)."""

    nodes: NodeColumns
    demand: DemandTables
    fill: FillTables
    scale: tuple[int, int]


class Tasks(NamedTuple):
    """What arrives and leaves. `shapes` as of `encode_shapes`; by task: its row there, and a random number (read
    by the random policy alone). `events` in order: k >= 0, task k arrives; ~k, it leaves. A task comes at most
    once."""

    shapes: Int64s
    shape_of: Int32s
    draws: Int64s
    events: Int64s


class Ledger(NamedTuple):
    """What is known about (shape, node) pairs, and what has changed since.

    `scores` (shapes, nodes rounded up to blocks), `maxima` (shapes, blocks). The chain of nodes that changed, from
    `newest` [0] over `older` (nodes) and back over `newer` (nodes), ends at -1; `latest` (nodes) is the number of a
    node's last change, -1 where it is as it was at the start; `read` (shapes) is how many changes each shape knows,
    -1 before its first arrival. `at_start` (shapes, kinds) are the scores of empty nodes.
    """

    scores: Scores
    maxima: Scores
    newest: Int64s
    older: Int32s
    newer: Int32s
    latest: Int64s
    read: Int64s
    at_start: Scores


class Placed(NamedTuple):
    """By task: `node` (-1: fitted nowhere or never came) and the bit mask of its `cards`. By event, after it:
    `allocated` milli-cards, and `fragmentation` times the demand's total (0 where none is tracked)."""

    node: Int32s
    cards: Int32s
    allocated: Int64s
    fragmentation: Int64s
