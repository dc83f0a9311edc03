"""The engine by example: outages, maintenance, preemption, reservations, cycles that are not run at every event."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inventory.model.units import Resources
from scheduler.core.queueing.queues import QueueSpec
from scheduler.core.queueing.reservations import Reservation
from simulations.engine.outcome import Ending
from simulations.failures import Outage
from simulations.scenarios.capacity import CapacityForm
from tests.simulations.small_logs import Job, a_pool, endings, log, policy, run, starts

FINISHED, FAILED, MAINTAINED, CUT = Ending.FINISHED, Ending.FAILED, Ending.MAINTAINED, Ending.CUT


def outage(start: float, until: float | None, node: int | None = 0, pool: int = 0, **more: object) -> Outage:
    end_ms = None if until is None else round(until * 1000)
    return Outage(pool, node, round(start * 1000), end_ms, **more)  # type: ignore[arg-type]  # fields of Outage


def test_an_empty_log_is_an_empty_outcome() -> None:
    outcome = run(log())
    assert len(outcome.runs.job) == 0 and outcome.cycles == 0


def test_a_run_on_a_node_that_fails_begins_again_when_there_is_room() -> None:
    """The only node is away from 10 to 25; nothing of the ten seconds is kept."""
    outcome = run(log(Job("A", at=0, cpus=1, runs=30)), outages=(outage(10, 25),))
    assert endings(outcome) == [("A", 0, 10, FAILED), ("A", 25, 55, FINISHED)]
    assert outcome.runs.kept_ms.tolist() == [0, 30_000]
    assert outcome.runs.attempt.tolist() == [1, 2]


def test_work_up_to_the_last_checkpoint_is_kept() -> None:
    settings = replace(policy(), checkpoint_ms=4_000)
    outcome = run(log(Job("A", at=0, cpus=1, runs=30)), outages=(outage(10, 25),), settings=settings)
    assert endings(outcome) == [("A", 0, 10, FAILED), ("A", 25, 47, FINISHED)]
    assert outcome.runs.kept_ms.tolist() == [8_000, 22_000]


def test_a_run_goes_on_at_once_where_another_node_is_free() -> None:
    outcome = run(log(Job("A", at=0, cpus=1, runs=30)), a_pool(nodes=2), outages=(outage(10, 25),))
    assert endings(outcome) == [("A", 0, 10, FAILED), ("A", 10, 40, FINISHED)]


def test_a_gang_is_lost_with_any_of_its_nodes() -> None:
    gang = log(Job("G", at=0, cpus=10, runs=30, tasks=2))
    outcome = run(gang, a_pool(nodes=2), outages=(outage(10, 25, node=1),))
    assert endings(outcome) == [("G", 0, 10, FAILED), ("G", 25, 55, FINISHED)]


def test_a_pool_that_fails_sends_its_runs_to_another() -> None:
    outcome = run(
        log(Job("A", at=0, cpus=8, runs=30)), a_pool("a"), a_pool("b", cpus=9), outages=(outage(10, None, None),)
    )
    assert [(job, start, end, ending) for job, start, end, ending in endings(outcome)] == [
        ("A", 0, 10, FAILED),
        ("A", 10, 40, FINISHED),
    ]
    assert outcome.runs.pool.tolist() == [0, 1]


def test_maintenance_is_announced_nothing_new_starts_and_what_still_runs_is_stopped() -> None:
    """Notice from 5 on: B waits although there is room. A is stopped at 10 and comes back before B at 20."""
    maintained = outage(10, 20, node=None, cause=MAINTAINED, notice_ms=5_000)
    jobs = log(Job("A", at=0, cpus=5, runs=12), Job("B", at=6, cpus=5, runs=2))
    outcome = run(jobs, outages=(maintained,))
    assert endings(outcome) == [("A", 0, 10, MAINTAINED), ("A", 20, 32, FINISHED), ("B", 20, 22, FINISHED)]


def test_outages_that_overlap_end_with_the_last_of_them() -> None:
    outcome = run(log(Job("A", at=0, cpus=1, runs=30)), outages=(outage(10, 25), outage(15, 40)))
    assert endings(outcome)[-1] == ("A", 40, 70, FINISHED)


def test_capacity_is_written_down_at_every_change() -> None:
    outcome = run(log(Job("A", at=0, cpus=1, runs=30)), a_pool(nodes=2), outages=(outage(10, 25),))
    steps = outcome.capacity
    assert steps.at_ms.tolist() == [0, 10_000, 25_000]
    assert steps.nodes.tolist() == [2, 1, 2]
    assert steps.offered[:, 0].tolist() == [20_000, 10_000, 20_000]


def test_a_job_that_fits_nowhere_is_set_aside_and_delays_nobody() -> None:
    outcome = run(log(Job("huge", at=0, cpus=11, runs=1), Job("A", at=1, cpus=10, runs=1)))
    assert outcome.unplaceable.tolist() == [0]
    assert starts(outcome) == {"A": 1}


def test_a_simulation_that_is_ended_early_cuts_what_runs() -> None:
    settings = replace(policy(), until_ms=20_000)
    outcome = run(log(Job("A", at=0, cpus=1, runs=30), Job("B", at=25, cpus=1, runs=1)), settings=settings)
    assert endings(outcome) == [("A", 0, 20, CUT)]
    assert outcome.ended_ms == 20_000


@pytest.mark.parametrize(("granularity", "begins"), [(0, 3.0), (1_000, 3.0), (10_000, 10.0)])
def test_at_most_one_cycle_runs_in_the_time_that_the_settings_say(granularity: int, begins: float) -> None:
    """A starts at 0, in the first cycle; B comes at 3."""
    settings = replace(policy(), granularity_ms=granularity)
    outcome = run(log(Job("A", at=0, cpus=1, runs=30), Job("B", at=3, cpus=1, runs=1)), settings=settings)
    assert starts(outcome) == {"A": 0, "B": begins}


def test_a_higher_priority_goes_first() -> None:
    jobs = log(
        Job("A", at=0, cpus=10, runs=10),
        Job("low", at=1, cpus=10, runs=10),
        Job("high", at=2, cpus=10, runs=10, priority=5),
    )
    assert starts(run(jobs)) == {"A": 0, "high": 10, "low": 20}


def test_a_higher_priority_stops_a_lower_one_where_the_policy_says_so() -> None:
    """The victim keeps its checkpoints and goes on when there is room."""
    jobs = log(Job("low", at=0, cpus=10, runs=30), Job("high", at=12, cpus=10, runs=10, priority=5))
    settings = replace(policy(preempts=True), checkpoint_ms=5_000)
    assert endings(run(jobs, settings=settings)) == [
        ("low", 0, 12, Ending.PREEMPTED),
        ("high", 12, 22, FINISHED),
        ("low", 22, 42, FINISHED),
    ]
    assert starts(run(jobs)) == {"low": 0, "high": 30}


def test_a_queue_takes_back_what_it_is_guaranteed() -> None:
    """The other queue borrows all ten processors; the owner of six stops the younger of its runs."""
    owned = QueueSpec("owner", guaranteed=Resources(6_000, 1 << 30))
    jobs = log(
        Job("b1", at=0, cpus=4, runs=50, queue="borrower"),
        Job("b2", at=1, cpus=6, runs=50, queue="borrower"),
        Job("o", at=5, cpus=6, runs=10, queue="owner"),
    )
    assert endings(run(jobs, queues=(owned,))) == [
        ("b1", 0, 50, FINISHED),
        ("b2", 1, 5, Ending.PREEMPTED),
        ("o", 5, 15, FINISHED),
        ("b2", 15, 65, FINISHED),
    ]


def test_queues_share_by_their_weights() -> None:
    """Forty jobs of one processor and one second in each queue; while both wait, a gets two of three."""
    jobs = log(*(Job(f"{q}{i}", at=0, cpus=2, runs=1, queue=q) for q in ("a", "b") for i in range(40)))
    outcome = run(jobs, a_pool(cpus=6), queues=(QueueSpec("a", weight=2), QueueSpec("b", weight=1)))
    early = [name for name, start in starts(outcome).items() if start < 15]
    assert len([name for name in early if name.startswith("a")]) == 30
    assert len([name for name in early if name.startswith("b")]) == 15


def test_a_queue_never_exceeds_its_maximum() -> None:
    most = Resources(4_000, 1 << 50, 1 << 50, 0)
    jobs = log(*(Job(f"a{i}", at=0, cpus=2, runs=10, queue="a") for i in range(4)))
    outcome = run(jobs, queues=(QueueSpec("a", maximum=most),))
    assert sorted(starts(outcome).values()) == [0, 0, 10, 10]


def test_a_reservation_keeps_room_for_its_queue() -> None:
    """Six of ten processors are kept for `gov` from 10 to 30: other's second job would not be gone by then."""
    kept = Reservation("r", "pool", "gov", Resources(6_000), 10_000, 30_000)
    jobs = log(
        Job("other-1", at=0, cpus=4, runs=40, estimate=40, queue="other"),
        Job("other-2", at=1, cpus=6, runs=20, estimate=20, queue="other"),
        Job("gov-1", at=12, cpus=6, runs=5, estimate=5, queue="gov"),
    )
    assert starts(run(jobs, reservations=(kept,))) == {"other-1": 0, "other-2": 30, "gov-1": 12}


