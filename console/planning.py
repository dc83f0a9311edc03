"""Plans of estates from files alone, without a ledger.

Who calls this: `console.commands.migration`. What a search may spend comes from `console.projects`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from console import estate_views
from console.faults import AnswerIsNo, Fault
from console.files import STANDARD_OUTPUT, read_text, replacing
from console.processes import process_map
from console.projects import MAX_FILE_BYTES
from scheduler.core.budget import Budget
from scheduler.core.waves.check import Violation, check_plan
from scheduler.core.waves.conflicts import find_conflict
from scheduler.core.waves.document import PlanUnreadable, read_plan, write_plan
from scheduler.core.waves.estate_file import estate_problem, read_estate, spreads_of
from scheduler.core.waves.estate_form import EstateForm
from scheduler.core.waves.estate_rules import EstateError
from scheduler.core.waves.forecast import FinishForecast, forecast_finish
from scheduler.core.waves.problem import WaveProblem
from scheduler.core.waves.replan import edited_score, replan
from scheduler.core.waves.solve import solve


@dataclass(frozen=True, slots=True)
class ReplanChoices:
    """`approved` are the ids of windows whose waves stay as they are."""

    approved: tuple[str, ...]
    seed: int
    limits: Budget


# At least so long a search for what is in the way, once a plan leaves systems over.
_CONFLICT_SECONDS = 10.0
# Processes take some seconds to start.
_WORTH_PROCESSES_SECONDS = 20.0


def plan_estate(file: Path, json_file: Path | None, seed: int, limits: Budget) -> None:
    """Plans an estate, judges the plan, writes and shows it. AnswerIsNo with the conflict where a system has no place."""
    problem = _problem(file)
    with replacing(json_file) as output, process_map(_processes(limits)) as parallel_map:
        plan = solve(problem, seed, limits, parallel_map)
        output.write(f"{write_plan(plan)}\n".encode())
    if json_file != STANDARD_OUTPUT:
        estate_views.show_estate_plan(plan)
    if plan.unplaced:
        conflict = find_conflict(problem, plan, _after_the_plan(limits))
        if json_file != STANDARD_OUTPUT:
            estate_views.show_conflict(conflict)
        zh, en = conflict.sentence
        raise AnswerIsNo(
            f"{len(plan.unplaced)} 个系统无法安排：{zh} / {len(plan.unplaced)} systems have no place: {en}"
        )


def _processes(limits: Budget) -> int:
    """As many as workers, unless they would take a good part of the time to start and work on when it is over: a task in
    another process knows no clock."""
    left = limits.seconds_left
    return limits.workers if left is None or left >= _WORTH_PROCESSES_SECONDS else 1


def _after_the_plan(limits: Budget) -> Budget:
    """Time of its own for the question why: the plan may have used up all that was given."""
    if limits.clock is None:
        return limits
    return replace(limits, ends_at=limits.clock() + max(limits.seconds_left or 0.0, _CONFLICT_SECONDS))


@dataclass(frozen=True, slots=True)
class EstateJudgement:
    """The rules that a plan breaks; what it is worth by every aim; `before` is what its file says of that, from before it was
    edited (empty: nothing)."""

    broken: tuple[Violation, ...]
    worth: Mapping[str, int]
    before: Mapping[str, int]


def check_estate(plan_file: Path, estate_file: Path) -> EstateJudgement:
    """Judges any plan of an estate, and scores it without a search."""
    problem = _problem(estate_file)
    try:
        plan = read_plan(read_text(plan_file, MAX_FILE_BYTES))
    except PlanUnreadable as error:
        raise Fault(*str(error).splitlines()) from None
    scores = edited_score(problem, plan).aims
    return EstateJudgement(
        broken=check_plan(problem, plan),
        worth={aim.value: value for aim, value in scores.items()},
        before={} if plan.measure is None else plan.measure.scores,
    )


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
        estate_views.show_repair(repair)
    if repair.plan.unplaced:
        conflict = find_conflict(repair.asked, repair.plan, _after_the_plan(choices.limits))
        if json_file != STANDARD_OUTPUT:
            estate_views.show_conflict(conflict)
        zh, en = conflict.sentence
        raise AnswerIsNo(
            f"{len(repair.plan.unplaced)} 个系统在保留约定的前提下无法安排：{zh}"
            f" / {len(repair.plan.unplaced)} systems have no place while the agreements stand: {en}"
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
