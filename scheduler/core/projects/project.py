"""A project of jobs with durations, precedences and renewable resources (RCPSP, single mode), in plain integers.

Who calls this: `psplib.py` makes it from a file, `solve.py` schedules it, tests judge schedules with `faults`.
The problem is PS|prec|Cmax in the notation of Brucker et al., EJOR 112 (1999): no job is interrupted, a job starts
when all its predecessors have ended, at no time do running jobs need more of a resource than there is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass


class ProjectError(ValueError):
    """A project that no schedule can be made of: one line with value, rule and remedy."""


@dataclass(frozen=True, slots=True)
class Job:
    """`number` as in the file (from 1); `needs[r]` is taken of resource r for every period of `duration`."""

    number: int
    duration: int
    needs: tuple[int, ...]
    successors: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Project:
    """Jobs by number, and how much there is of each resource in every period."""

    jobs: tuple[Job, ...]
    capacities: tuple[int, ...]

    def __post_init__(self) -> None:
        """Raises ProjectError for unknown or repeated jobs, negative numbers, a job that needs more than there is,
        and a cycle of precedences."""
        numbers = {job.number for job in self.jobs}
        if len(numbers) != len(self.jobs) or not self.jobs:
            raise ProjectError("作业编号须唯一且至少一个 / job numbers must be unique, and one at least")
        if min(self.capacities, default=0) < 0:
            raise ProjectError(f"资源量 {min(self.capacities)} 为负 / a resource's availability is negative")
        for job in self.jobs:
            _require_possible(job, self.capacities, numbers)
        ordered = set(topological_order(self))
        if len(ordered) != len(self.jobs):
            stuck = sorted(numbers - ordered)
            raise ProjectError(
                f"作业先后关系有环，请断开；涉及作业 {stuck[:8]} / the precedences form a cycle, among or before jobs "
                f"{stuck[:8]}; a project needs an order: break it"
            )

    @property
    def horizon(self) -> int:
        """All jobs one after another: no schedule need be longer."""
        return sum(job.duration for job in self.jobs)


def _require_possible(job: Job, capacities: Sequence[int], numbers: set[int]) -> None:
    if job.duration < 0:
        raise ProjectError(
            f"作业 {job.number} 的工期 {job.duration} 为负，须不小于 0 / job {job.number} has the negative duration"
            f" {job.duration}; give 0 or more"
        )
    if len(job.needs) != len(capacities) or min(job.needs, default=0) < 0:
        raise ProjectError(
            f"作业 {job.number} 的资源需求 {job.needs} 须为 {len(capacities)} 个非负整数"
            f" / job {job.number} needs {len(capacities)} requests of 0 or more"
        )
    for number, (need, capacity) in enumerate(zip(job.needs, capacities, strict=True), start=1):
        if need > capacity and job.duration > 0:
            raise ProjectError(
                f"作业 {job.number} 需要资源 {number} 的 {need}，只有 {capacity}；无法安排"
                f" / job {job.number} needs {need} of resource {number}, there are {capacity}: no schedule exists"
            )
    unknown = sorted(set(job.successors) - numbers)
    if unknown:
        raise ProjectError(
            f"作业 {job.number} 的后继 {unknown[0]} 不存在 / successor {unknown[0]} of job {job.number} does not exist"
        )


def topological_order(project: Project) -> tuple[int, ...]:
    """Job numbers, predecessors first, small numbers first; shorter than the project where there is a cycle."""
    waiting = {job.number: 0 for job in project.jobs}
    for job in project.jobs:
        for after in job.successors:
            waiting[after] += 1
    by_number = {job.number: job for job in project.jobs}
    free = sorted((number for number, count in waiting.items() if count == 0), reverse=True)
    order: list[int] = []
    while free:
        number = free.pop()
        order.append(number)
        for after in by_number[number].successors:
            waiting[after] -= 1
            if waiting[after] == 0:
                free.append(after)
        free.sort(reverse=True)
    return tuple(order)


def makespan(project: Project, starts: Mapping[int, int]) -> int:
    """When the last job ends."""
    return max(starts[job.number] + job.duration for job in project.jobs)


def faults(project: Project, starts: Mapping[int, int]) -> Iterator[str]:
    """Every rule that a schedule breaks, in words; nothing for one that keeps them all. It shares no code with the
    solvers: it walks the periods one by one."""
    if set(starts) != {job.number for job in project.jobs}:
        yield "every job needs one start, and only jobs have one"
        return
    by_number = {job.number: job for job in project.jobs}
    for job in project.jobs:
        if starts[job.number] < 0:
            yield f"job {job.number} starts at {starts[job.number]}, before the project"
        for after in job.successors:
            if starts[after] < starts[job.number] + job.duration:
                yield f"job {after} starts before its predecessor {job.number} has ended"
    for resource, capacity in enumerate(project.capacities):
        used: dict[int, int] = {}
        for number, start in starts.items():
            for period in range(start, start + by_number[number].duration):
                used[period] = used.get(period, 0) + by_number[number].needs[resource]
        for period in sorted(used):
            if used[period] > capacity:
                yield f"resource {resource + 1} has {capacity} and gives {used[period]} in period {period}"
