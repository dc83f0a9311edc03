"""`xisuan migration replan|forecast` on the ledger: through a service, and on the store itself where none runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from console.home import Home
from console.processes import process_map
from scheduler.store.projection import pool_registered
from scheduler.store.scheduler_store import Batch
from tests.console.commandline import xisuan
from tests.console.conftest import Service
from tests.services.ledgers import a_pool
from tests.services.memory import NOW_MS

EXAMPLES = Path(__file__).parents[2] / "examples" / "pools"
POOL_FILES = ("--pools", EXAMPLES / "pools.csv", "--node-groups", EXAMPLES / "node-groups.csv")
START = ("--start", "2026-04-13", "--cap", "1")


@pytest.fixture
def estate(home: Home, workbook: Path) -> Home:
    xisuan("ledger", "import", workbook, "--sender", "示例区").done()
    return home


@pytest.fixture
def options(tmp_path: Path) -> Path:
    """The first night of the plan is lost."""
    file = tmp_path / "options.yaml"
    file.write_text("version: 1\nfreezes: [{name: 停电, first: 2026-04-17, last: 2026-04-17}]\n", encoding="utf-8")
    return file


@pytest.mark.usefixtures("estate")
def test_without_a_service_a_repair_is_proposed_priced_and_kept_when_asked(options: Path, tmp_path: Path) -> None:
    xisuan("migration", "plan", *START, *POOL_FILES).done()
    ask = ("migration", "replan", "--from", "2026-04-13", "--options", options, "--effort", "0.5", *POOL_FILES)
    out = tmp_path / "repair.json"
    said = xisuan(*ask, "--json", out).done()
    assert "仅为建议" in said.out and "代价 / price: finish" in said.out and "停电" not in said.err
    assert xisuan("migration", "waves", "--json").done().json["plan_id"] == "P1"
    assert "P2" in xisuan(*ask, "--adopt", "--by", "李工").done().out
    assert xisuan("migration", "waves", "--json").done().json["plan_id"] == "P2"
    windows = {one["window_id"] for one in json.loads(out.read_text(encoding="utf-8"))["assignments"]}
    assert "W2026-04-17" not in windows
    assert "检查通过" in xisuan("migration", "check", out, *POOL_FILES).done().out


def test_through_a_service_it_is_the_same_and_the_forecast_says_what_it_stands_on(
    service: Service, workbook: Path, options: Path
) -> None:
    xisuan("ledger", "import", workbook, "--sender", "示例区").done()
    service.store.record(Batch([pool_registered(a_pool(), "127.0.0.1:7701")]), actor="test", now_ms=NOW_MS)
    xisuan("migration", "plan", *START).done()
    adopted = xisuan(
        "migration", "replan", "--from", "2026-04-13", "--options", options, "--keep", "W2026-04-18",
        "--effort", "0.5", "--adopt", "--by", "李工",
    ).done()  # fmt: skip
    assert "P2" in adopted.out and "W2026-04-18" in adopted.out
    assert "假设" in xisuan("migration", "forecast", "--samples", "200").done().out
    found = xisuan("migration", "forecast", "--samples", "200", "--json").done().json
    assert found["measured"] == 0 and found["p50"]


@pytest.mark.usefixtures("estate")
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("replan", "--effort", "0.5", *POOL_FILES), "migration plan"),
        (("replan", "--estate", "nowhere.json"), "PLAN.json"),
        (("replan", "--from", "soon"), "soon"),
        (("forecast", "plan.json"), "--estate"),
    ],
    ids=["no plan yet", "an estate without its plan", "a day that is none", "a plan without its estate"],
)
def test_what_cannot_be_repaired_is_said_in_one_line(words: tuple[object, ...], says: str) -> None:
    said = xisuan("migration", *words)
    assert said.code == 2 and says in said.err


def test_processes_answer_in_the_order_of_the_tasks_and_one_worker_needs_none() -> None:
    with process_map(1) as serial:
        assert serial is map
    with process_map(2) as parallel:
        assert list(parallel(abs, [-3, 2, -1])) == [3, 2, 1]
        assert list(parallel(abs, [-7])) == [7]
