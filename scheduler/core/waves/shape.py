"""The wave problem by index: which groups may move in which windows, and what each choice takes of what.

Who calls this: the greedy planner's board, the bounds and the CP-SAT models. Derived once from a problem; the judge
(`check.py`) does not use it. Windows are bits of an integer: bit w stands for the w-th window.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

from inventory.graph import strong_components
from inventory.model.calendar import Freeze
from inventory.model.units import Resources
from scheduler.core.waves.pool_choice import eligible_pools, hosts_for
from scheduler.core.waves.problem import Hosts, Item, PoolSlot, Team, WaveProblem


@dataclass(frozen=True, slots=True)
class GroupShape:
    """A move group. `allowed` are the windows that its members, and the groups before and after it, leave open;
    0: it can move in none. `own` are those that its members leave open by themselves. `risk` is its members' sum;
    `contract_end` the earliest one, as days from the start."""

    group_id: str
    members: tuple[int, ...]
    allowed: int
    own: int
    risk: int
    contract_end: int | None

    @property
    def size(self) -> int:
        return len(self.members)


@dataclass(frozen=True, slots=True)
class PrefixResource:
    """What systems take of it they keep: all that moved until a window must fit in `limits[window]`, which never
    falls. `demand[item, pool]` for the choices that take any."""

    name: str
    limits: tuple[int, ...]
    demand: Mapping[tuple[int, int], int]

    @property
    def steps(self) -> tuple[int, ...]:
        """The windows at which the limit is a constraint of its own: those before it rises, and the last."""
        last = len(self.limits) - 1
        return tuple(w for w in range(last + 1) if w == last or self.limits[w] < self.limits[w + 1])


@dataclass(frozen=True, slots=True)
class Shape:
    """`days[w]` are days from the start to window w. By item: its group, the pools and teams that could take it.
    `works[t]` are the windows of team t, `minutes[t][w]` its people's minutes. `edges` are (user group, used group)
    that bind; `traffic` (user group, used group, GB a day) between any two groups, `neighbours[g]` the same from one
    side. `last_window` and `last_pool` by item, of the plan that this one replaces; `spans[w]` the first and last day
    of window w."""

    problem: WaveProblem
    days: tuple[int, ...]
    items: tuple[Item, ...]
    group_of: tuple[int, ...]
    groups: tuple[GroupShape, ...]
    pools_of: tuple[tuple[int, ...], ...]
    teams_of: tuple[tuple[int, ...], ...]
    works: tuple[int, ...]
    minutes: tuple[tuple[int, ...], ...]
    edges: tuple[tuple[int, int], ...]
    traffic: tuple[tuple[int, int, int], ...]
    prefixes: tuple[PrefixResource, ...]
    index_of: Mapping[str, int]
    last_window: Mapping[int, int]
    last_pool: Mapping[int, int]
    neighbours: Mapping[int, tuple[tuple[int, int], ...]]
    spans: tuple[tuple[date, date], ...]

    @property
    def windows(self) -> int:
        return len(self.days)

    def copy_limit(self, pool: int, window: int) -> int:
        seconds = self.problem.windows[window].window.seconds
        return self.problem.pools[pool].copy_bytes_per_second * seconds

    def tag_members(self, tag: str) -> list[int]:
        return [index for index, item in enumerate(self.items) if tag in item.tags]

    def cost(self, item: int, window: int) -> int:
        """Yuan: what the move costs once, and double running until the window."""
        return self.items[item].move_cost + self.items[item].daily_cost * self.days[window]


def concerns(freeze: Freeze, item: Item) -> bool:
    """Whether the freeze's scope holds the item."""
    return (
        (not freeze.sectors or bool(freeze.sectors & item.sectors))
        and (not freeze.zones or item.zone in freeze.zones)
        and (not freeze.ownerships or item.ownership in freeze.ownerships)
        and (not freeze.tags or bool(freeze.tags & item.tags))
        and (not freeze.regions or item.region in freeze.regions)
        and (not freeze.departments or item.department in freeze.departments)
    )


def team_works(team: Team, first_day: date, last_day: date) -> bool:
    """On shift on the window's evening, and away on none of its days."""
    if team.nights and first_day.weekday() not in team.nights:
        return False
    return not any(first <= last_day and first_day <= last for first, last, _ in team.away)


