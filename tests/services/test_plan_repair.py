"""After a plan was kept: options read again, slips repaired at a price, durations learned, decisions of people obeyed."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import grpc
import pytest

from console.run_access import read_site_file
from inventory.assessment.assessor import Assessor
from inventory.assessment.declarations import Statement
from inventory.store.event_store import Store
from scheduler.core.migration.go_no_go import OVERRUN_EVIDENCE, go_no_go
from scheduler.core.migration.run import Change, ChangeKind
from scheduler.runbooks.record import RunRecord
from scheduler.services.desk_ports import Upload
from scheduler.services.ledger_desk import LedgerDesk
from scheduler.store.cutover_times import cutover_times
from scheduler.store.projection import WAVES_PLANNED, pool_registered
from scheduler.store.scheduler_store import Batch, SchedulerStore
from tests.services.failures import failure_of, fields_of
from tests.services.ledgers import a_pool, a_system, a_workbook
from tests.services.memory import NOW_MS
from xisuan.migration.v1 import migration_service_pb2 as pb
from xisuan.migration.v1.migration_service_pb2_grpc import MigrationServiceStub

START, MINUTE_MS = "2026-04-13", 60_000
ROOT = Path(__file__).parents[2]
NAMES = ("门户网站", "审批系统", "认证平台")
OPTIONS = """
version: 1
systems:
  区示例局/门户网站: {skill: 应用, minutes: 120}
  区示例局/审批系统: {skill: 应用, minutes: 120}
  区示例局/认证平台: {skill: 应用, minutes: 120}
