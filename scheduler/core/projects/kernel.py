"""Serial schedules, double justification and the genetic search over priority lists, compiled.

Who calls this: `evolution.py`; nothing else imports numba here. Arrays and integers alone; `schedule_generation.py` is the
plain twin of `justified`, and tests hold them equal. All functions stand in one file, because a cached
function is taken as stale by the date of its own file.
Sources: Hartmann, A competitive genetic algorithm for RCPSP, Naval Research Logistics 45 (1998) (two-point crossover);
Valls, Ballestin, Quintanilla, A hybrid genetic algorithm for RCPSP, EJOR 185 (2008) (double justification of each child);
Vigna, An experimental exploration of Marsaglia's xorshift generators, ACM TOMS 42 (2016).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Function = TypeVar("Function", bound=Callable[..., object])
_WORD = np.uint64(0x2545F4914F6CDD1D)
# Of 1,000 neighbours in a child's list so many change places; so many of 1,000 lists are made by a rule and not by parents.
_SWAPPED = 50
# The places of `Herd.counters`: schedules made; the shortest makespan; children since it was found; members so far.
MADE, BEST, IDLE, FILLED = range(4)


class Net(NamedTuple):
    """A project by index, in arrays. `before[before_at[j] : before_at[j + 1]]` are the predecessors of job j, `after` its
    successors likewise. `needs` (n, words) and `free` (words) hold all resources packed, each in a field with a guard
    bit on top (`guards`), so that one subtraction a word tells whether a period has enough. `rank` is a topological
    order's place of each job, `tail` the longest chain from its start."""

    durations: Int64s
    needs: Int64s
    free: Int64s
    guards: Int64s
    before: Int32s
    before_at: Int32s
    after: Int32s
    after_at: Int32s
    rank: Int64s
    tail: Int64s


class Herd(NamedTuple):
    """The lists that are bred: `orders` (members, n), their makespans `lengths`, the shortest schedule so far `best` (n
    starts), `counters`, and the generator's state `chance` (1)."""

    orders: Int32s
    lengths: Int64s
    best: Int64s
    counters: Int64s
    chance: npt.NDArray[np.uint64]


class Room(NamedTuple):
    """What is written and read again while one list is made and scheduled: kernels allocate nothing. `table`
    (horizon + 1, words) is what is free in each period; all others have an entry a job."""

    table: Int64s
    child: Int32s
    starts: Int64s
    keys: Int64s
    marks: Int32s
    free: Int32s


