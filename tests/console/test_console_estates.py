"""`xisuan migration plan|check|replan --estate`: an estate in a file, planned, edited, repaired and refused, without a ledger."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.console.commandline import xisuan
from tests.waves.estate_files import a_row, a_team, an_estate, window

LITTLE = ("--effort", "0.3")
TEAM = a_team("应用组", "应用")
ROWS = [a_row(name, skill="应用", minutes=300, daily_cost_cny=10) for name in "甲乙丙"]


def written(path: Path, estate: dict[str, Any]) -> Path:
    text = json.dumps(estate, ensure_ascii=False, default=lambda each: each.isoformat())
    path.write_text(text, encoding="utf-8")
    return path


def test_an_edit_is_scored_against_what_the_plan_was_worth(tmp_path: Path) -> None:
    estate, plan = written(tmp_path / "estate.json", an_estate(*ROWS, teams=[TEAM])), tmp_path / "plan.json"
    xisuan("migration", "plan", "--estate", estate, *LITTLE, "--json", plan).done()
    assert "finish 18，" in xisuan("migration", "check", plan, "--estate", estate).done().out
    document = json.loads(plan.read_text(encoding="utf-8"))
    moved = next(each for each in document["assignments"] if each["window_id"] == window(2))
    moved["window_id"] = document["windows"][2]["window_id"] = window(3)
    document["windows"][2]["starts"], document["windows"][2]["ends"] = "2026-03-27T22:00:00", "2026-03-28T06:00:00"
    edited = written(tmp_path / "edited.json", document)
    said = xisuan("migration", "check", edited, "--estate", estate).done().out
    assert "finish 25 (+7)" in said and "cost 400 (+70)" in said


def test_who_has_no_place_is_told_what_is_proven_and_what_stands_in_the_way(tmp_path: Path) -> None:
    late = a_row("迟", deadline="2026-03-05")
    estate = written(tmp_path / "estate.json", an_estate(*ROWS, late, teams=[TEAM]))
    xisuan("migration", "plan", "--estate", estate, *LITTLE).refused("迟 须在 2026-03-05 前完成", code=3)
    said = xisuan("migration", "plan", "--estate", estate, *LITTLE).out
    assert "（已证明不能更少" in said and "即使只迁它" in said and "deadline:迟" in said


def test_a_slip_that_cannot_be_repaired_is_answered_with_the_conflict(tmp_path: Path) -> None:
    rows = [*ROWS, a_row("丁", skill="应用", minutes=300)]
    estate, plan = written(tmp_path / "estate.json", an_estate(*rows, teams=[TEAM])), tmp_path / "plan.json"
    xisuan("migration", "plan", "--estate", estate, *LITTLE, "--json", plan).done()
    away = {**TEAM, "away": [{"first": "2026-03-13", "last": "2026-03-13", "reason": "培训"}]}
    slipped = written(tmp_path / "slipped.json", an_estate(*rows, teams=[away]))
    ask = ("migration", "replan", plan, "--estate", slipped, "--keep", window(0), *LITTLE)
    xisuan(*ask).refused("在保留约定的前提下无法安排", "培训", code=3)
    said = xisuan(*ask).out
    assert "1 个系统没有位置" in said and "队伍工时不足" in said and "到 2 人即可" in said


def test_a_contradiction_is_one_line_before_anything_starts(tmp_path: Path) -> None:
    out = tmp_path / "plan.json"
    for rows, says in (
        ([a_row("甲", minutes=-5)], "systems.0.minutes (甲) = -5"),
        ([a_row("甲", team="鬼")], "'鬼'"),
        ([a_row("甲", earliest="2026-05-01")], "[calendar_ends_early]"),
        ([a_row("甲", owner=" ")], "[no_owner]"),
    ):
        estate = written(tmp_path / "estate.json", an_estate(*rows))
        xisuan("migration", "plan", "--estate", estate, *LITTLE, "--json", out).refused(says)
        assert not out.exists()
