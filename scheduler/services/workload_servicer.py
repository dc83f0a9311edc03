"""`xisuan.workload.v1.WorkloadService`: what submitting systems call.

Stateless: it validates, converts, and asks the control plane. Any number of gateways serve it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence

import grpc

from adapters.client import AdapterClient
from adapters.wire.inspection import Inspection
from adapters.wire.scalars import WORKLOAD_STATE_OF, WORKLOAD_STATES, timestamp_to_wire
from adapters.wire.status import details_of
from adapters.wire.submissions import SubmissionReader
from adapters.wire.workloads import run_to_wire, workload_to_wire
from inventory.model.submission_batch import SubmissionBatch
from inventory.model.workload import Submission
from scheduler.core.admission import Accepted, Outcome, Refused
from scheduler.services.answering import Context, answering, exhausted_item, invalid_item, refused, refused_item
from scheduler.services.outlook_answers import AcceptedAnswers, dry_run_result, explain_answer, forecast_to_wire
from scheduler.services.outlooks import Warned
from scheduler.services.ports import (
    ChangeNotice,
    ErrorCode,
    RequestError,
    Scheduling,
    WatchFilter,
    WorkloadRecord,
)
from xisuan.workload.v1 import workload_pb2
from xisuan.workload.v1 import workload_service_pb2 as pb
from xisuan.workload.v1.workload_service_pb2_grpc import WorkloadServiceServicer

MAX_BATCH = 10_000
MAX_CALL_ELEMENTS = 20_000
# A watcher's call comes back to the control plane this often, so that a dead watcher is noticed.
WATCH_WAIT_MS = 5_000
# Labels that begin so have a meaning of ours (a success migrates a system): only the planner sets them.
RESERVED_LABEL = "xisuan."


class WorkloadServicer(WorkloadServiceServicer):
    """`connect` opens the adapter at an endpoint, for the output of runs."""

    def __init__(self, scheduling: Scheduling, connect: Callable[[str], AdapterClient] = AdapterClient) -> None:
        self._scheduling = scheduling
        self._connect = connect
        self._reader = SubmissionReader(_inspect_labels)

    async def Submit(self, request: pb.SubmitRequest, context: Context) -> pb.SubmitResponse:
        async with answering(context):
            batch = self._reader.read_one(request.workload, "workload")
            (outcome,) = await self._scheduling.submit(batch)
            if isinstance(outcome, Refused):
                raise refused(outcome, "workload")
            answer = pb.SubmitResponse()
            AcceptedAnswers(batch, await self._warnings(batch, [outcome])).fill(answer, 0, outcome)
            return answer

    async def SubmitBatch(self, request: pb.SubmitBatchRequest, context: Context) -> pb.SubmitBatchResponse:
        async with answering(context):
            answer = pb.SubmitBatchResponse()
            await self._batch(request.workloads, answer.results.add)
            return answer

    async def _batch(self, specs: Sequence[workload_pb2.WorkloadSpec], add: Callable[[], pb.SubmitResult]) -> None:
        """Submits them and adds a result for each, in order."""
        _require_batch(specs)
        batch, errors = self._reader.read(specs, "workloads")
        outcomes = await self._scheduling.submit(batch) if batch else []
        answers = AcceptedAnswers(batch, await self._warnings(batch, outcomes))
        decided = enumerate(outcomes)
        for position in range(len(specs)):
            result = add()
            if position in errors:
                result.error.CopyFrom(invalid_item(errors[position]))
                continue
            number, outcome = next(decided)
            if isinstance(outcome, Accepted):
                answers.fill(result.accepted, number, outcome)
            else:
                result.error.CopyFrom(refused_item(outcome, f"workloads[{position}]"))

    async def _warnings(self, batch: SubmissionBatch, outcomes: Sequence[Outcome]) -> Mapping[str, Warned]:
        """Only what was created with a deadline is looked at: nobody else waits for it."""
        if not any(like.finish_by_ms for like in batch.templates):
            return {}
        dated = [
            outcome.workload_id
            for number, outcome in enumerate(outcomes)
            if isinstance(outcome, Accepted) and outcome.created and batch.like(number).finish_by_ms
        ]
        return await self._scheduling.warnings(dated) if dated else {}

    async def SubmitStream(
        self, requests: AsyncIterator[pb.SubmitStreamRequest], context: Context
    ) -> AsyncIterator[pb.SubmitStreamResponse]:
        """The next message is read when the last is stored, so that the transport slows a sender who is too fast."""
        async with answering(context):
            async for request in requests:
                answer = pb.SubmitStreamResponse()
                try:
                    await self._batch(request.workloads, answer.results.add)
                except RequestError as error:
                    if error.code is not ErrorCode.RESOURCE_EXHAUSTED:
                        raise
                    answer.results.extend([pb.SubmitResult(error=exhausted_item(error))] * len(request.workloads))
                yield answer

    async def Get(self, request: pb.GetRequest, context: Context) -> pb.GetResponse:
        async with answering(context):
            return pb.GetResponse(workload=_record(await self._scheduling.get(request.workload_id)))

    async def List(self, request: pb.ListRequest, context: Context) -> pb.ListResponse:
        async with answering(context):
            check = Inspection()
            size = check.whole_number("page_size", request.page_size, 0, 1000) or 100
            for i, number in enumerate(request.states):
                if number not in WORKLOAD_STATE_OF:
                    check.refuse(f"states[{i}]", number, "没有这个作业状态", "unknown workload state")
            check.close()
            states = frozenset(WORKLOAD_STATE_OF[number] for number in request.states)
            page = await self._scheduling.list_workloads(
                request.queue, states, size, request.page_token, request.array_id
            )
            return pb.ListResponse(
                workloads=[_record(record) for record in page.records], next_page_token=page.next_token
            )

    async def Watch(self, request: pb.WatchRequest, context: Context) -> AsyncIterator[pb.WatchResponse]:
        async with answering(context):
            wanted = WatchFilter(frozenset(request.workload_ids), request.queue, frozenset(request.labels.items()))
            cursor = _cursor(request.cursor)
            if cursor is None:
                page = await self._scheduling.changes(None, wanted, 0)
                cursor = page.cursor
                yield pb.WatchResponse(cursor=str(cursor))
            while True:
                page = await self._scheduling.changes(cursor, wanted, WATCH_WAIT_MS)
                if page.notices:
                    changes = [_change(notice) for notice in page.notices]
                    yield pb.WatchResponse(cursor=str(page.cursor), changes=changes)
                cursor = page.cursor

    async def Cancel(self, request: pb.CancelRequest, context: Context) -> pb.CancelResponse:
        async with answering(context):
            record = await self._scheduling.cancel(request.workload_id, request.reason)
            return pb.CancelResponse(workload=_record(record))

    async def Explain(self, request: pb.ExplainRequest, context: Context) -> pb.ExplainResponse:
        async with answering(context):
            said = await self._scheduling.explain(request.workload_id)
            outlook = await self._scheduling.outlook(request.workload_id, True)
            return explain_answer(said, outlook)

    async def Estimate(self, request: pb.EstimateRequest, context: Context) -> pb.EstimateResponse:
        async with answering(context):
            outlook = await self._scheduling.outlook(request.workload_id, False)
            return pb.EstimateResponse(forecast=forecast_to_wire(outlook.forecast))

    async def DryRun(self, request: pb.DryRunRequest, context: Context) -> pb.DryRunResponse:
        async with answering(context):
            _require_batch(request.workloads)
            batch, errors = self._reader.read(request.workloads, "workloads")
            placements = iter(await self._scheduling.dry_run(batch) if batch else ())
            results = [
                pb.DryRunResult(error=invalid_item(errors[i])) if i in errors else dry_run_result(next(placements))
                for i in range(len(request.workloads))
            ]
            return pb.DryRunResponse(results=results)

    async def Logs(self, request: pb.LogsRequest, context: Context) -> AsyncIterator[pb.LogsResponse]:
        async with answering(context):
            source = await self._scheduling.log_source(request.workload_id, request.attempt)
            offset = request.offset
            adapter = self._connect(source.endpoint)
            try:
                async for chunk in adapter.logs(source.run_id, offset, request.follow):
                    offset += len(chunk)
                    yield pb.LogsResponse(chunk=chunk, next_offset=offset)
            except grpc.RpcError as error:
                raise _no_log(source.run_id, error) from error
            finally:
                await adapter.close()


def _inspect_labels(submission: Submission, check: Inspection, path: str) -> None:
    for label in submission.labels:
        if label.startswith(RESERVED_LABEL):
            check.refuse(
                f"{path}.labels",
                label,
                f"以 {RESERVED_LABEL} 开头的标签由系统保留，请改名",
                f"labels that begin with {RESERVED_LABEL} are reserved; rename it",
            )


def _require_batch(specs: Sequence[workload_pb2.WorkloadSpec]) -> None:
    check = Inspection()
    check.whole_number("workloads.length", len(specs), 0, MAX_BATCH)
    # Elements are stored with their arrays, in one transaction that others wait for.
    elements = sum(spec.array.count for spec in specs)
    check.whole_number("workloads.array.count in all", elements, 0, MAX_CALL_ELEMENTS)
    check.close()


def _record(record: WorkloadRecord) -> workload_pb2.Workload:
    return workload_to_wire(record.workload, record.runs, record.elements)


def _change(notice: ChangeNotice) -> pb.WorkloadChange:
    return pb.WorkloadChange(
        workload_id=notice.workload_id,
        queue=notice.queue,
        state=WORKLOAD_STATES[notice.state] if notice.state else workload_pb2.WORKLOAD_STATE_UNSPECIFIED,
        run=run_to_wire(notice.run) if notice.run else None,
        message=notice.message,
        at=timestamp_to_wire(notice.at_ms),
    )


def _cursor(text: str) -> int | None:
    if text and not text.isdecimal():
        raise RequestError(
            ErrorCode.INVALID_ARGUMENT,
            f"cursor {text!r} 不是 Watch 给出的值 / is not one that Watch gave; leave it empty to begin now",
            field="cursor",
        )
    return int(text) if text else None


def _no_log(run_id: str, error: grpc.RpcError) -> RequestError:
    """A pool that does not know the run, or keeps no output, will not know it later; any other may come back."""
    failure = details_of(error)
    message = f"运行 {run_id} 的日志取不到 / the output of run {run_id} is not to be had: {failure.message}"
    if failure.code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNIMPLEMENTED):
        return RequestError(ErrorCode.NOT_FOUND, message, "NO_LOG")
    return RequestError(ErrorCode.UNAVAILABLE, message, "NO_LOG", retry_after_ms=1_000)
