"""`xisuan migration`: planning from files without a service, and planning and starting waves through one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from console.home import Home
from scheduler.core.migration.run import Change, ChangeKind
from scheduler.runbooks.record import RunRecord
from scheduler.store.projection import pool_registered
from scheduler.store.scheduler_store import Batch
from tests.console.commandline import xisuan
from tests.console.conftest import Service
from tests.services.ledgers import a_pool
from tests.services.memory import NOW_MS
from tests.shared_inputs import shared_input

EXAMPLES = Path(__file__).parents[2] / "examples" / "pools"
REHEARSAL = EXAMPLES.parent / "migration" / "rehearsal-site.yaml"
POOL_FILES = ("--pools", EXAMPLES / "pools.csv", "--node-groups", EXAMPLES / "node-groups.csv")
START = ("--start", "2026-04-13", "--cap", "1")


@pytest.fixture
def estate(home: Home, workbook: Path) -> Home:
    """The ledger of five systems in a home without a service."""
    xisuan("ledger", "import", workbook, "--sender", "示例区").done()
    return home


@pytest.fixture
def served_estate(service: Service, workbook: Path) -> Service:
    """The same in a home whose service has one pool."""
    xisuan("ledger", "import", workbook, "--sender", "示例区").done()
    service.store.record(Batch([pool_registered(a_pool(), "127.0.0.1:7701")]), actor="test", now_ms=NOW_MS)
    return service


@pytest.mark.usefixtures("estate")
def test_a_plan_from_files_says_why_here_why_then_why_not_earlier(tmp_path: Path) -> None:
    out = tmp_path / "plan.json"
    said = xisuan("migration", "plan", *START, *POOL_FILES, "--json", out).done()
    assert "示例数据" in said.out and "计划 / plan: P1" in said.out
    assert "检查通过" in said.out
    assert "为何不更早" in said.out and "2026-04-17 22:00–04-18 06:00" in said.out
    document = json.loads(out.read_text(encoding="utf-8"))
    assert {one["system_name"] for one in document["assignments"]} == {"门户网站", "审批系统", "统一认证平台"}
    assert all(one["why_not_earlier"]["zh"] for one in document["assignments"])
    assert "检查通过" in xisuan("migration", "check", out, *POOL_FILES).done().out


@pytest.mark.usefixtures("estate")
def test_equal_input_gives_the_same_plan_and_keeps_it_once() -> None:
    first = xisuan("migration", "plan", *START, *POOL_FILES, "--json", "-").done().json
    assert xisuan("migration", "plan", *START, *POOL_FILES, "--json", "-").done().json == first
    assert xisuan("migration", "waves", "--json").done().json["plan_id"] == "P1"


@pytest.mark.usefixtures("estate")
def test_waves_and_progress_of_the_plan_are_listed() -> None:
    xisuan("migration", "plan", *START, *POOL_FILES).done()
    waves = xisuan("migration", "waves", "--json").done().json["waves"]
    assert [wave["number"] for wave in waves] == [1, 2, 3]
    assert "P1 的批次 / waves: 3" in xisuan("migration", "waves").done().out
    progress = xisuan("migration", "status", "--json").done().json
    assert [(wave["systems"], wave["migrated"]) for wave in progress["waves"]] == [(1, 0)] * 3
    assert "0/3" in xisuan("migration", "status").done().out


def edited(plan: dict[str, Any], **changes: Any) -> str:
    plan["assignments"][0] |= changes
    return json.dumps(plan, ensure_ascii=False)


@pytest.mark.usefixtures("estate")
@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        pytest.param({"pool_id": "nowhere"}, "unknown_pool", id="a pool that does not exist"),
        pytest.param({"window_id": "W1999-01-01"}, "unknown_window", id="a window that does not exist"),
        pytest.param({"system_key": "区示例局/没有"}, "unknown_system", id="a system that does not exist"),
        pytest.param({"system_key": "区示例局/档案系统"}, "not_to_move", id="a system that has moved already"),
        pytest.param({"pool_id": "demo-local"}, "pool_closed", id="a pool that takes no systems"),
    ],
)
def test_a_plan_that_breaks_a_rule_is_the_answer_no(changes: dict[str, str], rule: str, tmp_path: Path) -> None:
    plan = xisuan("migration", "plan", *START, *POOL_FILES, "--json", "-").done().json
    path = tmp_path / "edited.json"
    path.write_text(edited(plan, **changes), encoding="utf-8")
    said = xisuan("migration", "check", path, *POOL_FILES, "--json")
    assert said.code == 3
    assert rule in {broken["rule"] for broken in said.json}
    xisuan("migration", "check", path, *POOL_FILES).refused("条规则", code=3)


@pytest.mark.usefixtures("estate")
@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        pytest.param("{}", "version", id="an empty object"),
        pytest.param("not json", "计划文件", id="no JSON"),
        pytest.param('{"version": 99}', "version", id="a form of the future"),
        pytest.param("[]", "计划文件", id="a list"),
    ],
)
def test_a_file_that_is_no_plan_is_one_line(text: str, fragment: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text, encoding="utf-8")
    xisuan("migration", "check", path, *POOL_FILES).refused(fragment)


@pytest.mark.usefixtures("estate")
def test_faults_of_the_pool_files_are_all_named(tmp_path: Path) -> None:
    pools = tmp_path / "pools.csv"
    text = (EXAMPLES / "pools.csv").read_text(encoding="utf-8")
    pools.write_text(text.replace("1.28", "0.5").replace("arm64|x86_64", "sparc"), encoding="utf-8")
    said = xisuan("migration", "plan", *START, "--pools", pools, *POOL_FILES[2:])
    assert said.code == 2 and len(said.error_lines) >= 2
    assert "Traceback" not in said.err


@pytest.mark.usefixtures("served_estate")
def test_the_service_plans_for_its_registered_pools() -> None:
    said = xisuan("migration", "plan", *START).done()
    assert "gov-a" in said.out
    xisuan("migration", "plan", *START, *POOL_FILES).refused("--pools")
    assert xisuan("migration", "waves", "--json").done().json["plan_id"] == "P1"


def test_waves_are_started_in_order_and_followed(served_estate: Service) -> None:
    xisuan("migration", "plan", *START).done()
    xisuan("migration", "start", "2").refused("xisuan migration start 1")
    xisuan("migration", "start", "1").refused("--site")
    (run_id,) = xisuan("migration", "start", "1", "--site", REHEARSAL, "--json").done().json["run_ids"]
    assert run_id in xisuan("migration", "start", "1").done().out
    committed = Change(ChangeKind.COMMITTED, {"phase": "acceptance"}, "test", NOW_MS)
    RunRecord(served_estate.store.store).change(run_id, lambda run: committed)
    progress = xisuan("migration", "status", "--json").done().json
    assert [(wave["started"], wave["migrated"]) for wave in progress["waves"]] == [(1, 1), (0, 0), (0, 0)]
    xisuan("migration", "start", "7").refused("1..3")


@pytest.mark.usefixtures("home")
def test_district_a_can_be_planned_on_the_sample_pools(tmp_path: Path) -> None:
    xisuan("ledger", "import", shared_input("ledger", "district-a.xlsx")).done()
    pools = (
        "--pools",
        shared_input("pools-sample.csv"),
        "--node-groups",
        shared_input("pool-node-groups-sample.csv"),
    )
    plan = xisuan("migration", "plan", "--start", "2026-03-02", *pools, "--json", tmp_path / "plan.json").done()
    assert "检查通过" in plan.out
    assert "检查通过" in xisuan("migration", "check", tmp_path / "plan.json", *pools).done().out
