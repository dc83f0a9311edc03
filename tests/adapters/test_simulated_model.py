"""The simulated pool: never over capacity, nothing lost, every run ends, same seed same history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.contract import Launch, Refusal, RefusalCode, RunReport, Stop
from adapters.simulated.fates import Profile
from adapters.simulated.model import SimulatedPool
from inventory.model.pool import NodeGroup
from inventory.model.system import Architecture
from inventory.model.units import Resources
from inventory.model.workload import RUN_TRANSITIONS, Program, Requirements, RunState
from tests.adapters.adapter_process import declared_pool

SMALL = replace(
    declared_pool("simulated"),
    disk_bytes=50,
    node_groups=(
        NodeGroup("a", 3, Architecture.X86_64, Resources(4, 8, 0, 0)),
        NodeGroup("empty", 0, Architecture.X86_64, Resources(100, 100)),
        NodeGroup("cards", 2, Architecture.ARM64, Resources(8, 8, 0, 4), "Ascend910B"),
    ),
)
NODES = ["a-00001", "a-00002", "a-00003", "cards-00001", "cards-00002"]
PROFILE = Profile(launch_latency_ms=5, typical_runtime_ms=40, failure_probability=0.3)


def launch(
    run_id: str, per_task: Resources, *nodes: str, estimated_ms: int = 0, max_runtime_ms: int = 0
) -> Launch:
    need = Requirements(per_task, tasks=len(nodes))
    return Launch(run_id, "w", "n", need, Program(("true",)), nodes, max_runtime_ms, estimated_ms)


@dataclass(frozen=True)
class Step:
    """At `at_ms` after the step before: launch these, stop those."""

    after_ms: int
    launches: tuple[Launch, ...] = ()
    stops: tuple[str, ...] = ()


FEWER = settings(max_examples=50, deadline=None)  # a story has many steps, and each step is checked

run_ids = st.integers(0, 15).map("r{}".format)
amounts = st.builds(Resources, st.integers(1, 5), st.integers(0, 5), st.integers(0, 12), st.integers(0, 2))
launches = st.builds(
    lambda run_id, need, nodes, estimate, limit: launch(
        run_id, need, *nodes, estimated_ms=estimate, max_runtime_ms=limit
    ),
    run_ids,
    amounts,
    st.lists(st.sampled_from([*NODES, "unknown-00001"]), min_size=1, max_size=4),
    st.sampled_from([0, 0, 1, 30, 200]),
    st.sampled_from([0, 0, 1, 50]),
)
steps = st.lists(
    st.builds(
        Step,
        st.integers(0, 60),
        st.lists(launches, max_size=4).map(tuple),
        st.lists(run_ids, max_size=2).map(tuple),
    ),
    max_size=12,
)


def free_of(pool: SimulatedPool) -> list[tuple[int, int, int]]:
    return [(f.cpu_milli, f.memory_bytes, f.accelerator_milli) for f in map(pool.room.free, NODES)]


def play(pool: SimulatedPool, story: Sequence[Step]) -> list[list[RunReport]]:
    """Plays the story; returns the changes of each step."""
    now, history = 0, []
    for step in story:
        now += step.after_ms
        pool.launch(step.launches, now)
        pool.stop([Stop(run_id) for run_id in step.stops], now)
        history.append(pool.take_changes())
    return history


@FEWER
@given(steps)
def test_no_node_is_ever_over_capacity_and_what_is_free_plus_what_is_taken_is_the_whole(story: list[Step]) -> None:
    pool = SimulatedPool(SMALL, PROFILE, seed=7)
    whole, now = free_of(pool), 0
    taken: dict[str, Launch] = {}
    for step in story:
        now += step.after_ms
        results = pool.launch(step.launches, now)
        for item, result in zip(step.launches, results, strict=True):
            if isinstance(result, RunReport) and result.state is RunState.STARTING:
                taken.setdefault(item.run_id, item)
        pool.stop([Stop(run_id) for run_id in step.stops], now)
        for report in pool.take_changes():
            if report.state.is_final:
                taken.pop(report.run_id, None)
        for i, node in enumerate(NODES):
            used = [item.requirements.per_task for item in taken.values() for name in item.nodes if name == node]
            free = pool.room.free(node)
            assert not free.is_negative
            assert whole[i] == (
                free.cpu_milli + sum(u.cpu_milli for u in used),
                free.memory_bytes + sum(u.memory_bytes for u in used),
                free.accelerator_milli + sum(u.accelerator_milli for u in used),
            )
        disk = sum(item.requirements.total.disk_bytes for item in taken.values())
        assert pool.room.free_disk_bytes == SMALL.disk_bytes - disk >= 0


@FEWER
@given(steps)
def test_every_accepted_run_ends_each_change_is_allowed_and_reported_once(story: list[Step]) -> None:
    pool = SimulatedPool(SMALL, PROFILE, seed=7)
    whole = free_of(pool)
    histories: dict[str, list[RunState]] = {}
    for changes in play(pool, story):
        for report in changes:
            histories.setdefault(report.run_id, []).append(report.state)
    pool.advance(10**9)
    for report in pool.take_changes():
        histories.setdefault(report.run_id, []).append(report.state)
    for history in histories.values():
        assert history[-1].is_final
        assert len(history) == len(set(history)), "a run id is never started twice"
        assert all(after in RUN_TRANSITIONS[before] for before, after in pairwise(history))
    assert pool.next_due_ms is None
    assert pool.active_runs == 0
    assert free_of(pool) == whole


@FEWER
@given(steps, st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_history(story: list[Step], seed: int) -> None:
    once = play(SimulatedPool(SMALL, PROFILE, seed), story)
    assert play(SimulatedPool(SMALL, PROFILE, seed), story) == once


@FEWER
@given(steps, st.integers(0, 12))
def test_a_pool_restored_from_its_fates_goes_on_as_if_nothing_had_happened(story: list[Step], cut: int) -> None:
    unbroken, broken = SimulatedPool(SMALL, PROFILE, 7), SimulatedPool(SMALL, PROFILE, 7)
    before, after = story[:cut], story[cut:]
    play(unbroken, before)
    play(broken, before)
    now = sum(step.after_ms for step in before)
    restored = SimulatedPool(SMALL, PROFILE, 7)
    for fate in broken.fates():
        restored.restore(fate, now)
    assert free_of(restored) == free_of(unbroken)
    shifted = [Step(now, ()), *after]  # both clocks go on from the cut
    assert _by_run(play(restored, shifted)) == _by_run(play(unbroken, shifted))


def _by_run(history: list[list[RunReport]]) -> list[dict[str, list[RunReport]]]:
    """Changes of one step, by run: between runs whose timers fall together a restart may change the order."""
    return [
        {run_id: [r for r in changes if r.run_id == run_id] for run_id in {r.run_id for r in changes}}
        for changes in history
    ]


def test_time_that_runs_backwards_changes_nothing() -> None:
    pool = SimulatedPool(SMALL, PROFILE, seed=7)
    pool.launch([launch("early", Resources(1, 1), "a-00001")], 0)
    pool.advance(10**6)
    pool.take_changes()
    pool.advance(0)
    assert pool.take_changes() == []
    (result,) = pool.launch([launch("late", Resources(1, 1), "a-00001")], 0)
    assert isinstance(result, RunReport)
    pool.advance(10**6)
    assert pool.next_due_ms is not None and pool.next_due_ms > 10**6


def test_a_run_takes_as_long_as_was_estimated() -> None:
    pool = SimulatedPool(SMALL, replace(PROFILE, failure_probability=0), seed=1)
    pool.launch([launch("r", Resources(1, 1), "a-00001", estimated_ms=250)], 1000)
    pool.advance(10_000)
    report = pool.inspect("r")
    assert report == RunReport("r", RunState.SUCCEEDED, ("a-00001",), 0, "", 1005, 1255)


def test_a_faster_pool_shortens_durations_and_keeps_the_clock() -> None:
    pool = SimulatedPool(SMALL, Profile(launch_latency_ms=1000, speed=10), seed=1)
    pool.launch([launch("r", Resources(1, 1), "a-00001", estimated_ms=60_000)], 5_000)
    pool.advance(100_000)
    report = pool.inspect("r")
    assert report is not None
    assert (report.started_ms, report.ended_ms) == (5_100, 11_100)


@pytest.mark.parametrize(
    ("probability", "failures"), [(0.0, range(1)), (0.2, range(120, 281)), (1.0, range(1000, 1001))]
)
def test_runs_fail_as_often_as_the_profile_says(probability: float, failures: range) -> None:
    roomy = replace(SMALL, node_groups=(NodeGroup("n", 1000, Architecture.X86_64, Resources(4, 8)),))
    pool = SimulatedPool(roomy, Profile(failure_probability=probability), seed=3)
    pool.launch([launch(f"r{i}", Resources(1, 1), f"n-{i + 1:05d}") for i in range(1000)], 0)
    pool.advance(10**9)
    ended = [r for r in pool.take_changes() if r.state.is_final]
    assert len(ended) == 1000
    assert sum(r.state is RunState.FAILED for r in ended) in failures


def test_a_whole_node_is_refused_to_a_second_run_until_the_first_has_ended() -> None:
    pool = SimulatedPool(SMALL, replace(PROFILE, failure_probability=0), seed=1)
    first = launch("first", Resources(4, 1), "a-00001", estimated_ms=10)
    second = launch("second", Resources(1, 1), "a-00001")
    assert isinstance(pool.launch([first], 0)[0], RunReport)
    refused = pool.launch([second], 14)[0]
    assert isinstance(refused, Refusal)
    assert refused.code is RefusalCode.RESOURCE_EXHAUSTED
    assert isinstance(pool.launch([second], 15)[0], RunReport)


def test_a_gang_that_does_not_fit_as_a_whole_takes_nothing() -> None:
    pool = SimulatedPool(SMALL, PROFILE, seed=1)
    before = free_of(pool)
    gang = launch("gang", Resources(3, 1), "a-00001", "a-00002", "a-00002")
    assert isinstance(pool.launch([gang], 0)[0], Refusal)
    assert free_of(pool) == before


def test_a_run_whose_node_left_the_declaration_is_lost_at_the_restart() -> None:
    pool = SimulatedPool(SMALL, PROFILE, seed=1)
    pool.launch([launch("r", Resources(1, 1), "cards-00002", estimated_ms=1000)], 0)
    shrunk = SimulatedPool(replace(SMALL, node_groups=SMALL.node_groups[:1]), PROFILE, seed=1)
    for fate in pool.fates():
        shrunk.restore(fate, 10)
    report = shrunk.inspect("r")
    assert report is not None
    assert report.state is RunState.LOST
    assert report.message


def test_only_the_latest_endings_are_remembered_and_active_runs_always() -> None:
    pool = SimulatedPool(SMALL, Profile(launch_latency_ms=1), seed=1, remembered=3)
    pool.launch([launch("active", Resources(1, 1), "a-00001", estimated_ms=10**6)], 0)
    pool.stop([Stop(f"ghost-{i}") for i in range(5)], 0)
    assert [r.run_id for r in pool.runs("", 10).items] == ["active", "ghost-2", "ghost-3", "ghost-4"]


def test_a_hundred_thousand_nodes_are_listed_page_by_page() -> None:
    group = NodeGroup("n", 100_000, Architecture.ARM64, Resources(1000, 1000, 7, 1), "Ascend910B")
    pool = SimulatedPool(replace(SMALL, node_groups=(group,)), PROFILE, seed=1)
    key, seen = "", set()
    while True:
        page = pool.nodes(key, 10_000)
        seen |= {node.node_id for node in page.items}
        assert all(node.allocatable == Resources(1000, 1000, 0, 1) for node in page.items)
        key = page.next_key
        if not key:
            break
    assert len(seen) == 100_000
