"""The best wave plan that a budget finds, with a lower bound on its finish: greedy first, CP-SAT after.

Who calls this: the migration service, `xisuan migration plan` and `replan`. Anytime: the greedy plans are there first and
what comes out is never worse by the problem's aims. One problem, one seed and a budget without a clock give one plan.
The best greedy plan is packed late and early again (`justification.py`). Then small problems are solved whole, large
ones part by part (large-neighbourhood search), the parts through the caller's `parallel_map`. Every plan passes the
judge (`check.py`) before it leaves.
Source of the search: Shaw, Using constraint programming and local search methods, CP 1998.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import and_
from typing import Any, Protocol

from inventory.model.migration import PlanMeasure, WavePlan
from scheduler.core.budget import Budget
from scheduler.core.waves.board import Board
from scheduler.core.waves.bounds import earliest_finish, finish_of_others
from scheduler.core.waves.check import check_plan
from scheduler.core.waves.clusters import Clustering, Urgency, form_clusters, in_order
from scheduler.core.waves.gap_guide import GapNode, guide
from scheduler.core.waves.greedy import Planner
from scheduler.core.waves.justification import Justifier
from scheduler.core.waves.leaving_out import culprits
from scheduler.core.waves.left_out_proof import LeftOutProof, left_out_proof, with_proof
from scheduler.core.waves.neighbourhoods import Improver, Task, solve_task
from scheduler.core.waves.part import cut_part
from scheduler.core.waves.problem import Aim, WaveProblem
from scheduler.core.waves.shape import Shape, loosened, make_shape, set_aside, without
from scheduler.core.waves.solution import NOWHERE, Solution, broken, cycle_ties, replaced, score
from scheduler.core.waves.stretch_bounds import raised_bound

# Booleans "group in window" up to which the whole problem is one model.
_WHOLE = 30_000
# How far the clusters of nearby dates are shuffled, one greedy plan each.
_TIES = (0.0, 0.5, 2.0)
# So many more culprits are left out without gain.
_IDLE = 2
# The share of the budget for refuting earlier finishes.
_REFUTING = 0.6
# Judging a plan and telling its reasons takes about as long as this share of the first plans took.
_TELLING = 0.5


class ParallelMap(Protocol):
    """Like the built-in `map`: results in the order of the tasks."""

    def __call__(self, function: Callable[[Any], Any], tasks: Iterable[Any], /) -> Iterable[Any]: ...


@dataclass(frozen=True, slots=True)
class _Found:
    """The best solution so far; no plan that places as much finishes before window `bound`, and none leaves fewer than
    `least` of the systems with an open window without a place."""

    solution: Solution
    bound: int
    least: int = 0


def solve(
    problem: WaveProblem,
    seed: int,
    budget: Budget,
    parallel_map: ParallelMap = map,
    asked: WaveProblem | None = None,
) -> WavePlan:
    """Every item is assigned or unplaced with the reason; `measure` says how good the plan is known to be. Where `problem` is
    a narrowed one (`asked` with more pins), bound and proofs are those of `asked`."""
    began = None if budget.clock is None else budget.clock()
    shape = make_shape(problem)
    clustering = form_clusters(problem)
    first = _greedy(shape, clustering, seed, budget)
    budget = _less_the_telling(budget, began)
    found = _Found(first, _bound_of(shape, first))
    improve = _improved if _all_placed(shape, first) else _improved_around
    better = improve(shape, found, seed, budget, parallel_map)
    better = replace(better, bound=max(better.bound, _bound_of(shape, better.solution)))
    # What has no place binds nobody, so the windows that it leaves its users and what it uses are no limits any more.
    spare = shape if _all_placed(shape, better.solution) else loosened(shape)
    whole = shape if asked is None or asked is problem else make_shape(asked)
    for candidate in (better, replace(found, least=better.least)):
        solver = "greedy" if candidate.solution is first else "cp-sat"
        planner = _told(spare, clustering, candidate.solution, seed)
        final = replace(candidate, solution=_solution_of(shape, planner))
        if whole is not shape:
            final = replace(final, bound=_bound_of(whole, final.solution), least=0)
        proof = left_out_proof(whole, _nowhere(final.solution), final.least)
        plan = planner.plan(seed, clustering.large_cycles, solver)
        plan = replace(with_proof(plan, shape, proof), measure=_measure(shape, final, proof))
        if not check_plan(problem, plan):
            return plan
    raise AssertionError("both the improved plan and the greedy one break a rule: see check_plan")


def _nowhere(solution: Solution) -> list[int]:
    """The groups without a place."""
    return [g for g, w in enumerate(solution.window) if w == NOWHERE]


def _bound_of(shape: Shape, solution: Solution) -> int:
    """No plan that leaves as few systems out finishes before this window."""
    return min(earliest_finish(shape, _left_out(shape, solution), solution.last), solution.last)


def _left_out(shape: Shape, solution: Solution) -> int:
    """The systems without a place that have an open window."""
    pairs = zip(solution.window, shape.groups, strict=True)
    return sum(group.size for w, group in pairs if w == NOWHERE and group.allowed)


def first_solution(shape: Shape, seed: int, budget: Budget) -> Solution:
    """The best of the greedy plans, without words and without search."""
    return _greedy(shape, form_clusters(shape.problem), seed, budget)


def whole_task(shape: Shape, solution: Solution, bound: int, seed: int, budget: Budget, *, tied: bool) -> Task:
    """The whole problem as one part, asked for the earliest finish. `tied`: what moves in one window with its cycle
    now stays with it."""
    everything = range(len(shape.groups))
    last = solution.last if _all_placed(shape, solution) else shape.windows - 1
    ties = cycle_ties(shape, solution) if tied else ()
    part = cut_part(shape, solution, everything, range(last + 1), ties)
    return Task(part, (Aim.FINISH,), last, bound, None, seed, budget)


def _greedy(shape: Shape, clustering: Clustering, seed: int, budget: Budget) -> Solution:
    """The best of the greedy plans of every urgency; the first one is always made. Where it leaves systems out that
    could move, those of the calendar's long gaps first: what misses the last window before one crowds the windows after.
    Then those that leave out who keeps many waiting."""
    best = _greedy_by(shape, clustering, seed, Urgency.CONTRACT)
    if not _all_placed(shape, best):
        # Where no plan can place all, no order of theirs will.
        for due in _due(shape, clustering, seed) if earliest_finish(shape) < shape.windows else ():
            if budget.is_spent:
                break
            best = _better(shape, best, _greedy_by(shape, clustering, seed, Urgency.CONTRACT, due))
            if _all_placed(shape, best):
                return best
        best = _sparing(shape, clustering, best, seed, budget)
    for urgency in Urgency:
        if budget.is_spent:
            break
        if urgency is not Urgency.CONTRACT:
            best = _better(shape, best, _greedy_by(shape, clustering, seed, urgency))
    return best


def _sparing(shape: Shape, clustering: Clustering, best: Solution, seed: int, budget: Budget) -> Solution:
    """The best of the plans that leave more and more of the culprits out, until leaving one more out gains nothing."""
    gained, idle = best, 0
    for left_out in culprits(shape):
        if idle == _IDLE or budget.is_spent or _left_out(shape, best) <= len(left_out):
            break
        idle += 1
        spared = without(shape, left_out)
        found = _better(shape, gained, _greedy_by(spared, clustering, seed, Urgency.CONTRACT, (), left_out))
        for due in _due(spared, clustering, seed, left_out):
            if budget.is_spent or _left_out(shape, found) <= len(left_out):
                break
            found = _better(shape, found, _greedy_by(spared, clustering, seed, Urgency.CONTRACT, due, left_out))
        if found is not gained:
            gained, idle = found, 0
    return gained


def _greedy_by(
    shape: Shape,
    clustering: Clustering,
    seed: int,
    urgency: Urgency,
    due: Sequence[float] = (),
    left_out: Collection[int] = (),
) -> Solution:
    """What is left out gets a place at the end, if there is one."""
    windows = {group.group_id: group.allowed for group in shape.groups}
    names = {shape.groups[g].group_id for g in left_out}
    planner = Planner(shape.problem, Board(shape.problem, seed, shape), clustering.unbound)
    later = []
    for cluster in in_order(clustering, seed, urgency, windows, due):
        if names and not names.isdisjoint(item.group for item in cluster.items):
            later.append(cluster)
        else:
            planner.settle(cluster)
    for cluster in later:
        for part in cluster.parts:
            planner.settle_rest(part)
    return _solution_of(shape, planner)


def _better(shape: Shape, one: Solution, other: Solution) -> Solution:
    """The better one by the problem's aims; the first where they are equal."""
    ranks = [score(shape, each).rank(shape.problem) for each in (one, other)]
    return other if ranks[1] < ranks[0] else one


