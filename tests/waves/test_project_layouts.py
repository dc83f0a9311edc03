"""PSPLIB files as they come: layouts of the published families, odd spacing, and schedules of which the optimum is known."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from scheduler.core.budget import Budget
from scheduler.core.projects.project import Job, Project, ProjectError, faults
from scheduler.core.projects.psplib import read_project, write_project
from scheduler.core.projects.solve import solve_project
from simulations.project_instances import InstanceShape, random_project

# In the layout of the single-mode families (Kolisch and Sprecher 1996), numbers of our own.
J_FAMILY = """\
************************************************************************
file with basedata            : J30_17.BAS
initial value random generator: 28123
************************************************************************
projects                      :  1
jobs (incl. supersource/sink ):  6
horizon                       :  19
RESOURCES
  - renewable                 :  4   R
  - nonrenewable              :  0   N
  - doubly constrained        :  0   D
************************************************************************
PROJECT INFORMATION:
pronr.  #jobs rel.date duedate tardcost  MPM-Time
    1      4      0        9        2        9
************************************************************************
PRECEDENCE RELATIONS:
jobnr.    #modes  #successors   successors
   1        1          3           2   3   4
   2        1          1           5
   3        1          1           5
   4        1          1           6
   5        1          1           6
   6        1          0
************************************************************************
REQUESTS/DURATIONS:
jobnr. mode duration  R 1  R 2  R 3  R 4
------------------------------------------------------------------------
  1      1     0       0    0    0    0
  2      1     4       3    0    0    0
  3      1     4       0    2    0    1
  4      1     6       3    0    0    0
  5      1     5       0    0    3    0
  6      1     0       0    0    0    0
************************************************************************
RESOURCEAVAILABILITIES:
  R 1  R 2  R 3  R 4
    5    2    4    1
