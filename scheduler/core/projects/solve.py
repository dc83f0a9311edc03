"""The best schedule of a project that a budget finds, with a proven lower bound.

Who calls this: `xisuan migration plan --psplib`. Anytime: the heuristic's schedule is there first, and what comes out is
never longer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scheduler.core.budget import Budget
from scheduler.core.projects.bounds import lower_bound
from scheduler.core.projects.project import Project, faults, makespan
from scheduler.core.projects.schedule_generation import best_schedule


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
    starts: Mapping[int, int] = best_schedule(project, seed, _for_heuristic(budget), bound)
    length, effort = makespan(project, starts), 0.0
    if length > bound and not budget.is_spent:
        # Imported here: who solves nothing does not wait for OR-Tools to load.
        from scheduler.core.waves.cp_sat.projects import improve

        answer = improve(project, starts, bound, seed, budget)
        bound, effort = answer.bound, answer.effort
        if answer.starts is not None and makespan(project, answer.starts) < length:
            starts = answer.starts
            length = makespan(project, starts)
    broken = list(faults(project, starts))
    if broken:
        raise AssertionError(f"the schedule breaks {len(broken)} rules, the first: {broken[0]}")
    return ProjectSchedule(starts, length, bound, effort)


def _for_heuristic(budget: Budget) -> Budget:
    """At most a fifth of the seconds."""
    left = budget.seconds_left
    if left is None or budget.clock is None:
        return budget
    return Budget(budget.effort, budget.clock, budget.clock() + left / 5, budget.workers, budget.schedules)
