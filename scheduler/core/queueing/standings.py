"""How every queue stands at one moment: what it may have, what it has, what it waits for, what is left to spend.

Who calls this: the queue desk, for `QueueService.ListQueues`. Read only; the cycle decides from the same columns.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from inventory.model.units import Resources
from scheduler.core.queueing.queues import ROOT, UNLIMITED, QueueSpec, QueueTree
from scheduler.core.queueing.shapes import resources
from scheduler.core.queueing.tables import QueueTables
from scheduler.core.queueing.usage import QueueColumns

_CARD_MILLI_MS_PER_CARD_HOUR = 1000 * 3_600_000


@dataclass(frozen=True, slots=True)
class BudgetStanding:
    """Normalised card-hours of the present period; `left` has the expected rest of running work off already."""

    card_hours: float
    left: float
    renewed_ms: int


@dataclass(frozen=True, slots=True)
class QueueStanding:
    """One queue with everything below it. `share` is its dominant share of all pools (1: everything), of what it
    holds or of late held, whichever is more; `fair_share` is what its weight gives it where all compete."""

    path: str
    is_defined: bool
    spec: QueueSpec
    held: Resources
    share: float
    fair_share: float
    budget: BudgetStanding | None
    waiting: int
    running: int
    oldest_ms: int | None


@dataclass(slots=True)
class _Count:
    waiting: int = 0
    running: int = 0
    oldest_ms: int | None = None


@dataclass(frozen=True, slots=True)
class TablesNow:
    """What is read under the book's lock: the columns, how many wait and run in each leaf, and since when."""

    queues: QueueColumns
    waiting: dict[int, tuple[int, int]]
    running: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, tables: QueueTables, now_ms: int) -> TablesNow:
        return cls(tables.usage.columns(now_ms), tables.waiting.counts(), tables.running.counts())


def standings(now: TablesNow, capacity: Resources) -> tuple[QueueStanding, ...]:
    """Parents before their children, children by name. `capacity` is what shares are a share of: all pools.

    What was submitted to a defined queue itself waits in a leaf of the same path; it is told with that queue. A path
    that nobody defined is told while something waits, runs or lately ran there.
    """
    tree = now.queues.tree
    counts = _counts(tree, now)
    present = [number for number in range(len(now.queues)) if _is_present(number, now.queues, counts[number])]
    fair = _fair_shares(now.queues, present)
    shown = [number for number in present if tree.number(tree.name(number)) == number]
    found = [_standing(number, now.queues, capacity, counts[number], fair[number]) for number in shown]
    return tuple(sorted(found, key=lambda one: one.path.split("/")))


def _standing(
    number: int, queues: QueueColumns, capacity: Resources, count: _Count, fair_share: float
) -> QueueStanding:
    spec = queues.tree.specs[number]
    held = resources(queues.held[number])
    used = max(held.dominant_share(capacity), resources(queues.faded[number]).dominant_share(capacity))
    budget = None
    if spec.budget is not None:
        left = min(int(queues.budget_left[number]), UNLIMITED)
        budget = BudgetStanding(
            spec.budget.card_milli_ms / _CARD_MILLI_MS_PER_CARD_HOUR,
            left / _CARD_MILLI_MS_PER_CARD_HOUR,
            int(queues.budget_renewed_ms[number]),
        )
    return QueueStanding(
        path=spec.path,
        is_defined=queues.tree.is_defined(spec.path),
        spec=spec,
        held=held,
        share=used,
        fair_share=fair_share,
        budget=budget,
        waiting=count.waiting,
        running=count.running,
        oldest_ms=count.oldest_ms,
    )


def _counts(tree: QueueTree, now: TablesNow) -> list[_Count]:
    counts = [_Count() for _ in range(len(now.queues))]
    for leaf, (waiting, oldest_ms) in now.waiting.items():
        for number in tree.path_of(leaf):
            counts[number].waiting += waiting
            before = counts[number].oldest_ms
            counts[number].oldest_ms = oldest_ms if before is None else min(before, oldest_ms)
    for leaf, running in now.running.items():
        for number in tree.path_of(leaf):
            counts[number].running += running
    return counts


def _is_present(number: int, queues: QueueColumns, count: _Count) -> bool:
    is_defined = queues.tree.is_defined(queues.tree.name(number))
    is_itself = queues.tree.number(queues.tree.name(number)) == number  # and not the leaf of its own workloads
    return (is_defined and is_itself) or bool(count.waiting or count.running or queues.faded[number].any())


def _fair_shares(queues: QueueColumns, present: Iterable[int]) -> dict[int, float]:
    """The weight among those beside it, times what the queue above is due. The leaf of a defined queue's own
    workloads competes with that queue's children, so it counts among them."""
    tree = queues.tree
    numbers = list(present)  # parents come before their children
    beside: dict[int, int] = {}
    for number in numbers:
        beside[tree.parents[number]] = beside.get(tree.parents[number], 0) + tree.specs[number].weight
    fair: dict[int, float] = {ROOT: 1.0}
    for number in numbers:
        parent = tree.parents[number]
        fair[number] = fair[parent] * tree.specs[number].weight / beside[parent]
    return fair
