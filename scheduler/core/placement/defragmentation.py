"""Which few running tasks to move so that a pool has room for what waits: a pure proposal, nothing is changed.

The cycle asks for such a `MovePlan` through `ports.MovingPools` and has it carried out where it pays
(`queueing.moving`); planners read it as a what-if. The state it looks at is `PoolState.arrays()` and `PoolState.held`,
the arrays that placement works on.

The method. For each waiting shape, the largest first, and each node, the idlest first: look for a few running tasks
of fewer cards without which the waiting one would fit, and which fit elsewhere without pushing anyone out. Every step
is feasible by itself: a task that moves has its new place before it leaves the old one. It is a greedy search, so what
it finds is a lower bound of what moving can do. Gangs, tasks with rules among themselves (`topology`) and the random
policy's pools are left alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from inventory.model.units import Resources
from inventory.model.workload import Requirements
from scheduler.core.placement.held_runs import HeldRuns
from scheduler.core.placement.kernels.batches import TaskColumns
from scheduler.core.placement.policies.shape import WHOLE_CARD
from scheduler.core.placement.pool_arrays import LivePool, is_ruled, need_row
from scheduler.core.placement.topology import slots

MOST_LEAVERS = 4  # tasks that may make room for one
SHARE = 0.05  # of the running tasks


@dataclass(frozen=True, slots=True)
class Move:
    """The run leaves its node for another; it has one task. `cards` is the bit mask of the cards that it takes there."""

    run_id: str
    from_node: str
    to_node: str
    cards: int


@dataclass(frozen=True, slots=True)
class MovePlan:
    """Moves in the order in which they are feasible, and what they bring.

    `admitted` counts, by the position of a waiting shape, the tasks that have room afterwards and had none before;
    `gained_milli` are their milli-cards, `gained_cpu_milli` their milli-CPU. The cost: `moved_milli` and
    `moved_cpu_milli` of what is moved, out of `running` tasks.
    """

    moves: tuple[Move, ...]
    admitted: tuple[tuple[int, int], ...]
    gained_milli: int
    gained_cpu_milli: int
    moved_milli: int
    moved_cpu_milli: int
    running: int


def propose_moves(
    live: LivePool,
    held: HeldRuns,
    waiting: Sequence[tuple[Requirements, int]],
    share: float = SHARE,
    movable: Collection[str] | None = None,
) -> MovePlan:
    """At most `share` of the running tasks moved, for `waiting` shapes with how many tasks of each wait; only runs that
    are `movable` (None: all).

    Pure: `live` and `held` are as they were when it returns. Raises ValueError for a share outside 0..1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"移动比例 {share} 须在 0 与 1 之间 / a share of {share} is not between 0 and 1")
    search = _Search(live, held, share, movable)
    order = sorted(range(len(waiting)), key=lambda i: _size(waiting[i][0].per_task), reverse=True)
    for i in order:
        asked, count = waiting[i]
        if asked.tasks == 1 and not is_ruled(asked):
            search.admit(i, asked, count)
    return search.plan()


@dataclass(frozen=True, slots=True)
class _Task:
    """A running task that may be moved."""

    run_id: str
    asked: Requirements
    node: int
    cards: int

    @property
    def size(self) -> tuple[int, int]:
        return self.asked.per_task.accelerator_milli, self.asked.per_task.cpu_milli

    @property
    def columns(self) -> TaskColumns:
        return TaskColumns(
            np.array([need_row(self.asked.per_task)], dtype=np.int64),
            np.array([self.node], dtype=np.int32),
            np.array([self.cards], dtype=np.int64),
        )


