"""A plan by index while it is being searched: which window for each group, which pool and team for each item.

Who calls this: `solve.py` and its neighbourhoods. `score` measures it by the problem's aims.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scheduler.core.waves.problem import Aim, WaveProblem
from scheduler.core.waves.shape import Shape

NOWHERE = -1


@dataclass(frozen=True, slots=True)
class Solution:
    """`window[group]`, `pool[item]`, `team[item]` as indices; NOWHERE where there is none."""

    window: tuple[int, ...]
    pool: tuple[int, ...]
    team: tuple[int, ...]

    @property
    def last(self) -> int:
        return max(self.window, default=NOWHERE)


@dataclass(frozen=True, slots=True)
class Score:
    """How many systems have no place, and each aim; smaller is better."""

    unplaced: int
    aims: Mapping[Aim, int]

    def rank(self, problem: WaveProblem) -> tuple[int, ...]:
        """To compare two plans of one problem: the smaller tuple is the better plan."""
        if problem.weights:
            return self.unplaced, sum(weight * self.aims[aim] for aim, weight in problem.weights)
        return self.unplaced, *(self.aims[aim] for aim in problem.aims)


def score(shape: Shape, solution: Solution) -> Score:
    window = solution.window
    placed = [g for g, w in enumerate(window) if w != NOWHERE]
    days = shape.days
    risks: dict[int, int] = defaultdict(int)
    late = cost = 0
    for g in placed:
        group = shape.groups[g]
        risks[window[g]] += group.risk
        late += sum(late_days(shape, item, window[g]) for item in group.members)
        cost += sum(shape.cost(item, window[g]) for item in group.members)
    traffic = sum(
        amount * abs(days[window[user]] - days[window[used]])
        for user, used, amount in shape.traffic
        if window[user] != NOWHERE and window[used] != NOWHERE
    )
    change = sum(
        changes(shape, item, window[shape.group_of[item]], solution.pool[item]) for item in shape.last_window
    )
    last = max((window[g] for g in placed), default=NOWHERE)
    return Score(
        unplaced=sum(shape.groups[g].size for g, w in enumerate(window) if w == NOWHERE),
        aims={
            Aim.FINISH: days[last] if placed else 0,
            Aim.LATE: late,
            Aim.RISK: max(risks.values(), default=0),
            Aim.TRAFFIC: traffic,
            Aim.COST: cost,
            Aim.CHANGE: change,
        },
    )


def late_days(shape: Shape, item: int, window: int) -> int:
    """Days that the window lies past the end of the item's contract."""
    end = shape.items[item].contract_end
    return max(0, shape.days[window] - (end - shape.problem.settings.starts_on).days) if end is not None else 0


def changes(shape: Shape, item: int, window: int, pool: int) -> int:
    """1 where the last plan had the item in another window or pool, or this one has it nowhere."""
    return int((shape.last_window[item], shape.last_pool[item]) != (window, pool))


def broken(shape: Shape, solution: Solution) -> str | None:
    """A constraint that the solution breaks, in short, or None: what keeps a neighbourhood's answer out that
    does not fit with another's. The judge of whole plans is `check.py`."""
    load: dict[object, int] = defaultdict(int)
    for index, item in enumerate(shape.items):
        w = solution.window[shape.group_of[index]]
        if w == NOWHERE:
            continue
        pool, team = solution.pool[index], solution.team[index]
        load["cap", w] += 1
        load["copy", pool, w] += item.copy_bytes
        for tag in item.tags:
            load["tag", tag, w] += 1
        if item.needs_team:
            load["team", team, w] += item.crew * item.minutes
            if team == NOWHERE or not shape.works[team] >> w & 1:
                return "team"
    if any(load["cap", w] > slot.cap for w, slot in enumerate(shape.problem.windows)):
        return "cap"
    for key, amount in list(load.items()):
        assert isinstance(key, tuple)  # every key above is one
        if key[0] == "copy" and amount > shape.copy_limit(key[1], key[2]):
            return "copy"
        if key[0] == "team" and amount > shape.minutes[key[1]][key[2]]:
            return "minutes"
    if any(load["tag", cap.tag, w] > cap.most for cap in shape.problem.concurrency for w in range(shape.windows)):
        return "concurrency"
    return _broken_prefix(shape, solution)


def _broken_prefix(shape: Shape, solution: Solution) -> str | None:
    for resource in shape.prefixes:
        moved = [0] * shape.windows
        for (item, pool), amount in resource.demand.items():
            w = solution.window[shape.group_of[item]]
            if w != NOWHERE and solution.pool[item] == pool:
                moved[w] += amount
        so_far = 0
        for w, amount in enumerate(moved):
            so_far += amount
            if amount and so_far > resource.limits[w]:
                return resource.name
    budget = shape.problem.budget
    if budget is not None and score(shape, solution).aims[Aim.COST] > budget:
        return "budget"
    window = solution.window
    for user, used in shape.edges:
        if window[user] != NOWHERE and window[user] < window[used]:
            return "order"
    return None


def replaced(
    solution: Solution, windows: Mapping[int, int], pools: Mapping[int, int], teams: Mapping[int, int]
) -> Solution:
    """The solution with some groups and items moved."""
    return Solution(_with(solution.window, windows), _with(solution.pool, pools), _with(solution.team, teams))


def _with(values: Sequence[int], changed: Mapping[int, int]) -> tuple[int, ...]:
    return tuple(changed.get(index, value) for index, value in enumerate(values))


def cycle_ties(shape: Shape, solution: Solution) -> tuple[tuple[int, int], ...]:
    """Pairs of groups of one cycle that the solution moves in one window."""
    binding = set(shape.edges)
    return tuple(
        (user, used)
        for user, used, _ in shape.traffic
        if (user, used) not in binding and solution.window[user] == solution.window[used] != NOWHERE
    )
