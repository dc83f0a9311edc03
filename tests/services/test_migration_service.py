"""`MigrationService` over gRPC, on the real desk: plan, judge, waves, start, progress; and each refusal."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import grpc
import pytest

from inventory.model.workload import WorkloadState
from inventory.store.event_store import Store
from inventory.store.ledger.kinds import migrated
from inventory.store.verify import verify
from scheduler.core.changes import WorkloadChanged
from scheduler.core.cutover import CUTOVER_DAY_LABEL, SYSTEM_LABEL
from scheduler.core.waves.check import PlanRule, Violation
from scheduler.services.desk_ports import PlanDraft, PlanRequest, Upload
from scheduler.services.ledger_desk import LedgerDesk
from scheduler.services.migration_desk import MigrationDesk
from scheduler.services.ports import RequestError
from scheduler.store.projection import draft_of, pool_registered
from scheduler.store.scheduler_store import Batch, SchedulerStore
from tests.services.failures import failure_of, fields_of
from tests.services.ledgers import FIVE, a_pool, a_workbook
from tests.services.memory import NOW_MS, MemoryScheduling
from xisuan.migration.v1 import migration_service_pb2 as pb
from xisuan.migration.v1.migration_service_pb2_grpc import MigrationServiceStub

START = "2026-04-13"


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


def finish(scheduler_store: SchedulerStore, workload_id: str, state: WorkloadState) -> None:
    """The workload ends, as the control plane would record it."""
    draft = draft_of(WorkloadChanged(workload_id, state))
    scheduler_store.record(Batch([draft]), actor="test", now_ms=NOW_MS)


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
def test_waves_start_in_order_and_each_once(
    stub: MigrationServiceStub, recording: MemoryScheduling, scheduler_store: SchedulerStore
) -> None:
    plan(stub)
    early = failure_of(lambda: stub.StartWave(pb.StartWaveRequest(number=2, actor="李工")))
    assert (early.code, early.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "WAVES_IN_ORDER")
    first = stub.StartWave(pb.StartWaveRequest(number=1, actor="李工")).workload_ids
    again = stub.StartWave(pb.StartWaveRequest(number=1, actor="李工")).workload_ids
    assert list(first) == list(again) and len(first) == 1
    assert len(scheduler_store.cutovers("P1")) == 1
    assert stub.StartWave(pb.StartWaveRequest(number=2, actor="李工")).workload_ids


@pytest.mark.usefixtures("estate")
def test_a_cutover_claims_what_the_system_needs_where_the_plan_says(
    stub: MigrationServiceStub, migration_desk: MigrationDesk
) -> None:
    plan(stub, window_cap=8)
    waves = migration_desk.waves().waves
    start = migration_desk.wave_submissions(1)
    for wave in waves[1:]:
        migration_desk.record_wave_started(start, dict.fromkeys(start.submissions, "w-0"), "李工")
        start = migration_desk.wave_submissions(wave.number)
        if "区示例局/审批系统" in start.submissions:
            break
    approval = start.submissions["区示例局/审批系统"]
    wanted = approval.requirements
    assert (wanted.tasks, wanted.per_task.cpu_milli) == (2, 8000)
    assert (wanted.pools, wanted.zone, wanted.protection_level) == (frozenset({"gov-a"}), "政务外网", 2)
    assert approval.labels[SYSTEM_LABEL] == "区示例局/审批系统"
    day = waves[start.number - 1].window.first_day
    assert date.fromisoformat(approval.labels[CUTOVER_DAY_LABEL]) == day
    assert 0 < approval.estimated_ms <= approval.max_runtime_ms == 8 * 3_600_000
    assert approval.client_key == "P1/区示例局/审批系统"
    assert approval.queue.startswith("migration/d-")


@pytest.mark.usefixtures("estate")
def test_progress_counts_what_started_migrated_and_failed(
    stub: MigrationServiceStub, scheduler_store: SchedulerStore, store: Store
) -> None:
    plan(stub)
    ids = [stub.StartWave(pb.StartWaveRequest(number=n, actor="李工")).workload_ids[0] for n in (1, 2)]
    finish(scheduler_store, ids[0], WorkloadState.SUCCEEDED)
    finish(scheduler_store, ids[1], WorkloadState.FAILED)
    progress = stub.GetStatus(pb.GetStatusRequest())
    counted = [(wave.systems, wave.started, wave.migrated, wave.failed) for wave in progress.waves]
    assert counted == [(1, 1, 1, 0), (1, 1, 0, 1), (1, 0, 0, 0)]
    assert (progress.plan_id, progress.unplaced) == ("P1", 0)
    assert verify(store).holds


@pytest.mark.usefixtures("estate")
def test_nobody_plans_over_a_cutover_that_is_under_way(
    stub: MigrationServiceStub, scheduler_store: SchedulerStore
) -> None:
    plan(stub)
    (workload_id,) = stub.StartWave(pb.StartWaveRequest(number=1, actor="李工")).workload_ids
    failure = failure_of(lambda: plan(stub, seed=5))
    assert (failure.code, failure.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CUTOVER_UNDER_WAY")
    finish(scheduler_store, workload_id, WorkloadState.FAILED)
    assert plan(stub, seed=5).plan_id == "P2"


@pytest.mark.usefixtures("estate")
def test_what_was_moved_keeps_its_place_in_the_pool(
    stub: MigrationServiceStub, scheduler_store: SchedulerStore, migration_desk: MigrationDesk
) -> None:
    plan(stub)
    (workload_id,) = stub.StartWave(pb.StartWaveRequest(number=1, actor="李工")).workload_ids
    finish(scheduler_store, workload_id, WorkloadState.SUCCEEDED)
    (moved,) = scheduler_store.cutover_workloads()
    assert moved.workload_id == workload_id


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