def _due(
    shape: Shape, clustering: Clustering, seed: int, left_out: Collection[int] = ()
) -> Iterator[Sequence[float]]:
    """By cluster: by when it has to move by the choice about the calendar's long gaps, with several ways to settle ties;
    nothing where the calendar has none."""
    number = {group.group_id: g for g, group in enumerate(shape.groups)}
    nodes, out = [], set()
    for n, cluster in enumerate(clustering.clusters):
        groups = tuple(sorted({number[item.group] for item in cluster.items}))
        if not set(groups).isdisjoint(left_out):
            out.add(n)
        nodes.append(GapNode(groups, 0 if n in out else reduce(and_, (shape.groups[g].allowed for g in groups))))
    uses = [
        (user, used)
        for user, all_used in enumerate(clustering.uses)
        for used in all_used
        if user not in out and used not in out
    ]
    found = guide(shape, nodes, uses, shape.windows - 1, seed)
    chance = random.Random(seed)
    for spread in _TIES if found is not None else ():
        assert found is not None  # the line before looks
        yield [latest + chance.uniform(0, spread) for latest in found.latest]


def _improved(shape: Shape, found: _Found, seed: int, budget: Budget, parallel_map: ParallelMap) -> _Found:
    if budget.is_spent or not shape.groups:
        return found
    found, budget = _justified(shape, found, seed, budget)
    placed = _all_placed(shape, found.solution)
    if placed:
        found, budget = _refuted(shape, found, seed, budget)
    best = found
    last = found.solution.last if placed else shape.windows - 1
    size = sum((group.allowed & ((1 << (last + 1)) - 1)).bit_count() for group in shape.groups)
    if size <= _WHOLE and (not placed or last > found.bound):
        best = _solved_whole(shape, found, seed, _half(budget))
    improver = Improver(shape, best.solution, best.bound, seed, budget, parallel_map)
    solution = improver.run()
    return replace(best, solution=solution, bound=min(best.bound, solution.last))


