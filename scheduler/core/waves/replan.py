"""The smallest change that repairs a plan, and what it costs.

Who calls this: `xisuan migration replan` and the migration service, after a slip: a window lost, a team away, a system not
ready, a new system. Approved waves and pins are kept; of the rest as little as possible changes, and only then the other
aims count. `edited_score` says at once what an edit by hand does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from inventory.model.calendar import Freeze
from inventory.model.migration import Pair, UnplacedRule, WavePlan
from scheduler.core.budget import Budget
from scheduler.core.waves.check import Violation, check_plan
from scheduler.core.waves.problem import Aim, HeldFreeze, Pin, WaveProblem
from scheduler.core.waves.shape import Shape, make_shape
from scheduler.core.waves.solution import NOWHERE, Score, Solution, score
from scheduler.core.waves.solve import ParallelMap, solve

_GONE = frozenset({UnplacedRule.ALREADY_MIGRATED, UnplacedRule.UNDER_WAY})


@dataclass(frozen=True, slots=True)
class Change:
    """One system that moves at another time or to another pool; None where it has no place."""

    system_key: str
    before: tuple[str, str] | None
    after: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Repair:
    """`broken` are the rules that the old plan breaks now. `price[aim]` is what the repair adds (negative: saves). `asked` is
    the problem with what is kept."""

    plan: WavePlan
    asked: WaveProblem
    broken: tuple[Violation, ...]
    changes: tuple[Change, ...]
    price: Mapping[str, int]

    @property
    def sentence(self) -> Pair:
        days, cost = self.price[Aim.FINISH.value], self.price[Aim.COST.value]
        left = len(self.plan.unplaced)
        return (
            f"改动 {len(self.changes)} 个系统，完成日 {days:+d} 天，费用 {cost:+d} 元"
            f"{f'；{left} 个系统没有位置' if left else ''}",
            f"{len(self.changes)} systems change, the finish by {days:+d} days, the cost by {cost:+d} yuan"
            f"{f'; {left} have no place' if left else ''}",
        )


def replan(
    problem: WaveProblem,
    old: WavePlan,
    approved: Collection[str],
    seed: int,
    budget: Budget,
    parallel_map: ParallelMap = map,
) -> Repair:
    """Raises ValueError for an approved window that the old plan does not use."""
    unknown = sorted(set(approved) - {window.window_id for window in old.windows})
    if unknown:
        raise ValueError(
            f"计划中没有窗口 {unknown[0]!r}，不能保留 / the plan has no window {unknown[0]!r} to keep; name one of its own"
        )
    keys = {item.key for item in problem.items}
    kept = tuple(
        Pin(each.system_key, each.window_id, each.pool_id, "approved")
        for each in old.assignments
        if each.window_id in approved and each.system_key in keys
    )
    pinned = {pin.system_key for pin in kept}
    asked = replace(
        problem,
        pins=(*kept, *(pin for pin in problem.pins if pin.system_key not in pinned)),
        last_plan=tuple((each.system_key, each.window_id, each.pool_id) for each in old.assignments),
        aims=(Aim.CHANGE, *(aim for aim in problem.aims if aim is not Aim.CHANGE)),
        weights=(),
    )
    broken = check_plan(problem, old)
    ways = [_with_sound_ones_pinned(asked, old, broken), asked]
    plan = replace(_best(asked, ways, seed, budget, parallel_map), approved=tuple(sorted(approved)))
    before, after = edited_score(problem, old), edited_score(problem, plan)
    return Repair(
        plan=plan,
        asked=asked,
        broken=broken,
        changes=changed(old, plan),
        price={aim.value: after.aims[aim] - before.aims[aim] for aim in Aim},
    )


def _with_sound_ones_pinned(problem: WaveProblem, old: WavePlan, broken: Sequence[Violation]) -> WaveProblem:
    """Everything stays that breaks no rule by itself: if the rest finds places, hardly anything has changed."""
    guilty = {each.system_key for each in broken}
    group_of = {item.key: item.group for item in problem.items}
    moved = {group_of[key] for key in guilty if key in group_of}
    pinned = {pin.system_key for pin in problem.pins}
    sound = tuple(
        Pin(each.system_key, each.window_id, each.pool_id, "sound")
        for each in old.assignments
        if each.system_key not in pinned and group_of.get(each.system_key, "") not in {"", *moved}
    )
    known = {slot.window.window_id for slot in problem.windows}
    return replace(problem, pins=(*problem.pins, *(pin for pin in sound if pin.window_id in known)))


def _best(
    asked: WaveProblem, ways: Sequence[WaveProblem], seed: int, budget: Budget, parallel_map: ParallelMap
) -> WavePlan:
    """The best plan of several ways to ask, by what was asked for. Only a plan that every rule allows counts."""
    plans = [
        solve(way, seed, _share(budget, len(ways) - place), parallel_map, asked) for place, way in enumerate(ways)
    ]
    sound = [plan for plan in plans if not check_plan(asked, plan)]
    return min(sound, key=lambda plan: edited_score(asked, plan).rank(asked))


def _share(budget: Budget, rest: int) -> Budget:
    left = budget.seconds_left
    if left is None or budget.clock is None:
        return replace(budget, effort=budget.effort / rest)
    return replace(budget, ends_at=budget.clock() + left / rest)


def past_closed(problem: WaveProblem, first_open: date) -> WaveProblem:
    """The problem with every window before that day closed to everyone: a plan begun earlier goes on from there, and
    its days are still counted from its own start."""
    first = problem.settings.starts_on
    if first_open <= first:
        return problem
    last = first_open - timedelta(days=1)
    past = Freeze(f"{first_open} 之前 / before {first_open}", first, last, "replan")
    return replace(problem, freezes=(*problem.freezes, HeldFreeze(past)))


def remaining(problem: WaveProblem, plan: WavePlan) -> WavePlan:
    """The plan without what it has done or is doing: systems that the problem leaves out because they have moved, or a
    run moves them now. Waves are numbered anew."""
    done = {each.system_key for each in problem.left_out if each.rule in _GONE}
    left = [each for each in plan.assignments if each.system_key not in done]
    used = {each.window_id for each in left}
    windows = tuple(window for window in plan.windows if window.window_id in used)
    wave_of = {window.window_id: number for number, window in enumerate(windows, start=1)}
    return replace(
        plan,
        windows=windows,
        assignments=tuple(replace(each, wave=wave_of[each.window_id]) for each in left),
        unplaced=tuple(each for each in plan.unplaced if each.system_key not in done),
        splits=tuple(each for each in plan.splits if done.isdisjoint((each.user, each.used))),
    )


def edited_score(problem: WaveProblem, plan: WavePlan) -> Score:
    """What a plan is worth by every aim, in a moment: no search. Whether it keeps the rules is the judge's matter."""
    shape = make_shape(problem)
    return score(shape, solution_of(shape, plan))


