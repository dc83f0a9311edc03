"""How far a constraint has to give way: what a plan without it needs of it, in words.

Who calls this: `conflicts.py`, for each constraint of a minimal conflict, with a solution that ignores it. The amount would do;
that less would not is not said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from inventory.model.migration import Pair
from inventory.model.units import Resources, format_resources
from scheduler.core.waves.pool_choice import hosts_for
from scheduler.core.waves.problem import Aim
from scheduler.core.waves.shape import Shape
from scheduler.core.waves.solution import NOWHERE, Solution, score

_NOTHING: Pair = ("", "")


def enough(name: str, shape: Shape, solution: Solution) -> Pair:
    """`name` is the constraint's; `shape` that of the problem without it. Empty where there is nothing to say."""
    kind, _, rest = name.partition(":")
    tell = _TELLERS.get(kind)
    return _NOTHING if tell is None else tell(rest, shape, solution)


def _window_of(key: str, shape: Shape, solution: Solution) -> int:
    return solution.window[shape.group_of[shape.index_of[key]]]


def _deadline(key: str, shape: Shape, solution: Solution) -> Pair:
    day = shape.spans[_window_of(key, shape, solution)][1]
    return f"到 {day} 即可", f"until {day} would do"


def _earliest(key: str, shape: Shape, solution: Solution) -> Pair:
    day = shape.spans[_window_of(key, shape, solution)][0]
    return f"到 {day} 即可", f"by {day} would do"


def _pin(key: str, shape: Shape, solution: Solution) -> Pair:
    window = shape.problem.windows[_window_of(key, shape, solution)].window.window_id
    pool = shape.problem.pools[solution.pool[shape.index_of[key]]].pool_id
    return f"例如改到 {window}、{pool}", f"{window} in {pool} would do"


def _length(key: str, shape: Shape, solution: Solution) -> Pair:
    index, w = shape.index_of[key], _window_of(key, shape, solution)
    window, item = shape.problem.windows[w].window, shape.items[index]
    minutes = window.seconds // 60
    team = solution.team[index]
    if team != NOWHERE:
        alike = (
            i for i, own in enumerate(solution.team) if own == team and solution.window[shape.group_of[i]] == w
        )
        spare = shape.minutes[team][w] - sum(shape.items[i].crew * shape.items[i].minutes for i in alike)
        minutes = min(minutes, item.minutes + spare // item.crew)
    return f"在 {window.window_id} 用 {minutes} 分钟即可", f"{minutes} minutes, in {window.window_id}, would do"


def _caps(_: str, shape: Shape, solution: Solution) -> Pair:
    held: Counter[int] = Counter()
    for g, w in enumerate(solution.window):
        held[w] += shape.groups[g].size
    w, count = max(held.items(), key=lambda one: (one[1], -one[0]))
    window = shape.problem.windows[w].window.window_id
    return f"{window} 收 {count} 个即可", f"{count} in {window} would do"


def _concurrency(tag: str, shape: Shape, solution: Solution) -> Pair:
    held = Counter(solution.window[shape.group_of[index]] for index in shape.tag_members(tag))
    most = max(held.values(), default=0)
    return f"到 {most} 个即可", f"{most} would do"


def _budget(_: str, shape: Shape, solution: Solution) -> Pair:
    cost = score(shape, solution).aims[Aim.COST]
    return f"到 {cost} 元即可", f"{cost} yuan would do"


def _people(team_id: str, shape: Shape, solution: Solution) -> Pair:
    place = next(number for number, team in enumerate(shape.problem.teams) if team.team_id == team_id)
    minutes: Counter[int] = Counter()
    most = 1
    for index, item in enumerate(shape.items):
        if solution.team[index] == place:
            minutes[solution.window[shape.group_of[index]]] += item.crew * item.minutes
            most = max(most, item.crew)
    for w, load in minutes.items():
        most = max(most, -(-load // (shape.problem.windows[w].window.seconds // 60)))
    return f"到 {most} 人即可", f"{most} people would do"


def _pool(pool_id: str, shape: Shape, solution: Solution) -> Pair:
    place, pool = next((n, pool) for n, pool in enumerate(shape.problem.pools) if pool.pool_id == pool_id)
    by_hosts: dict[int, Resources] = {}
    disk = 0
    for index, item in enumerate(shape.items):
        hosts = hosts_for(item, pool)
        if solution.pool[index] == place and hosts is not None:
            number = pool.hosts.index(hosts)
            by_hosts[number] = by_hosts.get(number, Resources()) + item.need
            disk += item.need.disk_bytes
    needs = [
        f"{pool.hosts[number].architecture} {format_resources(_without_disk(need))}"
        for number, need in sorted(by_hosts.items())
    ]
    whole = "；".join([*needs, *([format_resources(Resources(disk_bytes=disk))] if disk else [])])
    return f"须容纳 {whole}", f"it would have to hold {whole}"


def _without_disk(amount: Resources) -> Resources:
    return amount - Resources(disk_bytes=amount.disk_bytes)


def _freeze(rest: str, shape: Shape, solution: Solution) -> Pair:
    """The systems that this solution moves within it."""
    name, _, first = rest.rpartition(":")
    freeze = next(
        held.freeze
        for held in shape.problem.freezes
        if (held.freeze.name, str(held.freeze.first)) == (name, first)
    )
    inside = []
    for index, item in enumerate(shape.items):
        w = solution.window[shape.group_of[index]]
        if w != NOWHERE and freeze.first <= shape.spans[w][1] and shape.spans[w][0] <= freeze.last:
            inside.append(f"{item.name} {shape.problem.windows[w].window.window_id}")
    more = f" …({len(inside)})" if len(inside) > _SHOWN else ""
    listed = "、".join(inside[:_SHOWN]) + more
    return (f"例如豁免 {listed}", f"leave for {listed} would do") if inside else _NOTHING


_SHOWN = 5
_TELLERS: Mapping[str, Callable[[str, Shape, Solution], Pair]] = {
    "deadline": _deadline,
    "earliest": _earliest,
    "pin": _pin,
    "window_caps": _caps,
    "length": _length,
    "concurrency": _concurrency,
    "budget": _budget,
    "people": _people,
    "pool": _pool,
    "freeze": _freeze,
}