************************************************************************
"""
LAYOUTS = {
    "as published": J_FAMILY,
    "DOS line ends and an end-of-file mark": J_FAMILY.replace("\n", "\r\n") + "\x1a",
    "old Macintosh line ends": J_FAMILY.replace("\n", "\r"),
    "tabs between numbers": J_FAMILY.replace("   ", "\t"),
    "a byte order mark, and blanks at every end": "\ufeff" + J_FAMILY.replace("\n", "   \n"),
    "no rules of stars": "\n".join(line for line in J_FAMILY.splitlines() if "*" not in line),
    "blank lines everywhere": J_FAMILY.replace("\n", "\n\n"),
    "headings without a colon": J_FAMILY.replace("RELATIONS:", "RELATIONS").replace("DURATIONS:", "DURATIONS"),
    "headings in small letters": J_FAMILY.replace("PRECEDENCE RELATIONS", "precedence relations"),
    "resources written R1": J_FAMILY.replace("R 1  R 2  R 3  R 4", "R1 R2 R3 R4"),
    "successors that go on in the next line": J_FAMILY.replace("2   3   4\n", "2\n      3   4\n"),
    "a plus before numbers": J_FAMILY.replace("    5    2    4    1", "   +5   +2   +4   +1"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_of_a_file_is_the_same_project(layout: str) -> None:
    project = read_project(LAYOUTS[layout])
    assert project == read_project(J_FAMILY)
    assert [job.duration for job in project.jobs] == [0, 4, 4, 6, 5, 0] and project.capacities == (5, 2, 4, 1)
    found = solve_project(project, 1, Budget(effort=0.5))
    assert (found.makespan, found.bound) == (10, 10), "2 and 4 share R 1; 4 may go first or last, 2 goes before 5"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("  2      1     4 ", "  2      1    -4 "), "-4"),
        (("    5    2    4    1\n", "    5    2    4\n"), "line"),
        (("    5    2    4    1\n", "    2    2    4    1\n"), "2"),
        (("   5        1          1           6", "   5        1          1           2"), "2"),
        (("   5        1          1           6", "   5        1          1           9"), "9"),
        (("   5        1          1           6", "   5        1          1           six"), "six"),
        (("   3        1 ", "   3        2 "), "multi-mode"),
        (("nonrenewable              :  0", "nonrenewable              :  2"), "multi-mode"),
        (("RESOURCEAVAILABILITIES", "RESOURCES AVAILABLE"), "RESOURCEAVAILABILITIES"),
        (("  6      1     0       0    0    0    0\n", ""), "6"),
    ],
    ids=[
        "a negative duration", "too few capacities", "a job that needs more than there is", "a cycle",
        "a successor that is no job", "a word among numbers", "two modes", "nonrenewable resources", "no capacities",
        "cut off",
    ],
)  # fmt: skip
def test_a_file_that_is_no_project_gets_one_clear_line(change: tuple[str, str], says: str) -> None:
    assert change[0] in J_FAMILY
    with pytest.raises(ProjectError) as refusal:
        read_project(J_FAMILY.replace(*change))
    assert says in str(refusal.value) and "\n" not in str(refusal.value) and " / " in str(refusal.value)


@pytest.mark.parametrize("text", ["", "\x00\x01\x02", "{}", "PRECEDENCE RELATIONS:\n", J_FAMILY[:900]])
def test_anything_else_gets_one_clear_line_too(text: str) -> None:
    with pytest.raises(ProjectError) as refusal:
        read_project(text)
    assert "\n" not in str(refusal.value)


def test_the_example_is_solved_to_its_optimum() -> None:
    example = Path(__file__).parents[2] / "examples" / "projects" / "thirty.sm"
    project = read_project(example.read_text(encoding="utf-8"))
    found = solve_project(project, 1, Budget(effort=2.0))
    assert (len(project.jobs), found.makespan, found.bound) == (32, 74, 74)
    assert not list(faults(project, found.starts))


def packed(width: int, length: int, cuts: int, seed: int) -> Project:
    """Jobs cut out of a rectangle (capacity by time) with nothing left over: no schedule is shorter than `length`, and
    the cutting is one that long. Some of the orders that it keeps are precedences."""
    chance = random.Random(seed)
    pieces = [(0, 0, length, width)]  # start, row, duration, need
    while len(pieces) < cuts:
        start, row, duration, need = pieces.pop(max(range(len(pieces)), key=lambda n: pieces[n][2] * pieces[n][3]))
        if duration >= need and duration > 1:
            at = chance.randint(1, duration - 1)
            pieces += [(start, row, at, need), (start + at, row, duration - at, need)]
        else:
            at = chance.randint(1, need - 1)
            pieces += [(start, row, duration, at), (start, row + at, duration, need - at)]
    chance.shuffle(pieces)
    last = len(pieces) + 2
    jobs = [Job(1, 0, (0,), tuple(range(2, last)))]
    for number, (start, _, duration, need) in enumerate(pieces, start=2):
        after = [n for n, piece in enumerate(pieces, start=2) if piece[0] >= start + duration]
        kept = chance.sample(after, k=min(len(after), chance.randint(0, 2)))
        jobs.append(Job(number, duration, (need,), (*sorted(kept), last)))
    return Project((*jobs, Job(last, 0, (0,), ())), (width,))


@pytest.mark.parametrize(
    ("width", "length", "cuts", "most"), [(6, 15, 8, 0), (8, 20, 12, 0), (10, 40, 30, 1), (12, 60, 60, 1)]
)
def test_the_planted_optimum_is_bounded_and_met(width: int, length: int, cuts: int, most: int) -> None:
    """Without any waste, the hardest of their kind: small ones are solved, of large ones at most `most` is missing."""
    project = read_project(write_project(packed(width, length, cuts, seed=3)).replace("\n", "\r\n"))
    found = solve_project(project, 1, Budget(effort=1.0))
    assert found.bound == length <= found.makespan <= length + most
    assert not list(faults(project, found.starts))


def test_more_of_a_resource_never_makes_a_project_longer() -> None:
    project = random_project(InstanceShape(jobs=30), 5)
    richer = replace(project, capacities=tuple(2 * each for each in project.capacities))
    before, after = (solve_project(each, 1, Budget(effort=0.3)) for each in (project, richer))
    assert after.bound <= before.makespan and before.bound <= before.makespan
