"""Where not all can be placed: few are left out, and they are those who keep the others waiting."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import pytest

from scheduler.core.budget import Budget
from scheduler.core.waves.check import check_plan
from scheduler.core.waves.estate_file import estate_problem
from scheduler.core.waves.leaving_out import culprits
from scheduler.core.waves.problem import WaveProblem
from scheduler.core.waves.shape import make_shape, without
from scheduler.core.waves.solve import solve
from simulations.estates import EstateShape, planted_estate, realistic_estate


def with_a_late_platform(weeks: int) -> tuple[WaveProblem, str]:
    """An estate whose most used system opens so late that its users do not fit behind it."""
    form = realistic_estate(EstateShape(60, 240, 2, load=0.8), 1)
    used = [each if isinstance(each, str) else each.system for system in form.systems for each in system.uses]
    platform = max(sorted(set(used)), key=used.count)
    late = form.calendar.starts_on + timedelta(weeks=weeks)
    systems = tuple(
        system.model_copy(update={"earliest": late}) if system.id == platform else system
        for system in form.systems
    )
    return estate_problem(form.model_copy(update={"systems": systems})), platform


def test_a_platform_that_opens_too_late_is_left_out_and_not_all_who_use_it() -> None:
    problem, platform = with_a_late_platform(44)
    plan = solve(problem, 1, Budget(effort=0.2))
    assert check_plan(problem, plan) == ()
    assert [each.system_key for each in plan.unplaced] == [platform]


def test_nothing_is_left_out_while_there_is_room_for_all() -> None:
    problem, _ = with_a_late_platform(8)
    plan = solve(problem, 1, Budget(effort=0.2))
    assert check_plan(problem, plan) == () and plan.unplaced == ()


def test_the_worst_is_named_first_and_narrows_nobody_any_more() -> None:
    problem, platform = with_a_late_platform(44)
    shape = make_shape(problem)
    names = [{shape.groups[g].group_id for g in found} for found in culprits(shape)]
    assert platform in {shape.items[i].key for g in next(culprits(shape)) for i in shape.groups[g].members}
    assert all(earlier < later for earlier, later in pairwise(names))
    spared = without(shape, next(culprits(shape)))
    before, after = ([group.allowed.bit_count() for group in each.groups] for each in (shape, spared))
    assert sum(more > less for more, less in zip(after, before, strict=True)) > 10


@pytest.mark.parametrize("seed", [1, 2])
def test_where_nobody_waits_nobody_is_named(seed: int) -> None:
    form, _ = planted_estate(4, 3, seed)
    alone = [system.model_copy(update={"uses": (), "earliest": None}) for system in form.systems]
    shape = make_shape(estate_problem(form.model_copy(update={"systems": tuple(alone)})))
    assert list(culprits(shape)) == []
