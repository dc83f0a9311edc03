"""A part of the wave problem to be solved anew while the rest stays: some groups, the windows they may use, and what
the others leave them. The whole problem is the part that holds every group.

Who calls this: `solve.py` cuts parts out, `cp_sat.waves` solves them, here or through the caller's parallel map: a
part is plain integers and travels well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from scheduler.core.waves.problem import Aim
from scheduler.core.waves.shape import Shape
from scheduler.core.waves.solution import NOWHERE, Solution, late_days


@dataclass(frozen=True, slots=True)
class PartGroup:
    """`windows` may be used; `price[aim][n]` is what the n-th of them costs by that aim. `now` is the present
    window (NOWHERE: none, and it may stay so)."""

    number: int
    windows: tuple[int, ...]
    size: int
    risk: int
    price: Mapping[Aim, tuple[int, ...]]
    now: int


@dataclass(frozen=True, slots=True)
class PartItem:
    """`group` by place in the part. `copy` bytes in the window, `minutes` of people; `last_pool` of the last plan."""

    number: int
    group: int
    pools: tuple[int, ...]
    teams: tuple[int, ...]
    copy: int
    minutes: int
    tags: tuple[str, ...]
    pool_now: int
    team_now: int
    last: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class PartPrefix:
    """`left[w]`: what may be taken in all until window w, at each step; `demand[place of item, pool]`."""

    left: tuple[tuple[int, int], ...]
    demand: Mapping[tuple[int, int], int]


@dataclass(frozen=True, slots=True)
class Part:
    """`edges` and `traffic` by place of groups; `ties` move in one window. `risk_there[w]` is the others' risk,
    `last_of_others` their last window (NOWHERE: there are none). `all_move`: every group has a place already and
    keeps one."""

    days: tuple[int, ...]
    groups: tuple[PartGroup, ...]
    items: tuple[PartItem, ...]
    edges: tuple[tuple[int, int], ...]
    ties: tuple[tuple[int, int], ...]
    traffic: tuple[tuple[int, int, int], ...]
    caps: Mapping[int, int]
    copies: Mapping[tuple[int, int], int]
    minutes: Mapping[tuple[int, int], int]
    tags: Mapping[tuple[str, int], int]
    prefixes: tuple[PartPrefix, ...]
    budget: int | None
    risk_there: Mapping[int, int]
    last_of_others: int
    all_move: bool
    aims: tuple[Aim, ...]
    weights: tuple[tuple[Aim, int], ...] = ()


def cut_part(
    shape: Shape,
    solution: Solution,
    freed: Collection[int],
    windows: Collection[int],
    ties: Sequence[tuple[int, int]] = (),
) -> Part:
    """The groups of `freed`, which may move within `windows`; every other group stays as it is."""
    inside = [g for g in sorted(freed) if shape.groups[g].allowed]
    place = {g: n for n, g in enumerate(inside)}
    others = _Others(shape, solution, frozenset(inside))
    bounds = _bounds(shape, solution, place)
    groups = tuple(
        _group(shape, solution, g, [w for w in windows if bounds[g][0] <= w <= bounds[g][1]], place)
        for g in inside
    )
    items = [index for g in inside for index in shape.groups[g].members]
    item_place = {index: n for n, index in enumerate(items)}
    problem = shape.problem
    return Part(
        days=shape.days,
        groups=groups,
        items=tuple(_item(shape, solution, index, place) for index in items),
        edges=tuple((place[a], place[b]) for a, b in shape.edges if a in place and b in place),
        ties=tuple((place[a], place[b]) for a, b in ties if a in place and b in place),
        traffic=tuple((place[a], place[b], gb) for a, b, gb in shape.traffic if a in place and b in place),
        caps={w: problem.windows[w].cap - others.load["cap", w] for w in windows},
        copies={
            (p, w): shape.copy_limit(p, w) - others.load["copy", p, w]
            for p in range(len(problem.pools))
            for w in windows
        },
        minutes={
            (t, w): shape.minutes[t][w] - others.load["team", t, w]
            for t in range(len(problem.teams))
            for w in windows
            if shape.works[t] >> w & 1
        },
        tags={
            (cap.tag, w): cap.most - others.load["tag", cap.tag, w] for cap in problem.concurrency for w in windows
        },
        prefixes=tuple(_prefixes(shape, solution, place, item_place)),
        budget=None if problem.budget is None else problem.budget - others.cost,
        risk_there={w: others.load["risk", w] for w in range(shape.windows)},
        last_of_others=others.last,
        all_move=all(solution.window[g] != NOWHERE for g in inside),
        aims=problem.aims,
        weights=problem.weights,
    )


class _Others:
    """What the groups that stay take."""

    def __init__(self, shape: Shape, solution: Solution, inside: frozenset[int]) -> None:
        self.load: dict[tuple[object, ...], int] = defaultdict(int)
        self.cost = 0
        self.last = NOWHERE
        for g, group in enumerate(shape.groups):
            w = solution.window[g]
            if g in inside or w == NOWHERE:
                continue
            self.last = max(self.last, w)
            self.load["cap", w] += group.size
            self.load["risk", w] += group.risk
            for index in group.members:
                item = shape.items[index]
                self.cost += shape.cost(index, w)
                self.load["copy", solution.pool[index], w] += item.copy_bytes
                if item.needs_team:
                    self.load["team", solution.team[index], w] += item.crew * item.minutes
                for tag in item.tags:
                    self.load["tag", tag, w] += 1


def _bounds(shape: Shape, solution: Solution, place: Mapping[int, int]) -> dict[int, tuple[int, int]]:
    """By group: the first and last window that the groups that stay leave it."""
    first = dict.fromkeys(place, 0)
    last = dict.fromkeys(place, shape.windows - 1)
    for user, used in shape.edges:
        if user in place and used not in place and solution.window[used] != NOWHERE:
            first[user] = max(first[user], solution.window[used])
        if used in place and user not in place and solution.window[user] != NOWHERE:
            last[used] = min(last[used], solution.window[user])
    return {g: (first[g], last[g]) for g in place}


def _group(shape: Shape, solution: Solution, g: int, windows: Sequence[int], place: Collection[int]) -> PartGroup:
    group = shape.groups[g]
    usable = tuple(w for w in sorted(windows) if group.allowed >> w & 1)
    toward = [
        (shape.days[solution.window[other]], gb)
        for other, gb in shape.neighbours.get(g, ())
        if other not in place and solution.window[other] != NOWHERE
    ]
    price = {
        Aim.LATE: tuple(sum(late_days(shape, index, w) for index in group.members) for w in usable),
        Aim.COST: tuple(sum(shape.cost(index, w) for index in group.members) for w in usable),
        Aim.TRAFFIC: tuple(sum(gb * abs(shape.days[w] - day) for day, gb in toward) for w in usable),
    }
    return PartGroup(g, usable, group.size, group.risk, price, solution.window[g])


def _item(shape: Shape, solution: Solution, index: int, place: Mapping[int, int]) -> PartItem:
    item = shape.items[index]
    return PartItem(
        number=index,
        group=place[shape.group_of[index]],
        pools=shape.pools_of[index],
        teams=shape.teams_of[index] if item.needs_team else (),
        copy=item.copy_bytes,
        minutes=item.crew * item.minutes,
        tags=tuple(sorted(item.tags)),
        pool_now=solution.pool[index],
        team_now=solution.team[index],
        last=(shape.last_window[index], shape.last_pool[index]) if index in shape.last_window else None,
    )


def _prefixes(
    shape: Shape, solution: Solution, place: Mapping[int, int], item_place: Mapping[int, int]
) -> list[PartPrefix]:
    found = []
    for resource in shape.prefixes:
        demand = {(item_place[i], p): amount for (i, p), amount in resource.demand.items() if i in item_place}
        if not demand:
            continue
        taken = [0] * shape.windows
        for (i, p), amount in resource.demand.items():
            g = shape.group_of[i]
            if g not in place and solution.window[g] != NOWHERE and solution.pool[i] == p:
                taken[solution.window[g]] += amount
        so_far, left, steps = 0, [], set(resource.steps)
        for w in range(shape.windows):
            so_far += taken[w]
            if w in steps:
                left.append((w, resource.limits[w] - so_far))
        found.append(PartPrefix(tuple(left), demand))
    return found
