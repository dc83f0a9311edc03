"""Each metric against the worked example, computed with pencil and paper."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simulations.metrics.definitions import METRICS, metric
from simulations.metrics.fragmentation import FragmentationSamples
from simulations.metrics.measure import measure
from simulations.metrics.power import PoolPower
from simulations.series import StepSeries
from tests.metrics.worked_example import S, jobs, worked

PRICE = StepSeries(np.array([0, 50 * S]), np.array([1.0, 2.0]))
POWER = PoolPower(
    pue=1.5, idle_watts=100, vcpu_watts=10, card_watts=0, price_kwh=PRICE, carbon=StepSeries.constant(500.0)
)
KWH = 37_500 / 3.6e6  # 1.5 x (200 W x 100 s + 500 CPU-seconds x 10 W)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("jobs", 4),
        ("jobs_unstarted", 0),
        ("jobs_unfinished", 1),
        ("wait_mean", (0 + 40 + 0 + 10) / 4),
        ("wait_p50", 0),
        ("wait_p95", 40),
        ("slowdown_mean", (1 + 70 / 30 + 80 / 20 + 1) / 4),
        ("slowdown_p99", 4),
        ("makespan", 100),
        ("allocation_cpu", 500 / 1000),
        ("utilisation_cpu", 480 / 1000),
        ("preemptions", 1),
        ("preempted_core_hours", 20 / 3600),
        ("wasted_core_hours", 20 / 3600),
        ("deadline_misses", 2),
        ("deadline_miss_rate", 2 / 4),
        ("energy_kwh", KWH),
        ("carbon_kg", KWH * 0.5),
        ("electricity_cny", (19_650 * 1 + 17_850 * 2) / 3.6e6),
        ("charge_cny", 500 / 3600 * 0.1),
    ],
)
def test_the_worked_example(key: str, value: float) -> None:
    assert measure(worked(), [POWER]).metrics[key] == pytest.approx(value, rel=1e-12)


def test_what_does_not_exist_is_left_out() -> None:
    metrics = measure(worked(jobs((0, 0, 0, 0)))).metrics
    absent = {"allocation_accelerator", "wasted_card_hours", "deadline_misses", "energy_kwh", "fragmentation"}
    assert absent & set(metrics) == set()


def test_a_deadline_that_the_simulation_did_not_reach_is_undecided() -> None:
    metrics = measure(worked(jobs((40, 60, 200, 500)))).metrics
    assert (metrics["deadline_misses"], metrics["deadline_miss_rate"]) == (1, 1 / 3)


def test_jobs_that_fit_nowhere_count_nowhere_but_are_counted() -> None:
    metrics = measure(replace(worked(), unplaceable=np.array([1]))).metrics
    assert (metrics["jobs"], metrics["jobs_unplaceable"]) == (3, 1)
    assert metrics["wait_mean"] == pytest.approx(10 / 3)


def test_a_job_that_never_started_waits_until_the_end() -> None:
    outcome = worked()
    only_first = {name: getattr(outcome.runs, name)[:1] for name in type(outcome.runs).__dataclass_fields__}
    metrics = measure(replace(outcome, runs=type(outcome.runs)(**only_first))).metrics
    assert metrics["jobs_unstarted"] == 3
    assert metrics["wait_mean"] == (0 + 100 + 90 + 20) / 4


def test_curves_follow_the_runs() -> None:
    curves = measure(worked()).curves
    at = {name: np.interp([5 * S, 30 * S, 80 * S], curves.at_ms, values) for name, values in curves.values.items()}
    assert at["allocated.cpu"].tolist() == pytest.approx([0.6, 0.6, 0.4])
    assert at["waiting.jobs"].tolist() == pytest.approx([1, 1, 0], abs=0.51)
    assert at["pool.p"].tolist() == at["allocated.cpu"].tolist()


def test_a_power_model_is_needed_for_each_pool() -> None:
    with pytest.raises(ValueError, match="2 power models for 1 pools"):
        measure(worked(), [POWER, POWER])


def test_fragmentation_is_the_mean_over_moments_of_stranded_over_offered() -> None:
    samples = FragmentationSamples(
        at_ms=np.array([0, 0, 10]),
        pool=np.array([0, 1, 0], dtype=np.int32),
        stranded_milli=np.array([100.0, 300.0, 0.0]),
        offered_milli=np.array([500, 500, 500]),
    )
    assert measure(replace(worked(), fragmentation=samples)).metrics["fragmentation"] == pytest.approx(
        (400 / 1000 + 0) / 2
    )


@pytest.mark.parametrize(
    ("key", "value", "half", "said"),
    [
        ("wait_mean", 90.0, None, "90.0 s"),
        ("wait_mean", 5400.0, 360.0, "90.0 ± 6.0 min"),
        ("wait_mean", 3 * 86400.0, 43200.0, "3.0 ± 0.5 d"),
        ("allocation_cpu", 0.4567, 0.01, "45.67 ± 1.00 %"),
        ("jain", 0.98765, None, "0.988"),
        ("energy_kwh", 12345.6, 78.9, "12,346 ± 79 kWh"),
        ("preemptions", 3.0, None, "3 runs"),
    ],
)
def test_values_are_written_for_people(key: str, value: float, half: float | None, said: str) -> None:
    assert metric(key).text(value, half) == said


def test_differences_carry_their_sign_and_ratios_differ_in_points() -> None:
    assert metric("allocation_cpu").difference(0.0123) == "+1.23 pp"
    assert metric("wait_mean").difference(-30.0) == "-30.0 s"


def test_every_measured_metric_is_defined_and_an_unknown_one_lists_the_known() -> None:
    assert set(measure(worked(), [POWER]).metrics) <= set(METRICS)
    with pytest.raises(KeyError, match="wait_mean"):
        metric("waiting")
