"""A project as a CP-SAT model: an interval a job, a cumulative a resource, the makespan as the objective.

Who calls this: `scheduler.core.projects.solve`. OR-Tools is imported by this package alone.
Sources: Perron and Furnon, OR-Tools, its RCPSP example (the time after the end as one more interval that takes all of a
resource, so that energy bounds the makespan); Schutt et al., Solving RCPSP/max by lazy clause generation, Journal of
Scheduling 16 (2013).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from ortools.sat.python import cp_model

from scheduler.core.budget import Budget
from scheduler.core.projects.bounds import heads, tails
from scheduler.core.projects.project import Project, makespan

V = set(os.environ.get("XV", "").split(","))


@dataclass(frozen=True, slots=True)
class ProjectAnswer:
    """`starts` is None where the solver found nothing better than the hint. `bound` holds for every schedule."""

    starts: Mapping[int, int] | None
    bound: int
    effort: float


class ProjectSearch:
    """One search for a schedule shorter than `hint`, and for a higher bound, until both meet, the budget is spent, or
    `stop` is called (from another thread)."""

    def __init__(self, project: Project, hint: Mapping[int, int], bound: int, seed: int, budget: Budget) -> None:
        self._known = makespan(project, hint)
        self._least = bound
        self._model, self._starts = _model_of(project, hint, bound, self._known)
        self._solver = configured(seed, budget)
        parameters = self._solver.parameters
        if "hard" in V:
            parameters.use_hard_precedences_in_cumulative = True
        if "over" in V:
            parameters.use_overload_checker_in_cumulative = True
        if "tef" in V:
            parameters.use_timetable_edge_finding_in_cumulative = True
        if "dynp" in V:
            parameters.use_dynamic_precedence_in_cumulative = True
        if "lb" in V:
            parameters.use_objective_lb_search = True
        if "sym" in V:
            parameters.symmetry_level = 0
        if "log" in V:
            parameters.log_search_progress = True
        for v in V:
            if v.startswith("w"):
                parameters.num_workers = int(v[1:])
        self._solver.best_bound_callback = self._raise

    @property
    def bound(self) -> int:
        """The highest bound so far; may be read while `run` is at work."""
        return self._least

    def stop(self) -> None:
        self._solver.stop_search()

    def run(self) -> ProjectAnswer:
        solver = self._solver
        status = solver.solve(self._model)
        if status == cp_model.INFEASIBLE:
            self._least = self._known
        elif status in (cp_model.OPTIMAL, cp_model.FEASIBLE, cp_model.UNKNOWN):
            self._raise(solver.best_objective_bound)
        found = None
        if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            found = {number: solver.value(variable) for number, variable in self._starts.items()}
        return ProjectAnswer(found, self._least, solver.deterministic_time)

    def _raise(self, raised: float) -> None:
        self._least = max(self._least, min(self._known, round(raised)))


def _model_of(
    project: Project, hint: Mapping[int, int], bound: int, known: int
) -> tuple[cp_model.CpModel, dict[int, cp_model.IntVar]]:
    """The model, and the start of each job."""
    model = cp_model.CpModel()
    head, tail = heads(project), tails(project)
    start = {
        job.number: model.new_int_var(head[job.number], known - tail[job.number] - job.duration, f"s{job.number}")
        for job in project.jobs
    }
    length = model.new_int_var(bound, known, "makespan")
    interval = {
        job.number: model.new_fixed_size_interval_var(start[job.number], job.duration, f"i{job.number}")
        for job in project.jobs
    }
    for job in project.jobs:
        for after in job.successors:
            model.add(start[after] >= start[job.number] + job.duration)
        if not job.successors:
            model.add(length >= start[job.number] + job.duration)
    rest = model.new_interval_var(length, model.new_int_var(1, known + 1, "after"), known + 1, "rest")
    for resource, capacity in enumerate(project.capacities):
        users = [job for job in project.jobs if job.duration and job.needs[resource]]
        if sum(job.needs[resource] for job in users) > capacity:
            ii = [interval[job.number] for job in users]
            dd = [job.needs[resource] for job in users]
            if "mk" in V:
                ii.append(rest)
                dd.append(capacity)
            model.add_cumulative(ii, dd, capacity)
    model.minimize(length)
    for number, variable in start.items():
        model.add_hint(variable, hint[number])
    model.add_hint(length, known)
    return model, start


def configured(seed: int, budget: Budget) -> cp_model.CpSolver:
    """A solver that keeps to the budget. Without a clock its result does not depend on the machine."""
    solver = cp_model.CpSolver()
    parameters = solver.parameters
    parameters.random_seed = seed % (1 << 31)
    parameters.num_workers = budget.workers
    left = budget.seconds_left
    if left is None:
        parameters.max_deterministic_time = budget.effort
        parameters.interleave_search = budget.workers > 1
    else:
        parameters.max_time_in_seconds = max(0.01, left)
    return solver
