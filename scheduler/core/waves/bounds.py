"""Lower bounds on the finish of a wave plan that need no solver: which window no plan can finish before.

Who calls this: `solve.py`, `conflicts.py`. Each bound holds for every plan that places all systems which can be placed at
all, or all but a number of them: it looks at sets of systems that share few windows, pools or teams, and counts what these
offer until a window. Who leaves systems out may leave out the largest, and what nobody places binds none of its users: so
where k systems are spared, a system waits for the last but k of those that it uses.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from scheduler.core.waves.shape import Shape

# Families of windows that are tried as bottlenecks: the most common ones, and their tails.
_MOST_FAMILIES = 60


@dataclass(frozen=True, slots=True)
class _Load:
    """Systems that may use only `windows`: `amount` of something that each window offers some of."""

    windows: int
    amount: int


def earliest_finish(shape: Shape, spared: int = 0) -> int:
    """The index of a window: no plan that places every group with an open window, but for at most `spared` systems, ends
    before it. -1 where nothing need be placed; the number of windows where there is no such plan."""
    masks = _with_some_spared(shape, spared) if spared else [group.allowed for group in shape.groups]
    firsts = sorted(
        (
            ((mask & -mask).bit_length() - 1, group.size)
            for mask, group in zip(masks, shape.groups, strict=True)
            if mask
        ),
        reverse=True,
    )
    left = spared
    while firsts and firsts[0][1] <= left:
        left -= firsts.pop(0)[1]
    if not firsts:
        return -1
    bounds = [firsts[0][0]]
    movable = [(mask, group) for mask, group in zip(masks, shape.groups, strict=True) if mask]
    caps = [slot.cap for slot in shape.problem.windows]
    bounds.append(_bottleneck([_Load(mask, group.size) for mask, group in movable], caps, spared))
    for cap in shape.problem.concurrency:
        tagged = set(shape.tag_members(cap.tag))
        loads = [_Load(mask, sum(each in tagged for each in group.members)) for mask, group in movable]
        bounds.append(_bottleneck([load for load in loads if load.amount], [cap.most] * shape.windows, spared))
    bounds.extend(_team_bounds(shape, masks, spared))
    bounds.extend(_prefix_bounds(shape, masks, spared))
    return max(bounds)


def _with_some_spared(shape: Shape, spared: int) -> list[int]:
    """By group: the windows that stay open whoever is left out. Of the k + 1 used groups that open last, one at least is
    placed where no more than k systems are left out, and its users come after it."""
    uses: dict[int, set[int]] = defaultdict(set)
    for user, used in shape.edges:
        uses[user].add(used)
    firsts = [_first_open(group.own, 0, shape.windows) for group in shape.groups]
    binding = [(user, sorted(all_used)) for user, all_used in uses.items() if len(all_used) > spared]
    changed = True
    while changed:
        changed = False
        for user, all_used in binding:
            waits = sorted((firsts[used] for used in all_used), reverse=True)[spared]
            if waits > firsts[user]:
                later = _first_open(shape.groups[user].own, waits, shape.windows)
                firsts[user], changed = later, True
    return [group.own & (-1 << first) for group, first in zip(shape.groups, firsts, strict=True)]


def _first_open(own: int, window: int, windows: int) -> int:
    """The number of windows where there is none."""
    later = own & (-1 << window)
    return (later & -later).bit_length() - 1 if later else windows


def _bottleneck(loads: list[_Load], offered: list[int], forgiven: int) -> int:
    """The least window by which every family of windows has offered what can use only it, but for so much."""
    if not loads:
        return 0
    families: dict[int, int] = defaultdict(int)
    for load in loads:
        families[load.windows] += load.amount
    common = sorted(families, key=lambda mask: -families[mask])[:_MOST_FAMILIES]
    tests = {mask & tail for mask in [*common, _union(families)] for tail in _tails(common)}
    best = 0
    for test in tests:
        if not test:
            continue
        # What may use windows outside the test set can do so only before the finish: ask for each finish anew.
        best = max(best, _least_finish(test, families, offered, forgiven))
    return best


def _least_finish(test: int, families: dict[int, int], offered: list[int], forgiven: int) -> int:
    """The first window L such that the test set up to L offers what is confined to it among windows up to L."""
    windows = len(offered)
    able = list(accumulate(offered[w] if test >> w & 1 else 0 for w in range(windows)))
    outside = [(mask & ~test, amount) for mask, amount in families.items()]
    low, high = 0, windows
    while low < high:
        last = (low + high) // 2
        until = (1 << (last + 1)) - 1
        confined = sum(amount for mask, amount in outside if not mask & until)
        if confined - forgiven <= able[last]:
            high = last
        else:
            low = last + 1
    return low


def _tails(masks: Iterable[int]) -> set[int]:
    """All windows, and all from the first window of each mask on."""
    return {-1, *(-1 << ((mask & -mask).bit_length() - 1) for mask in masks if mask)}


def _union(masks: Iterable[int]) -> int:
    whole = 0
    for mask in masks:
        whole |= mask
    return whole


def _team_bounds(shape: Shape, masks: Sequence[int], spared: int) -> Iterator[int]:
    """For each set of teams that some systems are confined to: their minutes, and how many of their systems of the
    shortest kind fit in one window."""
    wanted = {teams for index, teams in enumerate(shape.teams_of) if shape.items[index].needs_team and teams}
    for teams in sorted(wanted):
        works = _union(shape.works[team] for team in teams)
        confined = [
            index
            for index, item in enumerate(shape.items)
            if item.needs_team and shape.teams_of[index] and set(shape.teams_of[index]) <= set(teams)
        ]
        open_to = {index: masks[shape.group_of[index]] & works for index in confined}
        confined = [index for index in confined if open_to[index]]
        need = {index: shape.items[index].crew * shape.items[index].minutes for index in confined}
        offered = [
            sum(shape.minutes[team][w] for team in teams if shape.works[team] >> w & 1)
            for w in range(shape.windows)
        ]
        long_ones = sorted(need[index] for index in confined)
        forgiven = sum(long_ones[max(0, len(long_ones) - spared) :]) if spared else 0
        yield _bottleneck(
            [_Load(open_to[index], need[index]) for index in confined if need[index]], offered, forgiven
        )
        # No window holds more systems than of the shortest ones fit: minutes cannot be cut in pieces.
        for least in sorted(set(long_ones))[:8]:
            if least > 0:
                loads = [_Load(open_to[index], 1) for index in confined if need[index] >= least]
                counts = [
                    sum(shape.minutes[team][w] // least for team in teams if shape.works[team] >> w & 1)
                    for w in range(shape.windows)
                ]
                yield _bottleneck(loads, counts, spared)


def _prefix_bounds(shape: Shape, masks: Sequence[int], spared: int) -> Iterator[int]:
    """Pools and links: what is confined to some pools must wait until these, together, can hold it."""
    by_name: dict[str, list[int]] = defaultdict(list)
    for number, resource in enumerate(shape.prefixes):
        kind = resource.name if resource.name.startswith("link:") else resource.name.partition(":")[2]
        by_name[kind].append(number)
    confined_to = {pools for pools in shape.pools_of if pools}
    for pools in sorted(confined_to):
        for numbers in by_name.values():
            resources = [shape.prefixes[number] for number in numbers]
            mine = [r for r in resources if any(pool in pools for _, pool in r.demand)]
            needs: list[int] = []
            for index, own in enumerate(shape.pools_of):
                if not own or not set(own) <= set(pools) or not masks[shape.group_of[index]]:
                    continue
                # A pool of its own that asks nothing of these resources sets the system free.
                amounts = [sum(r.demand.get((index, pool), 0) for r in mine) for pool in own]
                needs.append(min(amounts))
            needs.sort()
            need = sum(needs[: max(0, len(needs) - spared)])
            if need:
                limits = [sum(r.limits[w] for r in mine) for w in range(shape.windows)]
                yield next((w for w, limit in enumerate(limits) if limit >= need), shape.windows)