def solution_of(shape: Shape, plan: WavePlan) -> Solution:
    """A plan by index. What the problem does not know is nowhere."""
    windows = {slot.window.window_id: number for number, slot in enumerate(shape.problem.windows)}
    pools = {pool.pool_id: number for number, pool in enumerate(shape.problem.pools)}
    teams = {team.team_id: number for number, team in enumerate(shape.problem.teams)}
    window, pool, team = [NOWHERE] * len(shape.groups), [NOWHERE] * len(shape.items), [NOWHERE] * len(shape.items)
    for each in plan.assignments:
        index = shape.index_of.get(each.system_key)
        if index is not None and each.window_id in windows:
            window[shape.group_of[index]] = windows[each.window_id]
            pool[index] = pools.get(each.pool_id, NOWHERE)
            team[index] = teams.get(each.team_id or "", NOWHERE)
    return Solution(tuple(window), tuple(pool), tuple(team))


def changed(old: WavePlan, new: WavePlan) -> tuple[Change, ...]:
    """Systems whose window or pool differs, by key."""
    before = {each.system_key: (each.window_id, each.pool_id) for each in old.assignments}
    after = {each.system_key: (each.window_id, each.pool_id) for each in new.assignments}
    return tuple(
        Change(key, before.get(key), after.get(key))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    )
