"""Generated workloads: exact load, the same for the same seed for ever, and nothing of a ledger dropped in silence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inventory.model.system import AcceleratorDemand
from inventory.model.units import GIB, Resources
from simulations.generator import StressSettings, stress_trace
from simulations.generator_ledger import DAY_MS, HOUR_MS, LedgerSettings, ledger_trace
from simulations.traces.trace import Trace
from tests.services.ledgers import a_system

STRESS = StressSettings(jobs=3000, shapes=20, load=0.9, nodes=50)
MONDAY = 1_767_542_400_000  # 2026-01-05 00:00 in the city
WEEK = LedgerSettings(days=7, origin_ms=MONDAY)


def offered_load(trace: Trace, made: StressSettings, span_ms: int) -> float:
    """Of the resource that is asked for most."""
    memory = trace.per_shape([shape.total.memory_bytes for shape in trace.shapes])
    loads = [
        float((asked * trace.runtime_ms.astype(np.float64)).sum() / (whole * made.nodes * span_ms))
        for asked, whole in ((trace.cpu_milli, made.node.cpu_milli), (memory, made.node.memory_bytes))
    ]
    return max(loads)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([0.3, 0.9, 1.5]), st.integers(0, 5))
def test_the_load_is_the_one_asked_for(load: float, seed: int) -> None:
    made = replace(STRESS, load=load)
    trace = stress_trace(made, seed)
    assert len(trace) == 3000 and len(trace.shapes) <= 20
    # The last arrival falls short of the whole span by about one part in the number of jobs.
    assert offered_load(trace, made, trace.span_ms) == pytest.approx(load, rel=0.02)


def test_every_job_fits_on_a_node_and_is_estimated_from_above() -> None:
    made = replace(STRESS, node=Resources(64_000, 256 * GIB, 0, 8000))
    trace = stress_trace(made, 1)
    assert all(shape.requirements.per_task.fits_in(made.node) for shape in trace.shapes)
    assert any(shape.total.accelerator_milli for shape in trace.shapes)
    assert (trace.estimate_ms >= trace.runtime_ms).all()


def test_a_seed_gives_one_trace_for_ever() -> None:
    """Results name it by its digest."""
    assert stress_trace(STRESS, 7).digest == "8b81c84e0ac3719e4326248fd993ed474399dbe38b878c00740b6b355c80800f"
    assert stress_trace(STRESS, 8).digest != stress_trace(STRESS, 7).digest


@pytest.mark.parametrize("wrong", [{"jobs": 0}, {"shapes": 0}, {"nodes": 0}, {"load": 0.0}, {"load": 11.0}])
def test_settings_that_make_no_workload_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        stress_trace(replace(STRESS, **wrong), 0)


def of_queue(trace: Trace, queue: str) -> Trace:
    return trace.select(trace.queue == trace.queues.index(queue))


def test_a_service_runs_all_week_and_more_by_day_and_less_at_the_weekend() -> None:
    trace = of_queue(
        ledger_trace([a_system("甲系统", vcpu=100, mem_gb=400)], replace(WEEK, noise=0.0), 0), "service"
    )
    base, days = trace.select(trace.runtime_ms == 7 * DAY_MS), trace.select(trace.runtime_ms == 11 * HOUR_MS)
    assert (len(base), base.cpu_milli[0]) == (1, 60_000)
    assert days.submitted_ms.tolist() == [day * DAY_MS + 8 * HOUR_MS for day in range(7)]
    assert days.cpu_milli.tolist() == [40_000] * 5 + [16_000] * 2


def test_the_season_scales_the_day() -> None:
    december = replace(WEEK, origin_ms=MONDAY - 14 * DAY_MS, noise=0.0, days=1)
    trace = of_queue(ledger_trace([a_system("甲系统", vcpu=100)], december, 0), "service")
    assert sorted(trace.cpu_milli.tolist()) == [50_000, 60_000]


def test_every_night_has_a_batch_job_between_one_and_five() -> None:
    nights = of_queue(ledger_trace([a_system("甲系统", vcpu=10)], WEEK, 0), "batch")
    assert len(nights) == 7
    hours = nights.submitted_ms % DAY_MS // HOUR_MS
    assert hours.min() >= 1 and hours.max() < 5


def test_who_has_cards_trains() -> None:
    system = a_system("乙系统", vcpu=8, gpu=AcceleratorDemand("Ascend910B", 16))
    trained = of_queue(ledger_trace([system], WEEK, 3), "training")
    assert len(trained) in (24, 25)  # 1.5 a card and week
    assert trained.accelerator_milli.max() <= 16_000


def test_a_system_of_unknown_size_is_counted_and_not_guessed() -> None:
    trace = ledger_trace([a_system("甲系统"), a_system("丙系统", vcpu=None)], WEEK, 0)
    assert "1 systems say no vCPU" in trace.notes[1]
    with pytest.raises(ValueError, match="no system of the ledger"):
        ledger_trace([a_system("丙系统", vcpu=None)], WEEK, 0)


def test_where_a_system_may_run_goes_with_its_jobs() -> None:
    system = a_system("甲系统")
    trace = ledger_trace([system], WEEK, 0)
    assert {shape.requirements.zone for shape in trace.shapes} == {system.zone}
    assert {shape.requirements.protection_level for shape in trace.shapes} == {2}


def test_more_systems_change_nothing_for_those_before_them() -> None:
    alone = ledger_trace([a_system("甲系统")], WEEK, 5)
    both = ledger_trace([a_system("甲系统"), a_system("乙系统")], WEEK, 5)
    mine = both.select(np.array([name.startswith("0-") for name in both.job_ids.tolist()]))
    assert mine.digest == alone.digest


def test_arrivals_swing_with_the_day_and_the_load_stays() -> None:
    made = replace(STRESS, swing=0.8, mean_runtime_ms=16 * HOUR_MS)
    even, swung = stress_trace(replace(made, swing=0.0), 0), stress_trace(made, 0)
    assert swung.runtime_ms.sum() == even.runtime_ms.sum()
    assert offered_load(swung, made, even.span_ms) == offered_load(even, made, even.span_ms)
    whole = int(swung.span_ms // DAY_MS) * DAY_MS
    early = swung.submitted_ms[swung.submitted_ms < whole] % DAY_MS < DAY_MS // 2
    assert whole and early.mean() == pytest.approx(0.5 + 0.8 / np.pi, abs=0.05)
