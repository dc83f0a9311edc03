"""What must hold of every outcome: bounds, sums, and fairness that moves nothing when everybody is served alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from simulations.metrics.fairness import Shares, jain_index, share_deviation, water_fill
from simulations.metrics.jobs import spread
from simulations.metrics.measure import measure
from simulations.metrics.moments import COUNT, Moments
from simulations.metrics.statistics import estimate, paired_difference, seeds_needed, shared_confidence
from tests.metrics.worked_example import worked

AMOUNTS = arrays(np.float64, (3, 4), elements=st.floats(0, 10))
WEIGHTS = arrays(np.float64, 3, elements=st.floats(0.1, 5))


@given(AMOUNTS, WEIGHTS, st.floats(0, 1))
def test_water_filling_hands_out_the_budget_and_nobody_more_than_he_asks(
    demanded: np.ndarray, weights: np.ndarray, part: float
) -> None:
    budget = demanded.sum(axis=0) * part
    fair = water_fill(demanded, weights, budget)
    assert (fair <= demanded + 1e-9).all()
    assert fair.sum(axis=0) == pytest.approx(budget, abs=1e-9)


@given(AMOUNTS, WEIGHTS, st.floats(0, 1))
def test_who_gets_less_than_he_asks_has_the_highest_level(
    demanded: np.ndarray, weights: np.ndarray, part: float
) -> None:
    """Max-min: an unsatisfied queue's share for its weight is at least everybody's."""
    fair = water_fill(demanded, weights, demanded.sum(axis=0) * part)
    level = fair / weights[:, None]
    for moment in range(demanded.shape[1]):
        unsatisfied = fair[:, moment] < demanded[:, moment] - 1e-9
        if unsatisfied.any():
            assert level[unsatisfied, moment].min() >= level[:, moment].max() - 1e-6


@pytest.mark.parametrize(
    ("demanded", "weights", "budget", "fair"),
    [
        ([9.0, 9.0], [1.0, 1.0], 10.0, [5.0, 5.0]),
        ([9.0, 9.0], [3.0, 1.0], 8.0, [6.0, 2.0]),
        ([2.0, 9.0], [1.0, 1.0], 10.0, [2.0, 8.0]),
        ([2.0, 3.0], [1.0, 1.0], 10.0, [2.0, 3.0]),
        ([0.0, 3.0], [1.0, 1.0], 1.0, [0.0, 1.0]),
    ],
)
def test_water_filling_by_hand(
    demanded: list[float], weights: list[float], budget: float, fair: list[float]
) -> None:
    filled = water_fill(np.array(demanded)[:, None], np.array(weights), np.array([budget]))
    assert filled[:, 0].tolist() == pytest.approx(fair)


def shares(held: list[float], fair: list[float]) -> Shares:
    spread_out = [
        np.repeat(np.array(values)[:, None], COUNT, axis=1) for values in (held, [1.0] * len(held), fair)
    ]
    return Shares(*spread_out)


def test_all_alike_is_fair_and_one_that_has_everything_is_not() -> None:
    alike, unfair = shares([0.3, 0.3], [0.3, 0.3]), shares([0.6, 0.0], [0.3, 0.3])
    assert (jain_index(alike)[0], share_deviation(alike)[0]) == (1.0, 0.0)
    assert (jain_index(unfair)[0], share_deviation(unfair)[0]) == (0.5, 0.5)


def test_utilisation_never_exceeds_allocation_and_both_lie_within_one() -> None:
    metrics = measure(worked()).metrics
    assert 0 <= metrics["utilisation_cpu"] <= metrics["allocation_cpu"] <= 1
    assert 1 / 2 <= metrics["jain"] <= 1
    assert 0 <= metrics["share_deviation"] <= 1


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50))
def test_percentiles_are_observed_values_in_order(values: list[float]) -> None:
    found = spread("x", np.array(values))
    assert found["x_p50"] <= found["x_p95"] <= found["x_p99"] <= max(values)
    assert {found["x_p50"], found["x_p95"], found["x_p99"]} <= set(values)


@given(
    st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 10**15)), max_size=30),
)
def test_what_covers_a_moment_is_summed_exactly(spans: list[tuple[int, int, int]]) -> None:
    moments = Moments.of(0, 1000)
    begin, end, amount = (np.array([span[i] for span in spans], dtype=np.int64) for i in range(3))
    end = np.maximum(begin, end)
    expected = [
        sum(a for b, e, a in zip(begin.tolist(), end.tolist(), amount.tolist(), strict=True) if b <= at < e)
        for at in moments.at_ms.tolist()
    ]
    assert moments.covered(begin, end, amount).tolist() == expected


def test_moments_are_the_middles_of_equal_parts_even_of_very_long_stretches() -> None:
    assert Moments.of(0, 2 * COUNT).at_ms.tolist() == list(range(1, 2 * COUNT, 2))
    late = Moments.of(0, 2**53).at_ms
    assert (np.diff(late) > 0).all() and late[-1] < 2**53


def test_student_t_interval_by_hand() -> None:
    # mean 3, s = sqrt(2.5), n = 5, t(0.975, 4) = 2.776445105
    found = estimate([1, 2, 3, 4, 5])
    assert (found.mean, found.seeds) == (3.0, 5)
    assert found.half_width == pytest.approx(2.776445105 * (2.5 / 5) ** 0.5, rel=1e-9)


def test_one_seed_says_nothing_about_certainty() -> None:
    found = estimate([7.0])
    assert (found.mean, found.half_width, found.is_clear) == (7.0, None, False)


def test_pairing_takes_the_luck_of_the_seed_out() -> None:
    base = {seed: 100.0 * seed for seed in range(5)}
    better = {seed: value - 1.0 - 0.01 * seed for seed, value in base.items()}
    difference = paired_difference(base, better)
    assert difference is not None and difference.is_clear
    assert difference.mean == pytest.approx(-1.02)
    assert paired_difference({1: 1.0}, {2: 1.0}) is None


def test_several_intervals_share_their_confidence() -> None:
    assert shared_confidence(1) == pytest.approx(0.95)
    assert shared_confidence(5) == pytest.approx(0.99)


def test_seeds_needed_grows_with_the_square_of_the_uncertainty() -> None:
    unclear = estimate([-3.0, 5.0, 1.0, 2.0])
    assert unclear.half_width is not None and not unclear.is_clear
    assert seeds_needed(unclear) == int(np.ceil(4 * (unclear.half_width / unclear.mean) ** 2)) + 1
    assert seeds_needed(estimate([1.0])) is None
