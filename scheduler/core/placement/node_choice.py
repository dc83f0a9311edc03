"""Which nodes of one pool the tasks of a run get: best fit over arrays, and its readable twin.

`PoolState` asks `choose_nodes`; tests hold it against `choose_nodes_plainly`, which says the same rule in loops.

The rule. Each task goes to the eligible node that it fits on and that has the least left, where what is left is
summed over CPU, memory and cards, each as a share of the pool's largest node. Ties go to the lower position (nodes
stand in the order of their ids). Best fit keeps whole nodes free for large tasks, and keeps work without cards off
the nodes with cards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inventory.model.units import Resources

Int64s = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

DIMENSIONS = 3  # milli-CPU, bytes of memory, milli-accelerators; disk is shared by the pool
_SHARE = 2**60  # a share of 1; three of them still fit in 63 bits


def need_of(amount: Resources) -> tuple[int, int, int]:
    """The dimensions that a node offers, in the order of the arrays' rows."""
    return amount.cpu_milli, amount.memory_bytes, amount.accelerator_milli


@dataclass(slots=True)
class NodeArrays:
    """What placement reads of n nodes. `allocatable` and `free` are int64 of shape (3, n); `free` may be negative.

    `weights` (3) turns an amount into its share of the largest node, in units of 2**-60; `leftover` (n) is the sum
    of the shares that are free. Accelerators are counted a node, not a card: two halves may lie on two cards, so
    whether a share of a card fits on one card is the adapter's to say.
    """

    allocatable: Int64s
    free: Int64s
    weights: Int64s
    leftover: Int64s

    @classmethod
    def of(cls, allocatable: Int64s) -> NodeArrays:
        """Empty nodes."""
        largest = allocatable.max(axis=1, initial=0)
        weights = np.where(largest > 0, _SHARE // np.maximum(largest, 1), 0)
        arrays = cls(allocatable, allocatable.copy(), weights, np.zeros(allocatable.shape[1], dtype=np.int64))
        arrays.refresh(np.arange(allocatable.shape[1]))
        return arrays

    def take(self, positions: Int64s, need: Sequence[int]) -> None:
        """Takes `need` once for every entry of `positions`; a position may come more than once."""
        if positions.size == 1:
            self.free[:, positions[0]] -= np.array(need, dtype=np.int64)  # most runs have one task
        else:
            for row, amount in enumerate(need):
                np.subtract.at(self.free[row], positions, amount)
        self.refresh(positions)

    def take_each(self, positions: Int64s, needs: Int64s) -> None:
        """Takes row k of `needs` (k, 3) at entry k of `positions`."""
        for row in range(DIMENSIONS):
            np.subtract.at(self.free[row], positions, needs[:, row])
        self.refresh(np.unique(positions))

    def give_back(self, positions: Int64s, need: Sequence[int]) -> None:
        self.take(positions, [-amount for amount in need])

    def refresh(self, positions: Int64s) -> None:
        """Computes `leftover` again where `free` has changed. An over-committed dimension has nothing left."""
        self.leftover[positions] = self.weights @ np.maximum(self.free[:, positions], 0)


def slots(offered: Int64s, need: Sequence[int], at_most: int) -> Int64s:
    """How many tasks of `need` each column of `offered` (3, n) holds, 0..at_most."""
    holds = np.full(offered.shape[1], at_most, dtype=np.int64)
    for row, amount in enumerate(need):
        if amount > 0:
            np.minimum(holds, offered[row] // amount, out=holds)
    # Whatever is over-committed gets nothing more, not even a task that asks nothing of that dimension.
    holds[(offered < 0).any(axis=0)] = 0
    return np.maximum(holds, 0)


def choose_nodes(nodes: NodeArrays, eligible: Flags, need: Sequence[int], tasks: int) -> Int64s | None:
    """Positions of `tasks` nodes, one a task (a node may come more than once); None when not all tasks fit.

    One pass instead of one a task: placing a task on the best node leaves it the best node, because it then has
    even less left. So nodes are filled in the order of what they have left, each as far as it goes.
    """
    free = nodes.free
    fits = eligible & (free[0] >= need[0]) & (free[1] >= need[1]) & (free[2] >= need[2])
    candidates = np.flatnonzero(fits)
    if candidates.size == 0:
        return None
    if tasks == 1:
        return candidates[[nodes.leftover[candidates].argmin()]]
    holds = slots(free[:, candidates], need, tasks)
    if int(holds.sum()) < tasks:
        return None
    order = np.argsort(nodes.leftover[candidates], kind="stable")
    return np.repeat(candidates[order], holds[order])[:tasks]


def choose_nodes_plainly(nodes: NodeArrays, eligible: Flags, need: Sequence[int], tasks: int) -> list[int] | None:
    """The rule of this module, one task after the other, over plain integers. Changes nothing."""
    free = [[int(nodes.free[row, i]) for row in range(DIMENSIONS)] for i in range(len(eligible))]
    weights = [int(weight) for weight in nodes.weights]
    chosen: list[int] = []
    for _ in range(tasks):
        best: int | None = None
        least = 0
        for i, offered in enumerate(free):
            if not eligible[i] or any(asked > there for asked, there in zip(need, offered, strict=True)):
                continue
            left = sum(there * weight for there, weight in zip(offered, weights, strict=True))
            if best is None or left < least:
                best, least = i, left
        if best is None:
            return None
        for row, asked in enumerate(need):
            free[best][row] -= asked
        chosen.append(best)
    return chosen
