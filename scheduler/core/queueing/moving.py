"""Moving (碎片整理): running workloads that restart elsewhere so that the head of a pool finds room. Off by default.

The cycle asks for it where a pool has enough free in sum and on no set of nodes. Moves are proposed by the pool's own
nodes (`placement.defragmentation`); here is decided who may be moved and whether it pays. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from inventory.model.units import Resources
from scheduler.core.placement.defragmentation import MovePlan
from scheduler.core.queueing.running import RunningRow
from scheduler.core.queueing.shapes import Int64s, vector
from scheduler.core.queueing.usage import QueueColumns

MOST_SHARE = 0.05
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class MovingRules:
    """What may be chosen. `share`: at most this part of a pool's running tasks moves in one cycle (0: nothing ever
    moves; 0.05 at most). `price_ms`: each move counts as so much lost work of what is moved, beside what it has done
    and has to do again. `after_ms`: how long the head has waited before anything moves for it.

    Raises ValueError for a share outside 0..0.05, a price or a time below 0.
    """

    share: float = 0.0
    price_ms: int = 600_000
    after_ms: int = 600_000

    def __post_init__(self) -> None:
        if not 0 <= self.share <= MOST_SHARE:
            raise ValueError(
                f"移动比例 {self.share} 须在 0 与 {MOST_SHARE} 之间 / a share of {self.share} is not between 0 and "
                f"{MOST_SHARE}; 0 moves nothing"
            )
        if self.price_ms < 0 or self.after_ms < 0:
            raise ValueError("移动的代价与等待时间不小于 0 / price and waiting time of moves are at least 0")


@dataclass(frozen=True, slots=True)
class RunMove:
    """One run that restarts on another node of its pool so that `for_workload_id` can start. `cards` is the bit mask of
    the cards that it takes there; `cost` the work that is lost, as of a `Preemption`."""

    run_id: str
    workload_id: str
    pool_id: str
    to_node: str
    cards: int
    for_workload_id: str
    cost: int


@dataclass(frozen=True, slots=True)
class Newcomer:
    """The head that waits: what it needs (4), and how long it says that it will run (0: unknown, an hour)."""

    workload_id: str
    need: Int64s
    estimated_ms: int


@dataclass(frozen=True, slots=True)
class MovingPool:
    """One pool with what runs there, at one moment."""

    pool_id: str
    runs: Sequence[RunningRow]
    allocatable: Resources
    now_ms: int


def movable(pool: MovingPool, queues: QueueColumns, barred: Collection[str]) -> frozenset[str]:
    """The runs that may be moved: those that preemption might stop, and that nobody is stopping already."""
    specs, tree = queues.tree.specs, queues.tree
    return frozenset(
        row.run_id
        for row in pool.runs
        if row.is_preemptible
        and not row.is_stopping
        and row.run_id not in barred
        and all(specs[queue].preemptible for queue in tree.path_of(row.queue))
    )


def moves_that_pay(
    plan: MovePlan, newcomer: Newcomer, pool: MovingPool, totals: Int64s, rules: MovingRules
) -> list[RunMove]:
    """All moves of the plan in their order, or none: the newcomer's work (its dominant share of the pool times its
    estimate) has to be worth more than the work that the moves lose and their price together."""
    if not plan.admitted:
        return []
    whole = vector(pool.allocatable)
    rows = {row.run_id: row for row in pool.runs}
    moves, price = [], 0
    for move in plan.moves:
        row = rows[move.run_id]
        share = _share(totals[row.shape], whole)
        cost = max(0, pool.now_ms - row.started_ms) * share
        price += cost + rules.price_ms * share
        moves.append(
            RunMove(
                row.run_id, row.workload_id, pool.pool_id, move.to_node, move.cards, newcomer.workload_id, cost
            )
        )
    gain = _share(newcomer.need, whole) * (newcomer.estimated_ms or HOUR_MS)
    return moves if gain > price else []


def _share(amount: Int64s, whole: Sequence[int]) -> int:
    """The dominant share of the pool, in millionths."""
    return max((int(amount[d]) * 1_000_000 // whole[d] for d in range(4) if whole[d] > 0), default=0)