def _improved_around(shape: Shape, found: _Found, seed: int, budget: Budget, parallel_map: ParallelMap) -> _Found:
    """Where systems are left out: a place for more of them first, unless no plan has one and there is no time for whoever
    else might be left out; then an earlier finish of the others, whom those who have no place do not bind."""
    if not (_is_large(shape) and _leaves_out_the_least(shape, found.solution)):
        better = _improved(shape, found, seed, _half(budget), parallel_map)
        if _all_placed(shape, better.solution):
            return _improved(shape, better, seed, budget, parallel_map)
        spare = loosened(shape)
        found = replace(better, bound=_bound_of(spare, better.solution))
        found = _improved(spare, found, seed, _half(budget), parallel_map)
        if found.solution.last <= found.bound or _all_placed(shape, found.solution):
            return found
        budget = replace(budget, effort=budget.effort / 2)
    left_out = [g for g in _nowhere(found.solution) if shape.groups[g].own]
    rest = set_aside(shape, left_out)
    last = found.solution.last
    better = replace(found, bound=max(found.bound, min(earliest_finish(rest), last)))
    better = _improved(rest, better, seed, budget, parallel_map)
    last = better.solution.last
    others = finish_of_others(shape, left_out, last) if better.bound > found.bound else last
    return replace(better, bound=min(max(found.bound, min(better.bound, others)), last))


