"""Large-neighbourhood search: parts of a large plan are solved anew, first for an earlier finish, then for the rest.

Who calls this: `solve.py`. A neighbourhood is a few windows and the groups in them; neighbourhoods of one round share no
window, so they can be solved at the same time, and an answer counts only if it still fits with the others'.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from scheduler.core.budget import Budget
from scheduler.core.waves.part import Part, cut_part
from scheduler.core.waves.problem import Aim
from scheduler.core.waves.shape import Shape
from scheduler.core.waves.solution import NOWHERE, Solution, broken, cycle_ties, replaced, score

if TYPE_CHECKING:  # OR-Tools takes a second to load
    from scheduler.core.waves.cp_sat.waves import PartAnswer

_ROUND = 4  # neighbourhoods at a time
_TASK_EFFORT = 1.5  # deterministic seconds of one neighbourhood
_TASK_SECONDS = 4.0
# Cutting a part out and building its model takes time that the solver does not count: about so much.
_EFFORT_TO_BUILD, _EFFORT_A_CHOICE = 0.05, 2e-4
_FREED = 110  # groups in one neighbourhood, about
_PATIENCE = 6  # rounds without gain before the search turns to the next aims, or ends


@dataclass(frozen=True, slots=True)
class Task:
    """One call of the solver, as a plain value that can travel to another process. A clock stays at home: there the
    task is bounded by `budget.effort` alone."""

    part: Part
    aims: tuple[Aim, ...]
    last: int
    bound: int
    tail: int | None
    seed: int
    budget: Budget


def solve_task(task: Task) -> PartAnswer:
    from scheduler.core.waves.cp_sat.waves import Order, improve_part

    order = Order(task.aims, task.last, task.bound, task.tail)
    return improve_part(task.part, order, task.seed, task.budget)


class _Map(Protocol):
    def __call__(self, function: Callable[[Any], Any], tasks: Iterable[Any], /) -> Iterable[Any]: ...


class Improver:
    def __init__(
        self, shape: Shape, solution: Solution, bound: int, seed: int, budget: Budget, parallel_map: _Map
    ) -> None:
        self._shape = shape
        self._best = solution
        self._bound = bound
        self._chance = random.Random(seed)
        self._budget = budget
        self._map = parallel_map
        self._effort = 0.0
        self._tried = 0

    def run(self) -> Solution:
        """First the tail is emptied until the finish meets the bound or nothing helps; then the other aims."""
        if not self._shape.problem.weights and self._shape.problem.aims[:1] == (Aim.FINISH,):
            self._search(self._shorten)
        self._search(self._polish)
        return self._best

    @property
    def _is_spent(self) -> bool:
        return self._budget.is_spent or self._effort >= self._budget.effort

    def _search(self, one_round: Callable[[], bool | None]) -> None:
        """Rounds until the budget is spent, the goal is met (None), or too many in a row gained nothing."""
        idle = 0
        while idle < _PATIENCE and not self._is_spent:
            gained = one_round()
            if gained is None:
                return
            idle = 0 if gained else idle + 1

    def _shorten(self) -> bool | None:
        last = self._best.last
        if last <= self._bound or last == NOWHERE:
            return None
        return self._try_all([self._tail_task(last)])

    def _polish(self) -> bool | None:
        windows = sorted({w for w in self._best.window if w != NOWHERE})
        if len(windows) < 2:
            return None
        self._chance.shuffle(windows)
        worst = max(windows, key=self._risk_of)
        windows.remove(worst)
        windows.insert(0, worst)
        per_window = max(1, sum(w != NOWHERE for w in self._best.window) // (len(windows) + 1))
        width = max(2, min(len(windows), _FREED // per_window))
        parts = [windows[at : at + width] for at in range(0, len(windows), width)][:_ROUND]
        return self._try_all([self._polish_task(part) for part in parts if len(part) > 1])

    def _risk_of(self, window: int) -> int:
        return sum(group.risk for g, group in enumerate(self._shape.groups) if self._best.window[g] == window)

    def _tail_task(self, last: int) -> Task:
        """The groups of the last window, and of others chosen at random among those before it that could take them."""
        groups = self._shape.groups
        tail = [g for g, w in enumerate(self._best.window) if w == last]
        open_to = 0
        for g in tail:
            open_to |= groups[g].allowed
        others = sorted({w for w in self._best.window if w != NOWHERE and w < last and open_to >> w & 1})
        self._chance.shuffle(others)
        freed, windows = list(tail), {last}
        for w in others:
            if len(freed) >= _FREED:
                break
            freed.extend(g for g, at in enumerate(self._best.window) if at == w)
            windows.add(w)
        used = set(self._best.window)
        windows |= {w for w in range(last) if w not in used}
        return self._task(freed, windows, (), last, last)

    def _polish_task(self, windows: Sequence[int]) -> Task:
        chosen = set(windows)
        freed = [g for g, w in enumerate(self._best.window) if w in chosen]
        return self._task(freed, chosen, self._shape.problem.aims, self._best.last, None)

    def _task(
        self, freed: Sequence[int], windows: Iterable[int], aims: tuple[Aim, ...], last: int, tail: int | None
    ) -> Task:
        self._tried += 1
        part = cut_part(self._shape, self._best, freed, sorted(windows), cycle_ties(self._shape, self._best))
        return Task(part, aims, last, self._bound, tail, self._tried, self._task_budget())

    def _task_budget(self) -> Budget:
        left = self._budget.seconds_left
        if left is None or self._budget.clock is None or self._map is not map:
            return Budget(effort=_TASK_EFFORT)
        ends = self._budget.clock() + min(left, _TASK_SECONDS)
        return Budget(_TASK_EFFORT, self._budget.clock, ends, self._budget.workers)

    def _try_all(self, tasks: Sequence[Task]) -> bool:
        """Solves the tasks and takes every answer that helps; whether any did."""
        gained = False
        for task, answer in zip(tasks, self._map(solve_task, tasks), strict=True):
            self._effort += answer.effort + _EFFORT_TO_BUILD + _EFFORT_A_CHOICE * _choices(task.part)
            if answer.windows is None:
                continue
            solution = replaced(self._best, answer.windows, answer.pools, answer.teams)
            if self._is_better(solution, task) and broken(self._shape, solution) is None:
                self._best, gained = solution, True
        return gained

    def _is_better(self, solution: Solution, task: Task) -> bool:
        problem = self._shape.problem
        new, old = (score(self._shape, each) for each in (solution, self._best))
        if task.tail is None:
            return new.rank(problem) < old.rank(problem)
        # On the way to an earlier finish fewer systems in the last window count, whatever else they cost.
        return (new.unplaced, self._in_window(solution, task.tail)) < (
            old.unplaced,
            self._in_window(self._best, task.tail),
        )

    def _in_window(self, solution: Solution, window: int) -> int:
        return sum(self._shape.groups[g].size for g, w in enumerate(solution.window) if w == window)


def _choices(part: Part) -> int:
    return sum(len(group.windows) for group in part.groups)
