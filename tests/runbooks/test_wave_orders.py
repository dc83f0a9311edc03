"""A wave and a site file become orders, one for each move group; what is missing is named, all of it, before."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.faults import Fault
from console.run_access import read_site_file
from inventory.model.calendar import Window
from inventory.model.system import Architecture, Disposition
from inventory.model.units import Resources
from scheduler.core.migration.moves import Move, MoveState, WaveMoves, plan_document, recorded_moves
from scheduler.runbooks.expansion import opening
from scheduler.runbooks.faults import RunbookRefused
from scheduler.runbooks.site import read_site, read_templates
from scheduler.runbooks.wave_orders import WaveOrder, wave_orders
from tests.runbooks.runbooks import T0, a_template, as_yaml

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "migration"
WINDOW = Window("w1", datetime(2026, 10, 2, 22), datetime(2026, 10, 3, 6))
PAPERS = {name: {"number": "示例〔2026〕1号"} for name in ("ledger_row", "disposition", "plan", "rollback_plan")}


def a_move(key: str, **changes: Any) -> Move:
    fields: dict[str, Any] = {
        "plan_key": key,
        "system_key": key,
        "disposition": Disposition.REHOST,
        "merged_into": "",
        "pool_id": "gov-a",
        "architecture": Architecture.X86_64,
        "need": Resources(4000, 2**33, 2**36, 0),
    }
    return Move(**(fields | changes))


def a_wave(**groups: tuple[Move, ...]) -> WaveMoves:
    return WaveMoves("P1", 1, WINDOW, groups)


def a_site(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = {
        "version": 1,
        "runbooks": {"rehost": "rehost", "consolidate": "merge"},
        "people": {"competent_authority": ["张三"]},
        "documents": PAPERS,
        "parameters": {"place": "production"},
    }
    return document | changes


def runbooks(**changes: dict[str, Any]) -> dict[str, str]:
    """`rehost` and `merge`, with these keys changed."""
    log = Path("log")
    plain = {"rehost": a_template(log), "merge": {**a_template(log), "name": "merge", "outcome": "merged"}}
    return {name: as_yaml({**template, **changes.get(name, {})}) for name, template in plain.items()}


def orders(
    site: dict[str, Any], moves: WaveMoves, **changes: Any
) -> tuple[tuple[WaveOrder, ...], tuple[str, ...]]:
    return wave_orders(read_site(json.dumps(site), "site"), read_templates(runbooks(**changes)), moves, T0)


def test_each_move_group_has_one_order_in_the_window_of_the_wave_china_time() -> None:
    made, waiting = orders(a_site(), a_wave(g1=(a_move("甲"), a_move("乙")), g2=(a_move("丙"),)))
    assert [[system.key for system in one.order.systems] for one in made] == [["甲", "乙"], ["丙"]]
    assert not waiting
    assert made[0].order.window.starts == datetime(2026, 10, 2, 14, tzinfo=UTC)
    assert all(opening(one.template, one.order)["systems"] for one in made)


def test_a_group_reserves_what_the_plan_counts_for_all_its_systems() -> None:
    template = a_template(Path("log"))
    hold = template["phases"]["provisioning"]["steps"][0]["do"]
    del hold["cpu_milli"], hold["memory_mib"]
    ((made,), _) = orders(a_site(), a_wave(g=(a_move("甲"), a_move("乙"))), rehost=template)
    (reserved,) = [step for step in opening(made.template, made.order)["steps"] if step["kind"] == "reserve"]
    assert (reserved["action"]["cpu_milli"], reserved["action"]["memory_mib"]) == (8000, 2 * 8192)


def test_a_rehearsal_begins_at_once_and_lasts_as_long() -> None:
    ((order,), _) = orders(a_site(rehearsal=True), a_wave(g=(a_move("甲"),)))
    window = order.order.window
    assert window.starts == datetime.fromtimestamp(T0 / 1000, UTC)
    assert window.ends - window.starts == WINDOW.ends - WINDOW.starts


def test_what_is_merged_waits_for_what_it_is_merged_into() -> None:
    merged = a_move("乙", disposition=Disposition.CONSOLIDATE, merged_into="甲")
    made, waiting = orders(a_site(), a_wave(g=(a_move("甲"), merged)))
    assert [one.order.runbook for one in made] == ["rehost"] and waiting == ("乙",)
    made, waiting = orders(a_site(), a_wave(g=(merged,)))
    assert [(one.key, one.is_target) for one in made[0].order.systems] == [("乙", False), ("甲", True)]
    assert not waiting


def test_the_plan_gives_the_pool_and_a_system_its_own_parameters() -> None:
    template = {"parameters": ["pool", "url"], "system_parameters": ["host"]}
    site = a_site(
        parameters={"url": "general", "other": "unused"},
        systems={"甲": {"parameters": {"url": "own", "host": "h1"}}, "乙": {"parameters": {"host": "h2"}}},
    )
    ((made,), _) = orders(site, a_wave(g=(a_move("甲"), a_move("乙"))), rehost=template)
    assert made.order.parameters == {"pool": "gov-a", "url": "own"}
    assert [system.parameters for system in made.order.systems] == [{"host": "h1"}, {"host": "h2"}]


@pytest.mark.parametrize(
    ("site", "moves", "words"),
    [
        pytest.param(
            a_site(runbooks={}),
            {"g": (a_move("甲"), a_move("乙"))},
            ("甲", "乙", "runbooks.rehost"),
            id="no runbook",
        ),
        pytest.param(
            a_site(), {"g": (a_move("甲", disposition=None),)}, ("甲", "runbooks.?"), id="no disposition"
        ),
        pytest.param(
            a_site(runbooks={"rehost": "other"}),
            {"g": (a_move("甲"),)},
            ("other",),
            id="a runbook that did not come",
        ),
        pytest.param(
            a_site(),
            {"g": (a_move("甲", disposition=Disposition.CONSOLIDATE),)},
            ("甲", "into which"),
            id="a merger into nothing",
        ),
        pytest.param(
            a_site(runbooks={"rehost": "rehost", "replatform": "second"}),
            {"g": (a_move("甲"), a_move("乙", disposition=Disposition.REPLATFORM))},
            ("甲", "乙", "rolls back as one"),
            id="two runbooks in one group",
        ),
        pytest.param(
            a_site(systems={"甲": {"parameters": {"url": "a"}}, "乙": {"parameters": {"url": "b"}}}),
            {"g": (a_move("甲"), a_move("乙"))},
            ("url", "another value"),
            id="two values of what a group shares",
        ),
        pytest.param(
            a_site(systems={"甲": {"parameters": {"ulr": "a"}}}),
            {"g": (a_move("甲"),)},
            ("ulr", "remove it"),
            id="a parameter that is misspelt",
        ),
        pytest.param(
            a_site(parameters={"pool": "elsewhere"}),
            {"g": (a_move("甲"),)},
            ("pool", "the plan's"),
            id="another pool",
        ),
        pytest.param(
            a_site(),
            {"g": (a_move("甲"), a_move("乙", pool_id="gov-b"))},
            ("gov-a、gov-b", "one for a group"),
            id="a group in two pools",
        ),
    ],
)
def test_what_is_missing_or_contradictory_is_named(
    site: dict[str, Any], moves: dict[str, tuple[Move, ...]], words: tuple[str, ...]
) -> None:
    templates = read_templates(runbooks(rehost={"parameters": ["pool", "url"]}))
    templates["second"] = templates["rehost"]
    with pytest.raises(RunbookRefused) as refused:
        wave_orders(read_site(json.dumps(site), "site"), templates, a_wave(**moves), T0)
    assert all(word in str(refused.value) for word in words), str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "version: 2",
        "version: 1\nrunbooks: {guess: x}",
        "version: 1\npeople: {boss: [a]}",
        "version: 1\nmore: 1",
        "[]",
    ],
)
def test_a_site_file_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(RunbookRefused, match="site"):
        read_site(text, "site")


@settings(deadline=None, max_examples=20)
@given(st.lists(st.sampled_from(["g1", "g2", "g3"]), min_size=1, max_size=9))
def test_every_system_is_in_exactly_one_order_and_groups_stay_whole(groups: list[str]) -> None:
    moves: dict[str, tuple[Move, ...]] = {}
    for number, group in enumerate(groups):
        moves[group] = (*moves.get(group, ()), a_move(f"系统{number}"))
    made, _ = orders(a_site(), a_wave(**moves))
    assert [one.members for one in made] == list(moves.values())
    for one in made:
        said = json.loads(json.dumps(plan_document(a_wave(**moves), one.members)))
        again = recorded_moves("R1", said, MoveState.MOVING)
        assert [(move.plan_key, move.need) for move in again] == [
            (move.plan_key, move.need) for move in one.members
        ]


def test_the_example_for_rehearsals_starts_any_wave() -> None:
    text, texts = read_site_file(EXAMPLES / "rehearsal-site.yaml")
    moves = a_wave(g=tuple(a_move(word.value, disposition=word) for word in list(Disposition)[:5]))
    made, _ = wave_orders(read_site(text, "site"), read_templates(texts), moves, T0)
    assert len(made) == 1 and opening(made[0].template, made[0].order)["outcome"] == "migrated"


def test_the_example_of_a_site_is_complete_for_the_system_that_it_tells_of() -> None:
    text, texts = read_site_file(EXAMPLES / "site.yaml")
    made, _ = wave_orders(
        read_site(text, "site"), read_templates(texts), a_wave(g=(a_move("区示例局/门户网站"),)), T0
    )
    assert opening(made[0].template, made[0].order)["secrets"]["old_database"]["file"]


def test_a_site_file_that_names_a_runbook_that_is_no_file_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("version: 1\nrunbooks: {rehost: nowhere.yaml}", encoding="utf-8")
    with pytest.raises(Fault, match=r"nowhere\.yaml"):
        read_site_file(path)
