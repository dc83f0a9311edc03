"""The ledger of scores: making the scores of a shape true again, finding its best node, and noting changes."""

from __future__ import annotations

import numpy as np

from scheduler.core.placement.kernels.arrays import (
    FRAGMENTATION,
    FREED,
    MILLI,
    NEWEST,
    NO,
    WRITTEN,
    FreeColumns,
    Ledger,
    PoolArrays,
    Scores,
    Shapes,
    shift_of,
)
from scheduler.core.placement.kernels.cards import cards_for, change, fits, shares_card
from scheduler.core.placement.kernels.jit import compiled, inlined
from scheduler.core.placement.kernels.scoring import (
    FUTURE_FILL,
    RANDOM,
    choose_card,
    fragmentation,
    score_node,
    uses,
    worth,
)

UNKNOWN = np.int16(-2)
State = tuple[PoolArrays, Shapes, FreeColumns, Ledger]
block_shift = compiled(shift_of)


@compiled
def _highest(row: Scores, start: int, stop: int) -> np.int16:
    best = NO
    for i in range(start, stop):
        best = max(best, row[i])
    return best


@compiled
def _first(row: Scores, start: int, stop: int, wanted: np.int16) -> int:
    for i in range(start, stop):
        if row[i] == wanted:
            return i
    return -1


@inlined
def _score(state: State, s: int, n: int) -> np.int16:
    pool, shapes, free, _ = state
    if fits(shapes, s, n, pool.nodes, free):
        return np.int16(score_node(shapes.rows[s], n, pool, free))
    return NO


@compiled
def _score_all(state: State, s: int) -> None:
    """The first arrival of shape `s`. Of nodes that nobody has touched, one of each kind is scored."""
    pool, _, _, ledger = state
    scores, maxima, by_kind = ledger.scores[s], ledger.maxima[s], ledger.by_kind
    for k in range(len(by_kind)):
        by_kind[k] = UNKNOWN
    for n in range(len(ledger.latest)):
        if ledger.latest[n] >= 0:
            scores[n] = _score(state, s, n)
            continue
        k = pool.nodes.kind[n]
        if by_kind[k] == UNKNOWN:
            by_kind[k] = _score(state, s, n)
        scores[n] = by_kind[k]
    shift = block_shift(len(ledger.latest))
    for b in range(len(maxima)):
        maxima[b] = _highest(scores, b << shift, (b + 1) << shift)


@compiled
def catch_up(state: State, s: int) -> None:
    """Makes the scores of shape `s` true again: walks the nodes that changed since the shape last arrived.

    Where no task has left since, what did not fit still does not.
    """
    ledger = state[3]
    written = ledger.counters[WRITTEN]
    if ledger.read[s] < 0:
        _score_all(state, s)
        ledger.read[s] = written
        return
    scores, maxima = ledger.scores[s], ledger.maxima[s]
    shift = block_shift(len(ledger.latest))
    still_unfit = ledger.read[s] >= ledger.counters[FREED]
    n = ledger.counters[NEWEST]
    while n >= 0 and ledger.latest[n] >= ledger.read[s]:
        changed, n = n, ledger.older[n]
        before = scores[changed]
        if before == NO and still_unfit:
            continue
        score = _score(state, s, changed)
        if score == before:
            continue
        scores[changed] = score
        b = changed >> shift
        if score > maxima[b]:
            maxima[b] = score
        elif before == maxima[b]:
            maxima[b] = _highest(scores, b << shift, (b + 1) << shift)
    ledger.read[s] = written


@inlined
def _touch(n: int, ledger: Ledger) -> None:
    """Node `n` has changed: it becomes the newest of the chain."""
    newest = ledger.counters[NEWEST]
    if newest != n:
        if ledger.latest[n] >= 0:
            older, newer = ledger.older[n], ledger.newer[n]
            ledger.older[newer] = older
            if older >= 0:
                ledger.newer[older] = newer
        ledger.older[n] = newest
        if newest >= 0:
            ledger.newer[newest] = n
        ledger.counters[NEWEST] = n
    ledger.latest[n] = ledger.counters[WRITTEN]


