"""The order in which waiting workloads are tried, and what queues keep them from being tried at all.

The cycle takes batches from a `FairOrder` and tells it what could not be placed. Pure and deterministic. The inner
loop is `kernels.order`, whose plain twin stands in tests/queueing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from inventory.model.units import Resources
from scheduler.core.queueing.kernels.order import (
    FREE,
    Lanes,
    Rows,
    Taken,
    Tree,
    give_rows_back,
    set_shares,
    take_rows,
)
from scheduler.core.queueing.shapes import DIMENSIONS, Flags, Int32s, Int64s, ShapeTable, vector
from scheduler.core.queueing.usage import QueueColumns
from scheduler.core.queueing.waiting import WaitingColumns

_NONE: Final = -1


@dataclass(frozen=True, slots=True)
class Block:
    """What keeps one row from being tried: a kind of `kernels.order` (OVER_MAXIMUM ...), at this queue."""

    row: int
    kind: int
    queue: int


class FairOrder:
    """Rows of a window by guarantee, priority, fair share and arrival.

    First, by priority, what stays within some guarantee on its way up; then, by priority (higher first), the rest.
    Within one priority, progressive filling down the tree: from the root always to the child whose weighted
    dominant share is smallest, counting what it holds and was given in this cycle, or what it has used of late if
    that is more (Ghodsi et al., Dominant Resource Fairness, NSDI 2011, sections 4 and 4.3; per level as in Bhattacharya
    et al., Hierarchical Scheduling for Diverse Datacenter Workloads, SoCC 2013). Queues of equal share go by name,
    workloads of one queue by arrival. A higher priority goes first whatever its queue holds, and its share counts
    against its queue at the lower priorities.

    A row over a quota, a budget, or what its neighbours lend is not given for placing but listed in `blocks`. The
    first that waits at a quota claims it, so that nothing behind it takes what becomes free. A row that could not be
    placed takes no share: `give_back` returns it, so a queue whose head waits for a large pool keeps its turns.
    """

    def __init__(
        self, waiting: WaitingColumns, queues: QueueColumns, shapes: ShapeTable, capacity: Resources
    ) -> None:
        """`capacity` is what shares are a share of."""
        self._waiting = waiting
        self._rows = Rows(waiting.shape, waiting.estimated_ms, shapes.totals, shapes.card_rates)
        self._tree = _tree(queues, capacity)
        self._count = len(queues)
        self._levels = _levels(waiting)  # the next one is last
        self._stop = np.zeros(self._count, dtype=np.int32)
        self._refused = np.zeros(self._count, dtype=np.bool_)
        self._lanes: Lanes | None = None
        self._doubtful = _NONE  # the truncated lane that ended the last batch
        self._phases = [False, True] if queues.guaranteed.any() else [False]
        self._within_guarantee = self._phases.pop()
        self._positions: dict[int, Int32s] = {}
        self._pending = list(self._levels)
        self.blocks: list[Block] = []
        self.is_cut_short = False

    def take(self, limit: int) -> Int32s:
        """The next rows to try, at most `limit`, all of one priority; empty when none is left.

        Ends early (`is_cut_short`) where a lane of which more rows wait than the window shows is used up and all of
        it was placed: what stands behind in that lane would go before the others.
        """
        while not self.is_cut_short:
            if self._doubtful != _NONE and not self._refused[self._doubtful]:
                self.is_cut_short = True
                break
            self._doubtful = _NONE
            if self._lanes is None or self._lanes.open_below[self._count] == 0:
                if not self._next_level():
                    break
                continue
            free = self._take_some(limit)
            if len(free):
                return free
        return np.zeros(0, dtype=np.int32)

    def give_back(self, rows: Int32s) -> None:
        """These rows were taken and not placed: their queues' shares fall again."""
        if len(rows) and self._lanes is not None:
            give_rows_back(self._tree, self._lanes, self._rows, self._waiting.queue, rows)

    @property
    def held(self) -> Int64s:
        """What each queue holds with what was taken in this cycle (n, 4)."""
        return self._tree.held

    def _take_some(self, limit: int) -> Int32s:
        assert self._lanes is not None
        taken = Taken(*(np.empty(limit, dtype=np.int32) for _ in Taken._fields))
        count, self._doubtful = take_rows(self._tree, self._lanes, self._rows, self._within_guarantee, taken)
        free = taken.block[:count] == FREE
        if not free.all():
            for i in np.flatnonzero(~free).tolist():
                self.blocks.append(Block(int(taken.row[i]), int(taken.block[i]), int(taken.at[i])))
        rows: Int32s = taken.row[:count][free]
        return rows

    def _next_level(self) -> bool:
        """Opens the next priority; after the last one, the rest of all in the next phase."""
        if not self._pending:
            if not self._phases or not self._levels:
                return False
            self._within_guarantee = self._phases.pop()
            self._pending = list(self._levels)
        priority = self._pending.pop()
        start, stop = self._levels[priority]
        queues, first = np.unique(self._waiting.queue[start:stop], return_index=True)
        ends = np.append(first[1:], stop - start) + start
        following = self._positions.get(priority)
        if following is None:
            following = self._positions[priority] = np.zeros(self._count, dtype=np.int32)
            following[queues] = first + start
        is_truncated = np.zeros(self._count, dtype=np.bool_)
        for lane_priority, queue in self._waiting.truncated:
            is_truncated[queue] |= lane_priority == priority
        self._refused[:] = False
        self._stop[queues] = ends
        below = np.zeros(self._count + 1, dtype=np.int32)
        parent = self._tree.parent
        for queue in queues[following[queues] < ends].tolist():
            at = queue
            while at != self._count:
                below[at] += 1
                at = int(parent[at])
            below[self._count] += 1
        self._lanes = Lanes(following, self._stop, below, is_truncated, self._refused)
        return True


def _levels(waiting: WaitingColumns) -> dict[int, tuple[int, int]]:
    """First and last + 1 row of each priority, lowest priority first."""
    if not len(waiting):
        return {}
    steps = np.flatnonzero(np.diff(waiting.priority)) + 1
    starts = [0, *steps.tolist()]
    stops = [*steps.tolist(), len(waiting)]
    return {int(waiting.priority[a]): (a, b) for a, b in reversed(list(zip(starts, stops, strict=True)))}


def _tree(queues: QueueColumns, capacity: Resources) -> Tree:
    count = len(queues)
    kept_back = np.zeros((count + 1, DIMENSIONS), dtype=np.int64)
    np.add.at(kept_back, queues.links.parent, np.maximum(0, queues.withheld - queues.held))
    tree = Tree(
        parent=queues.links.parent,
        first_child=queues.links.first_child,
        children=queues.links.children,
        weight=queues.weight,
        guaranteed=queues.guaranteed,
        withheld=queues.withheld,
        maximum=queues.maximum,
        held=queues.held.copy(),
        faded=queues.faded,
        budget_left=queues.budget_left.copy(),
        claim=np.zeros((count, DIMENSIONS), dtype=np.int64),
        is_claimed=_no_flags(count),
        kept_back=kept_back,
        share=np.zeros(count, dtype=np.int64),
        capacity=np.array(vector(capacity), dtype=np.int64),
    )
    set_shares(tree)
    return tree


def _no_flags(count: int) -> Flags:
    return np.zeros(count, dtype=np.bool_)
