"""What a wave plan does to the pools, on a plan small enough to work out by hand."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from inventory.model.units import GIB, Resources
from inventory.model.workload import Requirements
from simulations.questions.wave_plan import Landing, wave_impact
from simulations.scenarios.cell import Cell, cells
from simulations.scenarios.fields import DAY
from simulations.scenarios.reading import parse_scenario

POOLS = """
name: waves
traces: {day: {jobs: [{id: batch, at: 0s, runtime: 1h, estimate: 1h, cpu: 10, memory: 1Gi, count: 40, every: 6h}]}}
capacities:
  c:
    pools:
      - {id: a, nodes: [{count: 2, cpu: 10, memory: 64Gi}]}
      - {id: b, nodes: [{count: 1, cpu: 10, memory: 64Gi}]}
"""


def the_cell(**changes: Any) -> Cell:
    (cell,) = cells(parse_scenario({**yaml.safe_load(POOLS), **changes}, "s"), ".", "v")
    return cell


def landing(key: str, wave: int, day: int, cpus: int, pool: str, servers: int = 1) -> Landing:
    needs = Requirements(Resources(cpus * 1000, GIB), servers, pools=frozenset({pool}))
    return Landing(key, wave, day * DAY, needs)


def test_each_wave_fills_the_pools_further() -> None:
    plan = [landing("s1", 1, 1, 5, "a"), landing("s2", 1, 1, 5, "b"), landing("s3", 2, 8, 5, "a", servers=2)]
    impact = wave_impact(the_cell(traces={"t": {"jobs": [{"id": "x", "at": "0s", "runtime": "1s"}]}}), plan)
    assert [(one.wave, one.started, one.waiting, one.nowhere) for one in impact.waves] == [
        (1, 2, 0, 0),
        (2, 1, 0, 0),
    ]
    assert [one.shares for one in impact.waves] == [{"a": 0.25, "b": 0.5}, {"a": 0.75, "b": 0.5}]
    assert impact.before == {"a": 0, "b": 0} and impact.stuck == ()


def test_systems_that_find_no_room_are_named() -> None:
    plan = [landing("fits", 1, 1, 10, "b"), landing("late", 2, 8, 1, "b"), landing("huge", 2, 8, 11, "b")]
    impact = wave_impact(the_cell(traces={"t": {"jobs": [{"id": "x", "at": "0s", "runtime": "1s"}]}}), plan)
    assert [(one.started, one.waiting, one.nowhere) for one in impact.waves] == [(1, 0, 0), (0, 1, 1)]
    assert impact.stuck == ("late", "huge")


def test_the_jobs_that_are_there_wait_longer() -> None:
    """Jobs of ten processors come every six hours. From day 2 on no node has ten left: they wait until the end."""
    plan = [landing(f"s{i}", 1, 2, 1, pool, servers) for i, (pool, servers) in enumerate([("b", 1), ("a", 11)])]
    without, with_plan = wave_impact(the_cell(), plan).wait_p95 or (0, 0)
    assert without == 0 and with_plan > 3600


def test_a_plan_without_systems_is_refused() -> None:
    with pytest.raises(ValueError, match="has no systems"):
        wave_impact(the_cell(), [])
