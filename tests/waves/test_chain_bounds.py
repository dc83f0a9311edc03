"""Bounds that ask who is left out, and that refute finishes on stretches: no plan that trying everything finds beats them."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.budget import Budget
from scheduler.core.waves.bottlenecks import least_finish, scarcities
from scheduler.core.waves.bounds import earliest_finish, finish_of_others
from scheduler.core.waves.chain_bounds import finish_with_some_left_out
from scheduler.core.waves.estate_file import estate_problem
from scheduler.core.waves.shape import Shape, make_shape, set_aside
from scheduler.core.waves.solution import NOWHERE, Solution, broken
from scheduler.core.waves.stretch_bounds import raised_bound
from simulations.estates import EstateShape, realistic_estate
from tests.waves.estate_files import a_row, a_team, an_estate, problem_of

NAMES = "甲乙丙丁戊"
LITTLE = Budget(effort=1.0)


@st.composite
def crowded_estates(draw: st.DrawFn) -> Shape:
    """Four or five systems in four windows, in which order, dates, cap and one team's minutes are felt."""
    rows: list[dict[str, Any]] = []
    for place in range(draw(st.integers(4, 5))):
        uses = [name for name in NAMES[:place] if draw(st.integers(0, 9)) < 4]
        dates: dict[str, Any] = {}
        opens = draw(st.sampled_from([None, None, "2026-03-09", "2026-03-16", "2026-03-23"]))
        closes = draw(st.sampled_from([None, None, "2026-03-14", "2026-03-21"]))
        if opens is not None:
            dates["earliest"] = opens
        elif closes is not None:
            dates["deadline"] = closes
        minutes = draw(st.sampled_from([120, 240, 300]))
        rows.append(a_row(NAMES[place], *uses, skill="应用", minutes=minutes, **dates))
    if draw(st.booleans()):
        rows[0]["group"] = rows[1]["group"] = "同批"
        rows[0].pop("deadline", None)
        rows[1].pop("earliest", None)
    return make_shape(problem_of(an_estate(*rows, teams=[a_team("组", "应用")], cap=draw(st.integers(1, 3)))))


def finishes(shape: Shape) -> dict[int, int]:
    """By how many systems with an open window are left out: the least finish, by trying everything."""
    found: dict[int, int] = {}
    for out, finish in finishes_without(shape).items():
        left = sum(shape.groups[g].size for g in out)
        found[left] = min(found.get(left, shape.windows), finish)
    return found


def finishes_without(shape: Shape) -> dict[frozenset[int], int]:
    """By which groups with an open window are left out: the least finish, by trying everything."""
    found: dict[frozenset[int], int] = {}
    count = len(shape.groups)
    for choice in product(range(NOWHERE, shape.windows), repeat=count):
        if any(w != NOWHERE and not group.own >> w & 1 for group, w in zip(shape.groups, choice, strict=True)):
            continue
        team = tuple(NOWHERE if choice[shape.group_of[i]] == NOWHERE else 0 for i in range(len(shape.items)))
        if broken(shape, Solution(choice, team, team)) is None:
            out = frozenset(g for g, w in enumerate(choice) if w == NOWHERE and shape.groups[g].own)
            found[out] = min(found.get(out, shape.windows), max(choice))
    return found


@settings(deadline=None, max_examples=40)
@given(crowded_estates(), st.integers(0, 2), st.sampled_from([0, 1, 4, 120]))
def test_no_plan_that_leaves_out_so_many_finishes_before_the_bound(shape: Shape, spared: int, nodes: int) -> None:
    found = finishes(shape)
    best = min((w for left, w in found.items() if left <= spared), default=shape.windows)
    scarce = list(scarcities(shape))
    assert finish_with_some_left_out(shape, scarce, spared, shape.windows, nodes) <= max(best, 0)
    assert earliest_finish(shape, spared) <= best
    assert earliest_finish(shape, spared, max(best, 0)) <= max(best, 0)


