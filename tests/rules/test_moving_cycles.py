"""Cycles and the critical path are about what has still to move, and a move group needs no bridge inside itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from inventory.intake import Intake
from inventory.ledger import read_ledger
from inventory.model.system import Disposition, Ownership, System
from inventory.store.event_store import Store
from scheduler.services.assessment_desk import AssessmentDesk
from scheduler.services.assessment_ports import MeasuredUpload
from scheduler.store.opening import open_store
from tests.rules.conftest import NOVEMBER
from tests.services.ledgers import a_system, a_workbook

GIB = 1024**3


@pytest.fixture
def analysed(tmp_path: Path) -> Iterator[Any]:
    """Analyses a ledger of these systems, with this traffic seen: "甲,乙" -> bytes."""
    opened: list[Store] = []

    def analyse(systems: Sequence[System], flows: dict[str, int] | None = None) -> dict[str, Any]:
        store = open_store(f"sqlite:///{tmp_path / f'{len(opened)}.db'}")
        opened.append(store)
        reading = read_ledger(a_workbook(systems), "台账.xlsx")
        Intake(store).import_reading(
            reading, filename="台账.xlsx", sender="区示例局", actor="张三", now_ms=NOVEMBER
        )
        desk = AssessmentDesk(store, lambda: NOVEMBER)
        if flows:
            rows = "\n".join(f"{pair},{size}" for pair, size in flows.items())
            content = f"source,target,bytes\n{rows}\n".encode()
            desk.take_traffic(MeasuredUpload("流量.csv", content, "李四"))
        return dict(desk.dependencies(""))

    yield analyse
    for store in opened:
        store.close()


def test_the_cheapest_bridge_is_where_the_least_traffic_crosses(analysed: Any) -> None:
    ring = [a_system("甲", deps=("乙",)), a_system("乙", deps=("丙",)), a_system("丙", deps=("甲",))]
    (cycle,) = analysed(ring, {"甲,乙": 90 * GIB, "乙,丙": 2 * GIB, "丙,甲": 40 * GIB})["cycles"]
    assert [(one["user"], one["used"], one["cost"]) for one in cycle["bridges"]] == [("乙", "丙", 3)]
    assert cycle["is_least"] and cycle["order"][0] == "乙"


def test_systems_on_one_database_move_together_and_need_no_bridge(analysed: Any) -> None:
    pair = [
        a_system("甲", deps=("乙",), database_instance="库1"),
        a_system("乙", deps=("甲",), database_instance="库1"),
    ]
    found = analysed(pair)
    assert found["cycles"] == []
    assert [sorted(group["members"]) for group in found["move_groups"]] == [sorted(["甲", "乙"])]


def test_a_cycle_may_run_through_a_group_and_each_dependency_that_is_bridged_is_named(analysed: Any) -> None:
    systems = [
        a_system("甲", deps=("丙",), database_instance="库1"),
        a_system("乙", database_instance="库1"),
        a_system("丙", deps=("乙",)),
    ]
    (cycle,) = analysed(systems, {"甲,丙": GIB, "丙,乙": 9 * GIB})["cycles"]
    assert sorted(cycle["members"]) == sorted(["甲", "乙", "丙"])
    assert [(one["user"], one["used"], one["cost"]) for one in cycle["bridges"]] == [("甲", "丙", 2)]


def test_the_critical_path_counts_a_group_once_and_leaves_out_what_moves_no_more(analysed: Any) -> None:
    systems = [
        a_system("甲", deps=("乙",)),
        a_system("乙", database_instance="库1"),
        a_system("丙", deps=("丁",), database_instance="库1", disk_gb=2048),
        a_system("丁"),
        a_system("戊", deps=("甲",), migrated=True),
        a_system("己", deps=("甲",), ownership=Ownership.VERTICAL),
        a_system("庚", deps=("甲",), classified=True, should_migrate=None),
        a_system("辛", deps=("甲",), disposition=Disposition.RETIRE, should_migrate=False),
    ]
    path = analysed(systems)["critical_path"]
    assert [sorted(step) for step in path["steps"]] == [["丁"], sorted(["乙", "丙"]), ["甲"]]
    assert path["days"] == 1 + (1 + 2) + 1
