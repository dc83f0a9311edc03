"""Starts as intervals: what the futures say, what the correction learns, and that nothing of the state is touched."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.core.history import ENOUGH, Arrival, History
from scheduler.cycle import CycleSettings
from scheduler.forecast.correction import Correction
from scheduler.forecast.forecast import FUTURES, PROBABILITY, Effort, Question, StartForecast, forecast
from scheduler.forecast.world import Situation
from scheduler.services.outlooks import summary
from tests.forecast.worlds import NOW_MS, QUEUE, Job, shape_of, situation

SETTINGS = CycleSettings()
FINE = Effort(growth=0.0, least_step_ms=1)


def a_history(cores: int = 4, parts: tuple[float, ...] = (0.5,) * ENOUGH) -> History:
    """Runs of these shapes took these parts of their estimates."""
    history = History()
    for part in parts:
        history.finish(QUEUE, shape_of(cores), 1_000_000, int(part * 1_000_000))
    return history


def said(have: Situation, name: str, history: History | None = None, seed: int = 0) -> StartForecast:
    answer = forecast(Question(name, have, history or a_history(), SETTINGS, seed), FINE)
    assert answer is not None  # without a clock there is always one
    return answer


def test_who_fits_now_starts_now() -> None:
    answer = said(situation(2, 4, [Job("a", 4, 100)], [Job("w", 4, 100)]), "w")
    assert (answer.earliest_ms, answer.latest_ms, answer.pool_id) == (NOW_MS, NOW_MS, "p")


def test_who_waits_starts_when_the_run_before_it_ends_as_runs_of_its_kind_do() -> None:
    have = situation(1, 4, [Job("a", 4, 1000, ran_s=100)], [Job("w", 4, 1000)])
    answer = said(have, "w")
    assert answer.earliest_ms == answer.latest_ms == NOW_MS + 400_000  # half of 1,000 s, 100 s of it over
    assert answer.finish_latest_ms == NOW_MS + 400_000 + 500_000


def test_who_stands_behind_another_starts_after_it() -> None:
    have = situation(1, 4, [Job("a", 4, 1000)], [Job("w1", 4, 1000), Job("w2", 4, 1000)])
    assert said(have, "w2").median_ms == NOW_MS + 1_000_000


def test_a_run_that_has_outlasted_all_that_is_known_is_expected_to_go_on_as_long_at_most() -> None:
    answer = said(situation(1, 4, [Job("a", 4, 1000, ran_s=600)], [Job("w", 4)]), "w")
    assert answer.latest_ms is not None
    assert NOW_MS < answer.earliest_ms <= answer.latest_ms <= NOW_MS + 600_001


def test_what_will_never_fit_has_no_latest_start() -> None:
    answer = said(situation(1, 4, [Job("a", 4, 1000)], [Job("w", 8, 1000)]), "w")
    assert answer.latest_ms is None
    assert answer.not_started == answer.futures == FUTURES


def test_the_interval_is_as_wide_as_what_is_known_of_running_times() -> None:
    spread = a_history(parts=tuple(np.linspace(0.1, 1.0, 40)))
    answer = said(situation(1, 4, [Job("a", 4, 1000)], [Job("w", 4, 1000)]), "w", spread)
    assert answer.latest_ms is not None
    assert answer.latest_ms - answer.earliest_ms > 200_000


def test_the_same_question_has_the_same_answer_and_leaves_the_state_as_it_was() -> None:
    have = situation(1, 4, [Job("a", 4, 1000)], [Job("w", 4, 1000)])
    history = a_history(parts=tuple(np.linspace(0.1, 1.0, 40)))
    before = have.pools[0].state.totals()
    assert said(have, "w", history, seed=7) == said(have, "w", history, seed=7)
    assert have.pools[0].state.totals() == before
    assert [row.workload_id for row in have.waiting] == ["w"]


@pytest.mark.parametrize(("ticks", "is_none"), [(0, True), (12, False)], ids=["none in time", "some in time"])
def test_futures_that_are_not_over_in_time_are_left_out(ticks: int, is_none: bool) -> None:
    have = situation(1, 4, [Job("a", 4, 1000)], [Job("w", 4, 1000)])
    looks = itertools.count()
    effort = Effort(growth=0.0, least_step_ms=1, clock=lambda: float(next(looks)), ends_at=float(ticks))
    answer = forecast(Question("w", have, a_history(), SETTINGS), effort)
    assert (answer is None) == is_none
    assert answer is None or 0 < answer.futures < FUTURES


def test_arrivals_of_the_future_are_like_those_of_the_past() -> None:
    history = History()
    for number in range(50):
        history.arrive(Arrival(number * 10_000, QUEUE, shape_of(1 + number % 3), 0, 1000))
    coming = history.future_arrivals(NOW_MS, np.random.default_rng(1))
    taken = [next(coming) for _ in range(200)]
    assert all(one.at_ms >= NOW_MS for one in taken)
    assert taken == sorted(taken, key=lambda one: one.at_ms)
    assert taken[-1].at_ms - taken[0].at_ms == pytest.approx(199 * 10_000, rel=0.1)


@given(
    st.lists(st.integers(0, 10_000_000), min_size=1, max_size=150),
    st.integers(0, 5_000_000),
    st.integers(0, 5_000_000),
)
def test_whatever_was_scored_an_interval_begins_after_now_and_ends_after_it_begins(
    waits: list[int], below: int, above: int
) -> None:
    raw = (max(0, 5_000_000 - below), 5_000_000, 5_000_000 + above)
    correction = Correction()
    for waited in waits:
        correction.score(raw, waited)
        low, high = correction.widened(raw)
        assert 0 <= low <= high


@pytest.mark.parametrize("drift", [0.0, 1.0, 3.0], ids=["no drift", "by half an hour", "by hours"])
def test_eighty_percent_hold_though_the_forecasts_drift(drift: float) -> None:
    """Forecasts that are wrong by an amount that comes and goes: in the long run a tenth misses on either side."""
    random = np.random.default_rng(7)
    correction, held, early = Correction(), 0, 0
    raw = (4_000_000, 6_000_000, 8_000_000)
    asked = 3_000
    for n in range(asked):
        bias = drift * 2_000_000 * (1 + np.sin(n / 150))
        waited = max(0, int(random.normal(6_000_000 + bias, 2_500_000)))
        low, high = correction.widened(raw)
        held += low <= waited <= high
        early += waited < low
        correction.score(raw, waited)
    assert 0.77 <= held / asked <= 0.83
    assert 0.07 <= early / asked <= 0.13


def test_eighty_percent_is_what_nine_futures_promise() -> None:
    assert pytest.approx(0.8) == PROBABILITY


@pytest.mark.parametrize(
    ("futures", "probability", "told"),
    [(9, 0.8, "(80 %)"), (4, 0.6, "(60 %)"), (1, 0.0, "starts about 01-01 08:00:01 (one future)")],
)
def test_fewer_futures_promise_less(futures: int, probability: float, told: str) -> None:
    said = StartForecast(1_000, 2_000, 1_500, futures, 0, "", None, None)
    assert said.probability == pytest.approx(probability)
    assert told in summary(said)[1]


@pytest.mark.parametrize(
    ("asks", "told"),
    [
        (4, "(one future, in which nobody else comes)"),
        (9, "in none of the futures that were run (1)"),
    ],
)
def test_where_no_future_was_over_in_time_one_without_newcomers_tells(asks: int, told: str) -> None:
    have = situation(1, 8, [Job("a", 8, 100)], [Job("w", asks)])
    over_at_once = Effort(clock=lambda: 0.0, ends_at=0.0)
    said = forecast(Question("w", have, History(), SETTINGS), over_at_once)
    assert said is not None
    assert told in summary(said)[1]
    assert said.probability == 0.0
    assert forecast(Question("w", have, History(), SETTINGS), replace(over_at_once, quiet_s=0.0)) is None
