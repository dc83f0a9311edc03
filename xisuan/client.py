"""The client library: what a system uses to submit workloads and to follow them.

    from xisuan.client import Client, Program, Requirements, Resources, WorkloadSpec

    with Client("127.0.0.1:7700") as client:
        workload, created = client.submit(WorkloadSpec(
            queue="transport/reports", client_key="2026-03-report",
            requirements=Requirements(per_task=Resources(cpu_milli=500, memory_bytes=256 * 1024**2)),
            program=Program(command=["python3", "report.py"]),
        ))
        finished = client.wait(workload.workload_id)

Token and CA come with `credentials=`, or from the environment (`xisuan.credentials`). The bare installation is enough
(grpcio, grpcio-status, protobuf). Every call may be repeated: submission is idempotent by (queue, client_key). A
service that is unavailable is tried again for `patience_s`; what fails then, and what was refused, is a `CallError`
with code, reason and field violations.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

from xisuan.calls import CallError, Channel, FieldViolation, Pauses, translated
from xisuan.common.v1 import common_pb2
from xisuan.common.v1.common_pb2 import (
    ARCHITECTURE_ARM64,
    ARCHITECTURE_C86,
    ARCHITECTURE_X86_64,
    ZONE_DEDICATED,
    ZONE_EXTRANET,
    ZONE_INTERNET,
    ZONE_INTRANET,
    Resources,
)
from xisuan.credentials import Credentials
from xisuan.workload.v1 import workload_service_pb2 as pb
from xisuan.workload.v1.workload_pb2 import (
    WORKLOAD_STATE_ACTIVE,
    WORKLOAD_STATE_CANCELLED,
    WORKLOAD_STATE_FAILED,
    WORKLOAD_STATE_QUEUED,
    WORKLOAD_STATE_SUBMITTED,
    WORKLOAD_STATE_SUCCEEDED,
    Program,
    Requirements,
    Run,
    RunState,
    Workload,
    WorkloadSpec,
    WorkloadState,
)
from xisuan.workload.v1.workload_service_pb2 import (
    ArrayPlacement,
    Counterfactual,
    DryRunPlacement,
    DryRunResult,
    ExplainResponse,
    PoolOpinion,
    StartForecast,
    SubmitResult,
    WatchResponse,
    WorkloadChange,
)
from xisuan.workload.v1.workload_service_pb2_grpc import WorkloadServiceStub

__all__ = [
    "ARCHITECTURE_ARM64",
    "ARCHITECTURE_C86",
    "ARCHITECTURE_X86_64",
    "FINAL_STATES",
    "WORKLOAD_STATE_ACTIVE",
    "WORKLOAD_STATE_CANCELLED",
    "WORKLOAD_STATE_FAILED",
    "WORKLOAD_STATE_QUEUED",
    "WORKLOAD_STATE_SUBMITTED",
    "WORKLOAD_STATE_SUCCEEDED",
    "ZONE_DEDICATED",
    "ZONE_EXTRANET",
    "ZONE_INTERNET",
    "ZONE_INTRANET",
    "ArrayPlacement",
    "CallError",
    "Client",
    "Counterfactual",
    "Credentials",
    "DryRunPlacement",
    "DryRunResult",
    "ExplainResponse",
    "FieldViolation",
    "PoolOpinion",
    "Program",
    "Requirements",
    "Resources",
    "Run",
    "RunState",
    "StartForecast",
    "SubmitResult",
    "WatchResponse",
    "Workload",
    "WorkloadChange",
    "WorkloadSpec",
    "WorkloadState",
    "item_error",
]

PATIENCE_S = 30.0
FINAL_STATES = frozenset({WORKLOAD_STATE_SUCCEEDED, WORKLOAD_STATE_FAILED, WORKLOAD_STATE_CANCELLED})
_BATCH = 10_000
_CODES = {
    3: "INVALID_ARGUMENT",
    5: "NOT_FOUND",
    6: "ALREADY_EXISTS",
    7: "PERMISSION_DENIED",
    8: "RESOURCE_EXHAUSTED",
    9: "FAILED_PRECONDITION",
    14: "UNAVAILABLE",
}


class Client:
    """Calls one service at `address` (host:port). Thread-safe; use it in a `with` block, or `close` it.

    `credentials`: token and authority; None: those of the environment, or of the home of a service on this machine.
    """

    def __init__(
        self, address: str, *, patience_s: float = PATIENCE_S, credentials: Credentials | None = None
    ) -> None:
        self._channel = Channel(address, patience_s, credentials)
        self._stub = WorkloadServiceStub(self._channel.grpc)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._channel.close()

    def submit(self, spec: WorkloadSpec) -> tuple[Workload, bool]:
        """Stores one workload: it survives any crash of the service. False: it was known already, unchanged."""
        answer = self._channel.call(self._stub.Submit, pb.SubmitRequest(workload=spec))
        return answer.workload, answer.created

    def submit_batch(self, specs: Sequence[WorkloadSpec]) -> tuple[SubmitResult, ...]:
        """One result each, in order: `accepted`, or `error` (see `item_error`).

        Items fail alone, and `after` may name items of the batch by client key. More than 10,000 go out in several
        calls; `after` then reaches items of its own call and of those before it.
        """
        results: list[SubmitResult] = []
        for start in range(0, len(specs), _BATCH):
            request = pb.SubmitBatchRequest(workloads=specs[start : start + _BATCH])
            results += self._channel.call(self._stub.SubmitBatch, request).results
        return tuple(results)

    def get(self, workload_id: str) -> Workload:
        """The workload with all its runs. CallError NOT_FOUND for an unknown id."""
        return self._channel.call(self._stub.Get, pb.GetRequest(workload_id=workload_id)).workload

    def submit_stream(self, batches: Iterable[Sequence[WorkloadSpec]]) -> Iterator[tuple[SubmitResult, ...]]:
        """Batch after batch on one stream, each of at most 10,000; yields the results of each, in order, when its items
        are durable. The service slows the stream where it has too much to do. A stream that breaks is not resumed:
        CallError, and what was sent may be sent again, because submission is idempotent."""
        with translated():
            requests = (pb.SubmitStreamRequest(workloads=batch) for batch in batches)
            for answer in self._stub.SubmitStream(requests):
                yield tuple(answer.results)

    def list(
        self, *, queue: str = "", states: Collection[WorkloadState.ValueType] = (), array_id: str = ""
    ) -> Iterator[Workload]:
        """Workloads, oldest first, of this queue and in these states (empty: any), page by page: the elements of an
        array, or everything but elements."""
        token = ""
        while True:
            request = pb.ListRequest(
                queue=queue, states=states, page_size=500, page_token=token, array_id=array_id
            )
            page = self._channel.call(self._stub.List, request)
            yield from page.workloads
            token = page.next_page_token
            if not token:
                return

    def watch(
        self,
        *,
        workload_ids: Collection[str] = (),
        queue: str = "",
        cursor: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> Iterator[WatchResponse]:
        """Changes after `cursor` (empty: from now on), without gap or repetition; goes on until it is closed.

        Without a cursor the first message has the present one and no change. When the service goes away, the
        stream is resumed after the last message that was given, for as long as patience lasts.
        """
        pauses = Pauses(self._channel.patience_s)
        while True:
            request = pb.WatchRequest(workload_ids=workload_ids, queue=queue, cursor=cursor, labels=labels or {})
            try:
                with translated():
                    for message in self._stub.Watch(request, metadata=self._channel.metadata):
                        pauses.succeeded()
                        cursor = message.cursor or cursor
                        yield message
            except CallError as error:
                if not error.is_retryable or not pauses.wait(error.retry_after_ms):
                    raise
            else:
                # The service closed the stream in good order (it is being replaced): go on where it ended.
                if not pauses.wait():
                    return

    def wait(self, workload_id: str) -> Workload:
        """Blocks until the workload has succeeded, failed or been cancelled, and returns it."""
        for _ in self.watch(workload_ids=[workload_id]):
            workload = self.get(workload_id)
            if workload.state in FINAL_STATES:
                return workload
        return self.get(workload_id)

    def cancel(self, workload_id: str, reason: str = "") -> Workload:
        """Stops the run, if there is one, and ends the workload as cancelled. Idempotent."""
        request = pb.CancelRequest(workload_id=workload_id, reason=reason)
        return self._channel.call(self._stub.Cancel, request).workload

    def explain(self, workload_id: str) -> ExplainResponse:
        """What each pool says to this workload now: reasons, verdicts, scores."""
        return self._channel.call(self._stub.Explain, pb.ExplainRequest(workload_id=workload_id))

    def estimate(self, workload_id: str) -> StartForecast | None:
        """When a workload that waits for room is expected to start, as an interval; None where there is nothing to
        estimate. Takes a second or two."""
        answer = self._channel.call(self._stub.Estimate, pb.EstimateRequest(workload_id=workload_id))
        return answer.forecast if answer.HasField("forecast") else None

    def dry_run(self, specs: Sequence[WorkloadSpec]) -> tuple[DryRunResult, ...]:
        """What would happen if these were submitted now; stores and reserves nothing."""
        answer = self._channel.call(self._stub.DryRun, pb.DryRunRequest(workloads=specs))
        return tuple(answer.results)

    def logs(
        self, workload_id: str, *, attempt: int = 0, offset: int = 0, follow: bool = False
    ) -> Iterator[bytes]:
        """The output of a run (attempt 0: the last) from byte `offset` on; `follow` stays until the run ends.

        Interrupted streams are resumed at the byte where they ended, for as long as patience lasts.
        """
        pauses = Pauses(self._channel.patience_s)
        while True:
            request = pb.LogsRequest(workload_id=workload_id, attempt=attempt, offset=offset, follow=follow)
            try:
                with translated():
                    for message in self._stub.Logs(request, metadata=self._channel.metadata):
                        pauses.succeeded()
                        offset = message.next_offset
                        yield message.chunk
                return
            except CallError as error:
                if not error.is_retryable or not pauses.wait(error.retry_after_ms):
                    raise


def item_error(error: common_pb2.ItemError) -> CallError:
    """The refusal of one item of a batch, as the same exception that a single call would raise."""
    violations = tuple(FieldViolation(one.field, one.description) for one in error.field_violations)
    retry = error.retry_after_ms if error.retryable else None
    return CallError(_CODES.get(error.code, str(error.code)), error.message, "", violations, retry)
