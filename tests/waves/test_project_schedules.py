"""Projects (RCPSP): the file format, the bounds, the heuristic and the solver against exhaustive search."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.budget import Budget
from scheduler.core.projects.bounds import lower_bound
from scheduler.core.projects.evolution import Evolution, is_too_large, net_of, room_of
from scheduler.core.projects.kernel import justified as compiled_justified
from scheduler.core.projects.project import Job, Project, ProjectError, faults, makespan, topological_order
from scheduler.core.projects.psplib import read_project, write_project
from scheduler.core.projects.schedule_generation import best_schedule, justified, shape_of
from scheduler.core.projects.solve import solve_project
from simulations.project_instances import InstanceShape, random_project

SMALL = Budget(effort=5.0, schedules=60)


def shortest(project: Project) -> int:
    """The optimum by trying every order: some order, each job at its earliest place, gives a shortest schedule."""
    by_number = {job.number: job for job in project.jobs}
    before: dict[int, list[int]] = {job.number: [] for job in project.jobs}
    for job in project.jobs:
        for after in job.successors:
            before[after].append(job.number)
    inner = [number for number in topological_order(project) if by_number[number].duration]
    best = project.horizon
    for order in permutations(inner):
        place = {number: rank for rank, number in enumerate(order)}
        if any(place[a] < place[b] for a in order for b in _all_before(a, before) if b in place):
            continue
        ends: dict[int, int] = {}
        used: list[list[int]] = [[0] * len(project.capacities) for _ in range(project.horizon + 1)]
        for number in order:
            job = by_number[number]
            start = max((ends[each] for each in _all_before(number, before) if each in ends), default=0)
            while any(
                used[period][r] + job.needs[r] > project.capacities[r]
                for period in range(start, start + job.duration)
                for r in range(len(project.capacities))
            ):
                start += 1
            for period in range(start, start + job.duration):
                for r, need in enumerate(job.needs):
                    used[period][r] += need
            ends[number] = start + job.duration
        best = min(best, max(ends.values()))
    return best


def _all_before(number: int, before: dict[int, list[int]]) -> set[int]:
    found: set[int] = set()
    open_ends = list(before[number])
    while open_ends:
        each = open_ends.pop()
        if each not in found:
            found.add(each)
            open_ends.extend(before[each])
    return found


@pytest.mark.parametrize("seed", range(12))
def test_a_small_project_is_solved_to_the_optimum_that_exhaustive_search_finds(seed: int) -> None:
    shape = InstanceShape(
        6, 2, complexity=(1.0, 1.5)[seed % 2], factor=(0.5, 1.0)[seed % 2], strength=seed % 3 / 4, longest=5
    )
    project = random_project(shape, seed)
    found = solve_project(project, seed, SMALL)
    assert found.is_optimal and found.makespan == shortest(project)


@pytest.mark.parametrize("jobs", [30, 60])
def test_a_solved_project_keeps_every_rule_and_is_never_longer_than_the_heuristic(jobs: int) -> None:
    project = random_project(InstanceShape(jobs, 4, 1.8, 0.75, 0.2), 3)
    limits = Budget(effort=0.2, schedules=40)
    first = best_schedule(project, 1, limits, lower_bound(project))
    found = solve_project(project, 1, limits)
    assert list(faults(project, found.starts)) == []
    assert lower_bound(project) <= found.bound <= found.makespan <= makespan(project, first)


def test_one_seed_and_one_effort_give_one_schedule() -> None:
    project = random_project(InstanceShape(30, 4, 1.8, 0.75, 0.2), 5)
    limits = Budget(effort=0.1, schedules=30)
    assert solve_project(project, 7, limits) == solve_project(project, 7, limits)


def test_a_clock_that_has_run_out_still_gets_the_heuristics_schedule() -> None:
    project = random_project(InstanceShape(30), 5)
    found = solve_project(project, 7, Budget(clock=lambda: 10.0, ends_at=10.0))
    assert list(faults(project, found.starts)) == [] and found.bound <= found.makespan


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 25), st.integers(1, 4))
def test_what_is_written_is_read_back(seed: int, jobs: int, resources: int) -> None:
    project = random_project(InstanceShape(jobs, resources), seed)
    assert read_project(write_project(project)) == project


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_the_bound_is_never_above_a_schedule(seed: int) -> None:
    project = random_project(InstanceShape(12, 3, 1.5, 0.75, seed % 5 / 5), seed)
    starts = best_schedule(project, seed, Budget(schedules=15), 0)
    assert list(faults(project, starts)) == []
    assert lower_bound(project) <= makespan(project, starts)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 9), st.sampled_from([1, 9, 10**6, 10**12]))
def test_the_compiled_schedule_of_a_list_is_that_of_its_plain_twin(
    seed: int, jobs: int, resources: int, scale: int
) -> None:
    """Large amounts need more than one word for all resources; some jobs last no time."""
    drawn = random_project(InstanceShape(jobs, resources, 1.5, 0.7, 0.3), seed)
    chance = random.Random(seed)
    project = Project(
        tuple(
            Job(job.number, chance.choice([0, job.duration]), tuple(n * scale for n in job.needs), job.successors)
            for job in drawn.jobs
        ),
        tuple(capacity * scale + chance.randrange(scale) for capacity in drawn.capacities),
    )
    index = {job.number: place for place, job in enumerate(project.jobs)}
    order = [index[number] for number in topological_order(project)]
    net = net_of(project)
    room = room_of(net, project.horizon)
    room.child[:] = order
    length = compiled_justified(net, room)
    plain = justified(shape_of(project), order)
    assert room.starts.tolist() == plain
    assert length == max(start + job.duration for start, job in zip(plain, project.jobs, strict=True))
    starts = {job.number: start for job, start in zip(project.jobs, plain, strict=True)}
    assert list(faults(project, starts)) == [] and not is_too_large(project)


def test_a_search_goes_on_where_it_ended_and_is_the_same_for_the_same_seed() -> None:
    project = random_project(InstanceShape(60, 4, 1.8, 0.75, 0.2), 3)
    known = best_schedule(project, 1, Budget(schedules=3), 0)
    found = []
    for pieces in ([4000], [1500, 2500], [4000]):
        search = Evolution(project, 5, known)
        for schedules in pieces:
            search.run(Budget(schedules=schedules), lambda: 0)
        assert list(faults(project, search.starts)) == []
        assert makespan(project, search.starts) == search.makespan <= makespan(project, known)
        found.append(search.starts)
    assert found[0] == found[2] and makespan(project, found[1]) < makespan(project, known)


def test_numbers_beyond_the_compiled_search_are_left_to_the_plain_one() -> None:
    huge = 2**70
    project = Project(
        (Job(1, 0, (0,), (2, 3)), Job(2, 3, (huge,)), Job(3, 4, (huge,)), Job(4, 2, (1,))), (huge + 1,)
    )
    assert is_too_large(project)
    found = solve_project(project, 1, Budget(effort=1.0, schedules=60))
    assert (found.makespan, found.bound) == (7, 7)


def test_the_bound_is_raised_beside_the_search_where_a_thread_is_lent() -> None:
    """Whatever comes first, schedule or bound: both are right, and nobody waits for the other for ever."""
    with ThreadPoolExecutor(1) as threads:
        for seed in range(4):
            project = random_project(InstanceShape(8, 2, 1.5, 0.75, seed / 4, longest=5), seed)
            limits = Budget(clock=time.monotonic, ends_at=time.monotonic() + 20.0, workers=2)
            found = solve_project(project, seed, limits, threads)
            alone = solve_project(project, seed, SMALL)
            assert found.is_optimal and (found.makespan, found.bound) == (alone.makespan, alone.bound)


PLAIN = write_project(random_project(InstanceShape(4, 2), 1))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "PRECEDENCE RELATIONS"),
        (PLAIN.replace("  - nonrenewable              :  0", "  - nonrenewable              :  2"), "multi-mode"),
        (PLAIN.replace("   3        1  ", "   3        2  "), "multi-mode"),
        (PLAIN.replace("jobs (incl. supersource/sink ):  6", "jobs (incl. supersource/sink ):  9"), "declares 9"),
        (PLAIN.replace("   2      1  ", "   2      1 -"), "whole numbers"),
        (PLAIN.split("RESOURCEAVAILABILITIES")[0], "RESOURCEAVAILABILITIES"),
    ],
    ids=["empty", "nonrenewable", "two modes", "cut off", "no number", "no availabilities"],
)
def test_a_file_that_is_no_project_is_refused_with_the_rule(text: str, says: str) -> None:
    with pytest.raises(ProjectError, match=says):
        read_project(text)


_STARS = "*" * 72
# Laid out as the library's single-mode files are; the numbers are made up.
LIBRARY = f"""{_STARS}
file with basedata            : J3_.BAS
initial value random generator: 28123
{_STARS}
projects                      :  1
jobs (incl. supersource/sink ):  5
horizon                       :  11
RESOURCES
  - renewable                 :  2   R
  - nonrenewable              :  0   N
  - doubly constrained        :  0   D
{_STARS}
PROJECT INFORMATION:
pronr.  #jobs rel.date duedate tardcost  MPM-Time
    1      3      0       9        1        9
{_STARS}
PRECEDENCE RELATIONS:
jobnr.    #modes  #successors   successors
   1        1          3           2   3   4
   2        1          1           5
   3        1          1           5
   4        1          1           5
   5        1          0
{_STARS}
REQUESTS/DURATIONS:
jobnr. mode duration  R 1  R 2
{"-" * 72}
  1      1     0       0    0
  2      1     4       3    0
  3      1     5       0    2
  4      1     2       2    1
  5      1     0       0    0
{_STARS}
RESOURCEAVAILABILITIES:
  R 1  R 2
    4    2
{_STARS}
"""


@pytest.mark.parametrize(
    "text",
    [
        LIBRARY,
        LIBRARY.replace("\n", "\r\n"),
        "\ufeff" + LIBRARY + "\x1a",
        LIBRARY.replace("    4    2\n", "    4    2   # people, cranes\n").replace(
            "RESOURCES\n", "; a remark\nRESOURCES\n"
        ),
        LIBRARY.replace("\n", "\n\n"),
        LIBRARY.replace("  ", " \t "),
        LIBRARY.replace(":\n", "\n"),
        LIBRARY.replace("REQUESTS/DURATIONS:", "Requests / Durations :").replace("PRECEDENCE", "Precedence  "),
        LIBRARY.replace("RESOURCEAVAILABILITIES", "Resource Availabilities"),
        LIBRARY.replace("2   3   4\n", "2   3\n                                   4\n"),
        LIBRARY.replace("jobs (incl.", " jobs (incl."),
        LIBRARY.rstrip("*\n"),
    ],
    ids=[
        *("as published", "CRLF", "byte order mark and DOS end", "remarks", "blank lines", "tabs", "no colons"),
        *("other headings", "two words", "a list in two lines", "indented heading", "no last rule"),
    ],
)
def test_a_library_file_is_read_however_it_was_handed_on(text: str) -> None:
    project = read_project(text)
    assert project == read_project(LIBRARY)
    assert project.capacities == (4, 2) and [job.duration for job in project.jobs] == [0, 4, 5, 2, 0]
    found = solve_project(project, 1, Budget(effort=1.0, schedules=20))
    assert (found.makespan, found.is_optimal) == (shortest(project), True)


@pytest.mark.parametrize(
    ("jobs", "says"),
    [
        ([Job(1, 0, (0,), (2,)), Job(2, 3, (1,), (1,))], "cycle"),
        ([Job(1, -1, (0,))], "negative duration"),
        ([Job(1, 1, (9,))], "needs 9"),
        ([Job(1, 1, (1,), (7,))], "successor 7"),
        ([Job(1, 1, (1, 1))], "needs 1 requests"),
        ([], "unique"),
    ],
    ids=["a cycle", "a negative duration", "more than there is", "an unknown successor", "odd needs", "no job"],
)
def test_an_impossible_project_is_refused_with_the_job(jobs: list[Job], says: str) -> None:
    with pytest.raises(ProjectError, match=says):
        Project(tuple(jobs), (4,))


def test_the_judge_names_each_rule_that_a_schedule_breaks() -> None:
    project = Project((Job(1, 2, (3,), (2,)), Job(2, 2, (3,)), Job(3, 2, (3,))), (4,))
    assert list(faults(project, {1: 0, 2: 2, 3: 4})) == []
    assert any("predecessor 1" in line for line in faults(project, {1: 0, 2: 1, 3: 4}))
    assert any("gives 6" in line for line in faults(project, {1: 0, 2: 2, 3: 0}))
    assert any("before the project" in line for line in faults(project, {1: -1, 2: 2, 3: 4}))
    assert any("every job" in line for line in faults(project, {1: 0, 2: 2}))