class _Search:
    """The proposal in the making, on a copy of the pool."""

    def __init__(self, live: LivePool, held: HeldRuns, share: float, movable: Collection[str] | None) -> None:
        self._live = live.copy()
        self._on_node: dict[int, list[_Task]] = {}
        self._running = 0
        for run_id in held.run_ids():
            asked = held.requirements(run_id)
            self._running += asked.tasks
            if asked.tasks == 1 and not is_ruled(asked) and (movable is None or run_id in movable):
                task = _Task(run_id, asked, int(held.nodes(run_id)[0]), int(held.cards(run_id)[0]))
                self._on_node.setdefault(task.node, []).append(task)
        self._left = int(share * self._running)
        self._moves: list[Move] = []
        self._admitted: dict[int, int] = {}
        self._gained = self._moved = Resources()

    def admit(self, position: int, asked: Requirements, count: int) -> None:
        """Takes what fits as it is (that needs no move), then makes room as long as moves are left."""
        while count and self._start(asked) is not None:
            count -= 1
        while count and self._left and self._make_room(asked):
            self._admitted[position] = self._admitted.get(position, 0) + 1
            self._gained += asked.per_task
            count -= 1

    def plan(self) -> MovePlan:
        return MovePlan(
            tuple(self._moves),
            tuple(sorted(self._admitted.items())),
            gained_milli=self._gained.accelerator_milli,
            gained_cpu_milli=self._gained.cpu_milli,
            moved_milli=self._moved.accelerator_milli,
            moved_cpu_milli=self._moved.cpu_milli,
            running=self._running,
        )

    def _start(self, asked: Requirements, barred: int = -1) -> tuple[int, int] | None:
        """Places one task where the policy says, but not on `barred`: (node, cards), or None."""
        (row,) = self._live.rows([asked])
        allowed = np.ones(len(self._live.table.ids), dtype=np.uint8)
        if barred >= 0:
            allowed[barred] = 0
        node, cards = self._live.place_among(row, 0, allowed)
        return (node, cards) if node >= 0 else None

    def _make_room(self, asked: Requirements) -> bool:
        free, table = self._live.free, self._live.table
        idle = free.idle if asked.per_task.accelerator_milli else free.cpu
        suits = table.suits(asked)[table.columns.trait].astype(np.bool_) & (free.owed == 0) & (idle > 0)
        for n in np.argsort(-idle, kind="stable").tolist():
            if suits[n]:
                leavers = self._leavers(asked, n)
                if leavers and self._move_all(leavers, n):
                    return self._start(asked) is not None
        return False

    def _leavers(self, asked: Requirements, n: int) -> list[_Task]:
        """At most MOST_LEAVERS tasks of the node, smaller in sum than the newcomer, without which it fits; or none.

        For a share of a card or one card, all of one card; the least moved wins.
        """
        best: list[_Task] = []
        tasks = sorted(self._on_node.get(n, ()), key=lambda task: task.size)
        one_card = 0 < asked.per_task.accelerator_milli <= WHOLE_CARD
        masks = [1 << g for g in range(int(self._live.table.columns.cards[n]))] if one_card else [-1]
        for mask in masks:
            chosen: list[_Task] = []
            for task in tasks:
                if task.cards & ~mask or len(chosen) == min(MOST_LEAVERS, self._left):
                    continue
                chosen.append(task)
                if _sum(chosen) >= _size(asked.per_task):
                    break
                if self._fits_without(asked, n, chosen):
                    if not best or _sum(chosen) < _sum(best):
                        best = chosen
                    break
        return best

    def _fits_without(self, asked: Requirements, n: int, leaving: Sequence[_Task]) -> bool:
        (row,) = self._live.rows([asked])
        for task in leaving:
            self._live.give_back(task.columns)
        fits = int(slots(self._live, row, 1)[n]) > 0
        for task in leaving:
            self._live.hold(task.columns)
        return fits

    def _move_all(self, leavers: Sequence[_Task], n: int) -> bool:
        """Starts each task elsewhere and then stops it on node `n`; all of them, or none."""
        arrived: list[_Task] = []
        for task in leavers:
            found = self._start(task.asked, barred=n)
            if found is None:
                for moved in arrived:
                    self._live.give_back(moved.columns)
                return False
            arrived.append(replace(task, node=found[0], cards=found[1]))
        ids = self._live.table.ids
        for task, moved in zip(leavers, arrived, strict=True):
            self._live.give_back(task.columns)
            self._on_node[n].remove(task)
            self._on_node.setdefault(moved.node, []).append(moved)
            self._moves.append(Move(task.run_id, ids[n], ids[moved.node], moved.cards))
            self._moved += task.asked.per_task
            self._left -= 1
        return True


def _size(amount: Resources) -> tuple[int, int]:
    return amount.accelerator_milli, amount.cpu_milli


def _sum(tasks: Sequence[_Task]) -> tuple[int, int]:
    return sum(task.size[0] for task in tasks), sum(task.size[1] for task in tasks)