def _leaves_out_the_least(shape: Shape, solution: Solution) -> bool:
    """Whether the bounds prove that no plan leaves out fewer systems."""
    return earliest_finish(shape, _left_out(shape, solution) - 1) >= shape.windows


def _is_large(shape: Shape) -> bool:
    return sum(group.own.bit_count() for group in shape.groups) > _WHOLE


def _justified(shape: Shape, found: _Found, seed: int, budget: Budget) -> tuple[_Found, Budget]:
    """The solution packed anew, where that lets it finish earlier; and what is left of the budget."""
    problem = shape.problem
    by_finish = not problem.weights and problem.aims[:1] == (Aim.FINISH,)
    placed = [(w, group) for w, group in zip(found.solution.window, shape.groups, strict=True) if w != NOWHERE]
    fits = all(
        group.allowed >> w & 1 for w, group in placed
    )  # not while what has no place still narrows the others
    if not by_finish or found.solution.last <= found.bound or not fits:
        return found, budget
    # Cycles stay whole if that costs no time; splitting them is what the finish is worth.
    for tied in (True, False):
        if (
            found.solution.last <= found.bound
            or budget.is_spent
            or not (tied or cycle_ties(shape, found.solution))
        ):
            break
        justifier = Justifier(shape, found.solution, found.bound, seed, tied=tied)
        solution = justifier.run(_half(budget))
        budget = replace(budget, effort=max(0.01, budget.effort - justifier.effort))
        better = score(shape, solution).rank(problem) < score(shape, found.solution).rank(problem)
        if better and broken(shape, solution) is None:
            found = replace(found, solution=solution)
    return found, budget


def _refuted(shape: Shape, found: _Found, seed: int, budget: Budget) -> tuple[_Found, Budget]:
    """With a higher bound, where earlier finishes can be refuted; packed anew in the order that the least finish left asks
    for, where that gains; and what is left of the budget."""
    while found.solution.last > found.bound and not budget.is_spent:
        solution, last = found.solution, found.solution.last
        answer = raised_bound(shape, found.bound, last, seed, _part_of(budget, _REFUTING))
        budget = replace(budget, effort=max(0.01, budget.effort - answer.effort))
        found = replace(found, solution=solution, bound=min(answer.bound, last))
        if answer.bound >= last or not answer.latest:
            break
        justifier = Justifier(shape, solution, answer.bound, seed, tied=False)
        solution = justifier.by(answer.latest)
        budget = replace(budget, effort=max(0.01, budget.effort - justifier.effort))
        if solution.last >= last or broken(shape, solution) is not None:
            break
        found = replace(found, solution=solution)
    return found, budget


def _less_the_telling(budget: Budget, began: float | None) -> Budget:
    """The budget without the seconds that the words of the plan will take."""
    if began is None or budget.clock is None or budget.ends_at is None:
        return budget
    now = budget.clock()
    return replace(budget, ends_at=max(now, budget.ends_at - _TELLING * (now - began)))


def _half(budget: Budget) -> Budget:
    """Half of what is left: the other half is for the aims after the finish."""
    return _part_of(budget, 0.5)


def _part_of(budget: Budget, share: float) -> Budget:
    left = budget.seconds_left
    if left is None or budget.clock is None:
        return replace(budget, effort=budget.effort * share)
    return replace(budget, ends_at=budget.clock() + left * share)


def _solved_whole(shape: Shape, found: _Found, seed: int, budget: Budget) -> _Found:
    """All groups in one model, for a place for every system and the earliest finish. Where cycles now move in one
    window, a second model, in which they may be split, proves or beats the finish."""
    tied = bool(cycle_ties(shape, found.solution))
    task = whole_task(shape, found.solution, found.bound, seed, budget, tied=tied)
    best = _after(shape, found, task, proves=not tied)
    if tied and best.solution.last > best.bound and not budget.is_spent:
        task = whole_task(shape, best.solution, best.bound, seed, budget, tied=False)
        best = _after(shape, best, task, proves=True)
    return best


