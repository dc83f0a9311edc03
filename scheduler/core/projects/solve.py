"""The best schedule of a project that a budget finds, with a proven lower bound.

Who calls this: `xisuan migration plan --psplib`. Anytime: a schedule of priority rules is there first, and what comes out is
never longer. Then lists are bred (`evolution.py`) while CP-SAT, on a processor of its own where there is one, raises the
bound; then CP-SAT has everything, from the best schedule. They stop each other when both meet.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from threading import Thread
from typing import TYPE_CHECKING

from scheduler.core.budget import Budget
from scheduler.core.projects.bounds import lower_bound
from scheduler.core.projects.project import Project, faults, makespan
from scheduler.core.projects.schedule_generation import best_schedule

if TYPE_CHECKING:  # both take a while to load, and who solves nothing does not wait for them
    from scheduler.core.projects.evolution import Evolution

_FIRST_SCHEDULES = 30
_FIRST_SHARE = 0.05  # of the seconds
_BREEDING_SHARE = float(os.environ.get("XB", "0.35"))  # of the seconds that are left


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


def solve_project(project: Project, seed: int, budget: Budget) -> ProjectSchedule:
    """One project, one seed and a budget without a clock give one schedule."""
    bound = lower_bound(project)
    first = replace(_share(budget, _FIRST_SHARE), schedules=min(_FIRST_SCHEDULES, budget.schedules))
    search = _Search(project, seed, best_schedule(project, seed, first, bound), bound)
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

    def run(self, budget: Budget) -> None:
        if self._is_over(budget):
            return
        breeder = self._breeder()
        if breeder is not None:
            breeding = _share(budget, _BREEDING_SHARE)
            if budget.clock is not None and budget.workers > 1:
                self._breed_and_prove(breeder, breeding)
            else:
                breeder.run(breeding, lambda: self.bound)
            self._take(breeder.starts)
        if not self._is_over(budget):
            self._prove(budget)

    def _is_over(self, budget: Budget) -> bool:
        return self._length <= self.bound or budget.is_spent

    def _breeder(self) -> Evolution | None:
        from scheduler.core.projects.evolution import Evolution, is_too_large

        return None if is_too_large(self._project) else Evolution(self._project, self._seed, self.starts)

    def _breed_and_prove(self, breeder: Evolution, budget: Budget) -> None:
        """The breeder in a thread of its own: kernel and solver both let go of the interpreter."""
        from scheduler.core.waves.cp_sat.projects import ProjectSearch

        prover = ProjectSearch(
            self._project, self.starts, self.bound, self._seed, replace(budget, workers=budget.workers - 1)
        )

        def breed() -> None:
            breeder.run(budget, lambda: prover.bound)
            if breeder.makespan <= prover.bound:
                prover.stop()

        thread = Thread(target=breed, name="breeder")
        thread.start()
        answer = prover.run()
        thread.join()
        self.bound, self.effort = max(self.bound, answer.bound), self.effort + answer.effort
        self._take(answer.starts)

    def _prove(self, budget: Budget) -> None:
        from scheduler.core.waves.cp_sat.projects import ProjectSearch

        answer = ProjectSearch(self._project, self.starts, self.bound, self._seed, budget).run()
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
