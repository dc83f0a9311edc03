"""Lower bounds on a project's makespan that need no solver.

Who calls this: `solve.py`, before and beside CP-SAT. Each bound holds for every schedule.
"""

from __future__ import annotations

from scheduler.core.projects.project import Project, topological_order


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
    makespan >= h + ceil(energy / capacity) + q.
    """
    head, tail = heads(project), tails(project)
    best = max(head[job.number] + job.duration + tail[job.number] for job in project.jobs)
    for resource, capacity in enumerate(project.capacities):
        jobs = [job for job in project.jobs if job.duration * job.needs[resource] > 0]
        for start in sorted({head[job.number] for job in jobs}):
            energy = 0
            for job in sorted(jobs, key=lambda job: -tail[job.number]):
                if head[job.number] >= start:
                    energy += job.duration * job.needs[resource]
                    best = max(best, start + -(-energy // capacity) + tail[job.number])
    return best
