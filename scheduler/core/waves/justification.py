"""An earlier finish by packing everything late, then early again in that order, with some systems let in first.

Who calls this: `solve.py`, between the greedy plans and CP-SAT. Packed late, whatever can wait for a gap after a freeze
waits there, and what is left before the freeze is what has to be; packed early in that order, the gaps fill up.
The first order comes from a choice about the long gaps of the calendar (`gap_guide.py`). Pools stay as they are, and so do
cycles that move in one window, unless they may be split. Pure and deterministic: effort is counted in packings.
Source: Valls, Ballestin, Quintanilla, Justification and RCPSP, European Journal of Operational Research 165, 2005;
Joslin, Clements, Squeaky wheel optimization, Journal of AI Research 10, 1999 (systems at the tail are let in first).
"""

from __future__ import annotations

import heapq
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scheduler.core.budget import Budget
from scheduler.core.waves.gap_guide import GapNode, guide
from scheduler.core.waves.shape import Shape
from scheduler.core.waves.solution import NOWHERE, Solution, cycle_ties, replaced

_EFFORT_A_GROUP = 6e-5  # deterministic seconds of packing one group once
_PATIENCE = 60  # packings without gain
_TIES = (0.0, 0.5, 0.9, 0.9, 0.9, 0.9, 2.0, 2.0)  # how far units of nearby latest windows are shuffled


@dataclass(frozen=True, slots=True)
class _Unit:
    """Groups that move together. `tags` counts capped tags, `work` is (item, minutes) that teams share out, `copies`
    bytes by pool, `takes` amounts by rising resource."""

    groups: tuple[int, ...]
    items: tuple[int, ...]
    allowed: int
    size: int
    tags: tuple[tuple[str, int], ...]
    work: tuple[tuple[int, int], ...]
    copies: tuple[tuple[int, int], ...]
    takes: tuple[tuple[int, int], ...]


class _Units:
    """The units of a solution, and which use which. `tied`: groups of a cycle that share a window are one unit."""

    def __init__(self, shape: Shape, solution: Solution, *, tied: bool) -> None:
        leader = list(range(len(shape.groups)))

        def head(g: int) -> int:
            while leader[g] != g:
                g = leader[g]
            return g

        for one, other in cycle_ties(shape, solution) if tied else ():
            leader[head(one)] = head(other)
        together: dict[int, list[int]] = defaultdict(list)
        for g, w in enumerate(solution.window):
            if w != NOWHERE:
                together[head(g)].append(g)
        capped = {cap.tag for cap in shape.problem.concurrency}
        takes: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self.rising = [resource for resource in shape.prefixes if len(resource.steps) > 1]
        for number, resource in enumerate(self.rising):
            for (item, pool), amount in resource.demand.items():
                if solution.pool[item] == pool:
                    takes[item].append((number, amount))
        self.all = [self._unit(shape, solution, groups, capped, takes) for groups in together.values()]
        home = {g: number for number, unit in enumerate(self.all) for g in unit.groups}
        uses: list[set[int]] = [set() for _ in self.all]
        users: list[set[int]] = [set() for _ in self.all]
        for user, used in shape.edges:
            if user in home and used in home:
                uses[home[user]].add(home[used])
                users[home[used]].add(home[user])
        self.uses, self.users = [sorted(each) for each in uses], [sorted(each) for each in users]
        self.windows = [solution.window[unit.groups[0]] for unit in self.all]

    def _unit(
        self,
        shape: Shape,
        solution: Solution,
        groups: Sequence[int],
        capped: set[str],
        takes: Mapping[int, Sequence[tuple[int, int]]],
    ) -> _Unit:
        items = [index for g in groups for index in shape.groups[g].members]
        allowed = -1
        for g in groups:
            allowed &= shape.groups[g].allowed
        copies: Counter[int] = Counter()
        taken: Counter[int] = Counter()
        for index in items:
            if shape.items[index].copy_bytes:
                copies[solution.pool[index]] += shape.items[index].copy_bytes
            for number, amount in takes.get(index, ()):
                taken[number] += amount
        tags = Counter(tag for index in items for tag in shape.items[index].tags if tag in capped)
        work = [
            (index, shape.items[index].crew * shape.items[index].minutes)
            for index in items
            if shape.items[index].needs_team
        ]
        work.sort(key=lambda each: (len(shape.teams_of[each[0]]), -each[1], each[0]))
        return _Unit(
            tuple(groups),
            tuple(items),
            allowed,
            len(items),
            tuple(sorted(tags.items())),
            tuple(work),
            tuple(sorted(copies.items())),
            tuple(sorted(taken.items())),
        )


