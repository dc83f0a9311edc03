"""Replays a trace on an empty pool: `place` runs its arrivals and departures, one after the other."""

from __future__ import annotations

import numpy as np

from scheduler.core.placement.kernels.arrays import (
    ALLOCATED,
    CARDS,
    FRAGMENTATION,
    MILLI,
    Placed,
    PoolArrays,
    Tasks,
    empty_free,
    empty_ledger,
)
from scheduler.core.placement.kernels.jit import compiled
from scheduler.core.placement.kernels.ledger import State, choose_cards, choose_node, give_back, start, take


def place(pool: PoolArrays, tasks: Tasks) -> Placed:
    """Runs all events on the empty pool with the pool's policy."""
    placed = Placed(
        node=np.full(len(tasks.shape_of), -1, dtype=np.int32),
        cards=np.zeros(len(tasks.shape_of), dtype=np.int64),
        allocated=np.zeros(len(tasks.events), dtype=np.int64),
        fragmentation=np.zeros(len(tasks.events), dtype=np.int64),
    )
    state = (pool, tasks.shapes, empty_free(pool.nodes), empty_ledger(pool.nodes, len(tasks.shapes.rows)))
    run(state, tasks, placed)
    return placed


@compiled
def run(state: State, tasks: Tasks, placed: Placed) -> None:
    pool, shapes, free, ledger = state
    start(pool, free, ledger)
    for e in range(len(tasks.events)):
        task = tasks.events[e]
        if task >= 0:
            s = tasks.shape_of[task]
            n = choose_node(state, s, tasks.draws[task])
            if n >= 0:
                mask = choose_cards(state, s, n, tasks.draws[task])
                placed.node[task] = n
                placed.cards[task] = mask
                take(state, s, n, mask)
                ledger.counters[ALLOCATED] += shapes.rows[s, CARDS] * shapes.rows[s, MILLI]
        else:
            task = ~task
            s = tasks.shape_of[task]
            if placed.node[task] >= 0:
                give_back(state, s, placed.node[task], placed.cards[task])
                placed.node[task] = -1
                placed.cards[task] = 0
                ledger.counters[ALLOCATED] -= shapes.rows[s, CARDS] * shapes.rows[s, MILLI]
        placed.allocated[e] = ledger.counters[ALLOCATED]
        placed.fragmentation[e] = ledger.counters[FRAGMENTATION]
