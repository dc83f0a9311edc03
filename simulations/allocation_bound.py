"""How much of a cluster's cards any policy could allocate at most: a linear-programming bound.

Printed beside the results of `simulations.evaluation`, so that "near the limit" is a number. The bound knows all
arrivals in advance, may split a task over equal nodes, and forgets where nodes end: nobody can exceed it, and it
need not be reachable.

The program. Variables: how many tasks of each shape run on nodes of each kind. Maximise the allocated
milli-cards; no more tasks than arrived; for each kind of node the sums of CPU, memory and cards within the sums of
its nodes; and for each kind the cuts below, which say that tasks of more than half a card never share one, and so
on.

The cuts. For every whole k, the requests a on one card (shares of it) have a sum of u_k(a) of at most 1, where
u_k(a) = a where (k + 1) a is whole, else floor((k + 1) a) / k (dual feasible functions: Fekete and Schepers, "New
classes of fast lower bounds for bin packing problems", Mathematical Programming 91, 2001).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import linprog
from scipy.sparse import coo_matrix

from scheduler.core.placement.policies.shape import WHOLE_CARD, NodeFree, TaskShape

CUTS = (1, 2, 3, 4, 5, 6)


def allocation_bound(nodes: Sequence[NodeFree], arrived: Mapping[TaskShape, int]) -> int:
    """Milli-cards that no placement of the `arrived` tasks on the empty `nodes` can exceed, rounded up."""
    kinds = Counter(nodes)
    shapes = [(shape, count) for shape, count in arrived.items() if shape.cards and count]
    pairs = [
        (s, k) for s, (shape, _) in enumerate(shapes) for k, node in enumerate(kinds) if _could_run(shape, node)
    ]
    if not pairs:
        return 0
    rows, limits = _constraints([shape for shape, _ in shapes], kinds)
    values, at_row, at_pair = [], [], []
    for column, (s, k) in enumerate(pairs):
        at_row.append(s)
        at_pair.append(column)
        values.append(1.0)
        for i, amount in enumerate(rows[s]):
            at_row.append(len(shapes) + k * len(rows[s]) + i)
            at_pair.append(column)
            values.append(amount)
    size = (len(shapes) + limits.size, len(pairs))
    solution = linprog(
        c=[-float(shapes[s][0].total_card_milli) for s, _ in pairs],
        A_ub=coo_matrix((values, (at_row, at_pair)), shape=size).tocsr(),
        b_ub=np.concatenate([[float(count) for _, count in shapes], limits.ravel()]),
        method="highs",
    )
    if not solution.success:
        raise ArithmeticError(f"the solver gave no bound: {solution.message}")
    return int(np.ceil(-solution.fun - 1e-6))


def _could_run(shape: TaskShape, node: NodeFree) -> bool:
    return (
        shape.suits(node.model)
        and shape.cards <= len(node.free_cards)
        and shape.cpu_milli <= node.cpu_capacity
        and shape.memory <= node.memory_capacity
    )


def _constraints(
    shapes: Sequence[TaskShape], kinds: Mapping[NodeFree, int]
) -> tuple[list[list[float]], npt.NDArray[np.float64]]:
    """What a task of each shape takes of each constraint of a kind, and the limits (kinds, constraints)."""
    takes = [
        [float(s.cpu_milli), float(s.memory), float(s.total_card_milli)] + [_cut(s, k) for k in CUTS]
        for s in shapes
    ]
    limits = np.array(
        [
            [
                count * float(node.cpu_capacity),
                count * float(node.memory_capacity),
                count * float(WHOLE_CARD * len(node.free_cards)),
            ]
            + [count * float(len(node.free_cards))] * len(CUTS)
            for node, count in kinds.items()
        ]
    )
    return takes, limits


def _cut(shape: TaskShape, k: int) -> float:
    """Cards' worth of cut k that the task takes: u_k(a) = a if (k+1) a is whole, else floor((k+1) a) / k."""
    scaled = (k + 1) * shape.card_milli
    share = shape.card_milli / WHOLE_CARD if scaled % WHOLE_CARD == 0 else scaled // WHOLE_CARD / k
    return share * shape.cards