# Without reference counts (`_nrt`), because kernels allocate nothing; without wrappers where Python does not call: both save
# seconds of the first start, when everything is compiled.
_OPTIONS: dict[str, Any] = {"nogil": True, "cache": True, "error_model": "numpy", "_nrt": False}
_UNWRAPPED: dict[str, Any] = {**_OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def _compiled(function: Function) -> Function:
    return cast(Function, numba.njit(**_OPTIONS)(function))


def _inner(function: Function) -> Function:
    return cast(Function, numba.njit(**_UNWRAPPED)(function))


@_inner
def _serial(net: Net, order: Int32s, backwards: bool, table: Int64s, starts: Int64s) -> int:
    """Each job of the order at its earliest start, into `starts`; `backwards` runs the project from its end to its
    start. The makespan."""
    durations, needs, guards = net.durations, net.needs, net.guards
    before, before_at = (net.after, net.after_at) if backwards else (net.before, net.before_at)
    words = guards.size
    length, cleared = 0, 0
    for place in range(order.size):
        job = order[place]
        start = 0
        for at in range(before_at[job], before_at[job + 1]):
            other = before[at]
            start = max(start, starts[other] + durations[other])
        lasts = durations[job]
        needed = False
        for word in range(words):
            needed = needed or needs[job, word] != 0
        if needed and lasts:
            period, stop = start, start + lasts
            while period < stop:
                while cleared <= period:
                    for word in range(words):
                        table[cleared, word] = net.free[word]
                    cleared += 1
                fits = True
                for word in range(words):
                    fits = fits and ((table[period, word] - needs[job, word]) & guards[word]) == guards[word]
                period += 1
                if not fits:
                    start, stop = period, period + lasts
            for each in range(start, stop):
                for word in range(words):
                    table[each, word] -= needs[job, word]
        starts[job] = start
        length = max(length, start + lasts)
    return length


@_inner
def _sort(order: Int32s, keys: Int64s) -> None:
    """The jobs by their keys, which differ: a shell sort, because numpy's takes seconds to compile."""
    step = 1
    while 3 * step < order.size:
        step = 3 * step + 1
    while step > 0:
        for place in range(step, order.size):
            job = order[place]
            at = place
            while at >= step and keys[order[at - step]] > keys[job]:
                order[at] = order[at - step]
                at -= step
            order[at] = job
        step //= 3


@_compiled
def justified(net: Net, room: Room) -> int:
    """The schedule of the list `room.child`, pushed to the right, then to the left, which never makes it longer, into
    `room.starts`; `child` becomes the list of that schedule. The makespan."""
    order, starts, keys = room.child, room.starts, room.keys
    jobs = order.size
    length = 0
    for turn in range(3):
        length = _serial(net, order, turn == 1, room.table, starts)
        for job in range(jobs):
            if turn == 1:  # what was built from the end
                starts[job] = length - starts[job] - net.durations[job]
            if turn == 0:
                keys[job] = (length - starts[job] - net.durations[job]) * jobs + (jobs - 1 - net.rank[job])
            else:
                keys[job] = starts[job] * jobs + net.rank[job]
        _sort(order, keys)
    return length


@_inner
def _draw(herd: Herd, below: int) -> int:
    """A number from 0 to below - 1, by xorshift64*."""
    word = herd.chance[0]
    word ^= word >> np.uint64(12)
    word ^= word << np.uint64(25)
    word ^= word >> np.uint64(27)
    herd.chance[0] = word
    return int((word * _WORD) >> np.uint64(33)) % below


@_inner
def _by_rule(net: Net, herd: Herd, noise: int, room: Room) -> None:
    """A list that keeps the precedences: of the free jobs the one with the longest rest of the project, blurred by up to
    `noise` percent either way."""
    order, missing, weight, free = room.child, room.marks, room.keys, room.free
    jobs = order.size
    count = 0
    for job in range(jobs):
        missing[job] = net.before_at[job + 1] - net.before_at[job]
        weight[job] = net.tail[job] * (100 + (_draw(herd, 2 * noise + 1) - noise if noise else 0))
        if missing[job] == 0:
            free[count] = job
            count += 1
    for place in range(jobs):
        chosen = 0
        for each in range(1, count):
            one, other = free[each], free[chosen]
            if weight[one] > weight[other] or (weight[one] == weight[other] and one < other):
                chosen = each
        job = free[chosen]
        count -= 1
        free[chosen] = free[count]
        order[place] = job
        for at in range(net.after_at[job], net.after_at[job + 1]):
            later = net.after[at]
            missing[later] -= 1
            if missing[later] == 0:
                free[count] = later
                count += 1


@_inner
def _breed(net: Net, herd: Herd, room: Room) -> None:
    """The list of the better of two members, of which a stretch comes in the order of a third; then some neighbours
    change places where no precedence forbids it."""
    orders, members, child, taken = herd.orders, herd.lengths.size, room.child, room.marks
    mother, rival, father = _draw(herd, members), _draw(herd, members), _draw(herd, members)
    if herd.lengths[rival] < herd.lengths[mother]:
        mother = rival
    jobs = child.size
    first, second = _draw(herd, jobs + 1), _draw(herd, jobs + 1)
    first, second = min(first, second), max(first, second)
    for job in range(jobs):
        taken[job] = 0
    for place in range(first):
        child[place] = orders[mother, place]
        taken[child[place]] = 1
    place = first
    for at in range(jobs):
        if place >= second:
            break
        job = orders[father, at]
        if not taken[job]:
            child[place] = job
            taken[job] = 1
            place += 1
    for at in range(jobs):
        job = orders[mother, at]
        if not taken[job]:
            child[place] = job
            place += 1
    for place in range(jobs - 1):
        if _draw(herd, 1000) < _SWAPPED:
            one, other = child[place], child[place + 1]
            bound = False
            for at in range(net.before_at[other], net.before_at[other + 1]):
                bound = bound or net.before[at] == one
            if not bound:
                child[place], child[place + 1] = other, one


@_inner
def _replaced(herd: Herd, child: Int32s, length: int) -> int:
    """The member that the child replaces; -1 where it is worse than all, or one of them."""
    worst = 0
    for member in range(herd.lengths.size):
        if herd.lengths[member] > herd.lengths[worst]:
            worst = member
        if herd.lengths[member] == length:
            place = 0
            while place < child.size and herd.orders[member, place] == child[place]:
                place += 1
            if place == child.size:
                return -1
    return worst if length <= herd.lengths[worst] else -1


@_compiled
def evolve(net: Net, herd: Herd, room: Room, children: int, noise: int, goal: int) -> None:
    """So many children; each takes the place of the worst member if it is no worse and not there already. While the herd is
    not full they are made by the rule, blurred by `noise` percent but for the first. Ends early at makespan `goal`."""
    members, jobs = herd.orders.shape
    counters = herd.counters
    for _ in range(children):
        if counters[BEST] <= goal:
            return
        filled = counters[FILLED]
        if filled < members:
            _by_rule(net, herd, noise if filled else 0, room)
        else:
            _breed(net, herd, room)
        length = justified(net, room)
        counters[MADE] += 3
        counters[IDLE] += 1
        if length < counters[BEST]:
            counters[BEST] = length
            counters[IDLE] = 0
            for job in range(jobs):
                herd.best[job] = room.starts[job]
        member = filled if filled < members else _replaced(herd, room.child, length)
        if member >= 0:
            counters[FILLED] = min(members, filled + 1)
            herd.lengths[member] = length
            for place in range(jobs):
                herd.orders[member, place] = room.child[place]