class _Packing:
    """What is left of everything while units are placed one after another."""

    def __init__(self, shape: Shape, units: _Units, *, rising: bool) -> None:
        self._shape = shape
        self._cap = [slot.cap for slot in shape.problem.windows]
        self._tag = {cap.tag: [cap.most] * shape.windows for cap in shape.problem.concurrency}
        self._minutes = [list(row) for row in shape.minutes]
        self._copied: Counter[tuple[int, int]] = Counter()
        self._slack = [np.array(r.limits, dtype=np.int64) for r in units.rising] if rising else []
        self.team: dict[int, int] = {}

    def place(self, unit: _Unit, windows: Iterable[int]) -> int:
        """The first of the windows that takes the unit; NOWHERE if none does."""
        ready = self._first_ready(unit)
        for w in windows:
            if w < ready or self._cap[w] < unit.size:
                continue
            if any(self._tag[tag][w] < count for tag, count in unit.tags):
                continue
            if any(self._copied[p, w] + b > self._shape.copy_limit(p, w) for p, b in unit.copies):
                continue
            teams = self._share(unit, w) if unit.work else {}
            if teams is not None:
                self._take(unit, w, teams)
                return w
        return NOWHERE

    def _first_ready(self, unit: _Unit) -> int:
        """Before this window some line or arriving capacity would not take it."""
        ready = 0
        if self._slack:
            for number, amount in unit.takes:
                short = np.flatnonzero(self._slack[number] < amount)
                if short.size:
                    ready = max(ready, int(short[-1]) + 1)
        return ready

    def _share(self, unit: _Unit, w: int) -> dict[int, int] | None:
        chosen: dict[int, int] = {}
        spent: Counter[int] = Counter()
        for item, minutes in unit.work:
            best, most = NOWHERE, minutes - 1
            for team in self._shape.teams_of[item]:
                left = self._minutes[team][w] - spent[team]
                if left > most and self._shape.works[team] >> w & 1:
                    best, most = team, left
            if best == NOWHERE:
                return None
            chosen[item] = best
            spent[best] += minutes
        return chosen

    def _take(self, unit: _Unit, w: int, teams: Mapping[int, int]) -> None:
        self._cap[w] -= unit.size
        for tag, count in unit.tags:
            self._tag[tag][w] -= count
        for pool, amount in unit.copies:
            self._copied[pool, w] += amount
        for item, minutes in unit.work:
            self._minutes[teams[item]][w] -= minutes
        if self._slack:
            for number, amount in unit.takes:
                self._slack[number][w:] -= amount
        self.team.update(teams)