@inlined
def settle(n: int, pool: PoolArrays, free: FreeColumns, ledger: Ledger) -> None:
    """After a change of node `n`: what is kept about it is true again, and the shapes will hear of it."""
    if pool.demand.total > 0:
        now = fragmentation(n, pool.nodes, free, pool.demand)
        ledger.counters[FRAGMENTATION] += now - free.fragmentation[n]
        free.fragmentation[n] = now
    if uses(FUTURE_FILL, pool):
        free.worth[n] = worth(n, pool, free)
    _touch(n, ledger)
    ledger.counters[WRITTEN] += 1


@compiled
def start(pool: PoolArrays, free: FreeColumns, ledger: Ledger) -> None:
    """Fills in what is kept about every node."""
    for n in range(len(pool.nodes.cpu)):
        if pool.demand.total > 0:
            free.fragmentation[n] = fragmentation(n, pool.nodes, free, pool.demand)
            ledger.counters[FRAGMENTATION] += free.fragmentation[n]
        if uses(FUTURE_FILL, pool):
            free.worth[n] = worth(n, pool, free)


@inlined
def take(state: State, s: int, n: int, mask: int) -> None:
    pool, shapes, free, ledger = state
    change(shapes.rows[s], n, mask, 1, pool.nodes, free)
    settle(n, pool, free, ledger)


@inlined
def give_back(state: State, s: int, n: int, mask: int) -> None:
    pool, shapes, free, ledger = state
    change(shapes.rows[s], n, mask, -1, pool.nodes, free)
    ledger.counters[FREED] = ledger.counters[WRITTEN] + 1
    settle(n, pool, free, ledger)


@inlined
def best_node(s: int, ledger: Ledger) -> int:
    """The first node with the highest score; -1 when none fits."""
    maxima = ledger.maxima[s]
    best = _highest(maxima, 0, len(maxima))
    if best == NO:
        return -1
    shift = block_shift(len(ledger.latest))
    b = _first(maxima, 0, len(maxima), best)
    return _first(ledger.scores[s], b << shift, (b + 1) << shift, best)


@compiled
def drawn_node(s: int, draw: int, ledger: Ledger) -> int:
    """`policies.random_node.draw_node` among the nodes that fit."""
    row = ledger.scores[s]
    fitting = 0
    for n in range(len(row)):
        fitting += row[n] >= 0
    if fitting == 0:
        return -1
    wanted = draw % fitting
    for n in range(len(row)):
        if row[n] >= 0:
            if wanted == 0:
                return n
            wanted -= 1
    return -1


@compiled
def _drawn_card(milli: int, draw: int, n: int, pool: PoolArrays, free: FreeColumns) -> int:
    fitting = 0
    for g in range(pool.nodes.cards[n]):
        fitting += free.cards[n, g] >= milli
    wanted = (draw >> 20) % fitting
    for g in range(pool.nodes.cards[n]):
        if free.cards[n, g] >= milli:
            if wanted == 0:
                return g
            wanted -= 1
    return -1


@inlined
def choose_node(state: State, s: int, draw: int) -> int:
    """Where a task of shape `s` goes now; -1: it fits nowhere."""
    pool, _, _, ledger = state
    catch_up(state, s)
    if pool.policy[0, 0] == RANDOM:
        return drawn_node(s, draw, ledger)
    return best_node(s, ledger)


@inlined
def choose_cards(state: State, s: int, n: int, draw: int) -> int:
    """The mask of the cards of node `n` that a task of shape `s` takes."""
    pool, shapes, free, _ = state
    shape = shapes.rows[s]
    card = -1
    if shares_card(shape):
        if pool.policy[0, 0] == RANDOM:
            card = _drawn_card(shape[MILLI], draw, n, pool, free)
        else:
            card = choose_card(shape, n, pool, free)
    return cards_for(shape, n, card, pool.nodes, free)
