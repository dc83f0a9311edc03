"""The smallest change that repairs a plan, and what it costs.

Who calls this: `xisuan migration replan` and the migration service, after a slip: a window lost, a team away, a system not
ready, a new system. Approved waves and pins are kept; of the rest as little as possible changes, and only then the other
aims count. `edited_score` says at once what an edit by hand does.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from inventory.model.migration import Pair, WavePlan
from scheduler.core.budget import Budget
from scheduler.core.waves.check import Violation, check_plan
from scheduler.core.waves.problem import Aim, Pin, WaveProblem
from scheduler.core.waves.shape import Shape, make_shape
from scheduler.core.waves.solution import NOWHERE, Score, Solution, score
from scheduler.core.waves.solve import solve


@dataclass(frozen=True, slots=True)
class Change:
    """One system that moves at another time or to another pool; None where it has no place."""

    system_key: str
    before: tuple[str, str] | None
    after: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Repair:
    """`broken` are the rules that the old plan breaks now. `price[aim]` is what the repair adds (negative: saves)."""

    plan: WavePlan
    broken: tuple[Violation, ...]
    changes: tuple[Change, ...]
    price: Mapping[str, int]

    @property
    def sentence(self) -> Pair:
        days, cost = self.price[Aim.FINISH.value], self.price[Aim.COST.value]
        return (
            f"改动 {len(self.changes)} 个系统，完成日 {days:+d} 天，费用 {cost:+d} 元",
            f"{len(self.changes)} systems change, the finish by {days:+d} days, the cost by {cost:+d} yuan",
        )


def replan(problem: WaveProblem, old: WavePlan, approved: Collection[str], seed: int, budget: Budget) -> Repair:
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
    plan = solve(asked, seed, budget)
    before, after = edited_score(problem, old), edited_score(problem, plan)
    return Repair(
        plan=plan,
        broken=check_plan(problem, old),
        changes=changed(old, plan),
        price={aim.value: after.aims[aim] - before.aims[aim] for aim in Aim},
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
