"""A policy without a kernel, on a pool that lives: the rules of `kernels.batches`, with every score asked in Python.

`LivePool` comes here for stacks of which some policy has no kernel, so that a policy that somebody has just written
places in pools and simulations at once. A score is asked again only for nodes that changed since the shape came last;
it costs some microseconds where a kernel takes nanoseconds, and it places the same (a test takes the kernels away).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scheduler.core.placement.kernels.batches import Asked, Chosen, TaskColumns
from scheduler.core.placement.node_table import Marks
from scheduler.core.placement.policies.encode import Int64s
from scheduler.core.placement.policies.protocol import Policy
from scheduler.core.placement.policies.shape import NodeFree, TaskShape

if TYPE_CHECKING:
    from scheduler.core.placement.pool_arrays import LivePool

_UNFIT = -1  # below every score


class PlainPlaces:
    """Places by `policy` on the arrays of one `LivePool`. `tasks` says what a row asks, in the words of policies."""

    def __init__(self, live: LivePool, policy: Policy) -> None:
        self._live = live
        self._policy = policy
        self._models = list(live.table.models)
        self._scores: dict[int, tuple[Int64s, int]] = {}  # by row, with the version of the pool that they are of

    def on(self, live: LivePool) -> PlainPlaces:
        """The same policy on another pool."""
        return PlainPlaces(live, self._policy)

    def forget_rows(self) -> None:
        """Rows mean other shapes from now on."""
        self._scores.clear()

    def place_runs(self, asked: Asked, chosen: Chosen, refused: Marks) -> None:
        """`kernels.batches.place_runs`."""
        anywhere = np.ones(len(self._live.table.ids), dtype=np.uint8)
        for run, row in enumerate(asked.row.tolist()):
            if refused[row]:
                continue
            first, wanted = int(asked.first[run]), int(asked.tasks[run])
            has_disk = asked.disk[run] <= max(0, int(asked.disk_free[0]))
            placed = 0
            while has_disk and placed < wanted:
                node, cards = self.place_among(row, anywhere)
                if node < 0:
                    break
                chosen.node[first + placed], chosen.cards[first + placed] = node, cards
                placed += 1
            if placed == wanted:
                chosen.granted[run] = True
                asked.disk_free[0] -= asked.disk[run]
                continue
            refused[row] = 1
            for at in range(first + placed - 1, first - 1, -1):
                self._live.give_back(self._columns(row, int(chosen.node[at]), int(chosen.cards[at])))

    def place_among(self, row: int, allowed: Marks) -> tuple[int, int]:
        """`kernels.batches.place_among`: of equal scores the first node wins."""
        task = self._live.task_of(row)
        scores = np.where(allowed.astype(np.bool_), self._scores_of(row, task), _UNFIT)
        node = int(scores.argmax()) if len(scores) else 0
        if not len(scores) or scores[node] == _UNFIT:
            return -1, 0
        cards = 1 << self._policy.card(task, self._node(node)) if task.shares_card else 0
        columns = self._columns(row, node, cards)
        self._live.hold(columns)
        return node, int(columns.cards[0])

    def _scores_of(self, row: int, task: TaskShape) -> Int64s:
        count = len(self._live.table.ids)
        scores, read = self._scores.get(row, (np.full(count, _UNFIT, dtype=np.int64), 0))
        changed = np.flatnonzero(self._live.ledger.latest >= read) if row in self._scores else np.arange(count)
        fits = self._live.fitting(row)
        for n in changed.tolist():
            scores[n] = self._policy.score(task, self._node(n)) if fits[n] else _UNFIT
        self._scores[row] = (scores, self._live.version)
        return scores

    def _node(self, n: int) -> NodeFree:
        nodes, free = self._live.table.columns, self._live.free
        return NodeFree(
            cpu_capacity=int(nodes.cpu[n]),
            memory_capacity=int(nodes.memory[n]),
            model=self._models[int(nodes.model[n])],
            free_cpu=int(free.cpu[n]),
            free_memory=int(free.memory[n]),
            free_cards=tuple(free.cards[n, : int(nodes.cards[n])].tolist()),
            held=tuple(free.held[n].tolist()),
        )

    def _columns(self, row: int, node: int, cards: int) -> TaskColumns:
        return TaskColumns(
            self._live.shapes.rows[[row]], np.array([node], dtype=np.int32), np.array([cards], dtype=np.int64)
        )