teams: [{id: 应用组, skills: [应用], people: 1}]
"""


@pytest.fixture
def stub(channel: grpc.Channel) -> MigrationServiceStub:
    return MigrationServiceStub(channel)


@pytest.fixture(autouse=True)
def estate(ledger_desk: LedgerDesk, scheduler_store: SchedulerStore) -> None:
    """Three systems that are to be moved, and one pool."""
    upload = Upload("台账.xlsx", a_workbook(a_system(name) for name in NAMES), "示例区", "李工")
    ledger_desk.take_in(ledger_desk.read_workbook(upload))
    scheduler_store.record(Batch([pool_registered(a_pool(), "127.0.0.1:7701")]), actor="test", now_ms=NOW_MS)


def plan(stub: MigrationServiceStub, options: str = OPTIONS) -> pb.PlanResponse:
    return stub.Plan(pb.PlanRequest(starts_on=START, window_cap=1, actor="李工", options_yaml=options))


def replan(stub: MigrationServiceStub, **fields: Any) -> pb.ReplanResponse:
    chosen: dict[str, Any] = {"actor": "李工", "effort": 0.5} | fields
    return stub.Replan(pb.ReplanRequest(**chosen))


def window_of(document: str) -> dict[str, str]:
    return {one["system_name"]: one["window_id"] for one in json.loads(document)["assignments"]}


def frozen(day: str) -> str:
    return OPTIONS + f"freezes: [{{name: 停电, first: {day}, last: {day}}}]\n"


def start(stub: MigrationServiceStub, number: int) -> str:
    text, runbooks = read_site_file(ROOT / "examples" / "migration" / "rehearsal-site.yaml")
    request = pb.StartWaveRequest(number=number, actor="李工", site_yaml=text, runbooks=runbooks)
    return str(stub.StartWave(request).run_ids[-1])


def cut_over(store: Store, run_id: str, minutes: int) -> None:
    """Every step of the window is done, the last one so many minutes after the first began; then the run commits."""
    record = RunRecord(store)
    run = record.load(run_id)
    assert run is not None
    timed = [s.step_id for s in run.steps if s.phase.value in ("cutover", "verification") and not s.rehearses]
    kinds = {s.step_id: s.kind for s in run.steps}
    own = [step for step in timed if kinds[step] not in ("approval", "window", "go_no_go")]
    assert own, "the runbook of rehearsals has steps in its window"
    first, last = own[0], own[-1]
    for step in dict.fromkeys((first, last)):
        for kind, at_ms in ((ChangeKind.STEP_STARTED, 0), (ChangeKind.STEP_ENDED, minutes * MINUTE_MS)):
            said = {"step": step, "attempt": 1, "state": "done", "message": "", "evidence": {}}
            late = step == last or kind is ChangeKind.STEP_STARTED
            change(store, run_id, Change(kind, said, "runbook-host", NOW_MS + (at_ms if late else 0)))
    end_ms = NOW_MS + minutes * MINUTE_MS
    change(store, run_id, Change(ChangeKind.COMMITTED, {"phase": "acceptance"}, "runbook-host", end_ms))


def change(store: Store, run_id: str, happened: Change) -> None:
    RunRecord(store).change(run_id, lambda _: happened)


class TestOptionsStayWithThePlan:
    def test_a_plan_is_judged_by_the_options_that_it_was_made_with(self, stub: MigrationServiceStub) -> None:
        made = plan(stub)
        document = json.loads(made.plan_json)
        assert document["options"] == OPTIONS and {one["team_id"] for one in document["assignments"]} == {"应用组"}
        assert not stub.Check(pb.CheckRequest(plan_json=made.plan_json)).violations
        for one in document["assignments"]:
            one["team_id"] = None
        broken = stub.Check(pb.CheckRequest(plan_json=json.dumps(document))).violations
        assert {one.rule for one in broken} == {"team_missing"}

    @pytest.mark.parametrize(
        ("declared", "says"),
        [
            (
                "pins: [{system: 区示例局/门户网站, window: W2026-04-17}, {system: 区示例局/门户网站, window: W2026-04-18}]",
                "contradictory_pins",
            ),
            ("systems: {区示例局/门户网站: {minutes: -5}}", "minutes"),
            ("systems: {区示例局/门户网站: {team: 无此队}}", "unknown_team"),
            ("systems: {区示例局/门户网站: {earliest: 2026-06-01, deadline: 2026-05-01}}", "reversed_dates"),
            ("pins: [{system: 区示例局/门户网站, window: W2031-01-03}]", "unknown_window"),
        ],
        ids=[
            "contradictory pins",
            "a negative duration",
            "an unknown team",
            "reversed dates",
            "a calendar that ends early",
        ],
    )
    def test_options_that_cannot_be_are_refused_by_rule_and_name(
        self, stub: MigrationServiceStub, declared: str, says: str
    ) -> None:
        failure = failure_of(lambda: plan(stub, f"version: 1\n{declared}\n"))
        assert says in failure.message and "\n" not in failure.message

    def test_leave_to_override_a_freeze_needs_a_person_and_a_document(self, stub: MigrationServiceStub) -> None:
        leave = "freeze_overrides: [{freeze: 五一, approver: 王局, document: 文号1, reason: 急}]"
        failure = failure_of(lambda: plan(stub, f"version: 1\n{leave}\n"))
        assert "五一" in failure.message


class TestRepairs:
    def test_a_lost_night_is_repaired_by_the_smallest_change_at_a_price(
        self, stub: MigrationServiceStub, store: Store
    ) -> None:
        before = window_of(plan(stub).plan_json)
        lost = min(before.values())
        proposed = replan(stub, options_yaml=frozen(lost[1:]))
        assert proposed.plan_id == "" and proposed.base_plan_id == "P1" and not proposed.violations
        assert {one.rule for one in proposed.broken} == {"freeze"}
        assert [one.window_before for one in proposed.changes] == [lost]
        assert proposed.price["finish"] > 0 and "1 systems change" in proposed.sentence_en
        after = window_of(proposed.plan_json)
        assert sum(before[name] != after[name] for name in before) == 1
        assert stub.ListWaves(pb.ListWavesRequest()).plan_id == "P1", "a proposal changes nothing"
        adopted = replan(stub, options_yaml=frozen(lost[1:]), adopt=True)
        assert adopted.plan_id == "P2" == stub.ListWaves(pb.ListWavesRequest()).plan_id
        event = store.read(kinds=(WAVES_PLANNED,), subject="P2")[0]
        assert event.payload["repairs"]["plan_id"] == "P1" and event.payload["repairs"]["price"] == dict(
            adopted.price
        )
        assert not stub.Check(pb.CheckRequest(plan_json=adopted.plan_json)).violations

    def test_approved_waves_stay_and_are_remembered(self, stub: MigrationServiceStub) -> None:
        before = window_of(plan(stub).plan_json)
        first, second = sorted(before.values())[:2]
        done = replan(stub, options_yaml=frozen(first[1:]), approved=[second], adopt=True)
        kept = {name: window for name, window in before.items() if window == second}
        assert window_of(done.plan_json).items() >= kept.items()
        assert json.loads(done.plan_json)["approved"] == [second]
        assert json.loads(replan(stub).plan_json)["approved"] == [second]

    def test_what_moves_now_is_left_alone_and_nights_that_have_passed_are_not_used(
        self, stub: MigrationServiceStub
    ) -> None:
        before = window_of(plan(stub).plan_json)
        start(stub, 1)
        moving = min(before, key=lambda name: before[name])
        first_two = sorted(before.values())[:2]
        done = replan(stub, not_before="2026-06-01")
        after = window_of(done.plan_json)
        assert moving not in after and set(after) == set(before) - {moving}
        assert min(after.values()) >= "W2026-06-01" and not set(first_two) & set(after.values())
        left_out = {one["system_name"]: one["rule"] for one in json.loads(done.plan_json)["left_out"]}
        assert left_out[moving] == "under_way"

    def test_an_edited_plan_is_scored_at_once_and_can_be_repaired(self, stub: MigrationServiceStub) -> None:
        document = json.loads(plan(stub).plan_json)
        late, early = document["assignments"][-1], document["assignments"][0]
        late["window_id"], late["wave"] = early["window_id"], early["wave"]
        document["windows"] = document["windows"][:-1]
        edited = json.dumps(document)
        scored = stub.Check(pb.CheckRequest(plan_json=edited))
        assert {one.rule for one in scored.violations} >= {"window_cap"}
        assert scored.changes == 1 and scored.price["finish"] < 0
        mended = replan(stub, plan_json=edited)
        assert not mended.violations and mended.changes

    def test_what_cannot_be_kept_is_refused_with_one_line(self, stub: MigrationServiceStub) -> None:
        assert failure_of(lambda: replan(stub)).reason == "NO_PLAN"
        plan(stub)
        assert "W2030-01-04" in failure_of(lambda: replan(stub, approved=["W2030-01-04"])).message
        assert "not_before" in fields_of(failure_of(lambda: replan(stub, not_before="soon")))


class TestDecisions:
    @pytest.mark.parametrize(("decided", "rule"), [("retire", "retire"), ("retain", "retain")])
    def test_what_people_decided_stands_above_the_ledgers_column(
        self, stub: MigrationServiceStub, store: Store, decided: str, rule: str
    ) -> None:
        said = Statement("王局", "无人使用", "文号7")
        Assessor(store).decide("区示例局/门户网站", decided, said, NOW_MS)
        document = json.loads(plan(stub).plan_json)
        assert {one["system_name"] for one in document["assignments"]} == set(NAMES) - {"门户网站"}
        assert [one["rule"] for one in document["left_out"]] == [rule]

    def test_systems_consolidated_into_one_move_with_it(
        self, stub: MigrationServiceStub, store: Store, ledger_desk: LedgerDesk
    ) -> None:
        more = [a_system(name, merged_into="统一平台") for name in ("甲系统", "乙系统")]
        upload = Upload("另.xlsx", a_workbook([*more, a_system("统一平台")]), "另一区", "李工")
        ledger_desk.take_in(ledger_desk.read_workbook(upload))
        for name in ("甲系统", "乙系统"):
            Assessor(store).decide(f"区示例局/{name}", "consolidate", Statement("王局", "同类", "文号8"), NOW_MS)
        made = stub.Plan(pb.PlanRequest(starts_on=START, window_cap=3, actor="李工"))
        document = json.loads(made.plan_json)
        groups = {one["system_name"]: one["group"] for one in document["assignments"]}
        assert len({groups[name] for name in ("甲系统", "乙系统", "统一平台")}) == 1


class TestLearnedDurations:
    def test_cutovers_that_took_twice_as_long_move_the_forecast_and_the_go_no_go_sheet(
        self, stub: MigrationServiceStub, store: Store
    ) -> None:
        limited = OPTIONS.replace("minutes: 120", "minutes: 300") + "max_overrun_pct: 20\n"
        plan(stub, limited)
        assumed = stub.Forecast(pb.ForecastRequest(seed=1, samples=500))
        assert (assumed.measured, assumed.factor) == (0, 1.0)
        run_id = start(stub, 1)
        cut_over(store, run_id, 600)
        assert [(one.run_id, one.minutes) for one in cutover_times(store)] == [(run_id, 600.0)]
        learned = stub.Forecast(pb.ForecastRequest(seed=1, samples=500))
        assert learned.measured == 1 and learned.factor == pytest.approx(7 / 6)
        assert max(learned.overrun.values()) > max(assumed.overrun.values())
        opened = RunRecord(store).load(start(stub, 2))
        assert opened is not None
        sheet = {line.criterion: line for line in go_no_go(opened, (), NOW_MS)}
        line = next(line for words, line in sheet.items() if "超时概率" in words)
        assert opened.evidence[OVERRUN_EVIDENCE]["at_most"] == 20
        assert line.holds is (opened.evidence[OVERRUN_EVIDENCE]["value"] <= 20)

    def test_without_declared_minutes_actual_ones_speak_alone(
        self, stub: MigrationServiceStub, store: Store
    ) -> None:
        plan(stub, "")
        cut_over(store, start(stub, 1), 470)
        found = stub.Forecast(pb.ForecastRequest(seed=1, samples=500))
        assert found.measured == 1 and max(found.overrun.values()) > 0.2


def test_the_day_of_a_repair_is_todays_where_none_is_given(stub: MigrationServiceStub) -> None:
    plan(stub)
    today = date.fromtimestamp(NOW_MS / 1000)
    windows = window_of(replan(stub).plan_json).values()
    assert all(date.fromisoformat(window[1:]) >= min(today, date.fromisoformat(START)) for window in windows)
