"""The real inputs: district-a, its answer key, and the sample pools give a plan without a violation."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from inventory.freezes import read_operations_calendar
from inventory.ledger.read import read_ledger
from inventory.model.migration import UnplacedRule, WaveSettings
from inventory.model.pool import Pool
from inventory.model.system import AcceleratorDemand, Architecture, Disposition, Ownership, System, Zone
from inventory.pool_catalogue import read_pools
from scheduler.core.waves.check import check_plan
from scheduler.core.waves.estate import build_problem
from scheduler.core.waves.greedy import plan_waves
from tests.shared_inputs import REPOSITORY, needs_shared, shared_path

KEY = shared_path("ledger", "district-a.expected.json")
SETTINGS = WaveSettings(starts_on=date(2026, 1, 5))


def sample_pools() -> tuple[Pool, ...]:
    return read_pools(shared_path("pools-sample.csv"), shared_path("pool-node-groups-sample.csv"))


def example_pools() -> tuple[Pool, ...]:
    folder = REPOSITORY / "examples" / "pools"
    return read_pools(folder / "pools.csv", folder / "node-groups.csv")


def district() -> list[System]:
    """The answer key as the ledger reader gives it: the planner's test does not stand on the reader."""
    return [_system(row) for row in json.loads(KEY.read_text(encoding="utf-8"))["systems"]]


def _system(row: dict[str, Any]) -> System:
    kinds = {"ownership": Ownership, "zone": Zone, "arch": Architecture, "disposition": Disposition}
    typed = {name: kind(row[name]) if row[name] is not None else None for name, kind in kinds.items()}
    gpu = AcceleratorDemand(**row["gpu"]) if row["gpu"] else None
    return System(**{**row, **typed, "deps": tuple(row["deps"]), "gpu": gpu})


def as_if_nothing_had_moved(system: System) -> System:
    """Everything that is neither closed, kept nor classified is to be moved."""
    return replace(
        system,
        migrated=False,
        should_migrate=system.should_migrate is not False,
        disposition=system.disposition or Disposition.REHOST,
    )


@needs_shared("ledger", "district-a.expected.json")
def test_the_one_system_of_district_a_that_has_not_moved_is_planned() -> None:
    calendar = read_operations_calendar(SETTINGS.starts_on, SETTINGS.horizon_weeks)
    problem = build_problem(district(), sample_pools(), calendar, SETTINGS)
    plan = plan_waves(problem, 1)
    assert check_plan(problem, plan) == ()
    (only,) = plan.assignments
    assert (only.system_name, only.pool_id) == ("政务服务管理办公室人员信息管理系统", "cq-inner")
    assert only.window_id == "W2026-01-30"  # the municipal sessions are over
    assert len(plan.left_out) == 126


@needs_shared("ledger", "district-a.expected.json")
def test_the_workbook_itself_leads_to_the_same_plan_as_its_answer_key() -> None:
    workbook = KEY.with_name("district-a.xlsx")
    reading = read_ledger(workbook.read_bytes(), workbook.name)
    calendar = read_operations_calendar(SETTINGS.starts_on, SETTINGS.horizon_weeks)
    plans = [
        plan_waves(build_problem(systems, sample_pools(), calendar, SETTINGS), 1)
        for systems in (reading.systems, district())
    ]
    assert plans[0].assignments == plans[1].assignments
    assert [out.system_key for out in plans[0].left_out] == [out.system_key for out in plans[1].left_out]


@needs_shared("ledger", "district-a.expected.json")
@pytest.mark.parametrize("pools", [sample_pools, example_pools], ids=["sample pools", "example pools"])
def test_the_whole_district_is_planned_when_nothing_has_moved_yet(pools: Any) -> None:
    calendar = read_operations_calendar(SETTINGS.starts_on, SETTINGS.horizon_weeks)
    systems = [as_if_nothing_had_moved(system) for system in district()]
    problem = build_problem(systems, pools(), calendar, SETTINGS)
    plan = plan_waves(problem, 1)
    assert check_plan(problem, plan) == ()
    assert len(plan.assignments) == 93
    # 教委视频监控平台 wants Ascend cards on x86_64 hosts of the dedicated network: no pool has that.
    assert {each.rule for each in plan.unplaced} == {UnplacedRule.NO_POOL, UnplacedRule.GROUP_HELD}


def test_the_example_pools_cover_every_zone_and_both_architectures() -> None:
    pools = example_pools()
    assert sorted(pool.adapter for pool in pools) == ["local", "simulated", "simulated"]
    targets = [pool for pool in pools if pool.adapter == "simulated"]
    assert frozenset().union(*(pool.zones for pool in targets)) == set(Zone)
    assert frozenset().union(*(pool.architectures for pool in targets)) >= {
        Architecture.X86_64,
        Architecture.ARM64,
    }
    assert {pool.protection_level for pool in targets} == {3}
    assert "Ascend910B" in {pool.accelerator for pool in targets}
    assert all(pool.name.startswith("示例") for pool in pools)