def binding_edges(problem: WaveProblem) -> set[tuple[str, str]]:
    """(user group, used group) that no cycle of groups contains: only these bind every plan."""
    group_of = {item.key: item.group for item in problem.items}
    adjacency: dict[str, set[str]] = {item.group: set() for item in problem.items}
    for item in problem.items:
        adjacency[item.group].update(group_of[used] for used in item.uses if group_of[used] != item.group)
    part_of = {group: number for number, part in enumerate(strong_components(adjacency)) for group in part}
    return {
        (user, used) for user, all_used in adjacency.items() for used in all_used if part_of[user] != part_of[used]
    }


def make_shape(problem: WaveProblem) -> Shape:
    items = problem.items
    index_of = {item.key: index for index, item in enumerate(items)}
    members: dict[str, list[int]] = defaultdict(list)
    for index, item in enumerate(items):
        members[item.group].append(index)
    number_of = {group: number for number, group in enumerate(members)}
    pools_of = _pools_of(problem)
    spans = tuple((slot.window.first_day, slot.window.last_day) for slot in problem.windows)
    works = tuple(_bits(team_works(team, *span) for span in spans) for team in problem.teams)
    teams_of = tuple(_teams_of(item, problem.teams) for item in items)
    edges = tuple(sorted((number_of[user], number_of[used]) for user, used in binding_edges(problem)))
    prefixes = (*_pool_prefixes(problem, pools_of), *_link_prefixes(problem, pools_of))
    allowed = _Allowed(problem, spans, works, _in_time(prefixes, pools_of)).by_group(members, pools_of, teams_of)
    start = problem.settings.starts_on
    groups = []
    for group, own, mask in zip(members, allowed, _propagated(allowed, edges), strict=True):
        ends = [(end - start).days for each in members[group] if (end := items[each].contract_end) is not None]
        risk = sum(items[each].risk for each in members[group])
        groups.append(GroupShape(group, tuple(members[group]), mask, own, risk, min(ends, default=None)))
    traffic = _traffic(problem, number_of, index_of)
    return Shape(
        problem=problem,
        days=tuple((slot.window.first_day - start).days for slot in problem.windows),
        items=items,
        group_of=tuple(number_of[item.group] for item in items),
        groups=tuple(groups),
        pools_of=pools_of,
        teams_of=teams_of,
        works=works,
        minutes=tuple(
            tuple(team.people * (slot.window.seconds // 60) for slot in problem.windows) for team in problem.teams
        ),
        edges=edges,
        traffic=traffic,
        prefixes=prefixes,
        index_of=index_of,
        last_window=_last_windows(problem, index_of),
        last_pool=_last_pools(problem, index_of),
        neighbours=_neighbours(traffic),
        spans=spans,
    )


def loosened(shape: Shape) -> Shape:
    """The shape for plans that leave some groups out: whoever may be left out narrows nobody's windows."""
    return replace(shape, groups=tuple(replace(group, allowed=group.own) for group in shape.groups))


def without(shape: Shape, left_out: Collection[int]) -> Shape:
    """The shape for plans that leave these groups out: they narrow nobody's windows."""
    edges = [(user, used) for user, used in shape.edges if user not in left_out and used not in left_out]
    masks = _propagated([group.own for group in shape.groups], edges)
    groups = zip(shape.groups, masks, strict=True)
    return replace(shape, groups=tuple(replace(group, allowed=mask) for group, mask in groups))


def set_aside(shape: Shape, left_out: Collection[int]) -> Shape:
    """The shape for plans that leave out just these groups: they have no window, and narrow nobody's."""
    spared = without(shape, left_out)
    edges = tuple((user, used) for user, used in shape.edges if user not in left_out and used not in left_out)
    nowhere = frozenset(left_out)
    groups = tuple(
        replace(group, allowed=0, own=0) if g in nowhere else group for g, group in enumerate(spared.groups)
    )
    return replace(spared, edges=edges, groups=groups)


class _Allowed:
    """The windows that are open to an item by itself."""

    def __init__(
        self,
        problem: WaveProblem,
        spans: Sequence[tuple[date, date]],
        works: Sequence[int],
        in_time: Mapping[int, int],
    ) -> None:
        self._problem = problem
        self._spans = spans
        self._in_time = in_time
        self._works = works
        self._frozen: dict[object, int] = {}
        self._pinned = {pin.system_key: pin.window_id for pin in problem.pins if pin.window_id is not None}
        self._exempt = {key for held in problem.freezes for key in held.exempt}

    def by_group(
        self,
        members: Mapping[str, Sequence[int]],
        pools_of: Sequence[Sequence[int]],
        teams_of: Sequence[Sequence[int]],
    ) -> list[int]:
        found = []
        for inside in members.values():
            mask = _bits(slot.cap >= len(inside) for slot in self._problem.windows)
            for each in inside:
                item = self._problem.items[each]
                mask &= self._of(item) & self._in_time.get(each, -1) if pools_of[each] else 0
                if item.needs_team:
                    someone = 0
                    for team in teams_of[each]:
                        someone |= self._works[team]
                    mask &= someone
            found.append(mask)
        return found

    def _of(self, item: Item) -> int:
        mask = ~self._frozen_for(item)
        pinned = self._pinned.get(item.key)
        return mask & _bits(
            slot.max_risk >= item.risk
            and (item.earliest is None or first >= item.earliest)
            and (item.deadline is None or last <= item.deadline)
            and (pinned is None or slot.window.window_id == pinned)
            and slot.window.seconds // 60 >= item.minutes
            for slot, (first, last) in zip(self._problem.windows, self._spans, strict=True)
        )

    def _frozen_for(self, item: Item) -> int:
        alike: object = (item.zone, item.sectors, item.ownership, item.tags, item.region, item.department)
        if item.key in self._exempt:
            alike = item.key
        if alike not in self._frozen:
            mine = [
                held.freeze
                for held in self._problem.freezes
                if not held.lifted and item.key not in held.exempt and concerns(held.freeze, item)
            ]
            self._frozen[alike] = _bits(
                any(f.first <= last and first <= f.last for f in mine) for first, last in self._spans
            )
        return self._frozen[alike]


def _propagated(allowed: Sequence[int], edges: Sequence[tuple[int, int]]) -> list[int]:
    """No user before the first window of what it uses, nothing used after the last window of its users. Groups that
    can move nowhere bind nobody."""
    masks = list(allowed)
    changed = True
    while changed:
        changed = False
        for user, used in edges:
            if not masks[user] or not masks[used]:
                continue
            first = (masks[used] & -masks[used]).bit_length() - 1
            later = masks[user] & (-1 << first)
            earlier = masks[used] & ((1 << masks[user].bit_length()) - 1)
            # A contradiction is left for the solver to find and the conflict search to explain.
            if later and later != masks[user]:
                masks[user], changed = later, True
            if earlier and earlier != masks[used]:
                masks[used], changed = earlier, True
    return masks


_COMPUTE: Mapping[str, Callable[[Resources], int]] = {
    "cpu": lambda amount: amount.cpu_milli,
    "memory": lambda amount: amount.memory_bytes,
    "cards": lambda amount: amount.accelerator_milli,
}


def _bits(flags: Iterable[bool]) -> int:
    return sum(1 << place for place, flag in enumerate(flags) if flag)


def _pools_of(problem: WaveProblem) -> tuple[tuple[int, ...], ...]:
    pinned = {pin.system_key: pin.pool_id for pin in problem.pins if pin.pool_id is not None}
    place = {pool.pool_id: number for number, pool in enumerate(problem.pools)}
    known: dict[object, tuple[int, ...]] = {}
    found = []
    for item in problem.items:
        alike = (item.zone, item.level, item.architecture, item.accelerator, item.per_server, item.need)
        if alike not in known:
            known[alike] = tuple(place[pool.pool_id] for pool in eligible_pools(item, problem.pools).pools)
        pin = pinned.get(item.key)
        found.append(tuple(p for p in known[alike] if pin is None or p == place.get(pin)))
    return tuple(found)


def _teams_of(item: Item, teams: Sequence[Team]) -> tuple[int, ...]:
    if not item.needs_team:
        return ()
    return tuple(
        number
        for number, team in enumerate(teams)
        if (item.team is None or team.team_id == item.team)
        and (item.skill is None or item.skill in team.skills)
        and team.people >= item.crew
    )


def _traffic(
    problem: WaveProblem, number_of: Mapping[str, int], index_of: Mapping[str, int]
) -> tuple[tuple[int, int, int], ...]:
    sums: dict[tuple[int, int], int] = defaultdict(int)
    for item in problem.items:
        for place, used in enumerate(item.uses):
            user, target = number_of[item.group], number_of[problem.items[index_of[used]].group]
            if user != target:
                sums[user, target] += item.traffic[place] if place < len(item.traffic) else 1
    return tuple((user, used, amount) for (user, used), amount in sorted(sums.items()))


def _in_time(prefixes: Sequence[PrefixResource], pools_of: Sequence[Sequence[int]]) -> dict[int, int]:
    """By item: the windows by which some pool of it alone can hold it and its line can have carried its data."""
    by_choice: dict[tuple[int, int], int] = {}
    for resource in prefixes:
        # Limits never fall: from the first window that can hold it on, every one can.
        whole = (1 << len(resource.limits)) - 1
        for choice, amount in resource.demand.items():
            if amount > resource.limits[0]:
                able = whole & (-1 << bisect_left(resource.limits, amount))
                by_choice[choice] = by_choice.get(choice, -1) & able
    found: dict[int, int] = {}
    for item in {item for item, _ in by_choice}:
        mask = 0
        for pool in pools_of[item]:
            mask |= by_choice.get((item, pool), -1)
        found[item] = mask
    return found


def _neighbours(traffic: Sequence[tuple[int, int, int]]) -> dict[int, tuple[tuple[int, int], ...]]:
    found: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for user, used, amount in traffic:
        found[user].append((used, amount))
        found[used].append((user, amount))
    return {group: tuple(others) for group, others in found.items()}


def _pool_prefixes(problem: WaveProblem, pools_of: Sequence[Sequence[int]]) -> list[PrefixResource]:
    takers: dict[int, list[int]] = defaultdict(list)
    for index, pools in enumerate(pools_of):
        for place in pools:
            takers[place].append(index)
    found = []
    for number, pool in enumerate(problem.pools):
        for name, amount_of, limits in _dimensions(problem, pool):
            demand = {}
            for index in takers[number]:
                amount = amount_of(problem.items[index])
                if amount:
                    demand[index, number] = amount
            found.append(PrefixResource(f"{pool.pool_id}:{name}", limits, demand))
    return found


def _dimensions(
    problem: WaveProblem, pool: PoolSlot
) -> Iterator[tuple[str, Callable[[Item], int], tuple[int, ...]]]:
    """(name, what an item takes, limit by window) of everything that a pool runs out of."""
    days = [slot.window.first_day for slot in problem.windows]

    def limits(base: int, arrived: Sequence[tuple[date, int]]) -> tuple[int, ...]:
        return tuple(base + sum(amount for day, amount in arrived if day <= w) for w in days)

    yield (
        "disk",
        lambda item: item.need.disk_bytes,
        limits(pool.free_disk_bytes, [(a.day, a.amount.disk_bytes) for a in pool.arrivals]),
    )
    for hosts in pool.hosts:
        arrived = [a for a in pool.arrivals if a.architecture.runs_on(hosts.architecture)]
        for name, amount in _COMPUTE.items():
            yield (
                f"{hosts.architecture}:{name}",
                partial(_taken, amount, pool, hosts),
                limits(amount(hosts.free), [(a.day, amount(a.amount)) for a in arrived]),
            )


def _taken(amount: Callable[[Resources], int], pool: PoolSlot, hosts: Hosts, item: Item) -> int:
    return amount(item.need) if hosts_for(item, pool) is hosts else 0


def _link_prefixes(problem: WaveProblem, pools_of: Sequence[Sequence[int]]) -> list[PrefixResource]:
    place = {pool.pool_id: number for number, pool in enumerate(problem.pools)}
    found = []
    for link in problem.links:
        served = {place[pool_id] for pool_id in link.pools if pool_id in place}
        demand = {
            (index, pool): item.data_bytes
            for index, item in enumerate(problem.items)
            if item.data_bytes
            for pool in pools_of[index]
            if pool in served
        }
        found.append(PrefixResource(f"link:{link.link_id}", link_limits(problem, link.bytes_per_second), demand))
    return found


def link_limits(problem: WaveProblem, bytes_per_second: int) -> tuple[int, ...]:
    """What a line carries from the plan's first midnight to the start of each window."""
    first = problem.settings.starts_on
    seconds = [
        (slot.window.first_day - first).days * 86_400
        + slot.window.starts.hour * 3600
        + slot.window.starts.minute * 60
        for slot in problem.windows
    ]
    return tuple(bytes_per_second * each for each in seconds)


def _last_windows(problem: WaveProblem, index_of: Mapping[str, int]) -> dict[int, int]:
    place = {slot.window.window_id: number for number, slot in enumerate(problem.windows)}
    return {index_of[key]: place.get(window, -1) for key, window, _ in problem.last_plan if key in index_of}


def _last_pools(problem: WaveProblem, index_of: Mapping[str, int]) -> dict[int, int]:
    place = {pool.pool_id: number for number, pool in enumerate(problem.pools)}
    return {index_of[key]: place.get(pool, -1) for key, _, pool in problem.last_plan if key in index_of}
