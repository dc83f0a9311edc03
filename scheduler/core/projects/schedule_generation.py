"""Schedules by serial generation, double justification and a small genetic search over priority lists, in plain Python.

Who calls this: `solve.py`, for the first upper bound, and for projects that are too large for the compiled search
(`evolution.py`, `kernel.py`), whose readable twin this is. Pure and deterministic given the seed.
Sources: Kolisch and Hartmann, Experimental investigation of heuristics for RCPSP, EJOR 174 (2006) (serial scheme, rules);
Valls, Ballestin, Quintanilla, Justification and RCPSP, EJOR 165 (2005) (double justification); Hartmann, A competitive
genetic algorithm for RCPSP, NRL 45 (1998) (two-point crossover of lists).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from scheduler.core.budget import Budget
from scheduler.core.projects.bounds import tails
from scheduler.core.projects.project import Project, topological_order

_POPULATION = 40


@dataclass(frozen=True, slots=True)
class _Shape:
    """The project by index; `rank` is each job's place in a topological order. All resources are packed into one integer,
    each in a field with a guard bit on top, so that one subtraction tells whether a period has enough of everything."""

    durations: tuple[int, ...]
    packed: tuple[int, ...]
    before: tuple[tuple[int, ...], ...]
    after: tuple[tuple[int, ...], ...]
    rank: tuple[int, ...]
    free: int
    guards: int


def best_schedule(project: Project, seed: int, budget: Budget, goal: int) -> dict[int, int]:
    """The best of at most `budget.schedules` schedules, as starts by job number; stops at makespan `goal`."""
    search = _Genetic(project, random.Random(seed), budget, goal)
    return search.run()


class _Genetic:
    def __init__(self, project: Project, chance: random.Random, budget: Budget, goal: int) -> None:
        self._numbers = [job.number for job in project.jobs]
        self._shape = shape_of(project)
        self._chance = chance
        self._budget = budget
        self._goal = goal
        self._made = 0
        self._best: tuple[int, list[int]] | None = None
        tail = tails(project)
        self._tail = [tail[number] + job.duration for number, job in zip(self._numbers, project.jobs, strict=True)]

    def run(self) -> dict[int, int]:
        population = [self._evaluated(self._by_tail(0.0))]
        while len(population) < _POPULATION and not self._done:
            population.append(self._evaluated(self._by_tail(0.35)))
        while not self._done:
            population.sort(key=lambda each: each[0])
            del population[_POPULATION:]
            half = len(population) // 2
            mother, father = self._chance.randrange(half), self._chance.randrange(len(population))
            child = self._cross(population[mother][1], population[father][1])
            population.append(self._evaluated(self._mutated(child)))
        assert self._best is not None  # the first member was evaluated
        return dict(zip(self._numbers, self._best[1], strict=True))

    @property
    def _done(self) -> bool:
        assert self._best is not None  # asked only after the first schedule
        return self._made >= self._budget.schedules or self._best[0] <= self._goal or self._budget.is_spent

    def _evaluated(self, order: Sequence[int]) -> tuple[int, list[int]]:
        """Makespan and the list in the order of the justified schedule's starts."""
        starts = justified(self._shape, order)
        length = max(start + lasts for start, lasts in zip(starts, self._shape.durations, strict=True))
        self._made += 3
        if self._best is None or length < self._best[0]:
            self._best = (length, starts)
        return length, sorted(range(len(starts)), key=lambda job: (starts[job], self._shape.rank[job]))

    def _by_tail(self, noise: float) -> list[int]:
        """A feasible order: of the free jobs the one with the longest rest of the project, blurred by `noise`."""
        missing = [len(before) for before in self._shape.before]
        weight = [tail * (1 + noise * (self._chance.random() - 0.5) * 2) for tail in self._tail]
        free = [job for job, count in enumerate(missing) if count == 0]
        order: list[int] = []
        while free:
            job = max(free, key=lambda each: (weight[each], -each))
            free.remove(job)
            order.append(job)
            for after in self._shape.after[job]:
                missing[after] -= 1
                if missing[after] == 0:
                    free.append(after)
        return order

    def _cross(self, mother: Sequence[int], father: Sequence[int]) -> list[int]:
        size = len(mother)
        first, second = sorted((self._chance.randrange(size + 1), self._chance.randrange(size + 1)))
        child = list(mother[:first])
        taken = set(child)
        for job in father:
            if len(child) >= second:
                break
            if job not in taken:
                child.append(job)
                taken.add(job)
        child.extend(job for job in mother if job not in taken)
        return child

    def _mutated(self, order: list[int]) -> list[int]:
        """Some neighbours change places where no precedence forbids it."""
        for place in range(len(order) - 1):
            if self._chance.random() < 0.05 and order[place] not in self._shape.before[order[place + 1]]:
                order[place], order[place + 1] = order[place + 1], order[place]
        return order


def shape_of(project: Project) -> _Shape:
    """The project as the search reads it."""
    index = {job.number: place for place, job in enumerate(project.jobs)}
    after = tuple(tuple(index[number] for number in job.successors) for job in project.jobs)
    before: list[list[int]] = [[] for _ in project.jobs]
    for place, nexts in enumerate(after):
        for next_one in nexts:
            before[next_one].append(place)
    width = max(project.capacities, default=0).bit_length() + 1
    guards = sum(1 << (width * (number + 1) - 1) for number in range(len(project.capacities)))

    def pack(amounts: Sequence[int]) -> int:
        return sum(amount << (width * number) for number, amount in enumerate(amounts))

    rank = {number: place for place, number in enumerate(topological_order(project))}
    return _Shape(
        durations=tuple(job.duration for job in project.jobs),
        packed=tuple(pack(job.needs) if job.duration else 0 for job in project.jobs),
        before=tuple(map(tuple, before)),
        after=after,
        rank=tuple(rank[job.number] for job in project.jobs),
        free=pack(project.capacities) | guards,
        guards=guards,
    )


def _serial(shape: _Shape, order: Sequence[int], backwards: bool = False) -> list[int]:
    """Each job of the order at its earliest start; `backwards` runs the project from its end to its start."""
    before = shape.after if backwards else shape.before
    horizon = sum(shape.durations) + 1
    free = [shape.free] * horizon
    starts = [0] * len(order)
    ends = [0] * len(order)
    guards = shape.guards
    for job in order:
        start = max((ends[each] for each in before[job]), default=0)
        lasts, need = shape.durations[job], shape.packed[job]
        if need:
            period, stop = start, start + lasts
            while period < stop:
                if (free[period] - need) & guards != guards:
                    start, stop = period + 1, period + 1 + lasts
                period += 1
            for period in range(start, stop):
                free[period] -= need
        starts[job], ends[job] = start, start + lasts
    return starts


def justified(shape: _Shape, order: Sequence[int]) -> list[int]:
    """The schedule of the list, pushed to the right, then to the left: never longer than before. Jobs of equal times keep
    a topological order, because jobs without duration start when they end."""
    starts = _serial(shape, order)
    lasts, rank = shape.durations, shape.rank
    last_first = sorted(range(len(starts)), key=lambda job: (-(starts[job] + lasts[job]), -rank[job]))
    mirrored = _serial(shape, last_first, backwards=True)
    length = max(start + last for start, last in zip(mirrored, lasts, strict=True))
    pushed = [length - start - last for start, last in zip(mirrored, lasts, strict=True)]
    return _serial(shape, sorted(range(len(starts)), key=lambda job: (pushed[job], rank[job])))
