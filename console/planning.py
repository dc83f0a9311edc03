"""Plans from files alone, without a ledger: project instances and estates.

Who calls this: `console.commands.migration`. The wall clock and the number of processors enter here.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

from console import migration_views, printing
from console.faults import AnswerIsNo, Fault
from console.files import STANDARD_OUTPUT, read_text, replacing
from console.processes import process_map
from console.starting import seconds_since
from scheduler.core.budget import Budget
from scheduler.core.projects.project import ProjectError
from scheduler.core.projects.psplib import read_project
from scheduler.core.projects.solve import solve_project
from scheduler.core.waves.check import Violation, check_plan
from scheduler.core.waves.conflicts import find_conflict
from scheduler.core.waves.document import PlanUnreadable, read_plan, write_plan
from scheduler.core.waves.estate_file import estate_problem, read_estate, spreads_of
from scheduler.core.waves.estate_form import EstateForm
from scheduler.core.waves.estate_rules import EstateError
from scheduler.core.waves.forecast import FinishForecast, forecast_finish
from scheduler.core.waves.problem import WaveProblem
from scheduler.core.waves.replan import replan
from scheduler.core.waves.solve import solve


@dataclass(frozen=True, slots=True)
class ReplanChoices:
    """`approved` are the ids of windows whose waves stay as they are."""

    approved: tuple[str, ...]
    seed: int
    limits: Budget


MAX_FILE_BYTES = 256 * 1024 * 1024
# Of the time that a user gives, this much is left for reading, judging and writing.
_SPARE_SECONDS = 0.3
# At least so long a search for what is in the way, once a plan leaves systems over.
_CONFLICT_SECONDS = 10.0
# Who gives seconds gives them to the search; but loading the program that takes longer than this, on a busy machine, counts.
_LOADING_SECONDS = 2.0
# However long the program took to load, a search gets this share of the time.
_LEAST_SHARE = 0.25


def budget(seconds: float, effort: float, workers: int) -> Budget:
    """`effort` above 0: deterministic, no clock; otherwise so many seconds. `workers` 0: as many as processors."""
    count = workers or (1 if effort > 0 else min(16, os.cpu_count() or 1))
    if effort > 0:
        return Budget(effort=effort, workers=count)
    if seconds <= 0:
        raise Fault(
            f"--seconds {seconds} 须大于 0 / --seconds must be above 0, for example 30",
        )
    late = max(0.0, seconds_since() - _LOADING_SECONDS)
    left = max(seconds - _SPARE_SECONDS - late, seconds * _LEAST_SHARE)
    return Budget(clock=time.monotonic, ends_at=time.monotonic() + left, workers=count)


def plan_project(file: Path, json_file: Path | None, seed: int, limits: Budget) -> None:
    """Schedules a PSPLIB instance and writes makespan, bound and the start of every job."""
    text = read_text(file, MAX_FILE_BYTES)
    with replacing(json_file) as output:
        try:
            found = solve_project(read_project(text), seed, limits)
        except ProjectError as error:
            raise Fault(f"{file}: {error}") from None
        answer = {
            "makespan": found.makespan,
            "bound": found.bound,
            "starts": {str(number): start for number, start in sorted(found.starts.items())},
        }
        output.write(f"{json.dumps(answer)}\n".encode())
    if json_file != STANDARD_OUTPUT:
        proven = "，已证明最优 / proven optimal" if found.is_optimal else ""
        printing.say(f"工期 / makespan {found.makespan}，下界 / bound {found.bound}{proven}", "bold")


def plan_estate(file: Path, json_file: Path | None, seed: int, limits: Budget) -> None:
    """Plans an estate, judges the plan, writes and shows it. AnswerIsNo with the conflict where a system has no place."""
    problem = _problem(file)
    with replacing(json_file) as output, process_map(limits.workers) as parallel_map:
        plan = solve(problem, seed, limits, parallel_map)
        output.write(f"{write_plan(plan)}\n".encode())
    if json_file != STANDARD_OUTPUT:
        migration_views.show_estate_plan(plan)
    if plan.unplaced:
        conflict = find_conflict(problem, plan, _after_the_plan(limits))
        if json_file != STANDARD_OUTPUT:
            migration_views.show_conflict(conflict)
        zh, en = conflict.sentence
        raise AnswerIsNo(
            f"{len(plan.unplaced)} 个系统无法安排：{zh} / {len(plan.unplaced)} systems have no place: {en}"
        )


def _after_the_plan(limits: Budget) -> Budget:
    """Time of its own for the question why: the plan may have used up all that was given."""
    if limits.clock is None:
        return limits
    return replace(limits, ends_at=limits.clock() + max(limits.seconds_left or 0.0, _CONFLICT_SECONDS))


def check_estate(plan_file: Path, estate_file: Path) -> tuple[Violation, ...]:
    """Judges any plan of an estate."""
    problem = _problem(estate_file)
    try:
        plan = read_plan(read_text(plan_file, MAX_FILE_BYTES))
    except PlanUnreadable as error:
        raise Fault(*str(error).splitlines()) from None
    return check_plan(problem, plan)


def replan_estate(plan_file: Path, estate_file: Path, json_file: Path | None, choices: ReplanChoices) -> None:
    """The smallest change of a plan that keeps every rule of the estate as it is now, with its price."""
    problem = _problem(estate_file)
    try:
        old = read_plan(read_text(plan_file, MAX_FILE_BYTES))
    except PlanUnreadable as error:
        raise Fault(*str(error).splitlines()) from None
    with replacing(json_file) as output:
        try:
            repair = replan(problem, old, choices.approved, choices.seed, choices.limits)
        except ValueError as error:
            raise Fault(str(error)) from None
        output.write(f"{write_plan(repair.plan)}\n".encode())
    if json_file != STANDARD_OUTPUT:
        migration_views.show_repair(repair)
    if repair.plan.unplaced:
        raise AnswerIsNo(
            f"{len(repair.plan.unplaced)} 个系统在保留约定的前提下无法安排"
            f" / {len(repair.plan.unplaced)} systems have no place while the agreements stand"
        )


def estate_risk(plan_file: Path, estate_file: Path, seed: int, samples: int) -> FinishForecast:
    """When a plan will really end, by simulation of its durations."""
    form = _estate(estate_file)
    plan = read_plan(read_text(plan_file, MAX_FILE_BYTES))
    return forecast_finish(estate_problem(form), plan, spreads_of(form), seed, samples)


def _estate(file: Path) -> EstateForm:
    try:
        return read_estate(read_text(file, MAX_FILE_BYTES))
    except EstateError as error:
        raise Fault(*(f"{file}: {line}" for line in str(error).splitlines())) from None


def _problem(file: Path) -> WaveProblem:
    form = _estate(file)
    try:
        return estate_problem(form)
    except EstateError as error:
        raise Fault(*(f"{file}: {line}" for line in str(error).splitlines())) from None
    except LookupError as error:
        raise Fault(f"{file}: {error}") from None