def _after(shape: Shape, found: _Found, task: Task, *, proves: bool) -> _Found:
    answer = solve_task(task)
    bound, least = found.bound, found.least
    if proves and all(group.allowed == group.own for group in shape.groups):
        least = max(least, answer.least_unplaced)
    if proves and Aim.FINISH in answer.bounds and not shape.problem.weights:
        bound = max(bound, min(answer.bounds[Aim.FINISH], found.solution.last))
    if answer.windows is None:
        return _Found(found.solution, bound, least)
    solution = replaced(found.solution, answer.windows, answer.pools, answer.teams)
    ranks = [score(shape, each).rank(shape.problem) for each in (solution, found.solution)]
    if ranks[0] >= ranks[1] or broken(shape, solution) is not None:
        solution = found.solution
    return _Found(solution, min(bound, solution.last), least)


def _all_placed(shape: Shape, solution: Solution) -> bool:
    return not _left_out(shape, solution)


def _solution_of(shape: Shape, planner: Planner) -> Solution:
    window, pool, team = {}, {}, {}
    pool_place = {each.pool_id: number for number, each in enumerate(shape.problem.pools)}
    team_place = {each.team_id: number for number, each in enumerate(shape.problem.teams)}
    for placing in planner.placings:
        for item in placing.items:
            index = shape.index_of[item.key]
            choice = placing.choices[item.key]
            window[shape.group_of[index]] = placing.window
            pool[index] = pool_place[choice.pool_id]
            team[index] = NOWHERE if choice.team_id is None else team_place[choice.team_id]
    nothing = Solution(
        (NOWHERE,) * len(shape.groups), (NOWHERE,) * len(shape.items), (NOWHERE,) * len(shape.items)
    )
    return replaced(nothing, window, pool, team)


def _told(shape: Shape, clustering: Clustering, solution: Solution, seed: int) -> Planner:
    """The solution with its reasons: replayed on a fresh board, window by window; what has no place is tried once more."""
    problem = shape.problem
    planner = Planner(problem, Board(problem, seed, shape), clustering.unbound)
    placed = sorted((w, g) for g, w in enumerate(solution.window) if w != NOWHERE)
    for w, g in placed:
        members = shape.groups[g].members
        items = [shape.items[index] for index in members]
        pools = {shape.items[index].key: problem.pools[solution.pool[index]].pool_id for index in members}
        teams = {
            shape.items[index].key: solution.team[index] for index in members if solution.team[index] != NOWHERE
        }
        planner.keep_at(items, w, pools, teams)
    planner.explain_kept()
    kept = {group.group_id for g, group in enumerate(shape.groups) if solution.window[g] != NOWHERE}
    over = [part for cluster in clustering.clusters for part in cluster.parts if part[0].group not in kept]
    hopeless = {group.group_id for group in shape.groups if not group.own}
    nobody = Board(problem, seed, shape) if any(part[0].group in hopeless for part in over) else None
    for part in over:
        # Whom nothing could take is told what stands in its own way, and not who came before it.
        alone = nobody is not None and part[0].group in hopeless
        failure = Planner(problem, nobody, clustering.unbound).failure_of(part) if nobody and alone else None
        if failure is not None:
            planner.keep_out(failure)
        else:
            planner.settle_rest(part)
    return planner


def _measure(shape: Shape, found: _Found, proof: LeftOutProof) -> PlanMeasure:
    scores = score(shape, found.solution)
    last, bound = found.solution.last, found.bound
    return PlanMeasure(
        finish_days=scores.aims[Aim.FINISH],
        bound_days=min(shape.days[max(0, min(bound, last))] if last != NOWHERE else 0, scores.aims[Aim.FINISH]),
        scores={aim.value: value for aim, value in scores.aims.items()},
        unplaced_at_least=proof.alone_systems + proof.least,
    )
