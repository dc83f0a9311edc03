"""`MigrationService` over gRPC, on the real desk: plan, judge, waves, start, progress; and each refusal."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import grpc
import pytest

from console.run_access import read_site_file
from inventory.store.event_store import Store
from inventory.store.ledger.kinds import migrated
from inventory.store.verify import verify
from scheduler.core.migration.moves import MoveState
from scheduler.core.migration.run import Change, ChangeKind
from scheduler.core.waves.check import PlanRule, Violation
from scheduler.runbooks.record import RunRecord
from scheduler.services.desk_ports import PlanDraft, PlanRequest, Upload
from scheduler.services.ledger_desk import LedgerDesk
from scheduler.services.migration_desk import MigrationDesk
from scheduler.services.ports import RequestError
from scheduler.store.projection import pool_registered
from scheduler.store.scheduler_store import Batch, SchedulerStore
from scheduler.store.wave_runs import wave_runs
from tests.services.failures import failure_of, fields_of
from tests.services.ledgers import FIVE, a_pool, a_workbook
from tests.services.memory import NOW_MS
from xisuan.migration.v1 import migration_service_pb2 as pb
from xisuan.migration.v1.migration_service_pb2_grpc import MigrationServiceStub

START = "2026-04-13"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def stub(channel: grpc.Channel) -> MigrationServiceStub:
    return MigrationServiceStub(channel)


@pytest.fixture
def estate(ledger_desk: LedgerDesk, scheduler_store: SchedulerStore) -> None:
    """Five systems, three of which are to be moved, and one pool."""
    upload = Upload("台账.xlsx", a_workbook(FIVE), "示例区", "李工")
    ledger_desk.take_in(ledger_desk.read_workbook(upload))
    register(scheduler_store)


def register(scheduler_store: SchedulerStore) -> None:
    batch = Batch([pool_registered(a_pool(), "127.0.0.1:7701")])
    scheduler_store.record(batch, actor="test", now_ms=NOW_MS)


def plan(stub: MigrationServiceStub, **changes: Any) -> pb.PlanResponse:
    fields = {"starts_on": START, "window_cap": 1, "actor": "李工"}
    return stub.Plan(pb.PlanRequest(**(fields | changes)))


def start(stub: MigrationServiceStub, number: int) -> pb.StartWaveResponse:
    """With the site file of rehearsals."""
    text, runbooks = read_site_file(ROOT / "examples" / "migration" / "rehearsal-site.yaml")
    return stub.StartWave(pb.StartWaveRequest(number=number, actor="李工", site_yaml=text, runbooks=runbooks))


def finish(store: Store, run_id: str, *kinds: ChangeKind) -> None:
    """The run comes to its end, as the driver would record it."""
    for kind in kinds:
        change = Change(kind, {"reason": "test", "phase": "acceptance"}, "test", NOW_MS)
        RunRecord(store).change(run_id, lambda run, change=change: change)


COMMIT = (ChangeKind.COMMITTED,)
ROLL_BACK = (ChangeKind.ROLLBACK_BEGUN, ChangeKind.ROLLED_BACK)


@pytest.mark.usefixtures("estate")
def test_a_plan_is_made_checked_and_kept(stub: MigrationServiceStub) -> None:
    made = plan(stub)
    assert (made.plan_id, list(made.violations)) == ("P1", [])
    document = json.loads(made.plan_json)
    assert {one["system_name"] for one in document["assignments"]} == {"门户网站", "审批系统", "统一认证平台"}
    assert not stub.Check(pb.CheckRequest(plan_json=made.plan_json)).violations
    waves = stub.ListWaves(pb.ListWavesRequest())
    assert (waves.plan_id, [wave.number for wave in waves.waves]) == ("P1", [1, 2, 3])
    assert [len(wave.system_keys) for wave in waves.waves] == [1, 1, 1]
    assert waves.waves[0].starts >= START


@pytest.mark.usefixtures("estate")
def test_planning_again_without_a_change_keeps_one_plan(stub: MigrationServiceStub) -> None:
    assert plan(stub).plan_id == plan(stub).plan_id == "P1"
    assert plan(stub, seed=1, window_cap=2).plan_id == "P2"


@pytest.mark.usefixtures("estate")
def test_a_plan_that_was_edited_is_judged_rule_by_rule(stub: MigrationServiceStub) -> None:
    document = json.loads(plan(stub).plan_json)
    document["assignments"][0]["pool_id"] = "nowhere"
    broken = stub.Check(pb.CheckRequest(plan_json=json.dumps(document))).violations
    assert "unknown_pool" in {violation.rule for violation in broken}
    assert all(violation.message_zh and violation.message_en for violation in broken)


@pytest.mark.usefixtures("estate")
def test_waves_start_in_order_and_each_once(stub: MigrationServiceStub) -> None:
    plan(stub)
    early = failure_of(lambda: start(stub, 2))
    assert (early.code, early.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "WAVES_IN_ORDER")
    assert list(start(stub, 1).run_ids) == list(start(stub, 1).run_ids) == ["R1"]
    again = stub.StartWave(pb.StartWaveRequest(number=1, actor="李工"))
    assert list(again.run_ids) == ["R1"], "nothing is left to start, so that no site file is needed"
    assert list(start(stub, 2).run_ids) == ["R2"]


@pytest.mark.usefixtures("estate")
def test_a_wave_without_a_site_file_says_what_is_missing_and_nothing_starts(
    stub: MigrationServiceStub, store: Store
) -> None:
    plan(stub)
    bare = failure_of(lambda: stub.StartWave(pb.StartWaveRequest(number=1, actor="李工")))
    assert (bare.code, bare.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "SITE_MISSING")
    empty = failure_of(lambda: stub.StartWave(pb.StartWaveRequest(number=1, actor="李工", site_yaml="version: 1")))
    assert "runbooks." in empty.message
    assert RunRecord(store).run_ids() == ()


@pytest.mark.usefixtures("estate")
def test_a_wave_that_was_rolled_back_can_be_started_again(stub: MigrationServiceStub, store: Store) -> None:
    plan(stub)
    finish(store, start(stub, 1).run_ids[0], *ROLL_BACK)
    assert list(start(stub, 1).run_ids) == ["R2"]


@pytest.mark.usefixtures("estate")
def test_the_pool_of_a_run_is_that_of_the_plan_and_its_title_tells_a_rehearsal(
    stub: MigrationServiceStub, store: Store
) -> None:
    plan(stub)
    opened = RunRecord(store).opening(start(stub, 1).run_ids[0])
    pools = {step["action"]["pool"] for step in opened["steps"] if "pool" in step["action"]}
    assert pools == {"gov-a"} == {one["pool_id"] for one in opened["plan"]["moves"]}
    assert (opened["plan"]["plan_id"], opened["plan"]["wave"]) == ("P1", 1)
    assert "演练" in opened["title"]
    assert opened["window"]["starts_ms"] == NOW_MS, "a rehearsal begins at once"


@pytest.mark.usefixtures("estate")
def test_progress_counts_what_started_migrated_and_was_rolled_back(
    stub: MigrationServiceStub, store: Store
) -> None:
    plan(stub)
    ids = [start(stub, number).run_ids[0] for number in (1, 2)]
    finish(store, ids[0], *COMMIT)
    finish(store, ids[1], *ROLL_BACK)
    progress = stub.GetStatus(pb.GetStatusRequest())
    counted = [(wave.systems, wave.started, wave.migrated, wave.failed) for wave in progress.waves]
    assert counted == [(1, 1, 1, 0), (1, 1, 0, 1), (1, 0, 0, 0)]
    assert (progress.plan_id, progress.unplaced) == ("P1", 0)
    assert verify(store).holds


@pytest.mark.usefixtures("estate")
def test_nobody_plans_over_a_cutover_that_is_under_way(stub: MigrationServiceStub, store: Store) -> None:
    plan(stub)
    (run_id,) = start(stub, 1).run_ids
    failure = failure_of(lambda: plan(stub, seed=5))
    assert (failure.code, failure.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CUTOVER_UNDER_WAY")
    finish(store, run_id, *ROLL_BACK)
    assert plan(stub, seed=5).plan_id == "P2"


@pytest.mark.usefixtures("estate")
def test_what_was_moved_keeps_its_place_in_the_pool_and_what_was_rolled_back_does_not(
    stub: MigrationServiceStub, store: Store
) -> None:
    plan(stub)
    moved, undone = (start(stub, number).run_ids[0] for number in (1, 2))
    finish(store, moved, *COMMIT)
    finish(store, undone, *ROLL_BACK)
    states = {move.run_id: (move.pool_id, move.state, move.need.cpu_milli > 0) for move in wave_runs(store)}
    assert states == {
        moved: ("gov-a", MoveState.MOVED, True),
        undone: ("gov-a", MoveState.ROLLED_BACK, True),
    }


@pytest.mark.parametrize(
    ("call", "code", "where"),
    [
        pytest.param(
            lambda stub: stub.Plan(pb.PlanRequest(starts_on="soon", actor="a")),
            "INVALID_ARGUMENT",
            "starts_on",
            id="a day that is none",
        ),
        pytest.param(
            lambda stub: stub.Plan(pb.PlanRequest(actor="a")), "INVALID_ARGUMENT", "starts_on", id="no day at all"
        ),
        pytest.param(
            lambda stub: plan(stub, window_cap=-1), "INVALID_ARGUMENT", "window_cap", id="a negative cap"
        ),
        pytest.param(
            lambda stub: plan(stub, horizon_weeks=521),
            "INVALID_ARGUMENT",
            "horizon_weeks",
            id="ten years and more",
        ),
        pytest.param(
            lambda stub: plan(stub, starts_on="9999-12-01"), "INVALID_ARGUMENT", "BAD_SETTINGS", id="a far year"
        ),
        pytest.param(lambda stub: plan(stub, actor=" "), "INVALID_ARGUMENT", "NO_ACTOR", id="nobody plans"),
        pytest.param(
            lambda stub: stub.Check(pb.CheckRequest(plan_json="{}")), "INVALID_ARGUMENT", "BAD_PLAN", id="no plan"
        ),
        pytest.param(
            lambda stub: stub.ListWaves(pb.ListWavesRequest()), "NOT_FOUND", "NO_PLAN", id="waves before any plan"
        ),
        pytest.param(
            lambda stub: stub.GetStatus(pb.GetStatusRequest()), "NOT_FOUND", "NO_PLAN", id="progress of no plan"
        ),
        pytest.param(
            lambda stub: stub.StartWave(pb.StartWaveRequest(number=1, actor="a")),
            "NOT_FOUND",
            "NO_PLAN",
            id="a start before any plan",
        ),
    ],
)
@pytest.mark.usefixtures("estate")
def test_a_request_that_cannot_be_met_is_refused_with_one_line(
    stub: MigrationServiceStub, call: Callable[[MigrationServiceStub], Any], code: str, where: str
) -> None:
    failure = failure_of(lambda: call(stub))
    assert failure.code.name == code
    assert where in (failure.reason, *fields_of(failure))
    assert "\n" not in failure.message


@pytest.mark.usefixtures("estate")
@pytest.mark.parametrize("number", [0, -1, 4])
def test_a_wave_that_the_plan_does_not_have_is_not_found(stub: MigrationServiceStub, number: int) -> None:
    plan(stub)
    failure = failure_of(lambda: stub.StartWave(pb.StartWaveRequest(number=number, actor="李工")))
    assert (failure.code, failure.reason) == (grpc.StatusCode.NOT_FOUND, "NO_WAVE")


def test_a_plan_needs_systems_and_pools(
    stub: MigrationServiceStub, ledger_desk: LedgerDesk, scheduler_store: SchedulerStore
) -> None:
    assert "算力池" in failure_of(lambda: plan(stub)).message
    register(scheduler_store)
    assert failure_of(lambda: plan(stub)).reason == "NOTHING_TO_MOVE"
    upload = Upload("台账.xlsx", a_workbook(FIVE[3:]), "示例区", "李工")
    ledger_desk.take_in(ledger_desk.read_workbook(upload))
    assert "旧申报系统" in failure_of(lambda: plan(stub)).message


@pytest.mark.usefixtures("estate")
def test_pool_files_are_no_match_for_registered_pools(migration_desk: MigrationDesk) -> None:
    with pytest.raises(RequestError, match="registered"):
        migration_desk.draft(PlanRequest(date(2026, 4, 13)), [a_pool("other")])


@pytest.mark.usefixtures("estate")
def test_a_plan_that_breaks_a_rule_is_not_kept(
    migration_desk: MigrationDesk, scheduler_store: SchedulerStore
) -> None:
    draft = migration_desk.draft(PlanRequest(date(2026, 4, 13)))
    fault = Violation(PlanRule.ZONE, "区示例局/门户网站", ("网络不符", "the zone does not fit"))
    broken = PlanDraft(draft.plan, (fault,))
    with pytest.raises(RequestError) as refused:
        migration_desk.adopt(broken, "李工")
    assert refused.value.reason == "PLAN_BREAKS_RULES"
    assert scheduler_store.newest_plan() is None


@pytest.mark.usefixtures("estate")
def test_rates_of_everything_known_reach_to_the_last_cutover(ledger_desk: LedgerDesk, store: Store) -> None:
    """Without a day the answer counts what is recorded, also what is dated ahead; with a day, what held on it."""
    with store.transaction() as transaction:
        fact = migrated("区示例局/门户网站", effective_on=date(2026, 4, 17), source="w-1")
        transaction.append([fact], actor="test", recorded_ms=NOW_MS)
    everything = ledger_desk.rates("", "", False).rates[0]
    assert (everything.as_of, everything.numerator) == ("2026-04-17", 2)
    assert ledger_desk.rates("2026-04-16", "", False).rates[0].numerator == 1
