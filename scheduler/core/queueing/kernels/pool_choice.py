"""The best pool for each row of a batch, over flat arrays: what `pool_choice.PoolChoice` calls.

It does what `placement.evaluation.Evaluation.best` does, row after row, with what each row takes already off the
next; the tests hold the two against each other.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from scheduler.core.placement.kernels.jit import compiled
from scheduler.core.queueing.shapes import Flags, Int32s, Int64s

NO_POOL: Final = -1


class PoolColumns(NamedTuple):
    """The pools (p) while rows are placed.

    `order` lists pools by tie. A pool whose head waits gives others only what ends before `shadow_ms`, or fits into
    `extra` (p, 4): what the head leaves over then. Without a waiting head `has_shadow` is False.
    """

    order: Int32s
    allocatable: Int64s
    free: Int64s  # changes
    has_cards: Flags  # where there are none, cards are not a matter of room (see `filters.too_large.judged`)
    is_closed: Flags
    has_shadow: Flags
    shadow_ms: Int64s
    extra: Int64s  # changes


class ShapeRows(NamedTuple):
    """Shapes (s) by pools (p): which pools are open to them, their score there without `free_capacity`, and how long their
    inputs take to get there."""

    is_open: Flags
    score: Int64s
    staging_ms: Int64s
    totals: Int64s


class Batch(NamedTuple):
    """The rows in order. Their ends are without staging, 0 is unknown; a row that `may_stop` the look does so when it finds
    no pool."""

    shape: Int32s
    end_ms: Int64s
    may_stop: Flags


class Choices(NamedTuple):
    """Filled: the pool of each row (NO_POOL: none), and whether the row takes of the pool's extra."""

    pool: Int32s
    takes_extra: Flags


@compiled
def free_score(total: Int64s, free: Int64s, whole: Int64s) -> int:
    """What `scores.free_capacity` gives: the least free share after placing, of what is asked, in percent."""
    lowest = 100
    for d in range(4):
        if total[d] > 0:
            lowest = min(lowest, 100 * (free[d] - total[d]) // whole[d] if whole[d] > 0 else 0)
    return max(0, lowest)


@compiled
def fits(total: Int64s, room: Int64s, counts_cards: bool) -> bool:
    """True when no dimension of the total exceeds the room."""
    cards = total[3] if counts_cards else 0
    return bool(total[0] <= room[0] and total[1] <= room[1] and total[2] <= room[2] and cards <= room[3])


@compiled
def choose_pools(pools: PoolColumns, shapes: ShapeRows, batch: Batch, rules: Int64s, out: Choices) -> int:
    """Chooses in order and takes; returns how many rows were looked at.

    `rules`: the weight of the free-capacity score, and whether capacity is checked.
    """
    shape, end_ms = batch.shape, batch.end_ms
    weight, checks_capacity = rules[0], rules[1] != 0
    for i in range(len(shape)):
        total = shapes.totals[shape[i]]
        best, best_score, best_extra = NO_POOL, -1, False
        for k in range(len(pools.order)):
            p = pools.order[k]
            if pools.is_closed[p] or not shapes.is_open[shape[i], p]:
                continue
            if checks_capacity and not fits(total, pools.free[p], pools.has_cards[p]):
                continue
            takes_extra = False
            if pools.has_shadow[p] and (
                end_ms[i] == 0 or end_ms[i] + shapes.staging_ms[shape[i], p] > pools.shadow_ms[p]
            ):
                if not fits(total, pools.extra[p], True):
                    continue
                takes_extra = True
            score = shapes.score[shape[i], p]
            if weight > 0:
                score += weight * free_score(total, pools.free[p], pools.allocatable[p])
            if score > best_score:
                best, best_score, best_extra = p, score, takes_extra
        out.pool[i] = best
        out.takes_extra[i] = best_extra
        if best == NO_POOL:
            if batch.may_stop[i]:
                return i + 1
            continue
        for d in range(4):
            pools.free[best, d] -= total[d]
            if best_extra:
                pools.extra[best, d] -= total[d]
    return len(shape)
