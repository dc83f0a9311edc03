"""Runs a policy's kernel over arrivals and departures: allocates the arrays, then calls `kernels.run`."""

from __future__ import annotations

import numpy as np

from scheduler.core.placement.kernels import NO, WHOLE, block_shift, run
from scheduler.core.placement.kernels_arrays import CLASSES, FreeColumns, Ledger, Placed, PoolArrays, Tasks
from scheduler.core.placement.policies.encode import NodeColumns


def place(policy: int, pool: PoolArrays, tasks: Tasks) -> Placed:
    """Runs all events on the empty pool. `policy` is a number of `policies.registry.KERNELS`."""
    placed = Placed(
        node=np.full(len(tasks.shape_of), -1, dtype=np.int32),
        cards=np.zeros(len(tasks.shape_of), dtype=np.int32),
        allocated=np.zeros(len(tasks.events), dtype=np.int64),
        fragmentation=np.zeros(len(tasks.events), dtype=np.int64),
    )
    free = empty_free(pool.nodes)
    ledger = empty_ledger(pool.nodes, len(tasks.shapes))
    run(policy, pool, tasks, free, ledger, placed)
    return placed


def empty_free(nodes: NodeColumns) -> FreeColumns:
    """Everything free on every node; fragmentation not yet known (0)."""
    count = len(nodes.cpu)
    cards = np.where(np.arange(max(1, nodes.cards.max(initial=0))) < nodes.cards[:, None], WHOLE, -1)
    held = np.zeros((count, CLASSES), dtype=np.int64)
    return FreeColumns(
        cpu=nodes.cpu.copy(),
        memory=nodes.memory.copy(),
        cards=cards,
        held=held,
        idle=nodes.cards * WHOLE,
        whole=nodes.cards.copy(),
        fragmentation=np.zeros(count, dtype=np.int64),
        worth=np.zeros(count, dtype=np.int64),
    )


def empty_ledger(nodes: NodeColumns, shapes: int) -> Ledger:
    count = len(nodes.cpu)
    shift = block_shift(count)
    blocks = (count + (1 << shift) - 1) >> shift
    return Ledger(
        scores=np.full((shapes, blocks << shift), NO, dtype=np.int16),
        maxima=np.full((shapes, blocks), NO, dtype=np.int16),
        newest=np.full(1, -1, dtype=np.int64),
        older=np.full(count, -1, dtype=np.int32),
        newer=np.full(count, -1, dtype=np.int32),
        latest=np.full(count, -1, dtype=np.int64),
        read=np.full(shapes, -1, dtype=np.int64),
        at_start=np.full((shapes, int(nodes.kind.max(initial=-1)) + 1), NO, dtype=np.int16),
    )
