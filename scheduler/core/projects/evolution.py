"""The genetic search over priority lists, run for so many children or so many seconds.

Who calls this: `solve.py`, for the upper bound that CP-SAT starts from. The work is done by `kernel.py`; this module turns
a project into its arrays, and decides when to begin anew: a herd in which nothing got better for long is put out to
pasture, and the next one is larger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from scheduler.core.budget import Budget
from scheduler.core.projects.bounds import tails
from scheduler.core.projects.kernel import BEST, FILLED, IDLE, MADE, Herd, Net, Room, evolve
from scheduler.core.projects.project import Project, topological_order

_LARGEST_FIELD = 62  # bits of a resource's field in a word, the guard included
_MOST_PERIODS = 20_000_000
_MEMBERS = 40  # of the first herd
_MOST_MEMBERS = 640
_NOISE = 35  # percent by which the rule's weights are blurred
_PATIENCE = 40  # children without gain, a member, until the next herd
_PERIODS_AT_ONCE = 2_000_000  # scheduled between two looks at the clock: some hundredths of a second


class Evolution:
    """One search; `run` may be called again and goes on. The same seed and the same numbers of children give the same
    schedule."""

    def __init__(self, project: Project, seed: int, known: Mapping[int, int]) -> None:
        """`known` is a schedule (starts by job number); the search gives nothing longer."""
        self._numbers = [job.number for job in project.jobs]
        self._net = net_of(project)
        self._members = _MEMBERS
        jobs = len(self._numbers)
        horizon = project.horizon
        self._children_at_once = max(1, _PERIODS_AT_ONCE // (3 * (horizon + 10 * jobs)))
        self._best = np.array([known[number] for number in self._numbers], np.int64)
        length = max(known[job.number] + job.duration for job in project.jobs)
        self._counters = np.array([0, length, 0, 0], np.int64)
        mixed = (seed * 0x9E3779B97F4A7C15 + 0xD1B54A32D192ED03) % 2**64
        self._chance = np.array([mixed or 1], np.uint64)
        self._room = room_of(self._net, horizon)
        self._herd: Herd | None = None

    @property
    def makespan(self) -> int:
        return int(self._counters[BEST])

    @property
    def starts(self) -> dict[int, int]:
        """The shortest schedule so far."""
        return {number: int(start) for number, start in zip(self._numbers, self._best, strict=True)}

    def run(self, budget: Budget, goal: Callable[[], int]) -> None:
        """Until the budget's schedules are made or its seconds are spent, or the makespan is at most `goal()`."""
        first = int(self._counters[MADE])
        while not budget.is_spent and self.makespan > goal():
            left = (budget.schedules - (int(self._counters[MADE]) - first)) // 3
            if budget.clock is None and left <= 0:
                return
            if self._herd is None or self._counters[IDLE] > _PATIENCE * self._members:
                self._next_herd()
                continue
            children = self._children_at_once if budget.clock is not None else min(left, self._children_at_once)
            evolve(self._net, self._herd, self._room, children, _NOISE, goal())

    def _next_herd(self) -> None:
        if self._herd is not None:
            self._members = min(2 * self._members, _MOST_MEMBERS)
        self._counters[IDLE] = self._counters[FILLED] = 0
        orders = np.zeros((self._members, len(self._numbers)), np.int32)
        lengths = np.zeros(self._members, np.int64)
        self._herd = Herd(orders, lengths, self._best, self._counters, self._chance)


def is_too_large(project: Project) -> bool:
    """True where the numbers do not fit the kernel's words, or the periods not the memory."""
    widest = max((_most_needed(project, r).bit_length() + 1 for r in range(len(project.capacities))), default=0)
    return widest > _LARGEST_FIELD or project.horizon > _MOST_PERIODS


def net_of(project: Project) -> Net:
    """The project in the kernel's arrays."""
    index = {job.number: place for place, job in enumerate(project.jobs)}
    after = [[index[number] for number in job.successors] for job in project.jobs]
    before: list[list[int]] = [[] for _ in project.jobs]
    for place, nexts in enumerate(after):
        for next_one in nexts:
            before[next_one].append(place)
    needs, free, guards = _packed(project)
    rank = np.zeros(len(project.jobs), np.int64)
    for place, number in enumerate(topological_order(project)):
        rank[index[number]] = place
    tail = tails(project)
    before_flat, before_at = _flat(before)
    after_flat, after_at = _flat(after)
    return Net(
        durations=np.array([job.duration for job in project.jobs], np.int64),
        needs=needs,
        free=free,
        guards=guards,
        before=before_flat,
        before_at=before_at,
        after=after_flat,
        after_at=after_at,
        rank=rank,
        tail=np.array([tail[job.number] + job.duration for job in project.jobs], np.int64),
    )


def room_of(net: Net, horizon: int) -> Room:
    """Room for one list."""
    jobs = net.durations.size
    return Room(
        table=np.zeros((horizon + 1, net.guards.size), np.int64),
        child=np.zeros(jobs, np.int32),
        starts=np.zeros(jobs, np.int64),
        keys=np.zeros(jobs, np.int64),
        marks=np.zeros(jobs, np.int32),
        free=np.zeros(jobs, np.int32),
    )


def _most_needed(project: Project, resource: int) -> int:
    """What there is of the resource, or what all jobs need of it together, where that is less."""
    return min(project.capacities[resource], sum(job.needs[resource] for job in project.jobs))


def _packed(project: Project) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(needs, free, guards) with as many resources in a word as fit; those that are never short are left out."""
    words: list[list[tuple[int, int, int]]] = [[]]  # (resource, bits to the right, width)
    used = 0
    for resource, capacity in enumerate(project.capacities):
        if sum(job.needs[resource] for job in project.jobs) <= capacity:
            continue
        width = capacity.bit_length() + 1
        if used + width > _LARGEST_FIELD:
            words.append([])
            used = 0
        words[-1].append((resource, used, width))
        used += width
    needs = np.zeros((len(project.jobs), len(words)), np.int64)
    free, guards = np.zeros(len(words), np.int64), np.zeros(len(words), np.int64)
    for word, fields in enumerate(words):
        for resource, shift, width in fields:
            guard = 1 << (shift + width - 1)
            guards[word] |= guard
            free[word] += guard + (project.capacities[resource] << shift)
            for place, job in enumerate(project.jobs):
                needs[place, word] += job.needs[resource] << shift
    return needs, free, guards


def _flat(lists: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """The lists one after another, and where each begins; the last entry is the end."""
    begins = np.zeros(len(lists) + 1, np.int32)
    begins[1:] = np.cumsum([len(each) for each in lists])
    return np.array([each for one in lists for each in one], np.int32), begins
