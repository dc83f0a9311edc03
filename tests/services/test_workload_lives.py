"""Streams of submissions, arrays, deadlines, retries and secrets on the wire."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from scheduler.forecast.counterfactuals import Counterfactual
from scheduler.forecast.forecast import StartForecast
from scheduler.services.outlooks import Outlook
from scheduler.services.ports import ErrorCode, RequestError
from tests.services.failures import failure_of, fields_of
from tests.services.memory import NOW_MS, MemoryScheduling
from tests.services.serving import serving
from tests.services.test_workload_service import a_spec, submit
from xisuan.client import Client
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


def test_a_stream_is_answered_batch_by_batch_in_order(scheduling: MemoryScheduling) -> None:
    with serving(scheduling) as service, Client(service.address) as client:
        batches = [[a_spec(f"{batch}-{item}") for item in range(3)] for batch in range(4)]
        answers = list(client.submit_stream(batches))
    keys = [[result.accepted.workload.spec.client_key for result in answer] for answer in answers]
    assert keys == [[spec.client_key for spec in batch] for batch in batches]


def test_a_service_that_has_too_much_to_do_says_when_to_come_again_and_the_stream_goes_on(
    scheduling: MemoryScheduling, stub: WorkloadServiceStub
) -> None:
    scheduling.fails = [
        RequestError(ErrorCode.RESOURCE_EXHAUSTED, "已满 / full", "TOO_MANY", retry_after_ms=1_000)
    ]
    requests = iter([pb.SubmitStreamRequest(workloads=[a_spec("a"), a_spec("b")])] * 2)
    first, second = list(stub.SubmitStream(requests))
    assert [(one.error.code, one.error.retryable, one.error.retry_after_ms) for one in first.results] == [
        (8, True, 1_000)
    ] * 2
    assert all(one.HasField("accepted") for one in second.results)


def test_a_service_that_is_full_refuses_a_single_submission_with_a_delay(
    scheduling: MemoryScheduling, stub: WorkloadServiceStub
) -> None:
    scheduling.fails = [
        RequestError(ErrorCode.RESOURCE_EXHAUSTED, "已满 / full", "TOO_MANY", retry_after_ms=1_000)
    ]
    failure = failure_of(lambda: submit(stub))
    assert (failure.code, failure.retry_after_ms) == (grpc.StatusCode.RESOURCE_EXHAUSTED, 1_000)


def test_retries_arrays_deadlines_and_secrets_come_back_as_they_went(stub: WorkloadServiceStub) -> None:
    spec = a_spec(
        retry=workload_pb2.RetryPolicy(
            rules=[
                workload_pb2.RetryRule(
                    failure=workload_pb2.FAILURE_CATEGORY_PROGRAM, max_attempts=3, exit_codes=[7, 75]
                )
            ],
            backoff=Duration(seconds=30),
        ),
        array=workload_pb2.JobArray(count=5, max_parallel=2),
        finish_by=Timestamp(seconds=NOW_MS // 1000 + 60),
    )
    spec.program.secrets["PASSWORD"] = "db-login/password"  # a reference, as the test says
    read = stub.Submit(pb.SubmitRequest(workload=spec)).workload.spec
    assert (read.retry, read.array, read.finish_by) == (spec.retry, spec.array, spec.finish_by)
    assert dict(read.program.secrets) == {"PASSWORD": "db-login/password"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"array": workload_pb2.JobArray(count=0)}, "array.count"),
        ({"array": workload_pb2.JobArray(count=10_001)}, "array.count"),
        ({"client_key": "w-abc123-4[7]"}, "client_key"),
        (
            {"retry": workload_pb2.RetryPolicy(rules=[workload_pb2.RetryRule(max_attempts=1)])},
            "retry.rules[0].failure",
        ),
        ({"retry": workload_pb2.RetryPolicy(backoff=Duration(seconds=8 * 86_400))}, "retry.backoff"),
        ({"program": workload_pb2.Program(secrets={"PASSWORD": "hunter2"})}, "program.secrets['PASSWORD']"),
        ({"program": workload_pb2.Program(secrets={"NO SPACE": "a/b"})}, "program.secrets"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_is_named(stub: WorkloadServiceStub, change: dict[str, object], field: str) -> None:
    failure = failure_of(lambda: stub.Submit(pb.SubmitRequest(workload=a_spec(**change))))
    assert f"workload.{field}" in fields_of(failure)
    assert "hunter2" not in failure.message


def test_a_deadline_that_cannot_be_met_is_warned_of_once(stub: WorkloadServiceStub) -> None:
    spec = a_spec(finish_by=Timestamp(seconds=NOW_MS // 1000 - 1))
    first = stub.Submit(pb.SubmitRequest(workload=spec))
    assert [warning.code for warning in first.warnings] == ["deadline"]
    assert not stub.Submit(pb.SubmitRequest(workload=spec)).warnings


def test_an_explanation_carries_changes_and_the_interval(
    scheduling: MemoryScheduling, stub: WorkloadServiceStub
) -> None:
    workload_id = submit(stub)
    said = StartForecast(NOW_MS, NOW_MS + 60_000, NOW_MS + 30_000, 9, 0, "p", NOW_MS + 1, NOW_MS + 2)
    scheduling.outlooks[workload_id] = Outlook(said, (Counterfactual("cpu", "少 2 核", "2 CPUs fewer", "p"),))
    answer = stub.Explain(pb.ExplainRequest(workload_id=workload_id))
    assert [one.change_en for one in answer.counterfactuals] == ["2 CPUs fewer"]
    assert answer.forecast.latest.ToMilliseconds() == NOW_MS + 60_000
    assert "80 %" in answer.forecast.summary_en
    estimate = stub.Estimate(pb.EstimateRequest(workload_id=workload_id)).forecast
    assert estimate == answer.forecast


def test_too_many_elements_in_one_call_are_refused(stub: WorkloadServiceStub) -> None:
    specs = [a_spec(f"k{i}", array=workload_pb2.JobArray(count=10_000)) for i in range(3)]
    failure = failure_of(lambda: stub.SubmitBatch(pb.SubmitBatchRequest(workloads=specs)))
    assert failure.code is grpc.StatusCode.INVALID_ARGUMENT
