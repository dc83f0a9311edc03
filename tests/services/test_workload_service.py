"""`WorkloadService` over gRPC: what callers get, and each error with the details that tell them their duty."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from inventory.model.workload import WorkloadState
from inventory.store.errors import Locked, NewerSchema, Unreachable
from scheduler.services.answering import ControlPlaneUnavailable
from scheduler.services.ports import ErrorCode, RequestError
from tests.services.failures import failure_of, fields_of
from tests.services.memory import MemoryScheduling
from tests.services.serving import serving
from xisuan.common.v1 import common_pb2
from xisuan.workload.v1 import workload_pb2
from xisuan.workload.v1 import workload_service_pb2 as pb
from xisuan.workload.v1.workload_service_pb2_grpc import WorkloadServiceStub


@pytest.fixture
def scheduling() -> MemoryScheduling:
    return MemoryScheduling()


@pytest.fixture
def stub(scheduling: MemoryScheduling) -> Iterator[WorkloadServiceStub]:
    with serving(scheduling) as service, grpc.insecure_channel(service.address) as channel:
        yield WorkloadServiceStub(channel)


def a_spec(key: str = "job", **changes: object) -> workload_pb2.WorkloadSpec:
    spec = workload_pb2.WorkloadSpec(
        queue="transport/reports",
        client_key=key,
        requirements=workload_pb2.Requirements(
            per_task=common_pb2.Resources(cpu_milli=500, memory_bytes=256 * 1024**2)
        ),
        program=workload_pb2.Program(command=["true"]),
    )
    spec.MergeFrom(workload_pb2.WorkloadSpec(**changes))  # type: ignore[arg-type]  # the tests name real fields
    return spec


def submit(stub: WorkloadServiceStub, key: str = "job", **changes: object) -> str:
    return stub.Submit(pb.SubmitRequest(workload=a_spec(key, **changes))).workload.workload_id


def test_a_workload_that_was_submitted_can_be_read_back_whole(stub: WorkloadServiceStub) -> None:
    answer = stub.Submit(pb.SubmitRequest(workload=a_spec(name="月报", max_runtime=Duration(seconds=90))))
    assert answer.created
    read = stub.Get(pb.GetRequest(workload_id=answer.workload.workload_id)).workload
    assert read == answer.workload
    assert (read.spec.name, read.spec.max_runtime.seconds) == ("月报", 90)
    assert read.state == workload_pb2.WORKLOAD_STATE_QUEUED


def test_the_same_key_and_body_is_the_same_workload(stub: WorkloadServiceStub) -> None:
    first = stub.Submit(pb.SubmitRequest(workload=a_spec()))
    again = stub.Submit(pb.SubmitRequest(workload=a_spec()))
    assert (again.workload.workload_id, again.created) == (first.workload.workload_id, False)


def test_the_same_key_with_another_body_is_refused_with_the_difference(stub: WorkloadServiceStub) -> None:
    submit(stub)
    failure = failure_of(lambda: submit(stub, priority=7))
    assert failure.code is grpc.StatusCode.ALREADY_EXISTS
    assert "priority: 0 → 7" in failure.message
    assert failure.reason == "CONFLICT"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        pytest.param({"queue": "Capital Letters"}, "workload.queue", id="a queue in capitals"),
        pytest.param({"priority": 1001}, "workload.priority", id="a priority over 1000"),
        pytest.param({"priority": -1}, "workload.priority", id="a negative priority"),
        pytest.param({"max_attempts": 101}, "workload.max_attempts", id="too many attempts"),
        pytest.param({"max_runtime": Duration(seconds=-5)}, "workload.max_runtime", id="a negative duration"),
        pytest.param({"labels": {"xisuan.system": "x"}}, "workload.labels", id="a reserved label"),
        pytest.param(
            {"requirements": {"per_task": {"cpu_milli": -1}}},
            "workload.requirements.per_task.cpu_milli",
            id="negative CPU",
        ),
        pytest.param(
            {"requirements": {"per_task": {"memory_bytes": 2**62}}},
            "workload.requirements.per_task.memory_bytes",
            id="absurd memory",
        ),
        pytest.param({"requirements": {"zone": 99}}, "workload.requirements.zone", id="an unknown zone"),
        pytest.param(
            {"requirements": {"protection_level": 5}},
            "workload.requirements.protection_level",
            id="a level over 4",
        ),
        pytest.param({"requirements": {"tasks": 10_001}}, "workload.requirements.tasks", id="too many tasks"),
        pytest.param(
            {"program": {"environment": {"DB_PASSWORD": "x"}}},
            "workload.program.environment['DB_PASSWORD']",
            id="a secret by value",
        ),
    ],
)
def test_a_field_that_breaks_a_rule_is_named(
    stub: WorkloadServiceStub, changes: dict[str, object], field: str
) -> None:
    failure = failure_of(lambda: submit(stub, **changes))
    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
    assert fields_of(failure) == [field]
    assert " / " in failure.violations[0].description


def test_all_violations_of_a_request_come_at_once(stub: WorkloadServiceStub) -> None:
    empty = pb.SubmitRequest(workload=workload_pb2.WorkloadSpec(priority=-1))
    fields = fields_of(failure_of(lambda: stub.Submit(empty)))
    assert {"workload.queue", "workload.client_key", "workload.priority", "workload.program"} <= set(fields)


def test_a_secret_is_not_repeated_in_the_refusal(stub: WorkloadServiceStub) -> None:
    failure = failure_of(lambda: submit(stub, program={"environment": {"API_TOKEN": "tr0ub4dor"}}))
    assert "tr0ub4dor" not in str(failure)


def test_items_of_a_batch_fail_alone(stub: WorkloadServiceStub) -> None:
    specs = [a_spec("a"), a_spec("b", priority=9999), a_spec("c", after=["a"]), a_spec("d", after=["missing"])]
    results = stub.SubmitBatch(pb.SubmitBatchRequest(workloads=specs)).results
    assert [result.WhichOneof("outcome") for result in results] == ["accepted", "error", "accepted", "error"]
    assert results[1].error.code == ErrorCode.INVALID_ARGUMENT
    assert results[1].error.field_violations[0].field == "workloads[1].priority"
    assert results[3].error.field_violations[0].field == "workloads[3].after"
    assert results[2].accepted.workload.state == workload_pb2.WORKLOAD_STATE_SUBMITTED


def test_a_circle_of_waiting_is_refused_and_named(stub: WorkloadServiceStub) -> None:
    specs = [a_spec("a", after=["b"]), a_spec("b", after=["c"]), a_spec("c", after=["a"])]
    results = stub.SubmitBatch(pb.SubmitBatchRequest(workloads=specs)).results
    assert {result.error.code for result in results} == {ErrorCode.INVALID_ARGUMENT}
    assert "a → b → c → a" in results[0].error.message


def test_a_batch_over_the_limit_is_refused_whole(stub: WorkloadServiceStub) -> None:
    too_many = pb.SubmitBatchRequest(workloads=[workload_pb2.WorkloadSpec()] * 10_001)
    failure = failure_of(lambda: stub.SubmitBatch(too_many))
    assert (failure.code, fields_of(failure)) == (grpc.StatusCode.INVALID_ARGUMENT, ["workloads.length"])


def test_an_unknown_workload_is_not_found(stub: WorkloadServiceStub) -> None:
    for call in (
        lambda: stub.Get(pb.GetRequest(workload_id="w-9")),
        lambda: stub.Cancel(pb.CancelRequest(workload_id="w-9")),
        lambda: stub.Explain(pb.ExplainRequest(workload_id="w-9")),
        lambda: list(stub.Logs(pb.LogsRequest(workload_id="w-9"))),
    ):
        failure = failure_of(call)
        assert failure.code is grpc.StatusCode.NOT_FOUND
        assert "w-9" in failure.message


def test_lists_come_in_pages_and_by_queue_and_state(
    stub: WorkloadServiceStub, scheduling: MemoryScheduling
) -> None:
    ids = [submit(stub, f"job-{number}") for number in range(5)]
    scheduling.end(ids[0], WorkloadState.SUCCEEDED)
    first = stub.List(pb.ListRequest(page_size=3))
    rest = stub.List(pb.ListRequest(page_size=3, page_token=first.next_page_token))
    assert [one.workload_id for one in (*first.workloads, *rest.workloads)] == ids
    assert rest.next_page_token == ""
    done = stub.List(pb.ListRequest(states=[workload_pb2.WORKLOAD_STATE_SUCCEEDED])).workloads
    assert [one.workload_id for one in done] == ids[:1]
    assert not stub.List(pb.ListRequest(queue="other")).workloads


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        pytest.param(pb.ListRequest(page_size=1001), "page_size", id="a page of more than 1000"),
        pytest.param(pb.ListRequest(page_size=-1), "page_size", id="a negative page"),
        pytest.param(pb.ListRequest(states=[42]), "states[0]", id="an unknown state"),  # type: ignore[list-item]
    ],
)
def test_a_list_that_cannot_be_is_refused(stub: WorkloadServiceStub, request_: pb.ListRequest, field: str) -> None:
    failure = failure_of(lambda: stub.List(request_))
    assert (failure.code, fields_of(failure)) == (grpc.StatusCode.INVALID_ARGUMENT, [field])


def test_a_watch_begins_now_and_goes_on_from_its_cursor(
    stub: WorkloadServiceStub, scheduling: MemoryScheduling
) -> None:
    before = submit(stub, "before")
    stream = stub.Watch(pb.WatchRequest())
    opening = next(stream)
    assert not opening.changes
    scheduling.end(before, WorkloadState.FAILED, exit_code=3, message="exit 3")
    change = next(stream)
    stream.cancel()
    assert [(one.workload_id, one.run.exit_code, one.message) for one in change.changes] == [(before, 3, "exit 3")]
    again = stub.Watch(pb.WatchRequest(cursor=opening.cursor))
    assert next(again) == change
    again.cancel()


def test_a_cursor_that_is_none_of_ours_is_refused(stub: WorkloadServiceStub) -> None:
    failure = failure_of(lambda: list(stub.Watch(pb.WatchRequest(cursor="yesterday"))))
    assert (failure.code, fields_of(failure)) == (grpc.StatusCode.INVALID_ARGUMENT, ["cursor"])


@pytest.mark.parametrize("after", [["itself"], ["nobody"]])
def test_what_is_refused_by_the_book_names_its_field_too(stub: WorkloadServiceStub, after: list[str]) -> None:
    failure = failure_of(lambda: stub.Submit(pb.SubmitRequest(workload=a_spec("itself", after=after))))
    assert fields_of(failure) == ["workload.after"]


def test_cancelling_twice_changes_nothing_and_after_the_end_is_refused(
    stub: WorkloadServiceStub, scheduling: MemoryScheduling
) -> None:
    one, other = submit(stub, "one"), submit(stub, "other")
    for _ in range(2):
        cancelled = stub.Cancel(pb.CancelRequest(workload_id=one, reason="不需要了")).workload
        assert cancelled.state == workload_pb2.WORKLOAD_STATE_CANCELLED
    scheduling.end(other, WorkloadState.SUCCEEDED)
    failure = failure_of(lambda: stub.Cancel(pb.CancelRequest(workload_id=other)))
    assert (failure.code, failure.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ENDED")


def test_an_explanation_has_typed_reasons_and_scores(stub: WorkloadServiceStub) -> None:
    said = stub.Explain(pb.ExplainRequest(workload_id=submit(stub)))
    assert dict(said.refusals_by_code) == {"zone": 1}
    by_pool = {opinion.pool_id: opinion for opinion in said.opinions}
    assert by_pool["pool-a"].reasons[0].verdict == common_pb2.VERDICT_UNRESOLVABLE
    assert dict(by_pool["pool-b"].scores) == {"price": 80}
    assert said.summary_zh and said.summary_en


def test_a_dry_run_stores_nothing_and_fails_item_by_item(stub: WorkloadServiceStub) -> None:
    results = stub.DryRun(pb.DryRunRequest(workloads=[a_spec("a", priority=1), a_spec("b", priority=-1)])).results
    assert (results[0].placement.pool_id, results[0].placement.estimated_cost_cny) == ("pool-b", 1.5)
    assert results[1].error.field_violations[0].field == "workloads[1].priority"
    assert not stub.List(pb.ListRequest()).workloads


def test_logs_of_a_pool_that_is_gone_may_be_asked_for_again(
    stub: WorkloadServiceStub, scheduling: MemoryScheduling
) -> None:
    workload_id = submit(stub)
    assert failure_of(lambda: list(stub.Logs(pb.LogsRequest(workload_id=workload_id)))).code.name == "NOT_FOUND"
    scheduling.end(workload_id, WorkloadState.SUCCEEDED)
    failure = failure_of(lambda: list(stub.Logs(pb.LogsRequest(workload_id=workload_id))))
    assert failure.code is grpc.StatusCode.UNAVAILABLE
    assert failure.retry_after_ms


@pytest.mark.parametrize(
    ("fault", "code", "retry"),
    [
        pytest.param(
            RequestError(ErrorCode.RESOURCE_EXHAUSTED, "满 / full", "TOO_MANY_WORKLOADS", 1500),
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            1500,
            id="too many workloads: retry when told",
        ),
        pytest.param(
            ControlPlaneUnavailable("启动中 / starting"),
            grpc.StatusCode.UNAVAILABLE,
            1000,
            id="it is starting: retry",
        ),
        pytest.param(Locked("锁", "locked"), grpc.StatusCode.UNAVAILABLE, 1000, id="the store is locked: retry"),
        pytest.param(
            Unreachable("停", "down"), grpc.StatusCode.UNAVAILABLE, 1000, id="the store does not answer: retry"
        ),
        pytest.param(
            NewerSchema("新", "newer"), grpc.StatusCode.FAILED_PRECONDITION, None, id="the store is newer: give up"
        ),
    ],
)
def test_a_fault_of_the_control_plane_tells_the_caller_what_to_do(
    stub: WorkloadServiceStub,
    scheduling: MemoryScheduling,
    fault: Exception,
    code: grpc.StatusCode,
    retry: int | None,
) -> None:
    scheduling.fails.append(fault)
    failure = failure_of(lambda: submit(stub))
    assert (failure.code, failure.retry_after_ms) == (code, retry)
    assert submit(stub)  # the next call is not touched by it
