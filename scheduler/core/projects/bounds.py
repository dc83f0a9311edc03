"""Lower bounds on a project's makespan that need no solver.

Who calls this: `solve.py`, before and beside CP-SAT. Each bound holds for every schedule.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scheduler.core.projects.project import Project, topological_order

_MOST_PARTS = 12  # beyond so many parts of a period rounding gains nothing


def heads(project: Project) -> dict[int, int]:
    """By job: the length of the longest chain before it; it cannot start earlier."""
    before = {job.number: 0 for job in project.jobs}
    by_number = {job.number: job for job in project.jobs}
    for number in topological_order(project):
        for after in by_number[number].successors:
            before[after] = max(before[after], before[number] + by_number[number].duration)
    return before


def tails(project: Project) -> dict[int, int]:
    """By job: the length of the longest chain after it; the project cannot end earlier after the job's end."""
    after = {job.number: 0 for job in project.jobs}
    by_number = {job.number: job for job in project.jobs}
    for number in reversed(topological_order(project)):
        after[number] = max(
            (by_number[next_one].duration + after[next_one] for next_one in by_number[number].successors),
            default=0,
        )
    return after


def lower_bound(project: Project) -> int:
    """The largest of the critical path and, for every resource, the energy of jobs between a head and a tail.

    Jobs of which each starts no earlier than h and is followed by q at least need their whole energy between:
    makespan >= h + ceil(energy / capacity) + q. Needs count as they are, and by functions that make more of those that do
    not fit beside each other (`_feasible_functions`).
    """
    head, tail = heads(project), tails(project)
    best = max(head[job.number] + job.duration + tail[job.number] for job in project.jobs)
    for resource, capacity in enumerate(project.capacities):
        jobs = [job for job in project.jobs if job.duration * job.needs[resource] > 0]
        jobs.sort(key=lambda job: -tail[job.number])
        starts = sorted({head[job.number] for job in jobs})
        for whole, counted in _feasible_functions(capacity, {job.needs[resource] for job in jobs}):
            loads = [
                (head[job.number], tail[job.number], job.duration * counted[job.needs[resource]]) for job in jobs
            ]
            for start in starts:
                energy = 0
                for earliest, after, amount in loads:
                    if earliest >= start and amount:
                        energy += amount
                        best = max(best, start + -(-energy // whole) + after)
    return best


def _feasible_functions(capacity: int, needs: Iterable[int]) -> Iterator[tuple[int, dict[int, int]]]:
    """(capacity, need) counted anew so that whatever fits in one period still does: dual feasible functions.

    Source: Fekete and Schepers, New classes of fast lower bounds for bin packing problems, Mathematical Programming 91
    (2001): large needs fill a period and small ones vanish; or needs are rounded up to parts of a period.
    """
    wanted = sorted(set(needs))
    yield capacity, {need: need for need in wanted}
    for least in (need for need in wanted if 2 * need <= capacity):
        yield (
            capacity,
            {need: capacity if need > capacity - least else need if need >= least else 0 for need in wanted},
        )
    for parts in range(1, min(capacity, _MOST_PARTS)):
        counted = {}
        for need in wanted:
            share, rest = divmod((parts + 1) * need, capacity)
            counted[need] = need * parts if rest == 0 else share * capacity
        yield capacity * parts, counted
