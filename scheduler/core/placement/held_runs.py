"""What runs hold on the nodes of one pool, in columns: one entry a task, the tasks of a run beside each other.

`PoolState` keeps one. A million runs are a million dictionary entries and some flat arrays, not a million objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inventory.model.workload import Requirements
from scheduler.core.placement.kernels.batches import TaskColumns
from scheduler.core.placement.policies.encode import Int32s, Int64s


@dataclass(frozen=True, slots=True)
class Hold:
    """What one run holds. A reservation is confirmed when the plan that made it is committed."""

    requirements: Requirements
    nodes: tuple[str, ...]
    is_confirmed: bool


@dataclass(frozen=True, slots=True)
class NewRuns:
    """Runs to be recorded: `tasks` (runs) of each, and by task what `columns` has."""

    run_ids: Sequence[str]
    requirements: Sequence[Requirements]
    tasks: Int64s
    columns: TaskColumns


class HeldRuns:
    """Entries of runs that end are used again. Nodes are positions in the present node table."""

    def __init__(self) -> None:
        self._first: dict[str, int] = {}  # the first entry of each run
        self._needs: Int64s = np.zeros((64, 4), dtype=np.int64)
        self._node: Int32s = np.zeros(64, dtype=np.int32)
        self._cards: Int64s = np.zeros(64, dtype=np.int64)
        self._tasks: Int64s = np.zeros(64, dtype=np.int64)  # of the run that begins here
        self._confirmed = np.zeros(64, dtype=np.bool_)
        self._asked: list[Requirements | None] = [None] * 64
        self._end = 0
        self._unused: dict[int, list[int]] = {}  # first entries of gaps, by length

    def __len__(self) -> int:
        return len(self._first)

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._first

    def run_ids(self) -> Iterable[str]:
        return self._first.keys()

    def requirements(self, run_id: str) -> Requirements:
        asked = self._asked[self._first[run_id]]
        assert asked is not None
        return asked

    def is_confirmed(self, run_id: str) -> bool:
        return bool(self._confirmed[self._first[run_id]])

    def nodes(self, run_id: str) -> Int32s:
        """Positions, one a task. Raises KeyError for a run that holds nothing."""
        first = self._first[run_id]
        return self._node[first : first + int(self._tasks[first])]

    def nodes_of(self, run_ids: Sequence[str]) -> tuple[Int64s, Int32s]:
        """How many tasks each run has, and their positions, run after run."""
        first: Int64s = np.array([self._first[run_id] for run_id in run_ids], dtype=np.int64)
        tasks = self._tasks[first]
        return tasks, self._node[_entries(first, tasks)]

    def cards(self, run_id: str) -> Int64s:
        """Bit masks of cards, one a task."""
        first = self._first[run_id]
        return self._cards[first : first + int(self._tasks[first])]

    def add(self, runs: NewRuns, is_confirmed: bool | npt.NDArray[np.bool_]) -> None:
        """Records runs that hold nothing yet; `is_confirmed` for all, or (runs) for each."""
        if not runs.run_ids:
            return
        if int(runs.tasks.max()) == 1:
            first = self._claim(1, len(runs.run_ids))
            where: Int64s = np.array(first, dtype=np.int64)
        else:
            first = [self._claim(tasks, 1)[0] for tasks in runs.tasks.tolist()]
            where = _entries(np.array(first, dtype=np.int64), runs.tasks)
        self._needs[where] = runs.columns.needs
        self._node[where] = runs.columns.node
        self._cards[where] = runs.columns.cards
        self._tasks[first] = runs.tasks
        self._confirmed[first] = is_confirmed
        for entry, asked in zip(first, runs.requirements, strict=True):
            self._asked[entry] = asked
        self._first.update(zip(runs.run_ids, first, strict=True))

    def confirm(self, run_ids: Iterable[str]) -> None:
        first = [self._first[run_id] for run_id in run_ids if run_id in self._first]
        self._confirmed[first] = True

    def remove(self, run_ids: Iterable[str]) -> tuple[TaskColumns, list[tuple[Requirements, int]]]:
        """Forgets the runs that are known: what their tasks held; and what each run had asked for, with its tasks."""
        found = [self._first.pop(run_id, -1) for run_id in run_ids]
        first = [entry for entry in found if entry >= 0]
        where: Int64s = np.array(first, dtype=np.int64)
        tasks = self._tasks[where]
        runs = []
        for entry, length in zip(first, tasks.tolist(), strict=True):
            asked = self._asked[entry]
            assert asked is not None
            runs.append((asked, length))
            self._asked[entry] = None
            self._unused.setdefault(length, []).append(entry)
        where = _entries(where, tasks)
        return TaskColumns(self._needs[where], self._node[where], self._cards[where]), runs

    def all_tasks(self) -> tuple[Int64s, TaskColumns]:
        """The entries in use, in the order in which their runs came, and what they hold."""
        where: Int64s = np.array(list(self._first.values()), dtype=np.int64)
        where = _entries(where, self._tasks[where])
        return where, TaskColumns(self._needs[where], self._node[where], self._cards[where])

    def relocate(self, where: Int64s, columns: TaskColumns) -> None:
        """The nodes and cards of these entries, as the new node table numbers them."""
        self._node[where] = columns.node
        self._cards[where] = columns.cards

    def move(self, run_id: str, task: int, node: int, cards: int) -> None:
        """One task holds this node and these cards from now on."""
        entry = self._first[run_id] + task
        self._node[entry], self._cards[entry] = node, cards

    def holds(self, node_ids: Sequence[str]) -> Mapping[str, Hold]:
        """As objects, for whoever wants to read them."""
        return {
            run_id: Hold(
                self.requirements(run_id),
                tuple(node_ids[n] for n in self.nodes(run_id).tolist()),
                self.is_confirmed(run_id),
            )
            for run_id in self._first
        }

    def _claim(self, length: int, count: int) -> list[int]:
        """The first entries of `count` gaps of this length."""
        gaps = self._unused.get(length, [])
        taken = gaps[-count:]
        del gaps[-count:]
        missing = count - len(taken)
        taken += range(self._end, self._end + missing * length, length)
        self._end += missing * length
        if self._end > len(self._node):
            self._grow(max(self._end, 2 * len(self._node)))
        return taken

    def _grow(self, size: int) -> None:
        more = size - len(self._node)
        self._needs = np.concatenate([self._needs, np.zeros((more, 4), dtype=np.int64)])
        self._node = np.concatenate([self._node, np.zeros(more, dtype=np.int32)])
        self._cards = np.concatenate([self._cards, np.zeros(more, dtype=np.int64)])
        self._tasks = np.concatenate([self._tasks, np.zeros(more, dtype=np.int64)])
        self._confirmed = np.concatenate([self._confirmed, np.zeros(more, dtype=np.bool_)])
        self._asked += [None] * more


def _entries(first: Int64s, tasks: Int64s) -> Int64s:
    """All entries of runs that begin at `first` with this many tasks."""
    if not tasks.size or int(tasks.max()) == 1:
        return first
    begins = np.cumsum(tasks) - tasks
    return np.repeat(first - begins, tasks) + np.arange(int(tasks.sum()), dtype=np.int64)
