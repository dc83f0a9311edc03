"""A project as a CP-SAT model: an interval a job, a cumulative a resource, the makespan as the objective.

Who calls this: `scheduler.core.projects.solve`. OR-Tools is imported by this package alone.
Sources: Perron and Furnon, OR-Tools; Laborie et al., cumulative scheduling by lazy clause generation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ortools.sat.python import cp_model

from scheduler.core.budget import Budget
from scheduler.core.projects.bounds import heads, tails
from scheduler.core.projects.project import Project, makespan


@dataclass(frozen=True, slots=True)
class ProjectAnswer:
    """`starts` is None where the solver found nothing better than the hint. `bound` holds for every schedule."""

    starts: Mapping[int, int] | None
    bound: int
    effort: float


def improve(project: Project, hint: Mapping[int, int], bound: int, seed: int, budget: Budget) -> ProjectAnswer:
    """Looks for a schedule shorter than `hint` and raises `bound`, until both meet or the budget is spent."""
    known = makespan(project, hint)
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
    for resource, capacity in enumerate(project.capacities):
        users = [job for job in project.jobs if job.duration and job.needs[resource]]
        if sum(job.needs[resource] for job in users) > capacity:
            model.add_cumulative(
                [interval[job.number] for job in users], [job.needs[resource] for job in users], capacity
            )
    model.minimize(length)
    for number, variable in start.items():
        model.add_hint(variable, hint[number])
    model.add_hint(length, known)
    solver = configured(seed, budget)
    status = solver.solve(model)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return ProjectAnswer(None, _bound_of(solver, status, bound, known), solver.deterministic_time)
    found = {number: solver.value(variable) for number, variable in start.items()}
    return ProjectAnswer(found, _bound_of(solver, status, bound, known), solver.deterministic_time)


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


def _bound_of(solver: cp_model.CpSolver, status: cp_model.CpSolverStatus, bound: int, known: int) -> int:
    if status == cp_model.INFEASIBLE:
        return known
    if status in (cp_model.OPTIMAL, cp_model.FEASIBLE, cp_model.UNKNOWN):
        raised = solver.best_objective_bound
        return max(bound, min(known, round(raised)))
    return bound
