"""The best schedule of a project that a budget finds, with a proven lower bound.

Who calls this: `xisuan migration plan --psplib`. Anytime: a schedule of priority rules is there first, and what comes out is
never longer. Then lists are bred (`evolution.py`), and CP-SAT goes on from the best of them; beside both, where the caller
lends a thread, another CP-SAT raises the bound. They stop each other when schedule and bound meet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from scheduler.core.budget import Budget
from scheduler.core.projects.bounds import lower_bound
from scheduler.core.projects.project import Project, faults, makespan
from scheduler.core.projects.schedule_generation import best_schedule

if TYPE_CHECKING:  # both take a while to load, and who solves nothing does not wait for them
    from scheduler.core.projects.evolution import Evolution
    from scheduler.core.waves.cp_sat.projects import ProjectAnswer, ProjectSearch

_FIRST_SCHEDULES = 30
_FIRST_SHARE = 0.05  # of the seconds
_BREEDING_SHARE = 0.8  # of the seconds that are left then


class Pending(Protocol):
    """What a thread will give, as `concurrent.futures.Future` does."""

    def done(self) -> bool: ...

    def result(self) -> Any: ...

    def add_done_callback(self, fn: Callable[[Any], None], /) -> None: ...


class Threads(Protocol):
    """Threads that the caller lends, as `concurrent.futures.Executor` does: the core starts none."""

    def submit(self, fn: Callable[[], Any], /) -> Pending: ...


@dataclass(frozen=True, slots=True)
class ProjectSchedule:
    """`starts` by job number; no schedule is shorter than `bound`; `effort` is deterministic solver time."""

    starts: Mapping[int, int]
    makespan: int
    bound: int
    effort: float = 0.0

    @property
    def is_optimal(self) -> bool:
        return self.makespan == self.bound


def solve_project(project: Project, seed: int, budget: Budget, threads: Threads | None = None) -> ProjectSchedule:
    """One project, one seed and a budget without a clock give one schedule. With a clock, several workers, and a thread of
    `threads`, the bound is raised beside the search for schedules."""
    bound = lower_bound(project)
    first = replace(_share(budget, _FIRST_SHARE), schedules=min(_FIRST_SCHEDULES, budget.schedules))
    search = _Search(project, seed, best_schedule(project, seed, first, bound), bound)
    if not search.is_over(budget):
        if budget.clock is not None and budget.workers > 1 and threads is not None:
            search.run_beside(budget, threads)
        else:
            search.run(budget)
    starts = search.starts
    broken = list(faults(project, starts))
    if broken:
        raise AssertionError(f"the schedule breaks {len(broken)} rules, the first: {broken[0]}")
    return ProjectSchedule(starts, makespan(project, starts), search.bound, search.effort)


class _Search:
    """The best schedule and bound so far, and who may better them."""

    def __init__(self, project: Project, seed: int, starts: Mapping[int, int], bound: int) -> None:
        self._project, self._seed = project, seed
        self.starts, self.bound, self.effort = starts, bound, 0.0
        self._length = makespan(project, starts)

    def is_over(self, budget: Budget) -> bool:
        return self._length <= self.bound or budget.is_spent

    def run(self, budget: Budget) -> None:
        """One after another."""
        breeder = self._breeder()
        if breeder is not None:
            breeder.run(_share(budget, _BREEDING_SHARE), lambda: self.bound)
            self._take(breeder.starts)
        if not self.is_over(budget):
            self._answered(self._solver(budget, raising=False).run())

    def run_beside(self, budget: Budget, threads: Threads) -> None:
        """The bound is raised in a thread of its own: kernel and solver both let go of the interpreter."""
        raiser = self._solver(replace(budget, workers=1), raising=True)
        raised = threads.submit(raiser.run)
        try:
            self._find_beside(budget, raiser, raised)
        finally:
            raiser.stop()  # its time is up as well, or there is nothing left to raise
        self._answered(raised.result())

    def _find_beside(self, budget: Budget, raiser: ProjectSearch, raised: Pending) -> None:
        breeder = self._breeder()
        if breeder is not None:
            breeder.run(_share(budget, _BREEDING_SHARE), lambda: self._length if raised.done() else raiser.bound)
            self._take(breeder.starts)
        self.bound = max(self.bound, raiser.bound)
        if raised.done() or self.is_over(budget):
            return
        finder = self._solver(replace(budget, workers=budget.workers - 1), raising=False)
        raised.add_done_callback(lambda _: finder.stop())
        self._answered(finder.run())

    def _breeder(self) -> Evolution | None:
        from scheduler.core.projects.evolution import Evolution, is_too_large

        return None if is_too_large(self._project) else Evolution(self._project, self._seed, self.starts)

    def _solver(self, budget: Budget, *, raising: bool) -> ProjectSearch:
        from scheduler.core.waves.cp_sat.projects import ProjectSearch

        return ProjectSearch(self._project, self.starts, self.bound, self._seed, budget, raising=raising)

    def _answered(self, answer: ProjectAnswer) -> None:
        self.bound, self.effort = max(self.bound, answer.bound), self.effort + answer.effort
        self._take(answer.starts)

    def _take(self, starts: Mapping[int, int] | None) -> None:
        if starts is not None and makespan(self._project, starts) < self._length:
            self.starts, self._length = starts, makespan(self._project, starts)


def _share(budget: Budget, share: float) -> Budget:
    """So much of the seconds that are left; the same where seconds do not count."""
    left = budget.seconds_left
    if left is None or budget.clock is None:
        return budget
    return replace(budget, ends_at=budget.clock() + left * share)