class Justifier:
    def __init__(self, shape: Shape, solution: Solution, bound: int, seed: int, *, tied: bool = True) -> None:
        """`tied`: what moves in one window with its cycle now stays with it; else cycles may be split."""
        self._shape = shape
        self._first = solution
        self._units = _Units(shape, solution, tied=tied)
        self._bound = bound
        self._chance = random.Random(seed)
        self.effort = 0.0

    def run(self, budget: Budget) -> Solution:
        """A solution that ends no later than the one given; ends at the bound, or after many packings without gain."""
        windows = list(self._units.windows)
        mine = self._rank(windows)
        best, best_teams = windows, None
        guided = self._guided(windows)
        if guided is not None and self._rank(guided[0]) < mine:
            best, best_teams = guided
            windows, mine = best, self._rank(best)
        idle = 0
        while idle < _PATIENCE and mine[0] > self._bound and self.effort < budget.effort and not budget.is_spent:
            late = self._late(windows)
            found = self._early(windows, late if late is not None else windows)
            idle += 1
            if found is None:
                continue
            new, teams = found
            rank = self._rank(new)
            if rank <= mine:
                if rank < mine:
                    idle, best, best_teams = 0, new, teams
                windows, mine = new, rank
        if best_teams is None:
            return self._first
        return self._with(best, best_teams)

    def _guided(self, windows: Sequence[int]) -> tuple[list[int], dict[int, int]] | None:
        """Packed early by the latest windows that a choice about the long gaps of the calendar leaves; the best of a few
        ways to settle ties."""
        units = self._units
        nodes = [GapNode(unit.groups, unit.allowed) for unit in units.all]
        uses = [(user, used) for user, all_used in enumerate(units.uses) for used in all_used]
        found = guide(self._shape, nodes, uses, max(windows), self._chance.randrange(1 << 31))
        if found is None:
            return None
        self.effort += found.effort
        return self._best_by(windows, found.latest)

    def by(self, latest: Mapping[int, int]) -> Solution:
        """A solution that ends no later than the one given, packed early in the order of these windows, by group."""
        windows = list(self._units.windows)
        due = [min(latest.get(g, windows[u]) for g in unit.groups) for u, unit in enumerate(self._units.all)]
        found = self._best_by(windows, due)
        if found is None or self._rank(found[0]) >= self._rank(windows):
            return self._first
        return self._with(*found)

    def _best_by(self, windows: Sequence[int], latest: Sequence[int]) -> tuple[list[int], dict[int, int]] | None:
        best: tuple[list[int], dict[int, int]] | None = None
        for spread in _TIES:
            ranks = [window + self._chance.uniform(0, spread) for window in latest]
            packed = self._packed(windows, ranks)
            if packed is not None and (best is None or self._rank(packed[0]) < self._rank(best[0])):
                best = packed
        return best

    def _with(self, windows: Sequence[int], teams: Mapping[int, int]) -> Solution:
        moved = {g: windows[u] for u, unit in enumerate(self._units.all) for g in unit.groups}
        return replaced(self._first, moved, {}, teams)

    def _rank(self, windows: Sequence[int]) -> tuple[int, int]:
        """The last window, then how far systems lie beyond the bound."""
        beyond = sum(
            (w - self._bound) * unit.size
            for w, unit in zip(windows, self._units.all, strict=True)
            if w > self._bound
        )
        return max(windows, default=NOWHERE), beyond

    def _late(self, windows: Sequence[int]) -> list[int] | None:
        """Every unit in the last window that takes it after its users have gone there, the finish kept."""
        last = max(windows)
        packing = _Packing(self._shape, self._units, rising=False)
        found = list(windows)
        ceiling = [last] * len(found)
        self.effort += len(self._shape.groups) * _EFFORT_A_GROUP
        ranks = [-w for w in windows]
        for u in _topological(self._units.users, self._units.uses, ranks):
            unit = self._units.all[u]
            w = packing.place(unit, _falling(unit.allowed, ceiling[u]))
            if w == NOWHERE:
                return None
            found[u] = w
            for used in self._units.uses[u]:
                ceiling[used] = min(ceiling[used], w)
        return found

    def _early(self, windows: Sequence[int], late: Sequence[int]) -> tuple[list[int], dict[int, int]] | None:
        """Every unit in the first window that takes it, in the order of `late`; a few of the tail, with all that they
        use, before the others."""
        first = self._let_in_first(windows)
        spread = self._chance.choice((0.0, 0.5, 1.0, 3.0, 8.0))
        ranks = [w + self._chance.uniform(0, spread) - (1000 if u in first else 0) for u, w in enumerate(late)]
        return self._packed(windows, ranks)

    def _packed(self, windows: Sequence[int], ranks: Sequence[float]) -> tuple[list[int], dict[int, int]] | None:
        """Every unit in the first window that takes it; of those whose used ones are placed, the least rank first."""
        packing = _Packing(self._shape, self._units, rising=True)
        found = list(windows)
        floor = [0] * len(found)
        self.effort += len(self._shape.groups) * _EFFORT_A_GROUP
        for u in _topological(self._units.uses, self._units.users, ranks):
            unit = self._units.all[u]
            w = packing.place(unit, _rising(unit.allowed, floor[u]))
            if w == NOWHERE:
                return None
            found[u] = w
            for user in self._units.users[u]:
                floor[user] = max(floor[user], w)
        return found, packing.team

    def _let_in_first(self, windows: Sequence[int]) -> set[int]:
        tail = [u for u, w in enumerate(windows) if w > self._bound]
        count = self._chance.choice((0, 1, 2, 4, 8, 16))
        chosen = set(self._chance.sample(tail, k=min(len(tail), count)))
        waiting = list(chosen)
        while waiting:
            for used in self._units.uses[waiting.pop()]:
                if used not in chosen:
                    chosen.add(used)
                    waiting.append(used)
        return chosen


def _topological(
    before: Sequence[Sequence[int]], after: Sequence[Sequence[int]], ranks: Sequence[float]
) -> Iterable[int]:
    """All units, each after those before it; among those that are free the least rank first."""
    missing = [len(each) for each in before]
    free = [(ranks[u], u) for u, count in enumerate(missing) if not count]
    heapq.heapify(free)
    while free:
        _, u = heapq.heappop(free)
        yield u
        for other in after[u]:
            missing[other] -= 1
            if not missing[other]:
                heapq.heappush(free, (ranks[other], other))


def _rising(mask: int, floor: int) -> Iterable[int]:
    left = mask & (-1 << floor)
    while left:
        low = left & -left
        yield low.bit_length() - 1
        left ^= low


def _falling(mask: int, ceiling: int) -> Iterable[int]:
    left = mask & ((1 << (ceiling + 1)) - 1)
    while left:
        top = left.bit_length() - 1
        yield top
        left ^= 1 << top