@settings(deadline=None, max_examples=15)
@given(crowded_estates())
def test_bounds_for_who_leaves_out_just_these_and_for_who_leaves_out_others_hold(shape: Shape) -> None:
    found = finishes_without(shape)
    size = {out: sum(shape.groups[g].size for g in out) for out in found}
    for out, finish in [each for each in found.items() if size[each[0]] <= 2]:
        rest = set_aside(shape, out)
        assert earliest_finish(rest) <= finish
        assert raised_bound(rest, 0, max(finish, 0), 1, LITTLE).bound <= max(finish, 0)
        others = [found[other] for other in found if other != out and size[other] <= size[out]]
        best = max(0, min(others, default=shape.windows))
        assert finish_of_others(shape, sorted(out), shape.windows) <= best


@settings(deadline=None, max_examples=40)
@given(crowded_estates())
def test_no_finish_is_refuted_that_a_plan_reaches(shape: Shape) -> None:
    best = finishes(shape).get(0, shape.windows)
    found = raised_bound(shape, 0, shape.windows, 1, LITTLE)
    assert found.bound <= best
    assert all(0 <= w < shape.windows for w in found.latest.values())


def a_platform_that_opens_late() -> Shape:
    """Six systems that use one which opens in the last window but one: together too many for two windows of three."""
    rows = [a_row("台", earliest="2026-03-16"), *(a_row(name, "台") for name in "甲乙丙丁戊己")]
    return make_shape(problem_of(an_estate(*rows, cap=3)))


def test_who_leaves_one_out_is_asked_whom() -> None:
    shape = a_platform_that_opens_late()
    assert earliest_finish(shape) == shape.windows  # seven systems, six places
    # Without the platform its six users fill two windows from the first on; without any other, two from the third on.
    assert earliest_finish(shape, 1) == 1
    kept = [group.size for group in shape.groups]
    assert sum(kept) == 7


def test_two_platforms_that_open_late_are_not_helped_by_leaving_one_out() -> None:
    rows = [a_row("台一", earliest="2026-03-23"), a_row("台二", earliest="2026-03-23")]
    rows += [a_row(name, "台一", "台二") for name in "甲乙"]
    shape = make_shape(problem_of(an_estate(*rows, cap=4)))
    assert earliest_finish(shape, 1) == 3 == finishes(shape)[1]
    assert earliest_finish(shape, 2) == 0 == finishes(shape)[2]


@pytest.mark.parametrize(("seed", "bound"), [(1, 51), (7, 65), (9, 53), (10, 52)])
def test_order_and_scarcity_together_refute_what_counting_alone_does_not(seed: int, bound: int) -> None:
    """127 systems, 400 dependencies, 3 pools, whose least finish was found by solving the whole model to the end."""
    shape = make_shape(estate_problem(realistic_estate(EstateShape(127, 400, 3), seed)))
    counted = earliest_finish(shape)
    assert counted < bound
    assert raised_bound(shape, counted, bound, 1, LITTLE).bound == bound


def plain_least_finish(families: dict[int, int], offered: list[int], forgiven: int, tests: list[int]) -> int:
    """One test after another, one finish after another."""
    best = 0
    for test in tests:
        for last in range(len(offered) + 1):
            until = (1 << (last + 1)) - 1
            able = sum(amount for w, amount in enumerate(offered) if w <= last and test >> w & 1)
            confined = sum(amount for mask, amount in families.items() if not mask & ~test & until)
            if last == len(offered) or confined - forgiven <= able:
                best = max(best, last)
                break
    return best


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(st.integers(1, 2**70 - 1), st.integers(1, 9), min_size=1, max_size=5),
    st.lists(st.integers(0, 2), min_size=70, max_size=70),
    st.integers(0, 5),
)
def test_counting_many_tests_at_once_gives_what_one_by_one_gives(
    families: dict[int, int], offered: list[int], forgiven: int
) -> None:
    union = 0
    for mask in families:
        union |= mask
    tails = {-1, *(-1 << ((mask & -mask).bit_length() - 1) for mask in families)}
    tests = sorted({mask & tail for mask in [*families, union] for tail in tails} - {0})
    assert least_finish(families, offered, forgiven) == plain_least_finish(families, offered, forgiven, tests)
