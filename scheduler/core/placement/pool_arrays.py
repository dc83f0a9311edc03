"""One pool as the kernels need it: its nodes, what is free, the rows of shapes, and the ledger of scores.

`PoolState` makes one for each node table, and asks it for places; `topology` asks for single tasks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from copy import copy
from typing import Any

import numpy as np
import numpy.typing as npt

from inventory.model.constraints import POOL
from inventory.model.units import Resources
from inventory.model.workload import Requirements
from scheduler.core.placement.kernels.arrays import (
    FRAGMENTATION,
    WRITTEN,
    FreeColumns,
    Ledger,
    PoolArrays,
    Shapes,
    empty_ledger,
)
from scheduler.core.placement.kernels.batches import (
    Asked,
    Chosen,
    TaskColumns,
    fitting_nodes,
    give_back_tasks,
    hold_tasks,
    place_among,
    place_runs,
)
from scheduler.core.placement.kernels.free_sums import sum_fragmentation, sum_free
from scheduler.core.placement.kernels.ledger import State, start
from scheduler.core.placement.node_table import Flags, Marks, NodeTable
from scheduler.core.placement.plain_policy import PlainPlaces
from scheduler.core.placement.policies.demand import Demand
from scheduler.core.placement.policies.encode import Int64s, encode_demand, encode_fill, no_fill
from scheduler.core.placement.policies.registry import FGD, KERNELS, RANDOM, PolicyStack
from scheduler.core.placement.policies.shape import WHOLE_CARD, TaskShape

SCORE_BYTES = 64 * 1024 * 1024  # for scores of (shape, node); shapes beyond it are scored anew
MOST_OBJECTS = 65_536  # of requirements that are known by identity
NO_DEMAND = Demand((), ())
_STAND_IN = [
    [KERNELS["first-fit"], 1]
]  # what kernels read where the policy has none: they are not asked for nodes
_UNSEEN: tuple[Requirements | None, int] = (None, -1)


def need_row(per_task: Resources) -> tuple[int, int, int, int]:
    """CPU, memory, cards, milli of one card: what a task asks of one node.

    More than one card that are not whole ones (1.5) have no cards of a node that they could take: one "card" of more
    than 1000 milli, which fits nowhere.
    """
    milli = per_task.accelerator_milli
    if milli == 0:
        return per_task.cpu_milli, per_task.memory_bytes, 0, 0
    if milli > WHOLE_CARD and milli % WHOLE_CARD == 0:
        return per_task.cpu_milli, per_task.memory_bytes, milli // WHOLE_CARD, WHOLE_CARD
    return per_task.cpu_milli, per_task.memory_bytes, 1, milli


def task_shape(asked: Requirements) -> TaskShape:
    """The words of the policies for what one task asks."""
    cpu, memory, cards, milli = need_row(asked.per_task)
    models = None if asked.accelerator is None else frozenset({asked.accelerator})
    return TaskShape(cpu, memory, cards, milli, models)


class RunColumns:
    """By row of a shape, what a run of it is: its tasks, its bytes of shared disk, and whether its tasks are placed
    one by one (`topology`)."""

    def __init__(self, rows: int) -> None:
        self.tasks: Int64s = np.ones(rows, dtype=np.int64)
        self.disk: Int64s = np.zeros(rows, dtype=np.int64)
        self.is_ruled: Flags = np.zeros(rows, dtype=np.bool_)

    @property
    def columns(self) -> tuple[npt.NDArray[Any], ...]:
        return self.tasks, self.disk, self.is_ruled

    def set(self, row: int, asked: Requirements) -> None:
        self.tasks[row] = asked.tasks
        self.disk[row] = asked.per_task.disk_bytes * asked.tasks
        self.is_ruled[row] = is_ruled(asked)


def is_ruled(asked: Requirements) -> bool:
    """Whether tasks of `asked` are placed one by one. A gang in one pool, or of one task, is no rule; who carries
    labels may be kept away by others."""
    together = asked.gang_topology not in (None, POOL) and asked.tasks > 1
    return bool(asked.affinities or asked.spreads or asked.placement_labels or together or asked.tasks_per_node)


class LivePool:
    """The arrays of one node table under one policy. `rows` of shapes are handed out on first sight."""

    def __init__(self, table: NodeTable, policy: PolicyStack, demand: Demand, seed: int) -> None:
        self.table = table
        self.free = table.empty()
        self._is_random = RANDOM in policy.names
        self._seed = seed
        scale = table.scale
        self.pool = PoolArrays(
            nodes=table.columns,
            demand=encode_demand(demand if policy.reads_demand else NO_DEMAND, table.models),
            fill=encode_fill(demand, scale, table.models) if policy.reads_demand else no_fill(),
            scale=(scale.cpu_milli, scale.card_milli, scale.memory),
            policy=np.array(policy.numbers() if policy.has_kernels else _STAND_IN, dtype=np.int64),
        )
        self._measured = (NO_DEMAND, self.pool.demand)  # what `fragmentation_for` was asked for last
        self._tracks_fragmentation = FGD in policy.names
        self._row_of: dict[Requirements, int] = {}
        # The same by object, because to hash requirements takes longer than to place a run.
        self._seen: dict[int, tuple[Requirements | None, int]] = {}
        self.runs = RunColumns(64)
        self._limit = max(64, SCORE_BYTES // max(1, 2 * len(table.ids)))
        self.ledger, self.shapes = self._room_for(64)
        self._is_started = False
        self._plain = None if policy.has_kernels else PlainPlaces(self, policy.plain(scale, demand))

    def _start(self) -> None:
        """Before the first change: a pool that is only listed needs no machine code, which takes a second to load."""
        if not self._is_started:
            self._is_started = True
            start(self.pool, self.free, self.ledger)

    @property
    def state(self) -> State:
        self._start()
        return self.pool, self.shapes, self.free, self.ledger

    @property
    def version(self) -> int:
        """Changes with every change of a node."""
        return int(self.ledger.counters[WRITTEN])

    @property
    def fragmentation(self) -> int | None:
        """Times the demand's total; None where the policy does not track it."""
        if not self._tracks_fragmentation:
            return None
        self._start()
        return int(self.ledger.counters[FRAGMENTATION])

    def rows(self, asked: Sequence[Requirements]) -> list[int]:
        """A row for each, valid until the next call. Equal requirements have one row."""
        found = [self._seen.get(id(one), _UNSEEN) for one in asked]
        unseen = [one for entry, one in zip(found, asked, strict=True) if entry[0] is not one]
        if not unseen:
            return [row for _, row in found]
        distinct = set(unseen) - self._row_of.keys()
        if len(self._row_of) + len(distinct) > self._limit or len(self._seen) > MOST_OBJECTS:
            self._row_of.clear()
            self._seen.clear()
            if self._plain is not None:
                self._plain.forget_rows()
            unseen, distinct = list(asked), set(asked)
            self._allocate(max(64, len(distinct)))
        elif len(self._row_of) + len(distinct) > len(self.shapes.rows):
            self._allocate(max(len(self._row_of) + len(distinct), 2 * len(self.shapes.rows)))
        for one in unseen:
            row = self._row_of.setdefault(one, len(self._row_of))
            if one in distinct:
                self.shapes.rows[row] = need_row(one.per_task)
                self.shapes.suits[row] = self.table.suits(one)
                self.runs.set(row, one)
            self._seen[id(one)] = (one, row)
        return [self._seen[id(one)][1] for one in asked]

    def place(self, asked: Asked, refused: Marks) -> Chosen:
        """`kernels.batches.place_runs`."""
        tasks = int(asked.tasks.sum())
        chosen = Chosen(
            np.zeros(len(asked.row), dtype=np.bool_),
            np.zeros(tasks, dtype=np.int32),
            np.zeros(tasks, dtype=np.int64),
        )
        if self._plain is not None:
            self._plain.place_runs(asked, chosen, refused)
        else:
            place_runs(self.state, asked, chosen, refused)
        return chosen

    def task_of(self, row: int) -> TaskShape:
        """What one task of the shape asks, in the words of the policies."""
        return next(task_shape(asked) for asked, number in self._row_of.items() if number == row)

    def draws(self, run_ids: Iterable[str], tasks: Int64s) -> Int64s:
        """A random number for each task, by seed, run and task; zeros where the policy reads none."""
        if not self._is_random:
            return np.zeros(int(tasks.sum()), dtype=np.int64)
        numbers = [
            int.from_bytes(hashlib.blake2b(f"{self._seed}/{run_id}/{t}".encode(), digest_size=8).digest(), "big")
            >> 1
            for run_id, count in zip(run_ids, tasks.tolist(), strict=True)
            for t in range(count)
        ]
        return np.array(numbers, dtype=np.int64)

    def place_among(self, row: int, draw: int, allowed: Marks) -> tuple[int, int]:
        """`kernels.batches.place_among`."""
        if self._plain is not None:
            return self._plain.place_among(row, allowed)
        return place_among(self.state, row, draw, allowed)

    def fitting(self, row: int) -> Flags:
        """The nodes on which one task of the shape fits now."""
        marks = np.zeros(len(self.table.ids), dtype=np.uint8)
        fitting_nodes(self.state, row, marks)
        return marks.astype(np.bool_)

    def give_back(self, tasks: TaskColumns) -> None:
        self._start()
        give_back_tasks(self.pool, self.free, self.ledger, tasks)

    def hold(self, tasks: TaskColumns) -> None:
        """`kernels.batches.hold_tasks`: fills in `tasks.cards`."""
        if not len(tasks.node):
            return
        self._start()
        hold_tasks(self.pool, self.free, self.ledger, tasks)

    def copy(self) -> LivePool:
        """Another pool in the same state, to try things on."""
        other = copy(self)
        other.free = FreeColumns(*(column.copy() for column in self.free))
        other.ledger = Ledger._make(column.copy() for column in self.ledger)
        other.shapes = Shapes._make(column.copy() for column in self.shapes)
        other.runs = RunColumns(len(self.shapes.rows))
        for new, old in zip(other.runs.columns, self.runs.columns, strict=True):
            new[:] = old
        other._row_of, other._seen = dict(self._row_of), dict(self._seen)
        other._plain = None if self._plain is None else self._plain.on(other)
        return other

    def free_amounts(self) -> Int64s:
        """(3, n): milli-CPU, bytes, milli-cards; negative where a node holds more than it has."""
        return np.stack([self.free.cpu, self.free.memory, self.free.idle - self.free.owed])

    def open_free(self) -> Int64s:
        """(3): `kernels.free_sums.sum_free` over the nodes that take new runs."""
        if self.version == 0:
            everything: Int64s = self.table.sums[0].copy()
            return everything
        sums = np.zeros(3, dtype=np.int64)
        sum_free(self.free, self.table.is_open, sums)
        return sums

    def fragmentation_for(self, demand: Demand) -> int:
        """`kernels.free_sums.sum_fragmentation` for this demand, whatever the policy tracks."""
        if demand is not self._measured[0]:
            self._measured = (demand, encode_demand(demand, self.table.models))
        total: int = sum_fragmentation(self.table.columns, self.free, self.table.is_open, self._measured[1])
        return total

    def _allocate(self, rows: int) -> None:
        """Room for this many shapes. What changed is kept, and the scores of the shapes that have a row."""
        ledger, shapes = self._room_for(rows)
        known = len(self._row_of)
        shapes.rows[:known], shapes.suits[:known] = self.shapes.rows[:known], self.shapes.suits[:known]
        for new, old in ((ledger.scores, self.ledger.scores), (ledger.maxima, self.ledger.maxima)):
            new[:known] = old[:known]
        ledger.read[:known] = self.ledger.read[:known]
        runs = RunColumns(rows)
        for new_runs, old_runs in zip(runs.columns, self.runs.columns, strict=True):
            new_runs[:known] = old_runs[:known]
        self.runs = runs
        self.ledger = self.ledger._replace(scores=ledger.scores, maxima=ledger.maxima, read=ledger.read)
        self.shapes = shapes

    def _room_for(self, rows: int) -> tuple[Ledger, Shapes]:
        suits = np.zeros((rows, len(self.table.traits)), dtype=np.uint8)
        return empty_ledger(self.table.columns, rows), Shapes(np.zeros((rows, 4), dtype=np.int64), suits)
