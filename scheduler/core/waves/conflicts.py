"""Why an estate has no complete plan: a minimal set of constraints that cannot stand together, and what it would cost to
give way.

Who calls this: `xisuan migration plan` when systems are left without a place. Constraints are named (a deadline, a team's
leave, a freeze, a pin, a pool's size, a window cap ...); each can be taken off by changing the problem, and the planner is
asked again. A set is minimal when taking off any one of it lets the systems be placed.
Source of the method: deletion-based search for minimal unsatisfiable subsets, Chinneck and Dravnieks, ORSA J. Computing 3
(1991).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

from inventory.model.calendar import Freeze
from inventory.model.migration import Pair, WavePlan
from inventory.model.units import Resources
from scheduler.core.budget import Budget
from scheduler.core.waves.bounds import earliest_finish
from scheduler.core.waves.problem import Item, WaveProblem
from scheduler.core.waves.relaxations import enough
from scheduler.core.waves.shape import Shape, make_shape
from scheduler.core.waves.solution import NOWHERE, Solution, replaced

_SHOWN = 5  # constraints of a set that could not be made minimal, the most negotiable ones
# Of a constraint that nobody would take off: it is named in a conflict and not among the ways out.
_NEVER = 9
# Dependencies are tried one by one only among so few: each try is a plan.
_FEW_DEPENDENCIES = 40
_ENDLESS = Resources(10**12, 10**17, 0, 10**12)


@dataclass(frozen=True, slots=True)
class Constraint:
    """A named constraint; `without` is the problem that lacks it, `price` how hard it is to give way (1: easy)."""

    name: str
    words: Pair
    remedy: Pair
    price: int
    without: Callable[[WaveProblem], WaveProblem]


@dataclass(frozen=True, slots=True)
class Conflict:
    """`systems` cannot be placed while all of `core` stand. `relaxations` are single constraints, the cheapest first,
    that would do if they gave way. Without a `core`, `reason` says what no constraint can change. `is_minimal` is
    False where the search ended before every one was tried."""

    systems: tuple[str, ...]
    core: tuple[Constraint, ...]
    relaxations: tuple[Constraint, ...]
    is_minimal: bool
    reason: Pair = ("", "")

    @property
    def sentence(self) -> Pair:
        if not self.core:
            return self.reason
        shown = self.core if self.is_minimal else self.core[-_SHOWN:]
        zh, en = "；".join(each.words[0] for each in shown), "; ".join(each.words[1] for each in shown)
        if self.is_minimal:
            return zh, en
        count = len(self.core)
        return (
            f"冲突在 {count} 项约束之中，时间用完，未及缩减（其中 {zh}）；请给更多 --seconds",
            f"the conflict lies among {count} constraints, and time ended before they were fewer (among them {en});"
            " give more --seconds",
        )


def find_conflict(problem: WaveProblem, plan: WavePlan, budget: Budget) -> Conflict:
    """Looks at the systems without a place, what they need before them, and the constraints around."""
    lost = {each.system_key for each in plan.unplaced}
    around = _closure(problem, lost)
    part = _restricted(problem, around)
    constraints = list(_constraints(part))
    if not _is_feasible(_only(part, constraints, [])):
        # Not these constraints: no pool or team at all could take them, as each system's own reason says.
        first = plan.unplaced[0]
        return Conflict(tuple(sorted(lost)), (), (), True, first.reason)
    if _is_feasible(part):
        # The lost systems and what they use fit by themselves: what others were given is the conflict.
        part, constraints = problem, list(_constraints(problem))
    keep = list(constraints)
    tried_all = True
    for candidate in constraints:
        if budget.is_spent:
            tried_all = False
            break
        rest = [each for each in keep if each is not candidate]
        if not _is_feasible(_only(part, constraints, rest)):
            keep = rest
    cheapest = sorted((each for each in keep if each.price < _NEVER), key=lambda each: (each.price, each.name))
    if tried_all:
        cheapest = [_measured(part, each, budget) for each in cheapest]
    return Conflict(tuple(sorted(lost)), tuple(keep), tuple(cheapest), tried_all)


def _measured(problem: WaveProblem, constraint: Constraint, budget: Budget) -> Constraint:
    """The constraint with a remedy that says how far it has to give way, where a plan without it tells that."""
    found = None if budget.is_spent else _solution(constraint.without(problem))
    zh, en = ("", "") if found is None else enough(constraint.name, *found)
    if not zh:
        return constraint
    return replace(constraint, remedy=(f"{constraint.remedy[0]}：{zh}", f"{constraint.remedy[1]}: {en}"))


def _only(problem: WaveProblem, every: Sequence[Constraint], kept: Sequence[Constraint]) -> WaveProblem:
    names = {each.name for each in kept}
    for constraint in every:
        if constraint.name not in names:
            problem = constraint.without(problem)
    return problem


def _is_feasible(problem: WaveProblem) -> bool:
    return _solution(problem) is not None


def _solution(problem: WaveProblem) -> tuple[Shape, Solution] | None:
    """A place for every system: by greedy, else by one short run of the solver; None where the bounds rule one out or
    none is found."""
    from scheduler.core.waves.solve import first_solution, whole_task

    shape = make_shape(problem)
    if any(not group.allowed for group in shape.groups):
        return None
    solution = first_solution(shape, 0, Budget(effort=1))
    if NOWHERE not in solution.window:
        return shape, solution
    if earliest_finish(shape) >= shape.windows:
        return None
    from scheduler.core.waves.neighbourhoods import solve_task

    answer = solve_task(whole_task(shape, solution, 0, 0, Budget(effort=2.0), tied=False))
    if answer.windows is None or NOWHERE in answer.windows.values():
        return None
    return shape, replaced(solution, answer.windows, answer.pools, answer.teams)


def _closure(problem: WaveProblem, lost: set[str]) -> set[str]:
    """The lost systems, their move groups, and all that these use or that use them, directly."""
    group_of = {item.key: item.group for item in problem.items}
    found = set(lost)
    for item in problem.items:
        if item.key in lost:
            found.update(item.uses)
        elif lost.intersection(item.uses):
            found.add(item.key)
    groups = {group_of[key] for key in found}
    return {item.key for item in problem.items if item.group in groups}


def _restricted(problem: WaveProblem, keys: set[str]) -> WaveProblem:
    """The problem of these systems alone."""
    return replace(
        problem,
        items=tuple(
            replace(
                item,
                uses=tuple(used for used in item.uses if used in keys),
                traffic=tuple(item.traffic_with(used) for used in item.uses if used in keys),
            )
            for item in problem.items
            if item.key in keys
        ),
        pins=tuple(pin for pin in problem.pins if pin.system_key in keys),
    )


def _constraints(problem: WaveProblem) -> Iterator[Constraint]:
    """The least negotiable first: what stays in the minimal set is then what people can change."""
    yield from _dependencies(problem)
    yield from _groups(problem)
    yield from _calendars(problem)
    yield from _places(problem)
    yield from _agreements(problem)


def _dependencies(problem: WaveProblem) -> Iterator[Constraint]:
    pairs = [(item, used) for item in problem.items for used in item.uses]
    names = {item.key: item.name for item in problem.items}
    for item, used in pairs if len(pairs) <= _FEW_DEPENDENCIES else ():
        yield Constraint(
            f"use:{item.key}:{used}",
            (f"{item.name} 依赖 {names[used]}", f"{item.name} uses {names[used]}, which moves no later"),
            ("", ""),
            _NEVER,
            partial(_parted, item.key, used),
        )


def _groups(problem: WaveProblem) -> Iterator[Constraint]:
    members: dict[str, list[str]] = defaultdict(list)
    for item in problem.items:
        members[item.group].append(item.name)
    many = [(group, names) for group, names in members.items() if len(names) > 1]
    for group, names in many if len(many) <= _FEW_DEPENDENCIES else ():
        yield Constraint(
            f"group:{group}",
            (f"{'、'.join(names)} 须同批", f"{', '.join(names)} move together"),
            ("拆分同批组，例如先拆分共用的数据库", "split the group, its shared database say"),
            4,
            partial(_ungrouped, group),
        )


def _calendars(problem: WaveProblem) -> Iterator[Constraint]:
    for held in problem.freezes:
        freeze, span = held.freeze, f"{held.freeze.first}..{held.freeze.last}"
        if not held.lifted:
            yield Constraint(
                f"freeze:{freeze.name}:{freeze.first}",
                (f"封网期“{freeze.name}”{span}", f"freeze {freeze.name}, {span}"),
                ("申请豁免", "ask for leave to override it"),
                4,
                partial(_lift, freeze),
            )
    for team in problem.teams:
        for first, last, why in team.away:
            yield Constraint(
                f"away:{team.team_id}:{first}",
                (
                    f"队伍 {team.team_id} {first}..{last} 缺席（{why}）",
                    f"team {team.team_id} is away {first}..{last} ({why})",
                ),
                ("改期休假或借调", "shift the leave, or borrow people"),
                2,
                partial(_present, team.team_id, first),
            )
        yield Constraint(
            f"people:{team.team_id}",
            (f"队伍 {team.team_id} 只有 {team.people} 人", f"team {team.team_id} has {team.people} people"),
            ("增加人手", "add people"),
            3,
            partial(_crowd, team.team_id),
        )


def _places(problem: WaveProblem) -> Iterator[Constraint]:
    for pool in problem.pools:
        days = "、".join(f"{each.day}" for each in pool.arrivals)
        zones = "|".join(sorted(pool.zones))
        yield Constraint(
            f"pool:{pool.pool_id}",
            (
                f"{zones} 的池 {pool.pool_id} 已满{f'（{days} 到货前）' if days else ''}",
                f"pool {pool.pool_id} of zone {zones} is full{f' until {days}' if days else ''}",
            ),
            ("扩容", "enlarge it"),
            5,
            partial(_enlarge, pool.pool_id),
        )
    for link in problem.links:
        yield Constraint(
            f"link:{link.link_id}",
            (f"专线 {link.link_id} 的带宽", f"the bandwidth of link {link.link_id}"),
            ("扩带宽，或以介质运送数据", "widen it, or ship data on disks"),
            3,
            partial(_widen, link.link_id),
        )
    last = problem.windows[-1].window.first_day if problem.windows else problem.settings.starts_on
    most = max((slot.cap for slot in problem.windows), default=0)
    count = len(problem.windows)
    yield Constraint(
        "window_caps",
        (
            f"至 {last} 只有 {count} 个窗口，每窗至多 {most} 个系统",
            f"{count} windows until {last}, {most} systems each at most",
        ),
        ("提高窗口上限，或延长计划期", "raise the caps, or lengthen the calendar"),
        3,
        _roomy,
    )


def _agreements(problem: WaveProblem) -> Iterator[Constraint]:
    for cap in problem.concurrency:
        yield Constraint(
            f"concurrency:{cap.tag}",
            (f"“{cap.tag}”同窗至多 {cap.most} 个", f"at most {cap.most} systems of {cap.tag} a window"),
            ("提高并发上限", "raise the cap"),
            2,
            partial(_uncap, cap.tag),
        )
    if problem.budget is not None:
        words = (f"预算 {problem.budget} 元", f"the budget of {problem.budget} yuan")
        yield Constraint("budget", words, ("增加预算", "raise it"), 4, _rich)
    for pin in problem.pins:
        what = " ".join(each for each in (pin.window_id, pin.pool_id) if each)
        words = (f"{pin.system_key} 已约定 {what}", f"{pin.system_key} is pinned to {what}")
        yield Constraint(
            f"pin:{pin.system_key}", words, ("解除约定", "lift the pin"), 2, partial(_unpin, pin.system_key)
        )
    for item in problem.items:
        if item.earliest is not None:
            yield Constraint(
                f"earliest:{item.key}",
                (
                    f"{item.name} 最早 {item.earliest} 就绪",
                    f"{item.name} is ready on {item.earliest} at the earliest",
                ),
                ("提前就绪", "make it ready earlier"),
                2,
                partial(_any_time, item.key, "earliest"),
            )
        yield from _lengths(problem, item)
        if item.deadline is not None:
            yield Constraint(
                f"deadline:{item.key}",
                (f"{item.name} 须在 {item.deadline} 前完成", f"{item.name} must be done by {item.deadline}"),
                ("推迟期限，例如续租", "put the deadline off, by extending the lease say"),
                1,
                partial(_any_time, item.key, "deadline"),
            )


def _lengths(problem: WaveProblem, item: Item) -> Iterator[Constraint]:
    """A cutover that some windows are too short for."""
    least = min((slot.window.seconds // 60 for slot in problem.windows), default=item.minutes)
    if item.minutes > least:
        yield Constraint(
            f"length:{item.key}",
            (
                f"{item.name} 割接须 {item.minutes} 分钟，有的窗口只有 {least} 分钟",
                f"the cutover of {item.name} takes {item.minutes} minutes, and some windows have {least}",
            ),
            ("缩短或拆分割接，或加长窗口", "shorten or split it, or lengthen the window"),
            3,
            partial(_shortened, item.key, least),
        )


def _shortened(key: str, minutes: int, problem: WaveProblem) -> WaveProblem:
    """The cutover takes no longer than the shortest window; so does what its team spends on it."""
    items = (replace(item, minutes=minutes) if item.key == key else item for item in problem.items)
    return replace(problem, items=tuple(items))


def _parted(key: str, used: str, problem: WaveProblem) -> WaveProblem:
    def without(item: Item) -> Item:
        kept = tuple(other for other in item.uses if other != used)
        return replace(item, uses=kept, traffic=tuple(item.traffic_with(other) for other in kept))

    return replace(problem, items=tuple(without(item) if item.key == key else item for item in problem.items))


def _ungrouped(group: str, problem: WaveProblem) -> WaveProblem:
    items = (replace(item, group=item.key) if item.group == group else item for item in problem.items)
    return replace(problem, items=tuple(items))


def _lift(freeze: Freeze, problem: WaveProblem) -> WaveProblem:
    held = (replace(each, lifted=True) if each.freeze == freeze else each for each in problem.freezes)
    return replace(problem, freezes=tuple(held))


def _present(team_id: str, first: date, problem: WaveProblem) -> WaveProblem:
    teams = (
        replace(team, away=tuple(each for each in team.away if each[0] != first))
        if team.team_id == team_id
        else team
        for team in problem.teams
    )
    return replace(problem, teams=tuple(teams))


def _crowd(team_id: str, problem: WaveProblem) -> WaveProblem:
    teams = (replace(team, people=10**6) if team.team_id == team_id else team for team in problem.teams)
    return replace(problem, teams=tuple(teams))


def _enlarge(pool_id: str, problem: WaveProblem) -> WaveProblem:
    pools = (
        replace(pool, free_disk_bytes=10**17, hosts=tuple(replace(each, free=_ENDLESS) for each in pool.hosts))
        if pool.pool_id == pool_id
        else pool
        for pool in problem.pools
    )
    return replace(problem, pools=tuple(pools))


def _widen(link_id: str, problem: WaveProblem) -> WaveProblem:
    return replace(problem, links=tuple(link for link in problem.links if link.link_id != link_id))


def _roomy(problem: WaveProblem) -> WaveProblem:
    slots = tuple(replace(slot, cap=10**6, max_risk=100) for slot in problem.windows)
    return replace(problem, windows=slots, settings=replace(problem.settings, systems_per_window=1000))


def _uncap(tag: str, problem: WaveProblem) -> WaveProblem:
    return replace(problem, concurrency=tuple(cap for cap in problem.concurrency if cap.tag != tag))


def _rich(problem: WaveProblem) -> WaveProblem:
    return replace(problem, budget=None)


def _unpin(key: str, problem: WaveProblem) -> WaveProblem:
    return replace(problem, pins=tuple(pin for pin in problem.pins if pin.system_key != key))


def _any_time(key: str, bound: str, problem: WaveProblem) -> WaveProblem:
    def freed(item: Item) -> Item:
        return replace(item, earliest=None) if bound == "earliest" else replace(item, deadline=None)

    return replace(problem, items=tuple(freed(item) if item.key == key else item for item in problem.items))