def test_scores_see_the_carbon_of_the_moment() -> None:
    """Pool a's grid is the cleaner one until 100 s, pool b's after it."""
    node = {"count": 1, "cpu": 10, "memory": "1Ti"}
    steps = {"steps": [{"at": "0s", "value": 100}, {"at": "100s", "value": 900}]}
    form = {
        "pools": [{"id": name, "nodes": [node]} for name in ("a", "b")],
        "power": {"a": {"carbon": steps}, "b": {"carbon": 500}},
    }
    plans = CapacityForm.model_validate(form).plans(Path())
    jobs = log(Job("early", at=0, cpus=1, runs=1), Job("late", at=150, cpus=1, runs=1))
    outcome = run(jobs, *plans, settings=policy(scores={"carbon": 1}))
    assert outcome.runs.pool.tolist() == [0, 1]


def test_the_same_input_gives_the_same_runs() -> None:
    jobs = log(*(Job(f"j{i}", at=i % 7, cpus=1 + i % 4, runs=5 + i % 3, queue=f"q{i % 2}") for i in range(60)))
    first, second = (run(jobs, a_pool("a"), a_pool("b"), outages=(outage(9, 12),)) for _ in range(2))
    for name in ("job", "pool", "started_ms", "ended_ms", "ending"):
        assert np.array_equal(getattr(first.runs, name), getattr(second.runs, name))
