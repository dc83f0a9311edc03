"""A project as a CP-SAT model: an interval a job, a cumulative a resource, the makespan as the objective.

Who calls this: `scheduler.core.projects.solve`. OR-Tools is imported by this package alone.
Sources: Perron and Furnon, OR-Tools, its RCPSP example (the time after the end as one more interval that takes all of a
resource, so that energy bounds the makespan); Schutt et al., Solving RCPSP/max by lazy clause generation, Journal of
Scheduling 16 (2013).
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


class ProjectSearch:
    """One search for a schedule shorter than `hint`, and for a higher bound, until both meet, the budget is spent, or
    `stop` is called (from another thread). `raising`: the bound comes first."""

    def __init__(
        self, project: Project, hint: Mapping[int, int], bound: int, seed: int, budget: Budget, *, raising: bool
    ) -> None:
        self._known = makespan(project, hint)
        self._least = bound
        self._model, self._starts = _model_of(project, hint, bound, self._known)
        self._solver = configured(seed, budget)
        parameters = self._solver.parameters
        # From below: refute one makespan after the other. It raises the bound far faster, and finds schedules late.
        parameters.use_objective_lb_search = raising
        self._solver.best_bound_callback = self._raise
        self._is_stopped = False

    @property
    def bound(self) -> int:
        """The highest bound so far; may be read while `run` is at work."""
        return self._least

    def stop(self) -> None:
        self._is_stopped = True
        self._solver.stop_search()

    def run(self) -> ProjectAnswer:
        solver = self._solver
        if self._is_stopped:
            return ProjectAnswer(None, self._least, 0.0)
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
        if self._is_stopped:  # before the search had begun, when nobody heard it
            self._solver.stop_search()


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
    after_all = model.new_interval_var(
        length, known + 1, model.new_int_var(known + 1, 2 * known + 1, "e"), "after"
    )
    for resource, capacity in enumerate(project.capacities):
        users = [job for job in project.jobs if job.duration and job.needs[resource]]
        if sum(job.needs[resource] for job in users) > capacity:
            model.add_cumulative(
                [*(interval[job.number] for job in users), after_all],
                [*(job.needs[resource] for job in users), capacity],
                capacity,
            )
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
