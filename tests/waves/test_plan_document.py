"""The JSON form of a plan: it comes back the same, and a faulty one is refused in words."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from inventory.model.calendar import Freeze
from inventory.model.migration import Declarations, FreezeOverride, WavePlan
from inventory.model.system import Zone
from scheduler.core.waves.check import PlanRule, check_plan
from scheduler.core.waves.document import PlanUnreadable, read_plan, write_plan
from scheduler.core.waves.greedy import plan_waves
from tests.waves.estates import WITHOUT_PILOTS, a_problem, a_system, days_only, key

SETTINGS = replace(WITHOUT_PILOTS, systems_per_window=1)


def a_full_plan() -> WavePlan:
    """With a split, a system without a pool, one left out, and every kind of declaration."""
    systems = [
        a_system("甲", "乙"),
        a_system("乙", "甲"),
        a_system("丙", zone=Zone.INTRANET),
        a_system("丁", migrated=True),
        a_system("戊"),
    ]
    freeze = Freeze("演练", date(2026, 3, 20), date(2026, 3, 20), "通知", overridable_by="指挥长")
    declarations = Declarations(
        groups=(frozenset({key("戊")}),),
        contract_ends={key("戊"): date(2026, 4, 1)},
        freeze_overrides=(FreezeOverride("演练", "张三", "1号", "急", frozenset({key("戊")})),),
    )
    problem = a_problem(systems, (), SETTINGS, days_only(SETTINGS, [freeze]), declarations)
    plan = plan_waves(problem, 3)
    assert check_plan(problem, plan) == ()
    assert plan.splits and plan.unplaced and plan.left_out and plan.notes and plan.declarations.groups
    return plan


def test_a_plan_comes_back_as_it_was() -> None:
    plan = a_full_plan()
    assert read_plan(write_plan(plan)) == plan


DOCUMENTATION = Path(__file__).parents[2] / "docs" / "waves.md"


def test_the_documented_example_is_a_plan_and_every_rule_is_documented() -> None:
    text = DOCUMENTATION.read_text(encoding="utf-8")
    example = re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert example is not None
    (wave,) = read_plan(example[1]).waves
    assert wave.system_keys == ("区示例局/门户",)
    assert [rule for rule in PlanRule if f"`{rule}`" not in text] == []


def test_the_text_is_the_same_each_time_and_keeps_chinese_readable() -> None:
    text = write_plan(a_full_plan())
    assert text == write_plan(a_full_plan())
    assert "循环依赖" in text and json.loads(text)["version"] == 1


def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(write_plan(a_full_plan()))
    return loaded


def put(*path: str | int, value: object) -> Callable[[dict[str, Any]], None]:
    def change(whole: dict[str, Any]) -> None:
        target: Any = whole
        for step in path[:-1]:
            target = target[step]
        target[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(put("version", value=2), "version = 2", id="an unknown version"),
        pytest.param(put("colour", value="red"), "colour", id="an unknown field"),
        pytest.param(
            put("assignments", 0, "wave", value=0), "assignments.0.wave = 0", id="a wave number below one"
        ),
        pytest.param(put("assignments", 0, "wave", value="x"), "'x'", id="a wave number that is none"),
        pytest.param(put("unplaced", 0, "rule", value="lazy"), "unplaced.0.rule = 'lazy'", id="an unknown rule"),
        pytest.param(put("windows", 0, "starts", value="soon"), "windows.0.starts", id="a time that is none"),
        pytest.param(put("settings", "horizon_weeks", value=0), "horizon_weeks=0", id="a setting out of bounds"),
    ],
)
def test_a_faulty_document_is_refused_with_place_and_value(
    change: Callable[[dict[str, Any]], None], says: str
) -> None:
    whole = document()
    change(whole)
    with pytest.raises(PlanUnreadable) as fault:
        read_plan(json.dumps(whole))
    assert says in str(fault.value) and "\n" not in str(fault.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", b"\xff\xfe", '{"version": 1}'])
def test_what_is_no_plan_is_refused_without_a_traceback_type_of_its_own(text: str | bytes) -> None:
    with pytest.raises(PlanUnreadable, match="计划文件"):
        read_plan(text)


def test_a_time_with_a_zone_is_refused_because_plans_are_in_local_time() -> None:
    whole = document()
    put("windows", 0, "starts", value="2026-03-20T22:00:00Z")(whole)
    with pytest.raises(PlanUnreadable, match=r"windows\.0\.starts"):
        read_plan(json.dumps(whole))


def test_a_settings_field_that_is_missing_is_named() -> None:
    whole = document()
    del whole["settings"]["systems_per_window"]
    with pytest.raises(PlanUnreadable, match="systems_per_window"):
        read_plan(json.dumps(whole))
