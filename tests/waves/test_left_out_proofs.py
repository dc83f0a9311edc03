"""What a plan says of the systems that it leaves out: proven impossible, a choice among equals, or only not found."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inventory.model.migration import WavePlan
from scheduler.core.budget import Budget
from scheduler.core.waves.document import read_plan, write_plan
from scheduler.core.waves.left_out_proof import left_out_proof, with_proof
from scheduler.core.waves.shape import make_shape
from scheduler.core.waves.solve import solve
from tests.waves.estate_files import a_row, an_estate, problem_of, window
from tests.waves.exhaustive import best_finish, tiny_estate
from tests.waves.test_tiny_estates import problem_of_seed

SMALL = Budget(effort=0.5)
ALONE, JUST_THESE, A_CHOICE = "只迁它", "凡不多放弃系统", "放弃哪些可以选择"


def reasons(plan: WavePlan) -> dict[str, str]:
    return {each.system_key: each.reason[0] for each in plan.unplaced}


SAID: dict[str, tuple[dict[str, Any], dict[str, list[str]], int]] = {
    "a deadline before every night": (
        an_estate(a_row("甲", deadline="2026-03-05"), a_row("乙")),
        {"甲": ["晚于最后期限 4 个", "推迟期限", ALONE]},
        1,
    ),
    "more than the pool would hold if it were empty": (
        an_estate(a_row("大", vcpu=5000), a_row("乙")),
        {"大": ["余量不足", ALONE]},
        1,
    ),
    "nights that are all too short for the lease": (
        an_estate(a_row("长", minutes=400, deadline="2026-03-15"), hours=(6, 6, 8, 8)),
        {"长": ["短于割接所需时间 2 个", "晚于最后期限 2 个", "缩短割接或加长窗口", ALONE]},
        1,
    ),
    "who keeps all the others waiting for the last night": (
        an_estate(a_row("台", earliest="2026-03-27"), *(a_row(name, "台") for name in "甲乙丙丁戊己")),
        {"台": [JUST_THESE]},
        1,
    ),
    "more systems than places": (
        an_estate(*(a_row(name) for name in "甲乙丙丁戊己庚辛壬")),
        {"": [A_CHOICE, "至少有 1 个"]},
        1,
    ),
}


@pytest.mark.parametrize("case", SAID)
def test_a_system_that_is_left_out_is_told_what_is_proven(case: str) -> None:
    estate, said, least = SAID[case]
    plan = solve(problem_of(estate), 1, SMALL)
    told = reasons(plan)
    assert len(told) == len(said)
    for key, words in said.items():
        text = told[key] if key else next(iter(told.values()))
        assert [word for word in words if word not in text] == []
    assert plan.measure is not None and plan.measure.unplaced_at_least == least


def test_what_is_not_proven_is_said_to_be_only_not_found() -> None:
    problem = problem_of(an_estate(a_row("甲"), a_row("乙"), a_row("丙")))
    plan, shape = solve(problem, 1, SMALL), make_shape(problem)
    assert plan.unplaced == ()
    proof = left_out_proof(shape, [0], 0)
    assert (proof.others, proof.least, proof.only) == (1, 0, False)
    assert "not proven" in proof.words(shape.groups[0].group_id)[1]
    assert with_proof(plan, shape, proof) == plan


@pytest.mark.parametrize("seed", range(12))
def test_no_plan_leaves_out_fewer_than_is_said_to_be_proven(seed: int) -> None:
    problem = problem_of_seed(seed)
    if problem is None:
        return
    plan = solve(problem, 1, Budget(effort=0.2))
    assert plan.measure is not None
    assert plan.measure.unplaced_at_least <= best_finish(tiny_estate(seed))[0]


def test_the_proof_stands_in_the_file_and_older_files_are_read() -> None:
    plan = solve(problem_of(an_estate(a_row("甲", deadline="2026-03-05"), a_row("乙"))), 1, SMALL)
    text = write_plan(plan)
    assert read_plan(text) == plan and json.loads(text)["measure"]["unplaced_at_least"] == 1
    older = json.loads(text)
    del older["measure"]["unplaced_at_least"]
    measure = read_plan(json.dumps(older)).measure
    assert measure is not None and measure.unplaced_at_least == 0


def test_a_system_is_not_proven_impossible_by_what_others_were_given() -> None:
    agreed = [{"system": name, "window": window(1)} for name in "甲乙丙"]
    plan = solve(problem_of(an_estate(*(a_row(name) for name in "甲乙丙"), pins=agreed)), 1, SMALL)
    (text,) = reasons(plan).values()
    assert ALONE not in text and A_CHOICE in text
