"""Random project instances with the parameters of ProGen: network complexity, resource factor, resource strength.

Who calls this: tests and benchmarks of `scheduler.core.projects`, and whoever wants .sm files to try.
Source of the parameters: Kolisch, Sprecher, Drexl, Characterization and generation of a general class of
resource-constrained project scheduling problems, Management Science 41 (1995).
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from scheduler.core.projects.bounds import heads
from scheduler.core.projects.project import Job, Project


@dataclass(frozen=True, slots=True)
class InstanceShape:
    """`complexity` is arcs a job (1.5, 1.8, 2.1 in the library); `factor` the share of resources that a job uses (0..1);
    `strength` 0 makes resources as scarce as the largest single need, 1 as plentiful as the earliest-start peak."""

    jobs: int = 30
    resources: int = 4
    complexity: float = 1.5
    factor: float = 0.5
    strength: float = 0.2
    longest: int = 10
    largest_need: int = 10


def random_project(shape: InstanceShape, seed: int) -> Project:
    """Jobs 2..n+1 between a source 1 and a sink n+2, both without duration."""
    chance = random.Random(seed)
    inner = range(2, shape.jobs + 2)
    sink = shape.jobs + 2
    arcs = _arcs(shape, chance)
    has_before = {after for _, after in arcs}
    successors: dict[int, list[int]] = {number: [] for number in range(1, sink + 1)}
    for before, after in sorted(arcs):
        successors[before].append(after)
    successors[1] = [number for number in inner if number not in has_before]
    for number in inner:
        if not successors[number]:
            successors[number] = [sink]
    nothing = (0,) * shape.resources
    jobs = [Job(1, 0, nothing, tuple(successors[1]))]
    for number in inner:
        used = set(chance.sample(range(shape.resources), max(1, round(shape.factor * shape.resources))))
        needs = tuple(
            chance.randint(1, shape.largest_need) if each in used else 0 for each in range(shape.resources)
        )
        jobs.append(Job(number, chance.randint(1, shape.longest), needs, tuple(successors[number])))
    jobs.append(Job(sink, 0, nothing))
    return Project(tuple(jobs), _capacities(jobs, shape))


def _arcs(shape: InstanceShape, chance: random.Random) -> set[tuple[int, int]]:
    """Arcs from smaller to larger numbers, near ones more often, until the network is as dense as asked."""
    first, last = 2, shape.jobs + 1
    arcs: set[tuple[int, int]] = set()
    for number in range(first + 1, last + 1):
        if chance.random() < 0.9:
            arcs.add((chance.randint(max(first, number - 10), number - 1), number))
    wanted = min(round(shape.complexity * shape.jobs), shape.jobs * (shape.jobs - 1) // 2)
    tries = 0
    while len(arcs) < wanted and tries < 50 * wanted:
        tries += 1
        before = chance.randint(first, last - 1) if last > first else first
        after = chance.randint(before + 1, min(last, before + 15)) if before < last else before
        if before < after:
            arcs.add((before, after))
    return arcs


def _capacities(jobs: list[Job], shape: InstanceShape) -> tuple[int, ...]:
    endless = Project(tuple(jobs), (10**6,) * shape.resources)
    early = heads(endless)
    capacities = []
    for resource in range(shape.resources):
        least = max(job.needs[resource] for job in jobs)
        load: dict[int, int] = {}
        for job in jobs:
            for period in range(early[job.number], early[job.number] + job.duration):
                load[period] = load.get(period, 0) + job.needs[resource]
        peak = max(load.values(), default=least)
        capacities.append(max(1, least + round(shape.strength * (peak - least))))
    return tuple(capacities)
