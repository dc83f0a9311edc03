"""Planners' questions on scenarios whose answers can be worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from simulations.metrics.result import Result
from simulations.questions.comparison import compare
from simulations.questions.lost_pool import lose_each_pool
from simulations.questions.saturation import GrowthPlan, saturation
from simulations.questions.smallest_capacity import Limit, smallest_capacity
from simulations.scenarios.cell import Cell, cells
from simulations.scenarios.form import Scenario
from simulations.scenarios.reading import parse_scenario

HERE = Path()

# Sixteen jobs of four processors and a minute arrive at once.
BURST = """
name: burst
traces: {burst: {jobs: [{id: j, at: 0s, runtime: 60s, estimate: 60s, cpu: 4, count: 16}]}}
capacities:
  two: {pools: [{id: big, nodes: [{count: 3, cpu: 4, memory: 8Gi}]}, {id: small, nodes: [{count: 1, cpu: 4, memory: 8Gi}]}]}
"""


def ask(cells: Sequence[Cell]) -> list[Result]:
    return [cell.prepare().result(cell.trace()) for cell in cells]


def scenario(text: str, **changes: Any) -> Scenario:
    return parse_scenario({**yaml.safe_load(text), **changes}, "s.yaml")


def test_losing_a_pool_shows_what_it_costs() -> None:
    """Sixteen minutes of work: four nodes need four rounds, three six, one sixteen; the last round begins a minute
    before the end, and the p95 of sixteen waits is the sixteenth."""
    nothing, big, small = lose_each_pool(scenario(BURST), HERE, "v", ask)
    assert [loss.pool_id for loss in (nothing, big, small)] == ["", "big", "small"]
    waits = [loss.values["wait_p95"].mean for loss in (nothing, big, small)]
    assert waits == [180, 900, 300]
    assert big.differences["wait_p95"].mean == 720
    assert nothing.differences == {}


def test_jobs_that_only_the_lost_pool_can_hold_are_counted() -> None:
    jobs = [{"id": "a", "at": "0s", "runtime": "1s", "cpu": 8}, {"id": "b", "at": "0s", "runtime": "1s", "cpu": 2}]
    pools = [
        {"id": p, "nodes": [{"count": 1, "cpu": n, "memory": "8Gi"}]} for p, n in (("large", 8), ("little", 2))
    ]
    asked = scenario(BURST, traces={"t": {"jobs": jobs}}, capacities={"c": {"pools": pools}})
    lost = {loss.pool_id: loss.values["jobs_unplaceable"].mean for loss in lose_each_pool(asked, HERE, "v", ask)}
    assert lost == {"": 0, "large": 1, "little": 0}


def test_a_single_pool_cannot_be_lost() -> None:
    one = {"pools": [{"id": "p", "nodes": [{"count": 1, "cpu": 4, "memory": "8Gi"}]}]}
    with pytest.raises(ValueError, match="one pool p"):
        lose_each_pool(scenario(BURST, capacities={"c": one}), HERE, "v", ask)


@pytest.mark.parametrize(
    ("seconds", "nodes"),
    [
        (0, 16),  # nobody waits: a node for each job
        (60, 8),  # two rounds
        (120, 6),  # three rounds of at least sixteen in sum
        (900, 1),  # sixteen rounds on the one node that is left when the other pool is away
    ],
)
def test_the_smallest_capacity_is_found(seconds: float, nodes: int) -> None:
    pool = {"pools": [{"id": "p", "nodes": [{"count": 4, "cpu": 4, "memory": "8Gi"}]}]}
    asked = scenario(BURST, capacities={"c": pool})
    found = smallest_capacity(asked, HERE, "v", ask, Limit("wait_p95", seconds))
    assert found.best is not None and found.best.nodes == nodes
    assert all(one.is_enough == (one.nodes >= nodes) for one in found.tried)


def test_only_one_pool_may_be_resized() -> None:
    found = smallest_capacity(scenario(BURST), HERE, "v", ask, Limit("wait_p95", 60), "small")
    assert (
        found.best is not None and found.best.nodes == 5
    )  # with the three of the other pool: two rounds of eight


def test_a_limit_that_no_capacity_keeps_has_no_answer() -> None:
    """A job that fits on no node is left out at every size."""
    jobs = [{"id": "huge", "at": "0s", "runtime": "1s", "cpu": 5}]
    found = smallest_capacity(scenario(BURST, traces={"t": {"jobs": jobs}}), HERE, "v", ask, Limit("wait_p95", 60))
    assert found.best is None and found.tried[-1].scale == 64


def test_an_unknown_pool_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="there are big, small"):
        smallest_capacity(scenario(BURST), HERE, "v", ask, Limit("wait_p95", 60), "middle")


# A job of one processor every second for three hundred seconds, each for five: five of ten processors are busy.
STEADY = """
name: steady
traces: {steady: {jobs: [{id: j, at: 0s, runtime: 5s, cpu: 1, memory: 1Gi, count: 300, every: 1s}]}}
capacities: {c: {pools: [{id: p, nodes: [{count: 1, cpu: 10, memory: 64Gi}]}]}}
"""


def test_a_pool_that_is_half_full_saturates_when_demand_has_nearly_doubled() -> None:
    """At 100 % growth a year demand doubles in 365 days; with the spread of arrivals 95 % is reached before."""
    found = saturation(scenario(STEADY), HERE, "v", ask, GrowthPlan(yearly=1.0, days=730, every=182))
    day = found.days["p"]
    assert day is not None and 120 < day < 365
    assert found.levels[0].day == 0 and found.levels[0].loads["p"] == pytest.approx(0.5, abs=0.11)
    assert [level.loads["p"] >= 0.95 for level in found.levels] == [False] * (len(found.levels) - 1) + [True]


def test_demand_that_does_not_grow_saturates_nothing() -> None:
    found = saturation(scenario(STEADY), HERE, "v", ask, GrowthPlan(yearly=0.0, days=100, every=100))
    assert found.days == {"p": None} and len(found.levels) == 2


def test_policies_are_compared_seed_by_seed() -> None:
    policies = {"easy": {"backfill": "easy"}, "fcfs": {"backfill": "none"}}
    jobs = [
        {"id": "wide", "at": "0s", "runtime": "60s", "estimate": "60s", "cpu": 3},
        {"id": "next", "at": "1s", "runtime": "60s", "estimate": "60s", "cpu": 4},
        {"id": "short", "at": "2s", "runtime": "10s", "estimate": "10s", "cpu": 1},
    ]
    pools = [{"id": "p", "nodes": [{"count": 1, "cpu": 4, "memory": "8Gi"}]}]
    asked = scenario(
        BURST, traces={"t": {"jobs": jobs}}, capacities={"c": {"pools": pools}}, policies=policies, seeds="0-2"
    )
    (setting,) = compare(ask(list(cells(asked, ".", "v"))), ("wait_mean", "jain"), base="fcfs")
    easy, fcfs = sorted(setting.rows, key=lambda row: row.policy)
    assert setting.judged is not None and (setting.judged.best, setting.judged.metric.key) == ("easy", "wait_mean")
    assert easy.values["wait_mean"].seeds == 3
    assert fcfs.values["wait_mean"].mean - easy.values["wait_mean"].mean == pytest.approx(118 / 3)
    assert easy.differences["wait_mean"].mean == pytest.approx(-118 / 3)
    assert fcfs.differences == {}
    with pytest.raises(ValueError, match="there are easy, fcfs"):
        compare(ask(list(cells(asked, ".", "v"))), ("wait_mean",), base="x")
