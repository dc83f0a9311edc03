"""The RPCs of capabilities that a pool may lack: suspend, checkpoints, exec, start estimates, reservations.

`adapters.sdk.servicer` inherits them. A backend that declares a capability implements its protocol from
`adapters.contract`; without the declaration the RPC answers UNIMPLEMENTED, whatever the backend could do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeVar

import grpc

from adapters.contract import (
    Capabilities,
    Checkpointer,
    Execution,
    Executor,
    Launch,
    PoolBackend,
    Refusal,
    Reservation,
    Reserver,
    RunReport,
    StartEstimator,
    Suspender,
)
from adapters.sdk.changing import ChangeGate
from adapters.sdk.eligibility import is_covered, require_declared
from adapters.sdk.fence import MAX_EPOCH
from adapters.wire.inspection import Inspection, InvalidMessage
from adapters.wire.launch_batches import LaunchBatch
from adapters.wire.launches import (
    change_result_to_wire,
    inspect_run_id,
    invalid_item,
    refusal_to_wire,
)
from adapters.wire.reservations import estimate_to_wire, reservation_from_wire, reserve_result_to_wire
from adapters.wire.scalars import duration_from_wire, timestamp_to_wire
from adapters.wire.status import Answering, CallFailed, Failure
from inventory.model.workload import RunState
from xisuan.pool.v1 import pool_adapter_service_pb2 as pb
from xisuan.pool.v1 import pool_adapter_service_pb2_grpc as pb_grpc

Context = grpc.aio.ServicerContext[Any, Any]
_Capability = TypeVar("_Capability")
_DEFAULT_EXEC_MS = 60_000


class OptionalCalls(pb_grpc.PoolAdapterServiceServicer):
    """The part of the servicer that a backend need not have."""

    def __init__(self, backend: PoolBackend, gate: ChangeGate) -> None:
        self._backend = backend
        self._gate = gate

    async def Suspend(self, request: pb.SuspendRequest, context: Context) -> pb.SuspendResponse:
        async with Answering(context):
            suspender = self._declared("suspend", Suspender)  # type: ignore[type-abstract]  # a protocol, asked by isinstance
            ids = self._inspect_ids(request.epoch, request.run_ids)
            outcomes = await self._gate.change(request.epoch, lambda: suspender.suspend(ids))
            return pb.SuspendResponse(results=self._change_results(ids, outcomes))

    async def Resume(self, request: pb.ResumeRequest, context: Context) -> pb.ResumeResponse:
        async with Answering(context):
            suspender = self._declared("suspend", Suspender)  # type: ignore[type-abstract]  # as above
            ids = self._inspect_ids(request.epoch, request.run_ids)
            outcomes = await self._gate.change(request.epoch, lambda: suspender.resume(ids))
            return pb.ResumeResponse(results=self._change_results(ids, outcomes))

    async def Checkpoint(self, request: pb.CheckpointRequest, context: Context) -> pb.CheckpointResponse:
        async with Answering(context):
            checkpointer = self._declared("checkpoints", Checkpointer)  # type: ignore[type-abstract]  # as above
            self._inspect_ids(request.epoch, (request.run_id, request.checkpoint_id))
            await self.known(request.run_id)
            taken = await self._gate.change(
                request.epoch, lambda: checkpointer.checkpoint(request.run_id, request.checkpoint_id)
            )
            if isinstance(taken, Refusal):
                raise refused(taken)
            return pb.CheckpointResponse(
                checkpoint_id=taken.checkpoint_id,
                taken_at=timestamp_to_wire(taken.taken_ms),
                bytes=taken.size_bytes,
            )

    async def Exec(self, request: pb.ExecRequest, context: Context) -> AsyncIterator[pb.ExecResponse]:
        async with Answering(context):
            executor = self._declared("exec", Executor)  # type: ignore[type-abstract]  # as above
            execution = self._execution(request)
            report = await self.known(request.run_id)
            await self._gate.change(request.epoch, _nothing)  # the fence; the command itself holds no one up
            if report.state is not RunState.RUNNING:
                raise CallFailed(
                    Failure(
                        grpc.StatusCode.FAILED_PRECONDITION,
                        f"{request.run_id}: 状态为 {report.state}，只能在 running 时执行命令 / "
                        f"is {report.state}: commands run beside running runs only",
                    )
                )
            if report.nodes and execution.task >= len(report.nodes):
                check = Inspection()
                tasks = len(report.nodes)
                check.refuse("task", execution.task, f"此运行有 {tasks} 个任务", f"the run has {tasks}, from 0")
                check.close()
            async for piece in executor.execute(execution):
                yield pb.ExecResponse(
                    standard_output=piece.standard_output,
                    standard_error=piece.standard_error,
                    exit_code=piece.exit_code,
                )

    async def EstimateStarts(
        self, request: pb.EstimateStartsRequest, context: Context
    ) -> pb.EstimateStartsResponse:
        async with Answering(context):
            estimator = self._declared("start_estimates", StartEstimator)  # type: ignore[type-abstract]  # as above
            self.inspect_size(len(request.items))
            reader = LaunchReader(self._backend.capabilities)
            launches: list[Launch] = []
            answers: list[pb.StartEstimate | None] = []
            for i, item in enumerate(request.items):
                launch = reader.read(item, f"items[{i}]")
                if isinstance(launch, Launch):
                    launches.append(launch)
                    answers.append(None)
                else:
                    answers.append(pb.StartEstimate(run_id=item.run_id, error=launch.error))
            found = iter(await estimator.estimate_starts(launches) if launches else ())
            return pb.EstimateStartsResponse(
                estimates=[
                    answer or estimate_to_wire(item.run_id, next(found))
                    for answer, item in zip(answers, request.items, strict=True)
                ]
            )

    async def Reserve(self, request: pb.ReserveRequest, context: Context) -> pb.ReserveResponse:
        async with Answering(context):
            reserver = self._declared("reservations", Reserver)  # type: ignore[type-abstract]  # as above
            self._inspect_ids(request.epoch, ())
            self.inspect_size(len(request.items))
            reservations: list[Reservation] = []
            answers: list[pb.ReserveResult | None] = []
            for i, item in enumerate(request.items):
                try:
                    reservations.append(reservation_from_wire(item, f"items[{i}]"))
                    answers.append(None)
                except InvalidMessage as error:
                    answers.append(pb.ReserveResult(reservation_id=item.reservation_id, error=invalid_item(error)))
            found = iter(await self._gate.change(request.epoch, lambda: reserver.reserve(reservations)))
            return pb.ReserveResponse(
                results=[
                    answer or reserve_result_to_wire(item.reservation_id, next(found))
                    for answer, item in zip(answers, request.items, strict=True)
                ]
            )

    async def Unreserve(self, request: pb.UnreserveRequest, context: Context) -> pb.UnreserveResponse:
        async with Answering(context):
            reserver = self._declared("reservations", Reserver)  # type: ignore[type-abstract]  # as above
            ids = self._inspect_ids(request.epoch, request.reservation_ids)
            outcomes = await self._gate.change(request.epoch, lambda: reserver.unreserve(ids))
            return pb.UnreserveResponse(
                results=[
                    pb.UnreserveResult(
                        reservation_id=reservation_id, error=refusal_to_wire(refusal) if refusal else None
                    )
                    for reservation_id, refusal in zip(ids, outcomes, strict=True)
                ]
            )

    # -- what these and the other RPCs ask ----------------------------------------------------------------------

    async def known(self, run_id: str) -> RunReport:
        """The run; CallFailed NOT_FOUND where this pool has never heard of it."""
        report = await self._backend.inspect(run_id)
        if report is None:
            raise CallFailed(
                Failure(
                    grpc.StatusCode.NOT_FOUND,
                    f"run_id = {run_id[:128]!r}: 该池没有此运行 / this pool has never heard of this run",
                )
            )
        return self._gate.leases.stamp(report)

    def inspect_size(self, items: int) -> None:
        check = Inspection()
        check.whole_number("items.length", items, 0, self._backend.capabilities.max_batch)
        check.close()

    def _declared(self, capability: str, protocol: type[_Capability]) -> _Capability:
        backend: object = self._backend
        if getattr(self._backend.capabilities, capability) and isinstance(backend, protocol):
            return backend
        raise CallFailed(
            Failure(
                grpc.StatusCode.UNIMPLEMENTED,
                f"该池未声明能力 {capability}，请勿重复 / this pool does not declare {capability}: do not repeat",
            )
        )

    def _inspect_ids(self, epoch: int, ids: Sequence[str]) -> tuple[str, ...]:
        check = Inspection()
        check.whole_number("epoch", epoch, 1, MAX_EPOCH)
        check.whole_number("items.length", len(ids), 0, self._backend.capabilities.max_batch)
        for i, one in enumerate(ids):
            inspect_run_id(one, check, f"ids[{i}]")
        check.close()
        return tuple(ids)

    def _execution(self, request: pb.ExecRequest) -> Execution:
        self._inspect_ids(request.epoch, (request.run_id,))
        check = Inspection()
        if not request.command or not request.command[0] or any("\0" in word for word in request.command):
            check.refuse("command", list(request.command), "须有命令，不能含 NUL", "give a command without NUL")
        execution = Execution(
            run_id=request.run_id,
            task=check.whole_number("task", request.task, 0, 1_000_000),
            command=tuple(request.command),
            standard_input=request.standard_input,
            timeout_ms=duration_from_wire(request.timeout, check, "timeout") or _DEFAULT_EXEC_MS,
        )
        check.close()
        return execution

    def _change_results(
        self, ids: Sequence[str], outcomes: Sequence[RunReport | Refusal]
    ) -> list[pb.ChangeResult]:
        return [change_result_to_wire(one, outcome) for one, outcome in zip(ids, outcomes, strict=True)]


class LaunchReader:
    """Reads the items of one batch: well-formed, and covered by what the pool declares, or refused item by item."""

    def __init__(self, can: Capabilities) -> None:
        self._can = can
        self._batch = LaunchBatch()

    def read(self, item: pb.LaunchItem, path: str) -> Launch | pb.LaunchResult:
        """The launch, or the result that refuses it."""
        try:
            launch = self._batch.read(item, path)
            if not is_covered(launch, self._can):
                require_declared(launch, self._can, path)
        except InvalidMessage as error:
            return pb.LaunchResult(run_id=item.run_id, error=invalid_item(error))
        return launch


def refused(refusal: Refusal) -> CallFailed:
    """The failure of a whole call about one run."""
    codes = {code.value[0]: code for code in grpc.StatusCode}
    return CallFailed(Failure(codes[refusal.code.value], refusal.message))


async def _nothing() -> None:
    return None
