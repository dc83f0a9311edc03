"""What a pool's state asks of the kernels: places for many runs at once, one task among chosen nodes, takes, returns.

`scheduler.core.placement.pool_state` and `topology` call these.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from scheduler.core.placement.kernels.arrays import (
    CARDS,
    FREED,
    MILLI,
    NO,
    WRITTEN,
    FreeColumns,
    Ledger,
    PoolArrays,
)
from scheduler.core.placement.kernels.cards import WHOLE, cards_for, change, holds, shares_card, tightest_card
from scheduler.core.placement.kernels.jit import compiled
from scheduler.core.placement.kernels.ledger import (
    State,
    catch_up,
    choose_cards,
    choose_node,
    give_back,
    settle,
    take,
)
from scheduler.core.placement.kernels.scoring import RANDOM
from scheduler.core.placement.policies.encode import Int32s, Int64s

Marks = npt.NDArray[np.uint8]


class Asked(NamedTuple):
    """n runs in turn: `row` of their shape, how many `tasks`, bytes of the pool's shared `disk`; `first` is where a
    run's tasks begin in the columns of tasks, where `draws` has a random number for each (read by the random policy
    alone). `disk_free` [0] is what is left of the shared disk; what is granted is taken off."""

    row: Int64s
    tasks: Int64s
    disk: Int64s
    first: Int64s
    draws: Int64s
    disk_free: Int64s


class Chosen(NamedTuple):
    """`granted` (runs); by task: `node`, and the bit mask of its `cards`."""

    granted: npt.NDArray[np.bool_]
    node: Int32s
    cards: Int64s


class TaskColumns(NamedTuple):
    """k tasks that hold something: `needs` (k, 4) as of `Shapes.rows`, the node, the bit mask of its cards."""

    needs: Int64s
    node: Int32s
    cards: Int64s


@compiled
def place_runs(state: State, asked: Asked, chosen: Chosen, refused: Marks) -> None:
    """Places each run in turn, all its tasks or none. A shape that was `refused` (rows) once is not tried again."""
    for r in range(len(asked.row)):
        s = asked.row[r]
        if refused[s]:
            continue
        if asked.disk[r] > 0 and asked.disk[r] > asked.disk_free[0]:
            refused[s] = 1
            continue
        first, wanted = asked.first[r], asked.tasks[r]
        placed = 0
        while placed < wanted:
            n = choose_node(state, s, asked.draws[first + placed])
            if n < 0:
                break
            mask = choose_cards(state, s, n, asked.draws[first + placed])
            take(state, s, n, mask)
            chosen.node[first + placed] = n
            chosen.cards[first + placed] = mask
            placed += 1
        if placed == wanted:
            chosen.granted[r] = True
            asked.disk_free[0] -= asked.disk[r]
            continue
        refused[s] = 1
        while placed > 0:
            placed -= 1
            give_back(state, s, chosen.node[first + placed], chosen.cards[first + placed])


@compiled
def place_among(state: State, s: int, draw: int, allowed: Marks) -> tuple[int, int]:
    """Places one task of shape `s` on the best node that is `allowed`: (node, mask of cards); (-1, 0): on none."""
    pool, _, _, ledger = state
    catch_up(state, s)
    row = ledger.scores[s]
    best, node = NO, -1
    if pool.policy[0, 0] == RANDOM:
        fitting = 0
        for n in range(len(allowed)):
            fitting += allowed[n] and row[n] > NO
        wanted = draw % max(1, fitting)
        for n in range(len(allowed)):
            if allowed[n] and row[n] > NO:
                if wanted == 0:
                    node = n
                    break
                wanted -= 1
    else:
        for n in range(len(allowed)):
            if allowed[n] and row[n] > best:
                best, node = row[n], n
    if node < 0:
        return -1, 0
    mask = choose_cards(state, s, node, draw)
    take(state, s, node, mask)
    return node, mask


@compiled
def fitting_nodes(state: State, s: int, marks: Marks) -> int:
    """Marks the nodes on which one task of shape `s` fits now; how many they are."""
    catch_up(state, s)
    row = state[3].scores[s]
    found = 0
    for n in range(len(marks)):
        marks[n] = row[n] > NO
        found += marks[n]
    return found


@compiled
def give_back_tasks(pool: PoolArrays, free: FreeColumns, ledger: Ledger, tasks: TaskColumns) -> None:
    for k in range(len(tasks.node)):
        change(tasks.needs[k], tasks.node[k], tasks.cards[k], -1, pool.nodes, free)
        ledger.counters[FREED] = ledger.counters[WRITTEN] + 1
        settle(tasks.node[k], pool, free, ledger)


@compiled
def hold_tasks(pool: PoolArrays, free: FreeColumns, ledger: Ledger, tasks: TaskColumns) -> None:
    """Takes what tasks hold already, fitting or not, and fills in `cards`: those given where they are free, else the
    ones that a task would get by default, else none: the node then owes the cards."""
    for k in range(len(tasks.node)):
        need, n = tasks.needs[k], tasks.node[k]
        if not holds(need, n, tasks.cards[k], pool.nodes, free):
            card = -1
            if shares_card(need):
                card = tightest_card(need[MILLI], n, pool.nodes, free)
            is_whole = not shares_card(need) and need[MILLI] <= WHOLE and free.whole[n] >= need[CARDS]
            if need[CARDS] > 0 and (card >= 0 or is_whole):
                tasks.cards[k] = cards_for(need, n, card, pool.nodes, free)
            else:
                tasks.cards[k] = 0
        change(need, n, tasks.cards[k], 1, pool.nodes, free)
        settle(n, pool, free, ledger)
