"""What each queue holds and has used: the books of fair shares, quotas and budgets.

The book and the simulator each own a `QueueUsage` and tell it when a run takes resources and when it gives them
back. A run counts at its queue and at every queue above. Nothing is ever lost between `charge` and `discharge`.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from scheduler.core.queueing.queues import ROOT, UNLIMITED, Budget, QueueTree
from scheduler.core.queueing.shapes import DIMENSIONS, Int32s, Int64s, ShapeTable, vector

_NOTHING: Final = (0,) * DIMENSIONS


@dataclass(frozen=True, slots=True)
class QueueLinks:
    """The tree as arrays over n queues; position n is the root above all.

    `children[first_child[q]:first_child[q + 1]]` are the queues below q, by name; a queue without any is a leaf.
    """

    parent: Int32s
    first_child: Int32s
    children: Int32s


@dataclass(frozen=True, slots=True, eq=False)
class QueueColumns:
    """Every queue at one moment, by its number in the tree. Amounts are (n, 4), in the order of `vector`.

    `held` is what its runs and those below it hold; `faded` is past use, decayed, as an amount; `withheld` is what
    of the guarantee is never lent. `budget_left` counts normalised milli-card-milliseconds (UNLIMITED: no budget),
    with what running work is expected to use still already off; `budget_renewed_ms` is when the next period begins.
    """

    tree: QueueTree
    links: QueueLinks
    weight: Int64s
    guaranteed: Int64s
    withheld: Int64s
    maximum: Int64s
    held: Int64s
    faded: Int64s
    budget_left: Int64s
    budget_renewed_ms: Int64s

    def __len__(self) -> int:
        return len(self.weight)


class QueueUsage:
    """Charges and discharges, with what they add up to over time. Not thread-safe: one owner calls it."""

    def __init__(self, tree: QueueTree, shapes: ShapeTable) -> None:
        self.tree = tree
        self._shapes = shapes
        self._held: list[list[int]] = []
        self._faded: list[list[float]] = []
        self._faded_ms: list[int] = []
        self._spending: dict[int, _Spending] = {}
        self._fixed: tuple[QueueLinks, Int64s, Int64s, Int64s, Int64s] | None = None
        self._grow()

    def charge(self, queue: int, shape: int, now_ms: int, end_ms: int) -> None:
        """A run of this shape begins to hold resources. `end_ms` is when it is expected to give them back."""
        self._count(queue, shape, now_ms, 1)
        for number in self.tree.path_of(queue) if self._spending else ():
            if number in self._spending:
                self._spending[number].begin(int(self._shapes.card_rates[shape]), now_ms, end_ms)

    def charge_all(self, queue: Int32s, shape: Int32s, now_ms: int, end_ms: Int64s) -> None:
        """`charge` for each of n runs in turn, at one moment."""
        if self._is_timeless:
            self._count_all(queue, shape, 1)
            return
        for each in zip(queue.tolist(), shape.tolist(), end_ms.tolist(), strict=True):
            self.charge(each[0], each[1], now_ms, each[2])

    def discharge_all(self, queue: Int32s, shape: Int32s, now_ms: Int64s, end_ms: Int64s) -> None:
        """`discharge` for each of n runs in turn, each at its moment."""
        if self._is_timeless:
            self._count_all(queue, shape, -1)
            return
        for each in zip(queue.tolist(), shape.tolist(), now_ms.tolist(), end_ms.tolist(), strict=True):
            self.discharge(*each)

    def discharge(self, queue: int, shape: int, now_ms: int, end_ms: int) -> None:
        """It has given them back; `end_ms` as it was charged with."""
        self._count(queue, shape, now_ms, -1)
        for number in self.tree.path_of(queue) if self._spending else ():
            if number in self._spending:
                self._spending[number].stop(int(self._shapes.card_rates[shape]), now_ms, end_ms)

    def move_end(self, queue: int, shape: int, now_ms: int, ends_ms: tuple[int, int]) -> None:
        """A run that holds resources is expected to end at the second moment, no longer at the first."""
        for number in self.tree.path_of(queue) if self._spending else ():
            if number in self._spending:
                rate = int(self._shapes.card_rates[shape])
                self._spending[number].stop(rate, now_ms, ends_ms[0])
                self._spending[number].begin(rate, now_ms, ends_ms[1])

    def held(self, queue: int) -> tuple[int, ...]:
        self._grow()
        return tuple(self._held[queue])

    def columns(self, now_ms: int) -> QueueColumns:
        self._grow()
        links, weight, guaranteed, withheld, maximum = self._fixed_columns()
        count = len(self.tree)
        left = np.full(count, UNLIMITED, dtype=np.int64)
        renewed = np.zeros(count, dtype=np.int64)
        for number, spending in self._spending.items():
            left[number] = spending.left(now_ms)
            renewed[number] = spending.renewed_ms(now_ms)
        return QueueColumns(
            tree=self.tree,
            links=links,
            weight=weight,
            guaranteed=guaranteed,
            withheld=withheld,
            maximum=maximum,
            held=np.array(self._held, dtype=np.int64).reshape(count, DIMENSIONS),
            faded=self._faded_at(now_ms),
            budget_left=left,
            budget_renewed_ms=renewed,
        )

    def renewals_ms(self, now_ms: int) -> list[int]:
        """When the next period of each budget begins."""
        self._grow()
        return [spending.renewed_ms(now_ms) for spending in self._spending.values()]

    @property
    def _is_timeless(self) -> bool:
        """Only what is held now counts: no past use and no budget, so the order of charges says nothing."""
        self._grow()
        return not self.tree.half_life_ms and not self._spending

    def _count_all(self, queue: Int32s, shape: Int32s, sign: int) -> None:
        for number in np.unique(queue).tolist():
            amount = sign * self._shapes.totals[shape[queue == number]].sum(axis=0)
            for above in self.tree.path_of(number):
                self._held[above] = [
                    held + more for held, more in zip(self._held[above], amount.tolist(), strict=True)
                ]

    def _count(self, queue: int, shape: int, now_ms: int, sign: int) -> None:
        if len(self._held) != len(self.tree):
            self._grow()
        cpu, memory, disk, cards = self._shapes.amounts[shape]
        for number in self.tree.path_of(queue):
            if self.tree.half_life_ms:
                self._fade(number, now_ms)
            held = self._held[number]
            held[0] += sign * cpu
            held[1] += sign * memory
            held[2] += sign * disk
            held[3] += sign * cards

    def _fade(self, queue: int, now_ms: int) -> None:
        """Brings past use up to now: it comes nearer to what the queue held since it was last brought up."""
        kept = 0.5 ** (max(0, now_ms - self._faded_ms[queue]) / self.tree.half_life_ms)
        held, faded = self._held[queue], self._faded[queue]
        for d in range(DIMENSIONS):
            faded[d] = held[d] + (faded[d] - held[d]) * kept
        self._faded_ms[queue] = now_ms

    def _faded_at(self, now_ms: int) -> Int64s:
        if not self.tree.half_life_ms:
            return np.zeros((len(self.tree), DIMENSIONS), dtype=np.int64)
        for number in range(len(self.tree)):
            self._fade(number, now_ms)
        return np.array(self._faded, dtype=np.float64).reshape(len(self.tree), DIMENSIONS).astype(np.int64)

    def _grow(self) -> None:
        for number in range(len(self._held), len(self.tree)):
            self._held.append(list(_NOTHING))
            self._faded.append([0.0] * DIMENSIONS)
            self._faded_ms.append(0)
            budget = self.tree.specs[number].budget
            if budget is not None:
                self._spending[number] = _Spending(budget)

    def _fixed_columns(self) -> tuple[QueueLinks, Int64s, Int64s, Int64s, Int64s]:
        if self._fixed is None or len(self._fixed[1]) != len(self.tree):
            specs = self.tree.specs
            self._fixed = (
                _links(self.tree),
                np.array([spec.weight for spec in specs], dtype=np.int64),
                _amounts([vector(spec.guaranteed) for spec in specs]),
                _amounts([vector(spec.withheld) for spec in specs]),
                _amounts([vector(spec.maximum) for spec in specs]),
            )
        return self._fixed


@dataclass(slots=True)
class _Spending:
    """One budget: what was spent in the present period, and what running work is expected to spend still.

    A run whose expected end has passed is expected to spend nothing more, however long it goes on.
    """

    budget: Budget
    spent: int = 0
    until_ms: int = 0
    rate: int = 0
    dated_rate: int = 0  # of runs whose expected end is to come, and the sum of rate times end over them
    dated_ends: int = 0
    _rate_of_end: dict[int, int] = field(default_factory=dict)  # of these runs, by expected end
    _ends: list[int] = field(default_factory=list)  # the same moments, as a heap

    def begin(self, rate: int, now_ms: int, end_ms: int) -> None:
        self._bring_up_to(now_ms)
        self.rate += rate
        if self.until_ms < end_ms < UNLIMITED // 4:
            if end_ms not in self._rate_of_end:
                heapq.heappush(self._ends, end_ms)
            self._expect(rate, end_ms)

    def stop(self, rate: int, now_ms: int, end_ms: int) -> None:
        self._bring_up_to(now_ms)
        self.rate -= rate
        if end_ms in self._rate_of_end:
            self._expect(-rate, end_ms)

    def left(self, now_ms: int) -> int:
        self._bring_up_to(now_ms)
        return self.budget.card_milli_ms - self.spent - (self.dated_ends - self.dated_rate * self.until_ms)

    def renewed_ms(self, now_ms: int) -> int:
        return self.budget.period_start(now_ms) + self.budget.period_ms

    def _expect(self, rate: int, end_ms: int) -> None:
        self.dated_rate += rate
        self.dated_ends += rate * end_ms
        self._rate_of_end[end_ms] = self._rate_of_end.get(end_ms, 0) + rate

    def _bring_up_to(self, now_ms: int) -> None:
        if now_ms <= self.until_ms:
            return
        start = self.budget.period_start(now_ms)
        if start > self.until_ms:
            self.spent, self.until_ms = 0, start
        self.spent += self.rate * (now_ms - self.until_ms)
        self.until_ms = now_ms
        while self._ends and self._ends[0] <= now_ms:
            overdue = heapq.heappop(self._ends)
            self._expect(-self._rate_of_end[overdue], overdue)
            del self._rate_of_end[overdue]


def _links(tree: QueueTree) -> QueueLinks:
    count = len(tree)
    below: list[list[int]] = [[] for _ in range(count + 1)]
    parent = np.array([count if p == ROOT else p for p in tree.parents], dtype=np.int32)
    for number in sorted(range(count), key=tree.name):
        below[int(parent[number])].append(number)
    first = np.cumsum([0, *(len(children) for children in below)], dtype=np.int32)
    flat = [child for children in below for child in children]
    return QueueLinks(parent, first, np.array(flat, dtype=np.int32))


def _amounts(rows: list[tuple[int, int, int, int]]) -> Int64s:
    return np.array(rows, dtype=np.int64).reshape(len(rows), DIMENSIONS)
