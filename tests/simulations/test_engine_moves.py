"""Moving runs so that the head of a pool finds room: only where it pays, where it is allowed, and never too many."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.core.placement.policies.registry import PolicyStack
from scheduler.core.queueing.queues import QueueSpec
from scheduler.cycle import MovingRules
from simulations.engine.outcome import Ending, Outcome
from simulations.engine.simulation import EngineSettings, SimulationInput, simulate
from simulations.metrics.measure import measure
from tests.simulations.small_logs import Job, a_pool, log, policy, starts

HOUR = 3600.0


SPREADING = replace(policy(), nodes=PolicyStack.parse("least-allocated"))


def moving(share: float = 0.05, **rules: int) -> EngineSettings:
    """The head is moved for as soon as it waits."""
    return replace(
        SPREADING, cycle=replace(SPREADING.cycle, moving=MovingRules(share, **{"after_ms": 0, **rules}))
    )


def run_with(jobs: list[Job], settings: EngineSettings, nodes: int = 40, **more: object) -> Outcome:
    given = SimulationInput((a_pool(nodes=nodes),), **more)  # type: ignore[arg-type]  # fields of SimulationInput
    return simulate(log(*jobs), given, settings)


# Forty nodes of ten processors, on each a long run of two: 320 are free, and nobody finds ten on one node.
SPREAD = [Job(f"small{i}", 0, 2, 10 * HOUR, 10 * HOUR) for i in range(40)]
LARGE = Job("large", 60, 10, HOUR, 12 * HOUR)


def test_a_head_for_whom_nothing_moves_waits_for_an_end() -> None:
    assert starts(run_with([*SPREAD, LARGE], SPREADING))["large"] == 10 * HOUR


def test_one_small_run_begins_again_elsewhere_and_the_head_starts_at_once() -> None:
    outcome = run_with([*SPREAD, LARGE], moving(price_ms=0))
    assert starts(outcome)["large"] == 60
    assert (outcome.runs.ending == Ending.MOVED).sum() == 1
    moved = outcome.runs.job[outcome.runs.ending == Ending.MOVED]
    again = (outcome.runs.job == moved) & (outcome.runs.attempt == 2)
    assert outcome.runs.started_ms[again] == 60_000, "at the same moment"
    assert outcome.runs.ended_ms[again] == 60_000 + 10 * HOUR * 1000, "it does all of its work again"
    assert measure(outcome).metrics["moves"] == 1


@pytest.mark.parametrize(
    ("case", "jobs", "settings", "more"),
    [
        ("a share of one of forty-one is not one run", [*SPREAD, LARGE], moving(0.02, price_ms=0), {}),
        (
            "the price is more than the head's own work",
            [*SPREAD, replace(LARGE, estimate=60, runs=60)],
            moving(price_ms=3_600_000),
            {},
        ),
        ("it has not waited long enough", [*SPREAD, LARGE], moving(price_ms=0, after_ms=9 * 3_600_000), {}),
        (
            "their queue is not preemptible",
            [*SPREAD, LARGE],
            moving(price_ms=0),
            {"queues": (QueueSpec("default", preemptible=False),)},
        ),
    ],
)
def test_nothing_moves_where(
    case: str, jobs: list[Job], settings: EngineSettings, more: dict[str, object]
) -> None:
    outcome = run_with(jobs, settings, **more)
    assert not (outcome.runs.ending == Ending.MOVED).any(), case


def test_rules_beyond_a_twentieth_are_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.2"):
        MovingRules(0.2)


jobs = st.lists(
    st.builds(
        lambda at, cpus, runs, factor: (at, cpus, runs, runs * factor),
        st.integers(0, 200),
        st.integers(1, 10),
        st.integers(1, 300),
        st.integers(1, 3),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=40)
@given(jobs, st.integers(1, 6), st.integers(0, 60_000))
def test_moving_loses_no_job_and_never_overfills_a_node(
    drawn: list[tuple[int, int, int, int]], nodes: int, price_ms: int
) -> None:
    """Whoever moves ends and begins at one moment, and the work that is kept is the work that was asked for."""
    named = [Job(f"j{i}", at, cpus, runs, estimate) for i, (at, cpus, runs, estimate) in enumerate(drawn)]
    outcome = run_with(named, moving(price_ms=price_ms), nodes)
    runs = outcome.runs
    finished = runs.ending == Ending.FINISHED
    assert sorted(runs.job[finished].tolist()) == list(range(len(named))), "every job ends once"
    assert set(runs.ending.tolist()) <= {Ending.FINISHED, Ending.MOVED}
    kept = np.bincount(runs.job, runs.kept_ms)
    assert kept.tolist() == outcome.trace.runtime_ms.tolist()
    cpus = outcome.trace.cpu_milli[runs.job]
    for at in np.unique(runs.started_ms):
        under_way = (runs.started_ms <= at) & (at < runs.ended_ms)
        assert cpus[under_way].sum() <= nodes * 10_000
        moved = (runs.ending == Ending.MOVED) & (runs.ended_ms == at)
        assert moved.sum() <= max(1, 0.05 * (under_way.sum() + moved.sum()) * 16), "sixteen cycles of one moment"
        begun_again = runs.job[(runs.started_ms == at) & (runs.attempt > 1)]
        assert set(runs.job[moved].tolist()) == set(begun_again.tolist())
